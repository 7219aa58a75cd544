//! The audit log in Harbor's words: what one client did, another one reads.

use crate::{member, on_both, person, project, push};
use sealock_tests::harbor::{Answer, Harbor};
use serde_json::{Value, json};

fn find(answer: &Answer, operation: &str, resource_type: &str) -> Vec<Value> {
    let rows = answer.is(200).as_array().unwrap().iter();
    let found =
        rows.filter(|row| row["operation"] == operation && row["resource_type"] == resource_type);
    found.cloned().collect()
}

#[test]
fn what_was_done_is_read_by_those_who_may() {
    on_both(|server| {
        let (admin, ann, bob) =
            (Harbor::admin(server), person(server, "ann"), person(server, "bob"));
        let shop = project(&ann, "shop", false);
        member(&ann, shop, "bob", 4);
        push(server, "shop/app:1");
        ann.delete("/projects/shop/repositories/app").is(200);

        for path in ["/projects/shop/logs", "/projects/shop/auditlog-exts"] {
            let log = ann.get(&format!("{path}?page_size=100"));
            let made = find(&log, "create", "project");
            assert_eq!(
                (&made[0]["username"], &made[0]["resource"]),
                (&json!("ann"), &json!("shop"))
            );
            let pushed = find(&log, "create", "tag");
            assert_eq!(pushed[0]["resource"], "shop/app:1");
            assert_eq!(find(&log, "delete", "repository")[0]["resource"], "shop/app");
            assert_eq!(find(&log, "update", "member")[0]["resource"], "shop");
            assert_eq!(bob.get(path).status, 403, "a maintainer");
        }
        let only =
            ann.get("/auditlog-exts?q=operation=delete,resource_type={artifact%20repository}");
        let types = only.column("resource_type");
        assert!(!types.is_empty() && types.iter().all(|t| t == "artifact" || t == "repository"));
        let named = admin.get("/audit-logs?q=resource=~shop/app,username=ann&sort=op_time");
        assert!(named.total() >= 1 && named.column("username").iter().all(|name| name == "ann"));
        assert_eq!(admin.get("/audit-logs?q=op_time=[~2020-01-01T00:00:00]").total(), 0);
        let first = admin.get("/auditlog-exts?page_size=1");
        let second = admin.get("/auditlog-exts?page_size=1&page=2");
        assert!(first.column("id")[0].as_i64() > second.column("id")[0].as_i64(), "newest first");
        assert!(first.headers.contains_key("link"));

        // Rows of projects that one administers, and no others.
        assert!(find(&ann.get("/audit-logs?page_size=100"), "create", "user").is_empty());
        assert_eq!(find(&admin.get("/audit-logs?page_size=100"), "create", "user").len(), 2);
        assert_eq!(bob.get("/audit-logs").total(), 0);
        assert_eq!(Harbor::anonymous(server).get("/audit-logs").status, 401);
        assert_eq!(ann.get("/auditlog-exts/events").status, 403);
        let types = admin.get("/auditlog-exts/events");
        let types = types.column("event_type");
        assert!(types.contains(&json!("create_artifact")));
        let once: std::collections::BTreeSet<String> =
            types.iter().map(ToString::to_string).collect();
        assert_eq!(once.len(), types.len(), "{types:?}");
    });
}

/// GHSA-prh4-vhfh-24mj: no secret that a client sent stands in the log.
#[test]
fn ghsa_prh4_vhfh_24mj_no_secret_is_logged() {
    let server = sealock_tests::server::Server::start();
    let admin = Harbor::admin(&server);
    let ann = person(&server, "ann");
    let id = ann.get("/users/current").is(200)["user_id"].clone();
    let body = json!({"old_password": crate::PASSWORD, "new_password": "Never-1-logged"});
    ann.put(&format!("/users/{id}/password"), &body).is(200);
    let log = admin.get("/auditlog-exts?page_size=100");
    assert!(!find(&log, "update", "user").is_empty());
    let whole = server.admin().json("/api/sealock/v1/audit?limit=1000");
    for secret in [crate::PASSWORD, "Never-1-logged"] {
        assert!(!log.body.to_string().contains(secret) && !whole.to_string().contains(secret));
        assert!(!server.log().contains(secret));
    }
}
