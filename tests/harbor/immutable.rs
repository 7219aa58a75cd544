//! Rules by which tags do not move: set over the API, seen at the doors.

use crate::{member, on_both, person, project, push};
use reqwest::Method;
use sealock_tests::{clients::Desk, harbor::Harbor, images::Image, server::Server};
use serde_json::{Value, json};

/// A rule in Harbor's form.
pub(crate) fn rule(repositories: (&str, &str), tags: (&str, &str)) -> Value {
    json!({
        "action": "immutable",
        "template": "immutable_template",
        "tag_selectors": [
            {"kind": "doublestar", "decoration": tags.0, "pattern": tags.1},
        ],
        "scope_selectors": {"repository": [
            {"kind": "doublestar", "decoration": repositories.0, "pattern": repositories.1},
        ]},
    })
}

/// A request at `/v2`: its status, code and words.
fn registry(server: &Server, method: Method, path: &str) -> (u16, String, String) {
    let response = server.admin().request(method, path).send().unwrap();
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().unwrap()).unwrap_or_default();
    let word = |name: &str| body["errors"][0][name].as_str().unwrap_or_default().to_owned();
    (status, word("code"), word("message"))
}

const WORDS: &str = "Failed to process request due to 'app:v1' configured as immutable.";

#[test]
fn a_rule_that_one_client_made_stops_another() {
    on_both(|server| {
        let (ann, bob) = (person(server, "ann"), person(server, "bob"));
        let shop = project(&ann, "shop", false);
        member(&ann, shop, "bob", 4);
        push(server, "shop/app:v1");
        push(server, "shop/app:latest");
        let mut covers = rule(("repoMatches", "**"), ("matches", "v*"));
        let rules = format!("/projects/{shop}/immutabletagrules");
        let id = ann.post(&rules, &covers).made();
        let read = bob.get("/projects/shop/immutabletagrules");
        assert_eq!((read.total(), &read.body[0]["id"]), (1, &json!(id)));
        for field in ["tag_selectors", "scope_selectors", "action", "template"] {
            assert_eq!(read.body[0][field], covers[field], "{field}");
        }
        assert_eq!(ann.post(&rules, &covers).status, 409);

        // A client moves the tag, removes it, removes what it names, removes the repository.
        let desk = Desk::admin(server);
        let other = Image::named("base").reference();
        desk.skopeo_push(&other, "shop/app:v1", &[]).refused("configured as immutable");
        desk.skopeo_push(&other, "shop/app:latest", &[]).ok();
        let digest = desk.digest_of("shop/app:v1");
        for reference in ["v1", digest.as_str()] {
            let path = format!("/v2/shop/app/manifests/{reference}");
            let refused = registry(server, Method::DELETE, &path);
            assert_eq!(refused, (412, "PRECONDITION".to_owned(), WORDS.to_owned()));
        }
        for path in ["v1/tags/v1", "v1", digest.as_str()] {
            let kept = ann.delete(&format!("/projects/shop/repositories/app/artifacts/{path}"));
            assert_eq!((kept.status.as_u16(), kept.code()), (412, "PRECONDITION"), "{path}");
            assert_eq!(kept.message(), WORDS, "{path}");
        }
        let whole = ann.delete("/projects/shop/repositories/app");
        assert_eq!((whole.status.as_u16(), whole.code()), (412, "PRECONDITION"));
        assert_eq!(whole.message(), WORDS);
        assert_eq!(ann.get("/projects/shop/repositories/app").is(200)["artifact_count"], 2);

        // Off, the tag moves; on again, it does not; without the rule, it does.
        let one = format!("{rules}/{id}");
        covers["id"] = id.into();
        covers["disabled"] = true.into();
        bob.put(&one, &covers).is(200);
        assert_eq!(ann.get(&rules).is(200)[0]["disabled"], true);
        desk.skopeo_push(&other, "shop/app:v1", &[]).ok();
        covers["disabled"] = false.into();
        bob.put(&one, &covers).is(200);
        let small = Image::named("small").reference();
        desk.skopeo_push(&small, "shop/app:v1", &[]).refused("configured as immutable");
        // As some clients switch a rule, saying nothing else of it.
        for off in [true, false] {
            bob.put(&one, &json!({"disabled": off})).is(200);
            let read = ann.get(&rules).is(200)[0].clone();
            assert_eq!(
                (&read["disabled"], &read["tag_selectors"]),
                (&json!(off), &covers["tag_selectors"])
            );
        }
        bob.delete(&one).is(200);
        assert_eq!(bob.delete(&one).status, 404);
        assert_eq!(ann.get(&rules).total(), 0);
        ann.delete("/projects/shop/repositories/app").is(200);
    });
}

#[test]
fn a_part_of_an_index_stays_as_long_as_its_tag() {
    on_both(|server| {
        let ann = person(server, "ann");
        let shop = project(&ann, "shop", false);
        let desk = Desk::admin(server);
        desk.skopeo_push(&Image::named("app-index").reference(), "shop/app:v1", &["--all"]).ok();
        let index: Value =
            serde_json::from_str(&desk.crane(&["manifest", &desk.name("shop/app:v1")]).ok())
                .unwrap();
        let child = index["manifests"][0]["digest"].as_str().unwrap();
        let covers = rule(("repoMatches", "app"), ("matches", "v1"));
        let id = ann.post(&format!("/projects/{shop}/immutabletagrules"), &covers).made();
        let path = format!("/v2/shop/app/manifests/{child}");
        let refused = registry(server, Method::DELETE, &path);
        assert_eq!(refused, (412, "PRECONDITION".to_owned(), WORDS.to_owned()));
        let part = format!("/projects/shop/repositories/app/artifacts/{child}");
        let listed = |kept: &sealock_tests::harbor::Answer| {
            let said = kept.message().contains("the deleting artifact is referenced by others");
            kept.code() == "VIOLATE_FOREIGN_KEY_CONSTRAINT" && kept.status == 412 && said
        };
        assert!(listed(&ann.delete(&part)));
        desk.skopeo_pull("shop/app:v1", &desk.home().join("all").display().to_string()).ok();
        ann.delete(&format!("/projects/{shop}/immutabletagrules/{id}")).is(200);
        // Without the rule Harbor's API keeps it still, while the index is there.
        assert!(listed(&ann.delete(&part)));
        let other = index["manifests"][1]["digest"].as_str().unwrap();
        let path = format!("/v2/shop/app/manifests/{other}");
        assert_eq!(registry(server, Method::DELETE, &path).0, 202, "an index may be sparse");
        ann.delete("/projects/shop/repositories/app/artifacts/v1").is(200);
        ann.delete(&part).is(200);
    });
}

/// Every other way that there is to another digest under the tag, or to no tag at all.
#[test]
fn no_way_leads_round_a_rule() {
    on_both(|server| {
        let (admin, desk) = (Harbor::admin(server), Desk::admin(server));
        let shop = project(&admin, "shop", false);
        project(&admin, "den", false);
        push(server, "shop/app:v1");
        let other = Image::named("base").reference();
        for place in ["shop/app:latest", "shop/twin:v1", "den/app:v1"] {
            desk.skopeo_push(&other, place, &[]).ok();
        }
        let (kept, wrong) = (desk.digest_of("shop/app:v1"), desk.digest_of("shop/app:latest"));
        let covers = rule(("repoMatches", "app"), ("matches", "v*"));
        admin.post(&format!("/projects/{shop}/immutabletagrules"), &covers).is(201);
        let http = server.admin();
        let artifacts = "/projects/shop/repositories/app/artifacts";
        let manifest = desk.crane(&["manifest", &desk.name("shop/app:latest")]).ok();
        let manifest = manifest.trim_end_matches('\n').to_owned();
        let kind: Value = serde_json::from_str(&manifest).unwrap();
        let put = |path: &str| {
            let request = http.request(Method::PUT, path).body(manifest.clone());
            let kind = kind["mediaType"].as_str();
            let kind = kind.unwrap_or("application/vnd.oci.image.manifest.v1+json");
            request.header("content-type", kind).send().unwrap().status().as_u16()
        };
        let own = |path: &str, body: Value| {
            let path = format!("/api/sealock/v1{path}");
            let body = body.to_string();
            http.request(Method::POST, &path).body(body).send().unwrap().status().as_u16()
        };
        let copied = |from: &str| {
            admin.post(&format!("{artifacts}?from={from}"), &Value::Null).status.as_u16()
        };
        let tagged = admin.post(&format!("{artifacts}/latest/tags"), &json!({"name": "v1"}));
        for (way, status) in [
            ("a push", put("/v2/shop/app/manifests/v1")),
            ("a push with tags", put(&format!("/v2/shop/app/manifests/{wrong}?tag=w1&tag=v1"))),
            ("another tag of Harbor's", tagged.status.as_u16()),
            ("a copy", copied("shop/twin:v1")),
            ("a copy from elsewhere", copied("den/app:v1")),
            (
                "a promotion",
                own("/promotions", json!({"image": "den/app:v1", "to": "shop/app:v1"})),
            ),
            (
                "another name for it",
                own(
                    "/repositories/rename",
                    json!({
                        "from": "shop/app", "to": "shop/old"
                    }),
                ),
            ),
            (
                "its name for another",
                own(
                    "/repositories/rename",
                    json!({
                        "from": "shop/twin", "to": "shop/app"
                    }),
                ),
            ),
            ("the project's end", admin.delete("/projects/shop").status.as_u16()),
        ] {
            assert!((400..500).contains(&status), "{way}: {status}");
            assert_eq!(desk.digest_of("shop/app:v1"), kept, "{way}");
        }
        let tags = http.json("/v2/shop/app/tags/list");
        assert_eq!(tags["tags"], json!(["latest", "v1"]), "and nothing of it stays");
    });
}

#[test]
fn a_rule_that_means_nothing_is_refused() {
    let server = Server::start();
    let (ann, bob) = (person(&server, "ann"), person(&server, "bob"));
    let shop = project(&ann, "shop", false);
    member(&ann, shop, "bob", 2);
    let rules = format!("/projects/{shop}/immutabletagrules");
    let good = rule(("repoMatches", "**"), ("matches", "v*"));
    for (place, value) in [
        ("/action", json!("retain")),
        ("/template", json!("always")),
        ("/tag_selectors", json!([])),
        ("/tag_selectors", json!(null)),
        ("/scope_selectors", json!({})),
        ("/scope_selectors", json!({"repository": null})),
        ("/tag_selectors/0/kind", json!("regex")),
        ("/tag_selectors/0/decoration", json!("repoMatches")),
        ("/tag_selectors/0/pattern", json!("v[")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        let answer = ann.post(&rules, &bad);
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "BAD_REQUEST"), "{bad}");
    }
    assert_eq!(ann.post(&rules, &json!({"tag_selectors": 1})).status, 422);
    assert_eq!(bob.post(&rules, &good).status, 403, "a developer");
    let id = ann.post(&rules, &good).made();
    let mut other = good.clone();
    other["id"] = (id + 1).into();
    assert_eq!(ann.put(&format!("{rules}/{id}"), &other).status, 400, "the id is another one");
    for n in 1..15 {
        ann.post(&rules, &rule(("repoMatches", &format!("r{n}")), ("matches", "*"))).is(201);
    }
    assert_eq!(ann.post(&rules, &rule(("repoMatches", "full"), ("matches", "*"))).status, 400);
    let first = ann.get(&format!("{rules}?page_size=10&sort=-id"));
    assert_eq!((first.total(), first.column("id").len()), (15, 10));
    assert!(first.headers["link"].to_str().unwrap().contains("next"));
    assert_eq!(ann.get(&format!("{rules}?q=id={id}")).column("id"), [id]);
}
