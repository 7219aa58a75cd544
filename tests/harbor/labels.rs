//! Labels, of a project and of the whole system.

use crate::{member, on_both, person, project};
use sealock_tests::harbor::Harbor;
use serde_json::json;

#[test]
fn labels_stand_in_their_scope() {
    on_both(|server| {
        let (admin, ann, bob) =
            (Harbor::admin(server), person(server, "ann"), person(server, "bob"));
        let shop = project(&ann, "shop", false);
        member(&ann, shop, "bob", 3);
        let words = json!({
            "name": "slow", "description": "takes long", "color": "#FF0000", "scope": "p",
            "project_id": shop,
        });
        let id = ann.post("/labels", &words).made();
        assert_eq!(ann.post("/labels", &words).status, 409);
        assert_eq!(bob.post("/labels", &words).status, 403);
        let global = json!({"name": "slow", "scope": "g"});
        assert_eq!(ann.post("/labels", &global).status, 403);
        admin.post("/labels", &global).is(201);
        assert_eq!(admin.post("/labels", &global).status, 409);

        let listed = bob.get(&format!("/labels?scope=p&project_id={shop}"));
        assert_eq!((listed.total(), listed.column("id")), (1, vec![json!(id)]));
        assert_eq!(Harbor::anonymous(server).get("/labels?scope=g&name=LOW").total(), 1);
        assert_eq!(ann.get("/labels").status, 400);
        assert_eq!(ann.get("/labels?scope=p").status, 400);
        let path = format!("/labels/{id}");
        assert_eq!(bob.get(&path).is(200)["color"], "#FF0000");
        assert_eq!(bob.delete(&path).status, 403);
        let changed = json!({"name": "slower", "description": "", "color": ""});
        ann.put(&path, &changed).is(200);
        assert_eq!(admin.get(&path).is(200)["name"], "slower");
        assert_eq!(admin.get(&path).body["project_id"], shop, "it stays where it is");
        let mut bad = changed.clone();
        bad["color"] = json!("red");
        assert_eq!(ann.put(&path, &bad).status, 400);
        ann.delete(&path).is(200);
        assert_eq!(ann.get(&path).status, 404);
    });
}
