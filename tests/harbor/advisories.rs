//! Harbor's published advisories that concern what is here, each as a test.

use crate::{PASSWORD, member, person, project, project_robot, push};
use reqwest::{Method, StatusCode};
use sealock_tests::{
    harbor::{Contract, Harbor},
    http::Http,
    server::Server,
};
use serde_json::json;

/// CVE-2019-16097: a new or changed user cannot be made an administrator by a field of the request.
#[test]
fn cve_2019_16097_no_field_makes_an_administrator() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    let mut body = json!({
        "username": "mallory", "password": PASSWORD, "has_admin_role": true, "admin": true,
        "sysadmin_flag": true, "admin_role_in_auth": true, "role_id": 1, "user_id": 1,
        "security_officer": true, "sysadmin": true,
    });
    let id = admin.post("/users", &body).made();
    assert_ne!(id, 1);
    let mallory = Harbor::of(&server, "mallory", PASSWORD);
    body["realname"] = json!("Mallory");
    mallory.put(&format!("/users/{id}"), &body).is(200);
    let current = mallory.get("/users/current");
    assert_eq!(current.is(200)["sysadmin_flag"], false);
    assert_eq!(current.body["username"], "mallory");
    assert_eq!(mallory.get("/users").status, 403);
    let me = server.http().with_user("mallory", PASSWORD).json("/api/sealock/v1/me");
    assert_eq!((&me["admin"], &me["security_officer"]), (&json!(false), &json!(false)));
    assert_eq!(mallory.post("/users", &json!({"username": "x", "password": PASSWORD})).status, 403);
}

/// CVE-2019-3990 and CVE-2020-13794: a user without rights learns of others by search only, and
/// then name and number; CVE-2019-19023: and changes nothing about them.
#[test]
fn cve_2019_3990_users_are_not_enumerated_or_changed_by_others() {
    let server = Server::start();
    let (ann, eve) = (person(&server, "ann"), person(&server, "eve"));
    let ann = ann.get("/users/current").is(200)["user_id"].as_i64().unwrap();
    assert_eq!(eve.get("/users").status, 403);
    for id in [ann, 99_999_999] {
        assert_eq!(eve.get(&format!("/users/{id}")).status, 403);
        let profile = json!({"email": "eve@example.org"});
        assert_eq!(eve.put(&format!("/users/{id}"), &profile).status, 403);
    }
    let shop = project(&Harbor::admin(&server), "shop", false);
    let add = |name: &str| {
        let body = json!({"role_id": 1, "member_user": {"username": name}});
        let answer = eve.post(&format!("/projects/{shop}/members"), &body);
        (answer.status, answer.body)
    };
    assert_eq!(add("ann"), add("nobody-of-this-name"));
}

/// CVE-2019-19030: to nobody in particular, what is private and what is not there are the same.
#[test]
fn cve_2019_19030_strangers_do_not_learn_what_exists() {
    let server = Server::start();
    project(&Harbor::admin(&server), "secret", false);
    push(&server, "secret/app:1");
    let nobody = Harbor::anonymous(&server);
    for path in [
        "/projects/#",
        "/projects/#/summary",
        "/projects/#/members",
        "/projects/#/metadatas/public",
        "/projects/#/repositories",
        "/projects/#/repositories/app",
        "/projects/#/repositories/app/artifacts",
        "/projects/#/robots",
    ] {
        let answer = |name: &str| {
            let answer = nobody.get(&path.replace('#', name));
            (answer.status, answer.body.to_string().replace(name, "#"))
        };
        assert_eq!(answer("secret"), answer("no-such"), "{path}");
    }
}

/// CVE-2022-31669: a rule of another project is neither changed nor removed through one's own, nor
/// by the number in the body.
#[test]
fn cve_2022_31669_a_foreign_rule_is_as_one_that_does_not_exist() {
    let server = Server::start();
    let (ann, eve) = (person(&server, "ann"), person(&server, "eve"));
    let (own, foreign) = (project(&ann, "own", false), project(&eve, "foreign", false));
    let mut rule = crate::immutable::rule(("repoMatches", "**"), ("matches", "v*"));
    let theirs = eve.post(&format!("/projects/{foreign}/immutabletagrules"), &rule).made();
    let mine = ann.post(&format!("/projects/{own}/immutabletagrules"), &rule).made();
    rule["disabled"] = true.into();
    for id in [json!(null), json!(theirs)] {
        rule["id"] = id;
        let path = format!("/projects/{own}/immutabletagrules");
        assert_eq!(ann.put(&format!("{path}/{theirs}"), &rule).status, 404);
        assert_eq!(ann.delete(&format!("{path}/{theirs}")).status, 404);
        let path = format!("/projects/{foreign}/immutabletagrules");
        assert_eq!(ann.put(&format!("{path}/{theirs}"), &rule).status, 403);
        assert_eq!(ann.delete(&format!("{path}/{theirs}")).status, 403);
    }
    let swapped = ann.put(&format!("/projects/{own}/immutabletagrules/{mine}"), &rule);
    assert_eq!(swapped.status, 400);
    let stands = eve.get("/projects/foreign/immutabletagrules");
    assert_eq!((stands.total(), &stands.body[0]["disabled"]), (1, &json!(false)));
}

/// CVE-2022-46463 (disputed): a search by nobody in particular finds what is public and no more.
#[test]
fn cve_2022_46463_an_anonymous_search_finds_what_is_public() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    project(&admin, "secret-shop", false);
    project(&admin, "open-shop", true);
    let found = Harbor::anonymous(&server).get("/search?q=shop");
    let names = found.is(200)["project"].as_array().unwrap();
    assert_eq!((names.len(), &names[0]["name"]), (1, &json!("open-shop")));
}

/// CVE-2024-22278: a maintainer does not change metadata.
#[test]
fn cve_2024_22278_a_maintainer_does_not_change_metadata() {
    let server = Server::start();
    let (admin, mia) = (Harbor::admin(&server), person(&server, "mia"));
    let shop = project(&admin, "shop", false);
    member(&admin, shop, "mia", 4);
    let path = format!("/projects/{shop}/metadatas/");
    mia.get(&format!("{path}public")).is(200);
    assert_eq!(mia.post(&path, &json!({"auto_scan": "true"})).status, 403);
    assert_eq!(mia.put(&format!("{path}public"), &json!({"public": "true"})).status, 403);
    assert_eq!(mia.delete(&format!("{path}public")).status, 403);
    assert_eq!(mia.put("/projects/shop", &json!({"metadata": {"public": "true"}})).status, 403);
    assert_eq!(Harbor::anonymous(&server).get("/projects/shop").status, 401);
}

/// CVE-2025-32019: a repository's description is told as it is, as JSON that no browser renders.
#[test]
fn cve_2025_32019_a_description_is_never_a_page() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    push(&server, "library/app:1");
    let path = "/projects/library/repositories/app";
    let text = "<img src=x onerror=alert(1)>[x](javascript:alert(1))";
    admin.put(path, &json!({"description": text})).is(200);
    let answer = admin.get(path);
    assert_eq!(answer.is(200)["description"], text);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/json"));
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
}

/// CVE-2026-4404: a fresh server has no password that everybody knows.
#[test]
fn cve_2026_4404_no_password_is_the_same_everywhere() {
    let options = sealock_tests::server::Options { generated_password: true, ..Default::default() };
    let server = Server::start_with(options);
    for known in ["Harbor12345", "admin", "password", "sealock", ""] {
        assert_eq!(Harbor::of(&server, "admin", known).get("/users/current").status, 401);
    }
}

/// CVE-2019-19026 and CVE-2019-19029: what is a word in the parameters and bodies of quotas and
/// groups stays one.
#[test]
fn cve_2019_19029_references_and_names_of_groups_are_words() {
    crate::on_both(|server| {
        let admin = Harbor::admin(server);
        project(&admin, "shop", false);
        let all = admin.get("/quotas").total();
        for text in ["'", "1' OR '1'='1", "1;DROP TABLE groups;--", "1) UNION SELECT 1--", "\\"] {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for parameter in ["reference", "reference_id"] {
                let asked = admin.get(&format!("/quotas?{parameter}={encoded}"));
                let none = asked.status == 422 || asked.status == 200 && asked.total() == 0;
                assert!(none, "{parameter}={text}: {asked:?}");
            }
            let group = json!({"group_name": text, "group_type": 1, "ldap_group_dn": text});
            let made = admin.post("/usergroups", &group).status;
            assert!(matches!(made.as_u16(), 201 | 400), "{text}: {made}");
            for path in ["/usergroups?ldap_group_dn=", "/usergroups?group_name="] {
                admin.get(&format!("{path}{encoded}")).is(200);
            }
            let found = admin.get(&format!("/usergroups/search?groupname={encoded}"));
            assert!(found.total() <= u64::from(made == 201), "{text}: {found:?}");
        }
        assert_eq!(admin.get("/quotas").total(), all);
    });
}

/// CVE-2020-29662: whatever the catalog is called, it shows nobody in particular nothing private.
#[test]
fn cve_2020_29662_no_name_of_the_catalog_opens_it() {
    let server = Server::start();
    project(&Harbor::admin(&server), "secret", false);
    push(&server, "secret/app:1");
    let mine = server.admin().get("/v2/_catalog").unwrap().text().unwrap();
    assert!(mine.contains("secret/app"), "{mine}");
    let nobody = server.http();
    for path in [
        "/v2/_catalog",
        "/v2/_catalog/",
        "//v2/_catalog",
        "/v2//_catalog",
        "/v2%2f_catalog",
        "/v2/%5fcatalog",
        "/v2/_catalog%2f",
        "/v2/_catalog%3fn=9",
        "/v2/_catalog;x",
        "/v2/_catalog?n=9",
        "/V2/_catalog",
        "/v2/_catalog#",
    ] {
        let answer = nobody.get(path).unwrap();
        let (status, text) = (answer.status(), answer.text().unwrap());
        assert!(matches!(status.as_u16(), 400 | 401 | 404), "{path}: {status}");
        assert!(!text.contains("secret/app"), "{path}: {text}");
    }
}

/// CVE-2020-13788, CVE-2022-31666, CVE-2022-31668, CVE-2022-31670, CVE-2022-31671, CVE-2024-22261
/// and the fix #23463: what comes with later pieces (webhooks, preheating, retention, scanners,
/// replication, their tests and logs) reaches nowhere and tells nothing, whatever number it is
/// asked for.
#[test]
fn what_is_not_here_yet_reaches_nowhere() {
    let server = Server::start();
    let (admin, ann) = (Harbor::admin(&server), person(&server, "ann"));
    let own = project(&ann, "own", false).to_string();
    let foreign = project(&admin, "foreign", false).to_string();
    let missing = super::surface::missing(&server);
    let body = json!({
        "id": 1, "url": "http://127.0.0.1:1/", "registry_id": 1, "endpoint_url": "http://[::1]/",
        "targets": [{"type": "http", "address": "http://169.254.169.254/"}],
        "scope": {"level": "project", "ref": foreign.parse::<i64>().unwrap()},
    });
    let mut asked = 0;
    for operation in Contract::get().operations() {
        if !missing.contains(&operation.id) {
            continue;
        }
        let changes = [Method::POST, Method::PUT, Method::PATCH].contains(&operation.method);
        let body = changes.then_some(&body);
        for number in [&own, &foreign, "1", "1'%20OR%20'1'='1"] {
            let parts = operation.path.split('/');
            let parts: Vec<&str> =
                parts.map(|part| if part.starts_with('{') { number } else { part }).collect();
            let answer = ann.ask(operation.method.clone(), &parts.join("/"), body);
            assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{} {number}", operation.id);
            assert!(!answer.body.to_string().contains("foreign"), "{answer:?}");
        }
        asked += 1;
    }
    assert!(asked > 60, "{asked}");
}

/// CVE-2023-20902: what Harbor's parts ask one another by a shared secret is not there at all.
#[test]
fn cve_2023_20902_there_is_no_door_for_parts_of_the_server() {
    let server = Server::start();
    let with = |secret: &str| server.http().with_user("harbor-jobservice", secret);
    for who in [server.http(), server.admin(), with(""), with("not-a-secret")] {
        for path in [
            "/api/internal/configurations",
            "/api/internal/switchquota",
            "/api/internal/syncquota",
            "/service/notifications",
            "/service/notifications/tasks/1",
            "/service/notifications/jobs/webhook/1",
            "/api/v2.0/internalconfig",
        ] {
            let header = "Harbor-Secret not-a-secret";
            let asked = who.request(Method::GET, path).header("x-harbor-secret", header);
            let status = asked.send().unwrap().status();
            assert!(matches!(status.as_u16(), 401 | 403 | 404), "{path}: {status}");
        }
    }
}

/// CVE-2024-22244: no log-in or log-out sends a browser anywhere else.
#[test]
fn cve_2024_22244_nobody_is_sent_elsewhere() {
    let server = Server::start();
    let form = |http: &Http, path: &str| {
        let body = "principal=admin&password=".to_owned() + sealock_tests::server::ADMIN_PASSWORD;
        let form = "application/x-www-form-urlencoded";
        http.request(Method::POST, path).header("content-type", form).body(body).send().unwrap()
    };
    let http = server.http();
    for to in ["//evil.example", "/%5Cevil.example", "https:evil.example", "%2F%2Fevil.example"] {
        for path in ["/c/login", "/c/log_out", "/c/oidc/login", "/c/authproxy/redirect", "/"] {
            for name in ["redirect_url", "redirect", "goto"] {
                let path = format!("{path}?{name}={to}");
                for answer in [http.get(&path).unwrap(), form(&http, &path)] {
                    assert!(!answer.status().is_redirection(), "{path}: {}", answer.status());
                    assert!(answer.headers().get("location").is_none(), "{path}");
                    assert!(answer.headers().get("refresh").is_none(), "{path}");
                }
            }
        }
    }
    assert_eq!(form(&http, "/c/login?redirect_url=//evil.example").status(), 200);
}

/// The fix #23675: a robot's name opens no door, neither that of what scans nor of what signs.
#[test]
fn fix_23675_a_name_opens_no_door() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    project(&admin, "shop", false);
    push(&server, "shop/app:1");
    let robots = ["scanner-trivy-8c3f", "scanner", "ci"]
        .map(|name| project_robot(&admin, "shop", name, &["repository:pull", "repository:push"]));
    let pull = |name: &str, secret: &str, agent: &str| {
        let http = server.http().with_user(name, secret);
        let asked = http.request(Method::GET, "/v2/shop/app/manifests/1");
        asked.header("user-agent", agent).send().unwrap().status().as_u16()
    };
    for robot in &robots {
        assert_eq!(pull(&robot.name, &robot.secret, "trivy"), 200);
    }
    let made = admin.put("/projects/shop", &json!({"metadata": {"prevent_vul": "true"}}));
    made.is(200);
    // Who may push reads manifests, to sign them; who only pulls does not, whatever the name.
    for name in ["scanner-trivy", "scanner-x", "plain"] {
        let robot = project_robot(&admin, "shop", name, &["repository:pull"]);
        for agent in ["trivy", "cosign/2.0", "harbor-scanner-adapter", "notation/1.0"] {
            assert_eq!(pull(&robot.name, &robot.secret, agent), 412, "{name} {agent}");
        }
    }
}

/// The fix #23755: what is recorded of a request is short, however long the request is.
#[test]
fn fix_23755_a_record_is_short_whatever_was_sent() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    push(&server, "library/app:1");
    let long = "x".repeat(200_000);
    let path = "/projects/library/repositories/app";
    admin.put(path, &json!({"description": long}));
    admin.post("/users", &json!({"username": long, "password": PASSWORD}));
    admin.post("/labels", &json!({"name": long, "description": long, "scope": "g"}));
    admin.post("/projects", &json!({"project_name": long}));
    admin.post("/robots", &json!({"name": long, "description": long, "level": "system"}));
    let who = server.http().with_user(&"n".repeat(20_000), "no-password");
    let agent = who.request(Method::GET, "/api/v2.0/users/current");
    agent.header("user-agent", "a".repeat(20_000)).send().unwrap();
    let whole = server.admin().json("/api/sealock/v1/audit?limit=1000");
    let longest = whole["items"].as_array().unwrap().iter().map(|row| row.to_string().len()).max();
    assert!(longest.unwrap() < 4_096, "{longest:?}");
}
