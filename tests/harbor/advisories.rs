//! Harbor's published advisories that concern what is here, each as a test.

use crate::{PASSWORD, member, person, project, push};
use sealock_tests::{harbor::Harbor, server::Server};
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
