//! Settings of the whole system: what is set is seen at work.

use crate::{PASSWORD, on_both, person, project};
use reqwest::Method;
use sealock_tests::{
    clients::Desk,
    harbor::Harbor,
    images::Image,
    server::{ADMIN_PASSWORD, Server},
};
use serde_json::{Value, json};

fn value(admin: &Harbor, name: &str) -> Value {
    admin.get("/configurations").is(200)[name]["value"].clone()
}

#[test]
fn settings_are_for_administrators_and_tell_no_secret() {
    let server = Server::start();
    let (admin, ann) = (Harbor::admin(&server), person(&server, "ann"));
    let shown = admin.get("/configurations");
    assert_eq!(shown.is(200)["auth_mode"], json!({"value": "db_auth", "editable": false}));
    assert_eq!(shown.body["read_only"], json!({"value": false, "editable": true}));
    for secret in ["ldap_search_password", "oidc_client_secret", "uaa_client_secret"] {
        assert!(shown.body.get(secret).is_none(), "{secret}");
    }
    for (who, status) in [(&ann, 403), (&Harbor::anonymous(&server), 401)] {
        assert_eq!(who.get("/configurations").status, status);
        assert_eq!(who.put("/configurations", &json!({"read_only": true})).status, status);
        assert_eq!(who.get("/internalconfig").status, status);
    }
    assert_eq!(admin.get("/internalconfig").status, 403, "for the server's own parts only");
    assert_eq!(value(&admin, "read_only"), false);
    // Clients send back what they read.
    let all = shown.body.as_object().unwrap();
    let same: serde_json::Map<String, Value> = all
        .iter()
        .filter_map(|(name, item)| Some((name.clone(), item.get("value")?.clone())))
        .collect();
    admin.put("/configurations", &Value::Object(same)).is(200);
}

/// GHSA-prh4-vhfh-24mj: secrets of settings in the audit log.
#[test]
fn what_cannot_be_set_is_refused_with_a_reason_and_not_recorded() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    for (name, word) in [
        ("auth_mode", "ldap_auth"),
        ("ldap_search_password", "s3cret-of-ldap"),
        ("oidc_client_secret", "s3cret-of-oidc"),
    ] {
        let body = json!({name: word, "banner_message": "half"});
        let answer = admin.put("/configurations", &body);
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "BAD_REQUEST"));
        assert!(answer.message().contains(name) && !answer.message().contains(word));
    }
    assert_eq!(value(&admin, "banner_message"), "", "all of it or nothing");
    for wrong in [json!({"read_only": "true"}), json!({"session_timeout": "60"}), json!([])] {
        assert_eq!(admin.put("/configurations", &wrong).status, 422, "{wrong}");
    }
    for wrong in [json!({"self_registration": true}), json!({"session_timeout": 0})] {
        assert_eq!(admin.put("/configurations", &wrong).status, 400, "{wrong}");
    }
    admin.put("/configurations", &json!({"unheard_of": 1, "read_only": null})).is(200);
    admin.put("/configurations", &json!({"banner_message": "in-the-log"})).is(200);
    let log = server.admin().json("/api/sealock/v1/audit?action=update-configuration").to_string();
    assert!(log.contains("in-the-log") && !log.contains("s3cret"), "{log}");
    assert!(!server.log().contains("s3cret"));
}

#[test]
fn read_only_stops_every_change_but_its_own_end() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        let desk = Desk::admin(server);
        let image = Image::named("small");
        desk.skopeo_push(&image.reference(), "library/app:1", &[]).ok();
        admin.put("/configurations", &json!({"read_only": true})).is(200);
        assert_eq!(admin.get("/systeminfo").is(200)["read_only"], true);
        desk.skopeo_push(&image.reference(), "library/app:2", &[]).refused("read only");
        let refused = admin.post("/projects", &json!({"project_name": "shop"}));
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "DENIED"));
        for (method, path) in [
            (Method::DELETE, "/v2/library/app/manifests/1"),
            (Method::POST, "/v2/library/app/blobs/uploads/"),
            (Method::POST, "/api/sealock/v1/projects"),
            (Method::PUT, "/api/v2.0/configurations/"),
            (Method::PUT, "/api/v2.0//configurations"),
        ] {
            let answer = server.admin().request(method, path).send().unwrap();
            assert_eq!(answer.status(), 403, "{path}");
            assert!(answer.text().unwrap().contains("DENIED"), "{path}");
        }
        let inspected = desk.digest_of("library/app:1");
        assert!(inspected.contains("sha256:"));
        let form = format!("principal=admin&password={ADMIN_PASSWORD}");
        let login = server.http().request(Method::POST, "/c/login").body(form).send().unwrap();
        assert_eq!(login.status(), 200);
        admin.put("/configurations", &json!({"read_only": false})).is(200);
        desk.skopeo_push(&image.reference(), "library/app:2", &[]).ok();
    });
}

#[test]
fn projects_are_made_by_those_who_may() {
    let server = Server::start();
    let (admin, ann) = (Harbor::admin(&server), person(&server, "ann"));
    admin.put("/configurations", &json!({"project_creation_restriction": "adminonly"})).is(200);
    assert_eq!(ann.get("/systeminfo").is(200)["project_creation_restriction"], "adminonly");
    assert_eq!(ann.post("/projects", &json!({"project_name": "shop"})).status, 403);
    let own = server.http().with_user("ann", PASSWORD);
    let own = own.request(Method::POST, "/api/sealock/v1/projects");
    let own = own.body(json!({"name": "shop"}).to_string()).send().unwrap();
    assert_eq!(own.status(), 403);
    project(&admin, "shop", false);
    admin.put("/configurations", &json!({"project_creation_restriction": "everyone"})).is(200);
    project(&ann, "mine", false);
}

#[test]
fn the_rest_of_what_is_set_is_seen_too() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    let change = json!({
        "token_expiration": 5,
        "robot_token_duration": 7,
        "banner_message": "{\"message\":\"closed on Sunday\"}",
        "storage_per_project": 1_000,
        "disabled_audit_log_event_types": "pull_artifact",
    });
    admin.put("/configurations", &change).is(200);
    for (name, set) in change.as_object().unwrap() {
        assert_eq!(value(&admin, name), *set, "{name}");
    }
    let token = server.admin().json("/service/token?service=sealock");
    assert_eq!(token["expires_in"], 300);
    let access = json!([{"resource": "repository", "action": "pull"}]);
    let robot = json!({
        "name": "ci", "level": "project",
        "permissions": [{"kind": "project", "namespace": "library", "access": access}],
    });
    let mut none = robot.clone();
    none["duration"] = json!(0);
    assert_eq!(admin.post("/robots", &none).status, 400);
    let robot = admin.post("/robots", &robot).is(201)["id"].clone();
    assert_eq!(admin.get(&format!("/robots/{robot}")).is(200)["duration"], 7);
    let banner = Harbor::anonymous(&server).get("/systeminfo").is(200)["banner_message"].clone();
    assert!(banner.as_str().unwrap().contains("Sunday"));
    let desk = Desk::admin(&server);
    let image = Image::named("small").reference();
    project(&admin, "tiny", false);
    desk.skopeo_push(&image, "tiny/app:1", &[]).refused("exceed the configured upper limit");
    desk.skopeo_push(&image, "library/app:1", &[]).ok();
    let _digest = desk.digest_of("library/app:1");
    admin.put("/configurations", &json!({"disabled_audit_log_event_types": ""})).is(200);
    let pulls = || admin.get("/audit-logs?q=operation=pull").total();
    assert_eq!(pulls(), 0);
    let _digest = desk.digest_of("library/app:1");
    sealock_tests::server::eventually(
        "pulls are recorded again",
        std::time::Duration::from_secs(10),
        || (pulls() > 0).then_some(()),
    );
}
