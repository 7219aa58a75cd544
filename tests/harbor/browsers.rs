//! Browsers: logged in by `/c/login`, with a cookie that opens the APIs and nothing else, and dies
//! when it should.

use crate::{PASSWORD, on_both, person};
use reqwest::{
    Method, StatusCode,
    blocking::Response,
    header::{HeaderMap, SET_COOKIE},
};
use sealock_tests::{
    harbor::{BASE, Harbor},
    http::Http,
    server::{ADMIN_PASSWORD, Options, Server, TlsFiles, eventually},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// A browser: it keeps cookies and the token, and sends both.
pub(crate) struct Browser {
    http: Http,
    cookies: BTreeMap<String, String>,
    token: Option<String>,
}

const OWN: &str = "/api/sealock/v1";

impl Browser {
    fn new(server: &Server) -> Self {
        Self { http: server.http(), cookies: BTreeMap::new(), token: None }
    }

    pub(crate) fn logged_in(server: &Server, name: &str, password: &str) -> Self {
        let mut browser = Self::new(server);
        assert_eq!(browser.log_in(name, password).status(), 200);
        browser
    }

    fn log_in(&mut self, name: &str, password: &str) -> Response {
        self.form("/c/login", &[("principal", name), ("password", password)])
    }

    fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.send(Method::POST, path, Some(("application/x-www-form-urlencoded", body.join("&"))))
    }

    fn send(&mut self, method: Method, path: &str, body: Option<(&str, String)>) -> Response {
        let mut request = self.http.request(method, path);
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("Cookie", pairs.join("; "));
        }
        if let Some(token) = &self.token {
            request = request.header("X-Harbor-CSRF-Token", token);
        }
        if let Some((kind, body)) = body {
            request = request.header("Content-Type", kind).body(body);
        }
        let response = request.send().unwrap();
        self.keep(response.headers());
        response
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            match text.contains("Max-Age=0") {
                true => _ = self.cookies.remove(name),
                false => _ = self.cookies.insert(name.to_owned(), value.to_owned()),
            }
        }
        if let Some(token) = headers.get("x-harbor-csrf-token") {
            self.token = Some(token.to_str().unwrap().to_owned());
        }
    }

    fn get(&mut self, path: &str) -> (u16, Value) {
        let response = self.send(Method::GET, path, None);
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().unwrap()).unwrap_or_default())
    }

    fn json(&mut self, method: Method, path: &str, body: &Value) -> u16 {
        self.send(method, path, Some(("application/json", body.to_string()))).status().as_u16()
    }

    /// Who the server takes it for.
    pub(crate) fn is(&mut self) -> Option<String> {
        let (status, body) = self.get(&format!("{BASE}/users/current"));
        (status == 200).then(|| body["username"].as_str().unwrap().to_owned())
    }

    fn sid(&self) -> String {
        self.cookies["sid"].clone()
    }
}

#[test]
fn a_browser_logs_in_works_and_logs_out() {
    on_both(|server| {
        person(server, "ann");
        let mut ann = Browser::new(server);
        let answer = ann.log_in("ann", PASSWORD);
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        for word in ["sid=", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        assert!(!cookie.contains("Secure"), "without TLS it would never come back: {cookie}");
        assert_eq!(ann.is().as_deref(), Some("ann"));
        assert_eq!(ann.get(&format!("{OWN}/me")).1["name"], "ann");
        let made =
            ann.json(Method::POST, &format!("{BASE}/projects"), &json!({"project_name": "shop"}));
        assert_eq!(made, 201);
        assert_eq!(ann.get(&format!("{BASE}/projects/shop")).1["owner_name"], "ann");

        // The registry knows no cookies.
        let (status, _) = ann.get("/v2/");
        assert_eq!(status, 401);
        assert_eq!(ann.get("/v2/shop/app/tags/list").0, 401);
        let (status, token) = ann.get("/service/token?scope=repository:shop/app:pull");
        assert_eq!(status, 200);
        let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
        let asked = server.http().request(Method::GET, "/v2/shop/app/tags/list");
        assert_eq!(asked.header("Authorization", bearer).send().unwrap().status(), 401);

        let before = ann.sid();
        assert_eq!(ann.get("/c/log_out").0, 200);
        assert!(ann.cookies.is_empty(), "{:?}", ann.cookies);
        ann.cookies.insert("sid".to_owned(), before);
        assert_eq!(ann.is(), None, "the cookie of one who logged out");

        let admin = Harbor::admin(server);
        let events = eventually("both are on record", Duration::from_secs(10), || {
            let list = admin.get("/auditlog-exts?q=username=ann,resource_type=user");
            let operations = list.column("operation");
            (operations.contains(&json!("logout"))).then_some(operations)
        });
        assert!(events.contains(&json!("login")), "{events:?}");
        let types = admin.get("/auditlog-exts/events").body.to_string();
        assert!(types.contains("login_user") && types.contains("logout_user"), "{types}");
    });
}

#[test]
fn what_is_no_users_password_logs_nobody_in() {
    let server = Server::start();
    person(&server, "ann");
    let body = json!({"name": "ci", "rights": ["pull", "push"]});
    let path = "/api/sealock/v1/projects/library/robots";
    let robot = server.admin().write(Method::POST, path, &body);
    let mut browser = Browser::new(&server);
    let robot_name = robot["name"].as_str().unwrap().replace('$', "%24").replace('+', "%2B");
    for (name, password) in [
        ("ann", "wrong"),
        ("nobody", PASSWORD),
        ("", ""),
        (&robot_name, robot["secret"].as_str().unwrap()),
    ] {
        let answer = browser.log_in(name, password);
        assert_eq!(answer.status(), 401, "{name}");
        assert!(!answer.headers().contains_key(SET_COOKIE), "{name}");
    }
    let twice = [("principal", "ann"), ("principal", "admin"), ("password", PASSWORD)];
    assert_eq!(browser.form("/c/login", &twice).status(), 400);
    assert_eq!(browser.form("/c/login", &[("principal", "ann")]).status(), 400);
    assert_eq!(browser.get("/c/login").0, 405);
    assert_eq!(browser.get("/c/nothing").0, 404);
    let header = server.http().with_user("ann", PASSWORD);
    assert_eq!(header.get("/c/log_out").unwrap().status(), 200, "nothing to end is no error");
}

/// CVE-2019-19025.
#[test]
fn what_changes_something_needs_the_token_of_the_cookies() {
    let server = Server::start();
    let (ann, eve) = (person(&server, "ann"), person(&server, "eve"));
    let id = ann.get("/users/current").is(200)["user_id"].clone();
    let mut browser = Browser::logged_in(&server, "ann", PASSWORD);
    let mut other = Browser::logged_in(&server, "eve", PASSWORD);
    let paths = [
        (Method::POST, format!("{BASE}/projects"), json!({"project_name": "shop"})),
        (Method::PUT, format!("{BASE}/users/{id}"), json!({"realname": "Mallory"})),
        (Method::POST, format!("{OWN}/projects"), json!({"name": "shop"})),
        (Method::DELETE, format!("{OWN}/sessions"), json!({})),
    ];
    let (good, strange) = (browser.token.clone(), other.token.clone());
    for token in [None, Some(String::new()), strange, good.as_ref().map(|text| text[1..].into())] {
        browser.token = token;
        for (method, path, body) in &paths {
            let token = browser.token.clone();
            assert_eq!(browser.json(method.clone(), path, body), 403, "{method} {path}");
            // The refusal tells the right one to whoever can read it: no other site can.
            browser.token = token;
        }
    }
    browser.token = good.clone();
    assert_eq!(browser.is().as_deref(), Some("ann"), "nothing was done");
    assert_eq!(ann.get("/projects?name=shop").total(), 0);
    // A cookie makes it a browser's request, whatever else is sent with it (Harbor's rule).
    let mixed = server.http().with_user("ann", PASSWORD);
    let mixed = mixed.request(Method::POST, &format!("{BASE}/projects"));
    let mixed = mixed.header("Cookie", format!("sid={}", browser.sid()));
    let mixed = mixed.body(json!({"project_name": "shop"}).to_string()).send().unwrap();
    assert_eq!(mixed.status(), StatusCode::FORBIDDEN);
    // Without the second cookie the token of the first says nothing.
    let nonce = browser.cookies.remove("_gorilla_csrf").unwrap();
    assert_eq!(browser.json(Method::POST, &paths[0].1, &paths[0].2), 403);
    browser.cookies.insert("_gorilla_csrf".to_owned(), nonce);
    browser.token = good;
    assert_eq!(browser.json(Method::POST, &paths[0].1, &paths[0].2), 201);
    // Who sends no cookie needs no token.
    eve.post("/projects", &json!({"project_name": "other"})).is(201);
    assert_eq!(other.is().as_deref(), Some("eve"));
}

#[test]
fn another_sites_page_logs_nobody_in() {
    let server = Server::start();
    person(&server, "ann");
    let body = format!("principal=ann&password={PASSWORD}");
    let ask = |header: (&str, &str)| {
        let request = server.http().request(Method::POST, "/c/login").header(header.0, header.1);
        request.body(body.clone()).send().unwrap().status().as_u16()
    };
    assert_eq!(ask(("Origin", "https://evil.example")), 403);
    assert_eq!(ask(("Sec-Fetch-Site", "cross-site")), 403);
    assert_eq!(ask(("Origin", &server.url())), 200);
    assert_eq!(ask(("Sec-Fetch-Site", "same-origin")), 200);
}

/// A browser that has asked for a name and a password once sends them along with whatever form a
/// page of another site posts.
#[test]
fn a_remembered_password_is_no_way_in_for_other_sites() {
    let server = Server::start();
    let (admin, own) = (server.admin(), format!("{OWN}/projects"));
    let forged = json!({"project_name": "evil", "name": "evil"}).to_string() + "=";
    let ask = |path: &str, header: (&str, &str), body: &str| {
        let request = admin.request(Method::POST, path).header("Content-Type", "text/plain");
        let answer = request.header(header.0, header.1).body(body.to_owned()).send().unwrap();
        answer.status().as_u16()
    };
    let harbors = format!("{BASE}/projects");
    for header in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        for path in [&harbors, &own] {
            let good = json!({"project_name": "evil", "name": "evil"}).to_string();
            assert_eq!(ask(path, header, &forged), 403, "{path} {header:?}");
            assert_eq!(ask(path, header, &good), 403, "{path} {header:?}");
        }
        let kept = admin.request(Method::GET, &harbors).header(header.0, header.1).send().unwrap();
        assert!(!kept.text().unwrap().contains("evil"));
    }
    let good = json!({"project_name": "good"}).to_string();
    assert_eq!(ask(&harbors, ("Origin", &server.url()), &good), 201);
    let good = json!({"name": "better"}).to_string();
    assert_eq!(ask(&own, ("Sec-Fetch-Site", "same-origin"), &good), 201);
}

/// Session fixation: a cookie that somebody planted is never the one of a log-in.
#[test]
fn a_planted_cookie_stays_worthless() {
    let server = Server::start();
    person(&server, "ann");
    person(&server, "eve");
    for planted in ["planted", &Browser::logged_in(&server, "eve", PASSWORD).sid()] {
        let mut ann = Browser::new(&server);
        ann.cookies.insert("sid".to_owned(), planted.to_owned());
        // A page of ours asks something first, and so has the token.
        ann.get(&format!("{BASE}/systeminfo"));
        assert_eq!(ann.log_in("ann", PASSWORD).status(), 200);
        assert_ne!(ann.sid(), planted);
        assert_eq!(ann.is().as_deref(), Some("ann"));
        let mut eve = Browser::new(&server);
        eve.cookies.insert("sid".to_owned(), planted.to_owned());
        assert_eq!(eve.is(), None, "who planted it is nobody, and no more who they were");
    }
    // Two cookies of one name: one may be planted from a neighbouring host.
    let ann = Browser::logged_in(&server, "ann", PASSWORD);
    let both = format!("sid={}; sid=planted", ann.sid());
    let asked = server.http().request(Method::GET, &format!("{BASE}/users/current"));
    assert_eq!(asked.header("Cookie", both).send().unwrap().status(), 401);
}

#[test]
fn a_log_in_dies_with_the_password_the_account_and_the_user() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        let ann = person(server, "ann");
        let id = ann.get("/users/current").is(200)["user_id"].clone();
        let mut browser = Browser::logged_in(server, "ann", PASSWORD);
        let words = json!({"old_password": PASSWORD, "new_password": "Another-9-password"});
        let changed = browser.json(Method::PUT, &format!("{BASE}/users/{id}/password"), &words);
        assert_eq!(changed, 200);
        assert_eq!(browser.is(), None, "a new password");

        let mut browser = Browser::logged_in(server, "ann", "Another-9-password");
        let own = server.admin();
        let disable = |on: bool| {
            own.write(Method::PATCH, &format!("{OWN}/users/ann"), &json!({"disabled": on}))
        };
        disable(true);
        assert_eq!(browser.is(), None, "a closed account");
        assert_eq!(Browser::new(server).log_in("ann", "Another-9-password").status(), 401);
        disable(false);
        assert_eq!(browser.is(), None, "and it does not rise again");

        let mut browser = Browser::logged_in(server, "ann", "Another-9-password");
        admin.delete(&format!("/users/{id}")).is(200);
        assert_eq!(browser.is(), None, "who is gone");
        person(server, "ann");
        assert_eq!(browser.is(), None, "and is no namesake");
        let list = server.http().with_user("ann", PASSWORD).json(&format!("{OWN}/sessions"));
        assert_eq!(list["items"], json!([]));
    });
}

/// Who took a log-in has not got the account: a new password takes the old one.
#[test]
fn a_taken_log_in_sets_no_password() {
    let server = Server::start();
    person(&server, "ann");
    let new = "Taken-over-9-password";
    for (who, old) in [("ann", PASSWORD), ("admin", ADMIN_PASSWORD)] {
        let mut browser = Browser::logged_in(&server, who, old);
        let id = browser.get(&format!("{BASE}/users/current")).1["user_id"].clone();
        let harbors = format!("{BASE}/users/{id}/password");
        let own = format!("{OWN}/users/{who}");
        for wrong in [json!(null), json!(""), json!("Wrong-1-password"), json!(new)] {
            let body = json!({"old_password": wrong, "new_password": new});
            assert_eq!(browser.json(Method::PUT, &harbors, &body), 403, "{who} {wrong}");
            let body = json!({"old_password": wrong, "password": new});
            assert_eq!(browser.json(Method::PATCH, &own, &body), 403, "{who} {wrong}");
        }
        assert_eq!(browser.is().as_deref(), Some(who));
        let body = json!({"old_password": old, "password": new});
        assert_eq!(browser.json(Method::PATCH, &own, &body), 200);
        assert_eq!(browser.is(), None, "{who}");
        assert_eq!(Browser::new(&server).log_in(who, new).status(), 200);
    }
    // Others' passwords administrators set without knowing them.
    let mut admin = Browser::logged_in(&server, "admin", new);
    let body = json!({"password": "Given-by-admin-1"});
    assert_eq!(admin.json(Method::PATCH, &format!("{OWN}/users/ann"), &body), 200);
}

#[test]
fn log_ins_are_listed_and_ended_by_their_user_and_administrators_only() {
    on_both(|server| {
        person(server, "ann");
        person(server, "eve");
        let own = |name: &str| server.http().with_user(name, PASSWORD);
        let mut browsers: Vec<Browser> =
            (0..3).map(|_| Browser::logged_in(server, "ann", PASSWORD)).collect();
        let list = own("ann").json(&format!("{OWN}/sessions"));
        let ids: Vec<i64> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(list["items"][0]["address"], "127.0.0.1");
        assert!(!list.to_string().contains(&browsers[0].sid()), "no cookie is shown");
        let status = |http: &Http, method: Method, path: String| {
            http.request(method, &format!("{OWN}{path}")).send().unwrap().status().as_u16()
        };
        // Swapped numbers: somebody else's is as one that does not exist.
        let foreign = |id: i64| {
            let path = format!("{OWN}/sessions/{id}");
            let answer = own("eve").request(Method::DELETE, &path).send().unwrap();
            let (status, text) = (answer.status().as_u16(), answer.text().unwrap());
            (status, text.replace(&id.to_string(), "#"))
        };
        assert_eq!(foreign(ids[0]), foreign(99_999_999));
        assert_eq!(foreign(ids[0]).0, 404);
        let whose = "/sessions?user=ann".to_owned();
        assert_eq!(status(&own("eve"), Method::GET, whose.clone()), 403);
        assert_eq!(status(&own("eve"), Method::DELETE, whose.clone()), 403);
        assert_eq!(status(&server.http(), Method::GET, "/sessions".into()), 401);

        assert_eq!(status(&own("ann"), Method::DELETE, format!("/sessions/{}", ids[0])), 204);
        assert_eq!(status(&own("ann"), Method::DELETE, format!("/sessions/{}", ids[0])), 404);
        assert_eq!(browsers[0].is(), None);
        assert_eq!(browsers[1].is().as_deref(), Some("ann"));
        assert_eq!(status(&server.admin(), Method::DELETE, format!("/sessions/{}", ids[1])), 204);
        assert_eq!(browsers[1].is(), None);
        let left = server.admin().json(&format!("{OWN}{whose}"));
        assert_eq!(left["items"].as_array().unwrap().len(), 1);
        assert_eq!(status(&own("ann"), Method::DELETE, "/sessions".into()), 200);
        assert_eq!(browsers[2].is(), None);
    });
}

#[test]
fn over_tls_a_cookie_never_travels_without_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let tls = TlsFiles::new(folder.path());
    let ca = tls.authority.display().to_string();
    let environment = vec![("SEALOCK_TLS_CA".to_owned(), ca)];
    let options = Options { tls: Some(tls.clone()), environment, ..Options::default() };
    let server = Server::start_with(options);
    let mut browser = Browser::new(&server);
    let answer = browser.log_in("admin", ADMIN_PASSWORD);
    let cookies: Vec<&str> =
        answer.headers().get_all(SET_COOKIE).iter().map(|one| one.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2);
    assert!(cookies.iter().all(|cookie| cookie.contains("; Secure")), "{cookies:?}");
    assert_eq!(browser.is().as_deref(), Some("admin"));

    // What clients need to trust the server is there to be fetched.
    let nobody = Harbor::anonymous(&server);
    let shown = nobody.get("/systeminfo/getcert");
    let pem = std::fs::read_to_string(&tls.authority).unwrap();
    assert_eq!(shown.is(200).as_str(), Some(pem.as_str()));
    assert_eq!(Harbor::admin(&server).get("/systeminfo").is(200)["has_ca_root"], true);
    let without = Server::start();
    assert_eq!(Harbor::anonymous(&without).get("/systeminfo/getcert").status, 404);
}

#[test]
fn only_administrators_ask_who_exists() {
    let server = Server::start();
    person(&server, "ann");
    let ask = |browser: &mut Browser, target: &str, value: &str| {
        let answer = browser.form("/c/userExists", &[("target", target), ("value", value)]);
        (answer.status().as_u16(), answer.text().unwrap())
    };
    for mut who in [Browser::new(&server), Browser::logged_in(&server, "ann", PASSWORD)] {
        let (known, unknown) = (ask(&mut who, "username", "ann"), ask(&mut who, "username", "x"));
        assert_eq!((known.0, known == unknown), (412, true));
    }
    let mut admin = Browser::logged_in(&server, "admin", ADMIN_PASSWORD);
    assert_eq!(ask(&mut admin, "username", "ann"), (200, "true".to_owned()));
    assert_eq!(ask(&mut admin, "username", "an"), (200, "false".to_owned()));
    assert_eq!(ask(&mut admin, "email", "x@example.org"), (200, "false".to_owned()));
    assert_eq!(ask(&mut admin, "password", "x").0, 400);
}

/// The limits of failed log-ins count these, too, and lock out nobody but the guesser.
#[test]
fn guessing_locks_nobody_else_out() {
    let environment = vec![("SEALOCK_RATE_LIMIT_LOGINS".to_owned(), "1".to_owned())];
    let server = Server::start_with(Options { environment, ..Options::default() });
    person(&server, "ann");
    let mut guesser = Browser::new(&server);
    guesser.http = server.http().from_address([127, 0, 0, 2].into());
    let statuses: Vec<u16> =
        (0..8).map(|number| guesser.log_in("ann", &number.to_string()).status().as_u16()).collect();
    assert_eq!(statuses.first(), Some(&401));
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    assert_eq!(guesser.log_in("ann", PASSWORD).status(), 429);
    assert_eq!(Browser::new(&server).log_in("ann", PASSWORD).status(), 200, "from elsewhere");
}
