//! Storage quotas: set over the API, seen at the doors and in the log.

use crate::{on_both, person, project, push};
use sealock_tests::{clients::Desk, harbor::Harbor, images::Image, server::Server};
use serde_json::{Value, json};

fn used(who: &Harbor, project: &str) -> i64 {
    let summary = who.get(&format!("/projects/{project}/summary"));
    summary.is(200)["quota"]["used"]["storage"].as_i64().unwrap()
}

fn set(admin: &Harbor, id: i64, storage: i64) {
    admin.put(&format!("/quotas/{id}"), &json!({"hard": {"storage": storage}})).is(200);
}

fn pushes(server: &Server, image: &str, reference: &str) -> sealock_tests::clients::Ran {
    Desk::admin(server).skopeo_push(&Image::named(image).reference(), reference, &[])
}

#[test]
fn a_limit_stops_a_push_and_warns_before_it() {
    on_both(|server| {
        let (admin, ann) = (Harbor::admin(server), person(server, "ann"));
        let shop = project(&ann, "shop", false);
        project(&ann, "scale", false);
        // What both images need together, blobs that they share counted once.
        push(server, "scale/app:1");
        let first = used(&ann, "scale");
        pushes(server, "app", "scale/app:2").ok();
        let both = used(&ann, "scale");
        assert!(first > 0 && both > first, "{first} {both}");

        push(server, "shop/app:1");
        assert_eq!(used(&ann, "shop"), first);
        set(&admin, shop, both - 1);
        let summary = ann.get("/projects/shop/summary");
        assert_eq!(summary.is(200)["quota"]["hard"]["storage"], both - 1);
        let words = "will exceed the configured upper limit of";
        let said = pushes(server, "app", "shop/app:2").refused(words);
        assert!(said.to_lowercase().contains("denied"), "{said}");
        assert_eq!(used(&ann, "shop"), first, "nothing of it stays");
        let warned = |operation: &str| {
            let q = format!("q=resource_type=quota,operation={operation}");
            ann.get(&format!("/projects/shop/auditlog-exts?{q}")).total()
        };
        assert!(warned("exceed") >= 1 && warned("warn") == 0);
        // 10 of 11: beyond 85 percent, and within the limit.
        set(&admin, shop, both * 11 / 10);
        pushes(server, "app", "shop/app:2").ok();
        assert_eq!((used(&ann, "shop"), warned("warn")), (both, 1));
        pushes(server, "app", "shop/app:3").ok();
        assert_eq!(warned("warn"), 1, "once each time it is passed");
        assert_eq!(warned("update"), 2);
        // Less than there is: what is there stays, and nothing comes in until there is room.
        set(&admin, shop, 1);
        Desk::admin(server).crane(&["manifest", &Desk::admin(server).name("shop/app:2")]).ok();
        pushes(server, "base", "shop/base:1").refused(words);
        set(&admin, shop, -1);
        pushes(server, "base", "shop/base:1").ok();
    });
}

#[test]
fn quotas_are_listed_for_administrators() {
    on_both(|server| {
        let (admin, ann) = (Harbor::admin(server), person(server, "ann"));
        let named = |who: &Harbor, name: &str, limit: Value| {
            who.post("/projects", &json!({"project_name": name, "storage_limit": limit})).made()
        };
        let small = named(&admin, "small", json!(5_000_000));
        let large = named(&admin, "large", json!(9_000_000));
        // As in Harbor the limit is for system administrators to say.
        let own = named(&ann, "own", json!(7));
        named(&admin, "plain", Value::Null);
        push(server, "small/app:1");
        for (limit, wrong) in [(json!(-2), 400), (json!("much"), 422)] {
            let body = json!({"project_name": "wrong", "storage_limit": limit});
            assert_eq!(admin.post("/projects", &body).status, wrong);
        }

        let one = admin.get(&format!("/quotas/{small}"));
        let quota = one.is(200);
        let reference = json!({"id": small, "name": "small", "owner_name": "admin"});
        assert_eq!(quota["ref"], reference);
        assert_eq!(quota["hard"], json!({"storage": 5_000_000}));
        assert!(quota["used"]["storage"].as_i64() > Some(0));
        assert_eq!(admin.get(&format!("/quotas/{own}")).is(200)["hard"]["storage"], -1);
        let ids = |query: &str| admin.get(&format!("/quotas?{query}")).column("id");
        assert_eq!(ids("sort=hard.storage&page_size=2"), [small, large], "no limit is the most");
        assert_eq!(ids("sort=-used.storage&page_size=1"), [small]);
        assert_eq!(ids(&format!("reference=project&reference_id={large}")), [large]);
        assert!(ids("reference=registry").is_empty() && ids("reference_id=x").is_empty());
        let page = admin.get("/quotas?page_size=2&page=2");
        assert_eq!((page.total(), page.column("id").len()), (5, 2));
        assert!(page.headers["link"].to_str().unwrap().contains("rel=\"next\""));
        // CVE-2019-19026: whatever stands in `sort`, nothing of it reaches the database.
        let whole = admin.get("/quotas");
        for sort in ["hard.storage'", "hard.'%3BSELECT", "-used.x", "(select%201)", "password"] {
            assert_eq!(admin.get(&format!("/quotas?sort={sort}")).body, whole.body, "{sort}");
        }

        let path = format!("/quotas/{small}");
        for body in [json!({}), json!({"hard": {}}), json!({"hard": {"count": 1}})] {
            assert_eq!(admin.put(&path, &body).status, 400, "{body}");
        }
        for storage in [0, -2] {
            let body = json!({"hard": {"storage": storage}});
            let answer = admin.put(&path, &body);
            assert_eq!((answer.status.as_u16(), answer.code()), (400, "BAD_REQUEST"));
        }
        let good = json!({"hard": {"storage": 6_000_000}});
        assert_eq!(admin.put("/quotas/99999999", &good).status, 404);
        assert_eq!(admin.get("/quotas/99999999").status, 404);
        for (who, status) in [(&ann, 403), (&Harbor::anonymous(server), 401)] {
            assert_eq!(who.get("/quotas").status, status);
            for id in [small, own, 99_999_999] {
                assert_eq!(who.get(&format!("/quotas/{id}")).status, status);
                assert_eq!(who.put(&format!("/quotas/{id}"), &good).status, status);
            }
        }
        admin.put(&path, &good).is(200);
        assert_eq!(admin.get(&path).is(200)["hard"]["storage"], 6_000_000);
        admin.delete("/projects/small/repositories/app").is(200);
        admin.delete("/projects/small").is(200);
        assert_eq!(admin.get(&path).status, 404, "it goes with its project");
    });
}

/// What a project holds is told to its members; and all of it to administrators.
#[test]
fn use_is_told_to_those_who_may_know() {
    let server = Server::start();
    let (admin, ann, eve) =
        (Harbor::admin(&server), person(&server, "ann"), person(&server, "eve"));
    project(&ann, "open", true);
    project(&ann, "twin", true);
    push(&server, "open/app:1");
    push(&server, "twin/app:1");
    let seen = eve.get("/projects/open/summary");
    assert_eq!(seen.is(200), &json!({"repo_count": 1}));
    let whole = ann.get("/projects/open/summary");
    assert_eq!(whole.is(200)["project_admin_count"], 1);
    assert_eq!(whole.body["quota"]["hard"], json!({"storage": -1}));
    let all = admin.get("/statistics");
    assert_eq!(all.is(200)["total_storage_consumption"], used(&ann, "open") * 2);
    assert_eq!(ann.get("/statistics").is(200)["total_storage_consumption"], 0);
}
