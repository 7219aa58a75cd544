//! Projects and their metadata.

use crate::{on_both, person, project, push};
use sealock_tests::{harbor::Harbor, server::Server};
use serde_json::json;

#[test]
fn a_project_is_made_found_changed_and_removed() {
    on_both(|server| {
        let (ann, eve) = (person(server, "ann"), person(server, "eve"));
        let id = project(&ann, "shop", false);
        for path in [format!("/projects/{id}"), "/projects/shop".to_owned()] {
            let found = ann.get(&path);
            let body = found.is(200);
            assert_eq!((&body["name"], &body["project_id"]), (&json!("shop"), &json!(id)));
            assert_eq!(body["owner_name"], "ann");
            assert_eq!(body["current_user_role_id"], 1);
            assert_eq!(body["metadata"], json!({"public": "false"}));
        }
        let found = Harbor::admin(server).get("/projects?name=HO");
        assert_eq!(found.column("name"), ["shop"], "written by one, read by another");
        assert_eq!(ann.head("/projects?project_name=shop").status, 200);
        assert_eq!(eve.head("/projects?project_name=shop").status, 404);
        assert_eq!(ann.head("/projects?project_name=other").status, 404);
        assert_eq!(ann.head("/projects").status, 422);
        let same = ann.post("/projects", &json!({"project_name": "shop"}));
        assert_eq!((same.status.as_u16(), same.code()), (409, "CONFLICT"));

        ann.put("/projects/shop", &json!({"metadata": {"public": "true", "auto_scan": "true"}}))
            .is(200);
        let seen = eve.get("/projects/shop");
        assert_eq!(seen.is(200)["metadata"], json!({"public": "true", "auto_scan": "true"}));
        assert_eq!(seen.body["current_user_role_id"], 0);
        assert_eq!(Harbor::anonymous(server).get("/projects/shop").status, 200);
        assert_eq!(eve.put("/projects/shop", &json!({"metadata": {}})).status, 403);

        push(server, "shop/team/app:1");
        let holds = ann.get("/projects/shop/_deletable");
        assert_eq!(holds.is(200)["deletable"], false);
        let refused = ann.delete("/projects/shop");
        assert_eq!((refused.status.as_u16(), refused.code()), (412, "PRECONDITION"));
        assert_eq!(ann.get("/projects/shop/summary").is(200)["repo_count"], 1);
        ann.delete("/projects/shop/repositories/team%252Fapp").is(200);
        assert_eq!(ann.get("/projects/shop/_deletable").is(200)["deletable"], true);
        ann.delete("/projects/shop").is(200);
        assert_eq!(ann.get("/projects/shop").status, 403);
        assert_eq!(Harbor::admin(server).get("/projects/shop").status, 404);
        let again = project(&eve, "shop", false);
        assert!(again > id, "a number is given once");
        assert_eq!(ann.get("/projects/shop").status, 403, "its namesake is another one");
        assert_eq!(eve.get("/projects/shop").is(200)["metadata"], json!({"public": "false"}));
    });
}

#[test]
fn a_name_that_is_a_number_is_a_name_where_the_request_says_so() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    let named = admin.with_header("X-Resource-Name-In-Location", "true");
    let made = named.post("/projects", &json!({"project_name": "7777"}));
    assert_eq!(made.is(201), &json!(null));
    assert_eq!(made.headers["location"], "/api/v2.0/projects/7777");
    assert_eq!(admin.get("/projects/7777").status, 404);
    let by_name = admin.with_header("X-Is-Resource-Name", "true");
    assert_eq!(by_name.get("/projects/7777").is(200)["name"], "7777");
}

#[test]
fn what_is_not_a_project_is_refused() {
    let server = Server::start();
    let ann = person(&server, "ann");
    for (field, value) in [
        ("project_name", json!("A")),
        ("project_name", json!("a/b")),
        ("project_name", json!("")),
        ("metadata", json!({"public": "perhaps"})),
        ("metadata", json!({"prevent_vul": "high"})),
        ("metadata", json!({"retention_id": "1"})),
        ("registry_id", json!(1)),
    ] {
        let mut body = json!({"project_name": "b"});
        body[field] = value;
        let answer = ann.post("/projects", &body);
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "BAD_REQUEST"), "{body}");
    }
    assert_eq!(ann.post("/projects", &json!({"project_name": 7})).status, 422);
    assert_eq!(Harbor::anonymous(&server).post("/projects", &json!({})).status, 401);
    assert!(ann.get("/projects").column("name").iter().all(|name| name != "b"));
}

#[test]
fn metadata_are_kept_one_by_one() {
    on_both(|server| {
        let ann = person(server, "ann");
        let shop = project(&ann, "shop", false);
        let path = format!("/projects/{shop}/metadatas/");
        ann.post(&path, &json!({"auto_scan": "TRUE"})).is(200);
        assert_eq!(ann.post(&path, &json!({"auto_scan": "true"})).status, 409);
        assert_eq!(ann.post(&path, &json!({"auto_scan": "true", "severity": "low"})).status, 400);
        let one = format!("{path}auto_scan");
        assert_eq!(ann.get(&one).is(200), &json!({"auto_scan": "true"}));
        ann.put(&one, &json!({"auto_scan": "false"})).is(200);
        let another = json!({"prevent_vul": "true"});
        assert_eq!(ann.put(&one, &another).status, 400, "the path names what is meant");
        assert_eq!(ann.get(&format!("{path}severity")).is(200), &json!({}), "as in Harbor");
        let more = json!({"severity": "High", "auto_scan": "true"});
        ann.put(&format!("{path}severity"), &more).is(200);
        let whole = Harbor::admin(server).get(&path);
        let kept = json!({"auto_scan": "false", "public": "false", "severity": "high"});
        assert_eq!(whole.is(200), &kept);
        for unheard in ["unheard", "tier"] {
            let (one, said) = (format!("{path}{unheard}"), json!({unheard: "release"}));
            assert_eq!(ann.put(&one, &said).status, 400, "{unheard}");
            assert_eq!(ann.post(&path, &said).status, 400, "{unheard}");
        }
        assert_eq!(ann.get(&path).status, 403, "no role may list it all, as in Harbor");
        ann.delete(&one).is(200);
        ann.delete(&one).is(200);
        assert_eq!(ann.get(&one).is(200), &json!({}));
        assert_eq!(ann.delete(&format!("{path}public")).status, 400);
        ann.put(&format!("{path}public"), &json!({"public": "true"})).is(200);
        assert_eq!(Harbor::anonymous(server).get("/projects/shop").status, 200);
    });
}
