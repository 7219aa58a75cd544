//! People under other names: what is theirs goes on, the old name opens nothing, and who takes it
//! gets nothing of it.

use crate::{PASSWORD, browsers::Browser, member, on_both, person, project, push};
use reqwest::Method;
use sealock_tests::{harbor::Harbor, http::Http, server::Server};
use serde_json::{Value, json};

const OWN: &str = "/api/sealock/v1";

/// What a name and a secret get: at the doors, at the token service, and at both APIs.
fn doors(server: &Server, name: &str, secret: &str) -> [u16; 4] {
    let who = server.http().with_user(name, secret);
    let scope = "/service/token?service=sealock&scope=repository:shop/app:pull";
    ["/v2/", scope, "/api/v2.0/users/current", "/api/sealock/v1/projects/shop/repositories"]
        .map(|place| who.get(place).unwrap().status().as_u16())
}

/// A bearer token for pushing to the shop.
fn bearer(who: &Http) -> String {
    let scope = "/service/token?service=sealock&scope=repository:shop/app:pull,push";
    who.json(scope)["token"].as_str().unwrap().to_owned()
}

/// A request with a bearer token; its status.
fn with(server: &Server, token: &str, method: Method, path: &str, body: &str) -> u16 {
    let request = server.http().request(method, path).bearer_auth(token);
    let request = request.header("Content-Type", "application/octet-stream");
    request.body(body.to_owned()).send().unwrap().status().as_u16()
}

fn rename(server: &Server, from: &str, to: &str) -> (u16, Value) {
    let request = server.admin().request(Method::PUT, &format!("{OWN}/users/{from}/name"));
    let request = request.header("Content-Type", "application/json");
    let answer = request.body(json!({"name": to}).to_string()).send().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().unwrap()).unwrap())
}

/// What somebody has who is at work in the shop.
struct AtWork {
    /// A personal access token.
    secret: String,
    browser: Browser,
    /// A bearer token.
    token: String,
    /// Where an upload goes on that they began with it.
    upload: String,
}

impl AtWork {
    fn in_the_shop(server: &Server, name: &str) -> Self {
        let own = server.http().with_user(name, PASSWORD);
        let body = json!({"name": "laptop", "scopes": ["push"]});
        let made = own.write(Method::POST, &format!("{OWN}/tokens"), &body);
        let token = bearer(&own);
        let upload = server.http().request(Method::POST, "/v2/shop/app/blobs/uploads/");
        let upload = upload.bearer_auth(&token).send().unwrap();
        Self {
            secret: made["secret"].as_str().unwrap().to_owned(),
            browser: Browser::logged_in(server, name, PASSWORD),
            token,
            upload: upload.headers()["location"].to_str().unwrap().to_owned(),
        }
    }
}

#[test]
fn who_is_renamed_goes_on_and_the_old_name_is_nobody() {
    on_both(|server| {
        let (ann, admin) = (person(server, "ann"), Harbor::admin(server));
        let id = ann.get("/users/current").is(200)["user_id"].clone();
        let shop = project(&ann, "shop", false);
        push(server, "shop/app:1");
        let AtWork { secret, mut browser, token, upload } = AtWork::in_the_shop(server, "ann");
        assert_eq!(doors(server, "ann", PASSWORD), [200; 4]);
        assert_eq!(doors(server, "ann", &secret), [200; 4]);

        // Only administrators rename, and nobody is called as somebody else is.
        person(server, "bob");
        let bob = server.http().with_user("bob", PASSWORD);
        let request = bob.request(Method::PUT, &format!("{OWN}/users/ann/name"));
        let request = request.header("Content-Type", "application/json");
        assert_eq!(request.body(r#"{"name": "mallory"}"#).send().unwrap().status(), 403);
        for (to, status) in [("bob", 409), ("BOB", 409), ("robot$x", 400), ("System", 400)] {
            assert_eq!(rename(server, "ann", to).0, status, "{to}");
        }
        let (status, renamed) = rename(server, "ann", "anna");
        assert_eq!((status, &renamed["id"], &renamed["name"]), (200, &id, &json!("anna")));
        assert_eq!(renamed["named_by"], json!([]));

        assert_eq!(doors(server, "ann", PASSWORD), [401; 4]);
        assert_eq!(doors(server, "ann", &secret), [401; 4]);
        assert_eq!(doors(server, "anna", PASSWORD), [200; 4]);
        assert_eq!(doors(server, "anna", &secret), [200; 4]);
        assert_eq!(browser.is().as_deref(), Some("anna"));
        // The token that she has still counts, and finds the upload that it began.
        assert_eq!(with(server, &token, Method::PATCH, &upload, "some bytes"), 202);
        let anna = Harbor::of(server, "anna", PASSWORD);
        assert_eq!(anna.get("/users/current").is(200)["user_id"], id);
        let members = anna.get(&format!("/projects/{shop}/members"));
        assert_eq!(members.column("entity_name"), ["anna"]);
        assert_eq!(anna.get("/projects/shop").is(200)["owner_name"], "anna");

        // The old name stays hers, whoever wants it, by whichever door.
        let taken = |name: &str| json!({"username": name, "password": PASSWORD, "realname": "x"});
        for name in ["ann", "Ann", "ANNA"] {
            assert_eq!(admin.post("/users", &taken(name)).status, 409, "{name}");
        }
        assert_eq!(rename(server, "bob", "ann").0, 409);
    });
}

/// Deleted and made again under the same name: another person.
#[test]
fn who_is_made_anew_shares_nothing() {
    on_both(|server| {
        let (ann, admin) = (person(server, "ann"), Harbor::admin(server));
        let id = ann.get("/users/current").is(200)["user_id"].as_i64().unwrap();
        let shop = project(&admin, "shop", false);
        member(&admin, shop, "ann", 2);
        push(server, "shop/app:1");
        let AtWork { secret, mut browser, token, upload } = AtWork::in_the_shop(server, "ann");
        let policy = "apiVersion: sealock/v1\nkind: Policy\nname: for-ann\n\
                      access: {consumers: {principals: [ann]}}\n";
        let set = |text: &str| {
            let path = format!("{OWN}/projects/shop/policy");
            let request = server.admin().request(Method::PUT, &path).body(text.to_owned());
            assert_eq!(request.send().unwrap().status(), 200);
        };
        set(policy);
        assert_eq!(with(server, &token, Method::GET, "/v2/shop/app/manifests/1", ""), 200);
        admin.delete(&format!("/users/{id}")).is(200);

        // A policy names her, and would name whoever comes.
        let body = json!({"username": "ann", "password": PASSWORD, "realname": "another"});
        let refused = admin.post("/users", &body);
        assert_eq!(refused.status, 409);
        assert!(refused.message().contains("the project shop"), "{refused:?}");
        set(&policy.replace("[ann]", "[bob]"));
        let again = person(server, "ann");
        assert_ne!(again.get("/users/current").is(200)["user_id"], id);
        assert_eq!(doors(server, "ann", &secret), [401; 4]);
        assert_eq!(browser.is(), None);
        assert_eq!(with(server, &token, Method::GET, "/v2/shop/app/manifests/1", ""), 401);
        assert_eq!(again.get("/projects/shop").status, 403);
        // With a role there she finds no upload that she did not begin.
        member(&admin, shop, "ann", 2);
        let own = server.http().with_user("ann", PASSWORD);
        assert_eq!(own.get(&upload).unwrap().status(), 404);
        assert_eq!(with(server, &bearer(&own), Method::PATCH, &upload, "some bytes"), 404);
    });
}
