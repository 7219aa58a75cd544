//! Repositories, which come by pushes and go by deletion.

use crate::{on_both, person, project, push};
use sealock_tests::{clients::Desk, harbor::Harbor, server::eventually};
use serde_json::json;
use std::time::Duration;

#[test]
fn what_was_pushed_is_listed_described_and_removed() {
    on_both(|server| {
        let (ann, nobody) = (person(server, "ann"), Harbor::anonymous(server));
        project(&ann, "shop", false);
        push(server, "shop/team/app:1");
        push(server, "shop/tool:1");
        push(server, "library/base:1");
        let listed = ann.get("/projects/shop/repositories");
        assert_eq!(listed.column("name"), ["shop/tool", "shop/team/app"], "the newest first");
        assert_eq!(listed.column("artifact_count"), [1, 1]);
        let found = ann.get("/projects/shop/repositories?q=name=~tool");
        assert_eq!((found.total(), found.column("name")), (1, vec![json!("shop/tool")]));
        let first = ann.get("/projects/shop/repositories?sort=name&page_size=1");
        assert_eq!((first.total(), first.column("name")), (2, vec![json!("shop/team/app")]));
        assert_eq!(nobody.get("/repositories").column("name"), ["library/base"]);
        assert_eq!(ann.get("/repositories").total(), 3);
        assert_eq!(nobody.get("/projects/shop/repositories").status, 401);
        let one = "/projects/shop/repositories/team%252Fapp";
        ann.put(one, &json!({"description": "<script>alert(1)</script> of **mine**"})).is(200);
        for same in [one, "/projects/shop/repositories/team%2Fapp"] {
            let described = ann.get(same);
            assert_eq!(described.is(200)["name"], "shop/team/app");
            assert_eq!(described.body["description"], "<script>alert(1)</script> of **mine**");
        }
        let search = ann.get("/search?q=app");
        assert_eq!(search.is(200)["repository"][0]["repository_name"], "shop/team/app");
        assert_eq!(nobody.get("/search?q=app").is(200)["repository"], json!([]));
        let all = ann.get("/search?q=shop").is(200)["repository"].clone();
        let names: Vec<_> =
            all.as_array().unwrap().iter().map(|one| &one["repository_name"]).collect();
        assert_eq!(names, ["shop/team/app", "shop/tool"], "by name");
        let counts = ann.get("/statistics");
        assert_eq!(counts.is(200)["private_repo_count"], 2);
        assert_eq!(counts.body["public_repo_count"], 1);
        assert_eq!(counts.body["total_repo_count"], 0);
        assert_eq!(Harbor::admin(server).get("/statistics").is(200)["total_repo_count"], 3);

        ann.delete(one).is(200);
        assert_eq!(ann.get(one).status, 404);
        assert_eq!(ann.delete(one).status, 404);
        let desk = Desk::admin(server);
        desk.crane(&["manifest", &desk.name("shop/team/app:1")]).refused("NAME_UNKNOWN");
        desk.crane(&["manifest", &desk.name("shop/tool:1")]).ok();
    });
}

#[test]
fn pulls_are_counted_and_looks_are_not() {
    on_both(|server| {
        let ann = person(server, "ann");
        project(&ann, "shop", false);
        push(server, "shop/often:1");
        push(server, "shop/seldom:1");
        let desk = Desk::admin(server);
        let (often, seldom) = (desk.name("shop/often:1"), desk.name("shop/seldom:1"));
        let digest = desk.crane(&["digest", &often]).ok().trim().to_owned();
        for _ in 0..2 {
            desk.crane(&["manifest", &often]).ok();
        }
        desk.crane(&["manifest", &desk.name(&format!("shop/often@{digest}"))]).ok();
        desk.crane(&["manifest", &seldom]).ok();
        let most = "/projects/shop/repositories?sort=-pull_count";
        let counts = eventually("all pulls are counted", Duration::from_secs(10), || {
            let listed = ann.get(most);
            let counts = listed.column("pull_count");
            (counts == [3, 1]).then_some(listed.column("name"))
        });
        assert_eq!(counts, ["shop/often", "shop/seldom"]);
        let found = ann.get("/projects/shop/repositories?q=pull_count=3");
        assert_eq!(found.column("name"), ["shop/often"]);
        let one = ann.get("/projects/shop/repositories/often");
        assert_eq!(one.is(200)["pull_count"], 3);
        assert_eq!(ann.get("/search?q=often").is(200)["repository"][0]["pull_count"], 3);

        // What comes later under the same name begins anew.
        ann.delete("/projects/shop/repositories/often").is(200);
        push(server, "shop/often:1");
        let again = ann.get("/projects/shop/repositories/often");
        assert_eq!(again.is(200)["pull_count"], 0);
    });
}
