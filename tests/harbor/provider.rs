//! What the Terraform provider for Harbor sends, field by field: it writes each one that it knows,
//! also where it has nothing to say, and puts a slash at the end where Harbor does not mind.

use crate::{PASSWORD, on_both, person};
use reqwest::Method;
use sealock_tests::{
    harbor::{Answer, BASE, Harbor},
    server::Server,
};
use serde_json::{Value, json};

/// A new project, and a changed one: the provider sends the same.
fn project(name: &str, public: &str) -> Value {
    json!({
        "project_name": name,
        "cve_allowlist": {},
        "storage_limit": -1,
        "metadata": {
            "enable_content_trust": "false",
            "enable_content_trust_cosign": "false",
            "auto_scan": "true",
            "severity": "low",
            "reuse_sys_cve_allowlist": "true",
            "public": public,
            "prevent_vul": "false",
            "auto_sbom_generation": "false",
            "proxy_speed_kb": "-1",
            "proxy_cache_local_on_not_found": "false",
        },
    })
}

/// What was made, by its place: the provider asks there from then on.
fn place(made: &Answer) -> String {
    made.is(201);
    let location = made.headers["location"].to_str().unwrap();
    location.strip_prefix(BASE).unwrap().to_owned()
}

#[test]
fn a_project_its_members_and_its_quota() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        person(server, "ann");
        let shop = place(&admin.post("/projects", &project("shop", "true")));
        let read = admin.get(&shop);
        let metadata = &read.is(200)["metadata"];
        for (name, value) in [
            ("public", "true"),
            ("auto_scan", "true"),
            ("severity", "low"),
            ("prevent_vul", "false"),
            ("enable_content_trust", "false"),
        ] {
            assert_eq!(metadata[name], value, "{name}");
        }
        admin.put(&shop, &project("shop", "false")).is(200);
        assert_eq!(admin.get(&shop).is(200)["metadata"]["public"], "false");

        // A user, and the group that is none; and the other way round, by the group's name.
        let user = json!({"role_id": 2, "member_group": {}, "member_user": {"username": "ann"}});
        let member = place(&admin.post(&format!("{shop}/members"), &user));
        assert_eq!(admin.get(&member).is(200)["entity_name"], "ann");
        admin.put(&member, &json!({"role_id": 4, "member_group": {}, "member_user": {}})).is(200);
        assert_eq!(admin.get(&member).is(200)["role_id"], 4);
        let dn = "cn=masons,dc=example,dc=org";
        let ldap = json!({"group_name": "masons", "group_type": 1, "ldap_group_dn": dn});
        let ldap = admin.post("/usergroups", &ldap).made();
        let oidc = admin.post("/usergroups", &json!({"group_name": "masons", "group_type": 3}));
        let oidc = oidc.made();
        let group = |group: Value| json!({"role_id": 1, "member_group": group, "member_user": {}});
        let members = format!("{shop}/members");
        for (said, id) in [
            (json!({"group_type": 3, "group_name": "masons"}), oidc),
            (json!({"group_type": 1, "group_name": "x", "ldap_group_dn": dn}), ldap),
        ] {
            let member = place(&admin.post(&members, &group(said)));
            assert_eq!(admin.get(&member).is(200)["entity_id"], id);
        }
        for (said, status) in [
            (json!({"group_type": 2, "group_name": "masons"}), 404),
            (json!({"group_type": 1, "ldap_group_dn": "cn=x"}), 404),
            (json!({"group_type": 3, "group_name": "masons"}), 409),
            (json!({"group_type": 3}), 400),
        ] {
            assert_eq!(admin.post(&members, &group(said.clone())).status, status, "{said}");
        }

        let number: i64 = shop.rsplit('/').next().unwrap().parse().unwrap();
        let quotas = server.admin().json(&format!("{BASE}/quotas/?page=1&page_size=100"));
        let quota = quotas.as_array().unwrap().iter().find(|one| one["ref"]["id"] == number);
        let quota = format!("/quotas/{}", quota.unwrap()["id"]);
        admin.put(&quota, &json!({"hard": {"storage": 1 << 30}})).is(200);
        assert_eq!(admin.get(&quota).is(200)["hard"]["storage"], 1 << 30);
        admin.delete(&shop).is(200);
        assert_eq!(admin.get(&shop).status, 404);
    });
}

#[test]
fn the_settings_of_the_system_as_they_are_where_nobody_says_anything() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    let usual = json!({
        "project_creation_restriction": "adminonly",
        "read_only": false,
        "robot_token_duration": 30,
        "token_expiration": 30,
        "session_timeout": 60,
        "quota_per_project_enable": true,
        "robot_name_prefix": "robot$",
        "storage_per_project": -1,
        "scanner_skip_update_pulltime": false,
        "skip_audit_log_database": false,
        "banner_message": "",
        "notification_enable": true,
    });
    let before = admin.get("/configurations");
    assert_eq!(before.is(200)["notification_enable"]["value"], true);
    admin.put("/configurations", &usual).is(200);
    let read = admin.get("/configurations");
    for (name, value) in usual.as_object().unwrap() {
        assert_eq!(&read.is(200)[name]["value"], value, "{name}");
    }
    admin.put("/configurations", &json!({"notification_enable": false})).is(200);
    let read = admin.get("/configurations");
    assert_eq!(read.is(200)["notification_enable"], json!({"value": false, "editable": true}));
}

/// With a log-in in place of a password: the token for a change comes with the refusal.
#[test]
fn a_log_in_and_the_token_that_a_refusal_brings() {
    let server = Server::start();
    person(&server, "ann");
    let form = format!("principal=ann&password={PASSWORD}");
    let login = server.http().request(Method::POST, "/c/login");
    let login = login.header("Content-Type", "application/x-www-form-urlencoded");
    let login = login.body(form).send().unwrap();
    let cookies = |answer: &reqwest::blocking::Response| -> Vec<String> {
        let all = answer.headers().get_all("set-cookie").iter();
        all.map(|one| one.to_str().unwrap().split(';').next().unwrap().to_owned()).collect()
    };
    let sid = cookies(&login).into_iter().find(|one| one.starts_with("sid=")).unwrap();
    let make = |more: &[(&str, &str)]| {
        let request = server.http().request(Method::POST, &format!("{BASE}/projects"));
        let request = request.header("Content-Type", "application/json").header("Cookie", &sid);
        let request =
            more.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(project("shop", "false").to_string()).send().unwrap()
    };
    let refused = make(&[]);
    assert_eq!(refused.status(), 403);
    let token = refused.headers()["x-harbor-csrf-token"].to_str().unwrap();
    let nonce = cookies(&refused).into_iter().find(|one| one.starts_with("_gorilla_csrf="));
    let nonce = nonce.expect("the cookie that the provider looks for");
    assert_eq!(nonce.matches('=').count(), 1, "it cuts at each of them");
    // It sends the second cookie in a header of its own.
    assert_eq!(make(&[("Cookie", &nonce), ("X-Harbor-Csrf-Token", token)]).status(), 201);
}

#[test]
fn a_slash_at_the_end_is_none_and_no_other_one() {
    let server = Server::start();
    let admin = server.admin();
    for (path, status) in [
        ("/projects/", 200),
        ("/projects/?page_size=1", 200),
        ("/projects/library/metadatas/", 200),
        ("/ping/", 200),
        ("/ping//", 404),
        ("//projects", 404),
        ("/projects//library", 404),
        ("/", 404),
        ("//", 404),
        ("/nowhere/", 404),
    ] {
        assert_eq!(admin.get(&format!("{BASE}{path}")).unwrap().status(), status, "{path}");
    }
    let stranger = server.http();
    for path in ["/users/", "/quotas/"] {
        assert_eq!(stranger.get(&format!("{BASE}{path}")).unwrap().status(), 401, "{path}");
    }
    // Names that hold slashes are encoded, and those stay.
    let answer =
        admin.get(&format!("{BASE}/projects/library/repositories/a%252F%252Fb/artifacts/"));
    assert_eq!(answer.unwrap().status(), 200);
}
