//! Groups of people, and groups as members.

use crate::{on_both, person, project};
use sealock_tests::harbor::Harbor;
use serde_json::json;

#[test]
fn a_group_is_made_found_renamed_and_removed() {
    on_both(|server| {
        let (admin, ann) = (Harbor::admin(server), person(server, "ann"));
        let group = |name: &str, kind: i64, dn: &str| json!({"group_name": name, "group_type": kind, "ldap_group_dn": dn});
        let dn = "cn=builders,dc=example,dc=org";
        let id = admin.post("/usergroups", &group("builders", 1, dn)).made();
        let other = admin.post("/usergroups", &group("o'hara", 3, "")).made();
        assert_eq!(admin.post("/usergroups", &group("builders", 1, dn)).status, 409);
        for bad in [
            group("x", 0, ""),
            group("x", 4, ""),
            group("", 3, ""),
            group("x", 1, ""),
            group("x", 3, dn),
        ] {
            assert_eq!(admin.post("/usergroups", &bad).status, 400, "{bad}");
        }
        assert_eq!(ann.post("/usergroups", &group("x", 3, "")).status, 403);
        assert_eq!(ann.get("/usergroups").status, 403);
        assert_eq!(ann.get(&format!("/usergroups/{id}")).status, 403);
        // CVE-2019-19029: quotes are letters.
        assert_eq!(admin.get("/usergroups?group_name=o'h").column("id"), [other]);
        assert_eq!(admin.get(&format!("/usergroups?ldap_group_dn={dn}")).column("id"), [id]);
        let found = ann.get("/usergroups/search?groupname=BUILD");
        assert!(found.is(200)[0].as_object().unwrap().keys().eq([
            "group_name",
            "group_type",
            "id"
        ]));
        assert_eq!(ann.get("/usergroups/search").status, 422);

        let shop = project(&ann, "shop", false);
        let member = json!({"role_id": 2, "member_group": {"id": id}});
        ann.post(&format!("/projects/{shop}/members"), &member).is(201);
        assert_eq!(ann.post(&format!("/projects/{shop}/members"), &member).status, 409);
        let groups = ann.get("/projects/shop/members?entityname=builders");
        assert_eq!(groups.column("entity_type"), ["g"]);
        assert_eq!(groups.column("entity_id"), [id]);
        let path = format!("/usergroups/{id}");
        assert_eq!(admin.put(&path, &json!({"group_name": ""})).status, 400);
        admin.put(&path, &json!({"group_name": "masons"})).is(200);
        assert_eq!(admin.get(&path).is(200)["group_name"], "masons");
        assert_eq!(ann.get("/projects/shop/members").column("entity_name"), ["ann", "masons"]);
        admin.delete(&path).is(200);
        assert_eq!(admin.get(&path).status, 404);
        assert_eq!(admin.delete(&path).status, 404);
        assert_eq!(ann.get("/projects/shop/members").column("entity_name"), ["ann"]);
    });
}
