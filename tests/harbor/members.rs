//! Members of a project, by the number of the membership.

use crate::{member, on_both, person, project};
use sealock_tests::harbor::Harbor;
use serde_json::json;

#[test]
fn a_member_comes_changes_and_goes() {
    on_both(|server| {
        let (ann, bob) = (person(server, "ann"), person(server, "bob"));
        let shop = project(&ann, "shop", false);
        assert_eq!(bob.get("/projects/shop").status, 403);
        let id = member(&ann, shop, "bob", 3);
        assert_eq!(bob.get("/projects/shop").is(200)["current_user_role_id"], 3);
        let path = format!("/projects/{shop}/members/{id}");
        let seen = bob.get(&path);
        assert_eq!(seen.is(200)["entity_name"], "bob");
        assert_eq!(
            (&seen.body["role_name"], &seen.body["entity_type"]),
            (&json!("guest"), &json!("u"))
        );
        let twice = json!({"role_id": 1, "member_user": {"username": "bob"}});
        assert_eq!(ann.post("/projects/shop/members", &twice).status, 409);
        ann.put(&path, &json!({"role_id": 4})).is(200);
        assert_eq!(bob.get("/projects/shop").is(200)["current_user_role_id"], 4);
        assert_eq!(bob.put(&path, &json!({"role_id": 1})).status, 403, "nobody raises themselves");
        for bad in [json!({"role_id": 0}), json!({"role_id": 6}), json!({})] {
            assert_eq!(ann.put(&path, &bad).status, 400, "{bad}");
        }
        let names = bob.get("/projects/shop/members?entityname=B");
        assert_eq!((names.total(), names.column("entity_name")), (1, vec![json!("bob")]));
        assert_eq!(ann.get("/projects/shop/members").total(), 2);
        let summary = ann.get("/projects/shop/summary");
        assert_eq!(summary.is(200)["maintainer_count"], 1);
        assert_eq!(summary.body["project_admin_count"], 1);
        ann.delete(&path).is(200);
        assert_eq!(bob.get("/projects/shop").status, 403);
        assert_eq!(ann.delete(&path).status, 404);
        for (body, status) in [
            (json!({"role_id": 1, "member_user": {"username": "nobody"}}), 404),
            (json!({"role_id": 9, "member_user": {"username": "bob"}}), 400),
            (json!({"role_id": 1}), 400),
            (json!({"role_id": 1, "member_group": {"id": 5}}), 404),
        ] {
            assert_eq!(ann.post("/projects/shop/members", &body).status, status, "{body}");
        }
        let by_number = json!({"role_id": 2, "member_user": {"user_id": 1}});
        ann.post("/projects/shop/members", &by_number).is(201);
        assert_eq!(Harbor::anonymous(server).get(&path).status, 401);
    });
}
