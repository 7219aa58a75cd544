//! What a project's metadata and the CVE allowlists open and close: set over the API, seen at the
//! pull door.

use crate::{member, on_both, person, project, push};
use reqwest::Method;
use sealock_tests::{
    clients::Desk,
    harbor::Harbor,
    server::{Server, eventually},
};
use serde_json::{Value, json};
use std::time::Duration;

const ADVISORY: &str = r#"{"schema_version": "1.6.0", "id": "CVE-2031-0001",
    "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}],
    "affected": [{"package": {"ecosystem": "PyPI", "name": "jinja2"},
    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.4"}]}]}]}"#;

/// A project of Ann's with an image that Bob may pull.
fn set_up(server: &Server) -> (Harbor, Desk) {
    let ann = person(server, "ann");
    person(server, "bob");
    let shop = project(&ann, "shop", false);
    member(&ann, shop, "bob", 3);
    push(server, "shop/app:1");
    (ann, Desk::of(server, "bob", crate::PASSWORD))
}

fn pull(bob: &Desk) -> sealock_tests::clients::Ran {
    bob.crane(&["manifest", &bob.name("shop/app:1")])
}

fn protect(ann: &Harbor, metadata: &Value) {
    ann.put("/projects/shop", &json!({"metadata": metadata})).is(200);
}

fn metadata(who: &Harbor) -> Value {
    who.get("/projects/shop").is(200)["metadata"].clone()
}

/// What the pull door says to Bob without a client in between.
fn door(server: &Server) -> (u16, String, String) {
    let http = server.http().with_user("bob", crate::PASSWORD);
    let response = http.request(Method::GET, "/v2/shop/app/manifests/1").send().unwrap();
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().unwrap()).unwrap_or_default();
    let word = |name: &str| body["errors"][0][name].as_str().unwrap_or_default().to_owned();
    (status, word("code"), word("message"))
}

#[test]
fn content_trust_asks_for_a_signature_by_a_listed_key() {
    on_both(|server| {
        let (ann, bob) = set_up(server);
        pull(&bob).ok();
        let desk = Desk::admin(server);
        let digest = desk.digest_of("shop/app:1");
        protect(&ann, &json!({"enable_content_trust_cosign": "true"}));
        let admin = Harbor::admin(server);
        assert_eq!(metadata(&admin)["enable_content_trust_cosign"], "true");
        let one = admin.get("/projects/shop/metadatas/enable_content_trust_cosign");
        assert_eq!(one.is(200), &json!({"enable_content_trust_cosign": "true"}));
        let (status, code, said) = door(server);
        assert_eq!((status, code.as_str()), (412, "PROJECTPOLICYVIOLATION"));
        assert!(said.contains("The image is not signed by cosign."), "{said}");
        pull(&bob).refused("not signed by cosign");

        let _ = desk.key_pair("pipeline");
        let name = desk.name(&format!("shop/app@{digest}"));
        let (config, key) = (desk.signing_config(), ["--key", "pipeline.key"]);
        let options = ["sign", "--allow-http-registry", "--signing-config", &config];
        desk.cosign(&[&options[..], &key, &[name.as_str()]].concat()).ok();
        pull(&bob).refused("not signed by cosign");
        desk.sealock(&["project", "key", "add", "shop", "pipeline", "pipeline.pub"]).ok();
        eventually("the signature counts", Duration::from_secs(20), || {
            (door(server).0 == 200).then_some(())
        });

        // The older flag is another one, and asks for the same; what was said is told.
        let path = "/projects/shop/metadatas";
        ann.delete(&format!("{path}/enable_content_trust_cosign")).is(200);
        ann.post(&format!("{path}/"), &json!({"enable_content_trust": "true"})).is(200);
        let all = metadata(&admin);
        assert_eq!(all, json!({"public": "false", "enable_content_trust": "true"}));
        desk.sealock(&["project", "key", "compromise", "shop", "pipeline"]).ok();
        let said = door(server).2;
        assert!(said.contains("The image is not signed by notation."), "{said}");
        ann.put(&format!("{path}/enable_content_trust"), &json!({"enable_content_trust": "false"}))
            .is(200);
        assert_eq!(metadata(&admin)["enable_content_trust"], "false");
        pull(&bob).ok();
    });
}

#[test]
fn prevention_stops_what_no_allowlist_excuses() {
    on_both(|server| {
        let (ann, bob) = set_up(server);
        let (admin, desk) = (Harbor::admin(server), Desk::admin(server));
        std::fs::write(desk.home().join("advisory.json"), ADVISORY).unwrap();
        desk.sealock(&["advisories", "import", "advisory.json", "--source", "today"]).ok();
        pull(&bob).ok();
        // As clients do: one key at a time, the threshold first.
        let path = "/projects/shop/metadatas/";
        ann.post(path, &json!({"severity": "critical"})).is(200);
        pull(&bob).ok();
        ann.post(path, &json!({"prevent_vul": "true"})).is(200);
        let both = json!({"public": "false", "prevent_vul": "true", "severity": "critical"});
        assert_eq!(metadata(&admin), both);
        let prevented = "cannot be pulled due to configured policy in 'Prevent images with \
                         vulnerability severity of \"Critical\" or higher from running.'";
        eventually("the finding counts", Duration::from_secs(20), || {
            door(server).2.contains("with 1 vulnerability").then_some(())
        });
        let (status, code, said) = door(server);
        assert_eq!((status, code.as_str()), (412, "PROJECTPOLICYVIOLATION"));
        assert!(said.contains(prevented) && said.contains("CVE-2031-0001"), "{said}");
        pull(&bob).refused("cannot be pulled due to configured policy");

        // The project's list counts where it does without the system's; until it ends.
        let list = |ends: Value| {
            let items = json!([{"cve_id": "CVE-2031-0001"}]);
            json!({"cve_allowlist": {"items": items, "expires_at": ends}})
        };
        ann.put("/projects/shop", &list(Value::Null)).is(200);
        pull(&bob).refused("configured policy");
        protect(&ann, &json!({"reuse_sys_cve_allowlist": "false"}));
        pull(&bob).ok();
        let shown = admin.get("/projects/shop").is(200)["cve_allowlist"].clone();
        assert_eq!(shown["items"], json!([{"cve_id": "CVE-2031-0001"}]));
        ann.put("/projects/shop", &list(json!(1_000_000_000))).is(200);
        assert_eq!(admin.get("/projects/shop").body["cve_allowlist"]["expires_at"], 1_000_000_000);
        pull(&bob).refused("configured policy");
        ann.put("/projects/shop", &list(json!(4_000_000_000_i64))).is(200);
        pull(&bob).ok();
        protect(&ann, &json!({"reuse_sys_cve_allowlist": "true"}));
        pull(&bob).refused("configured policy");

        // The system's.
        let system = |ends: Value| list(ends)["cve_allowlist"].clone();
        admin.put("/system/CVEAllowlist", &system(Value::Null)).is(200);
        pull(&bob).ok();
        let read = ann.get("/system/CVEAllowlist");
        assert_eq!(read.is(200)["items"], json!([{"cve_id": "CVE-2031-0001"}]));
        assert_eq!(read.body["project_id"], 0);
        admin.put("/system/CVEAllowlist", &system(json!(1_000_000_000))).is(200);
        pull(&bob).refused("configured policy");
        admin.put("/system/CVEAllowlist", &json!({})).is(200);
        assert_eq!(ann.get("/system/CVEAllowlist").is(200)["items"], json!([]));
        // A lower threshold: what the product's own data know of it counts, too.
        protect(&ann, &json!({"severity": "high"}));
        let said = door(server).2;
        assert!(said.contains("with 2 vulnerabilities") && said.contains("\"High\""), "{said}");
        protect(&ann, &json!({"prevent_vul": "false"}));
        pull(&bob).ok();
        assert_eq!(metadata(&admin)["severity"], "high", "what was said is told");
    });
}

#[test]
fn a_project_is_made_with_its_protections() {
    on_both(|server| {
        let (ann, eve) = (person(server, "ann"), person(server, "eve"));
        let body = json!({
            "project_name": "shop",
            "metadata": {
                "public": "true", "enable_content_trust_cosign": "true", "prevent_vul": "true",
                "severity": "none", "reuse_sys_cve_allowlist": "false",
                "enable_content_trust": "false",
            },
            "cve_allowlist": {"items": [{"cve_id": "CVE-2031-0001"}], "expires_at": null},
        });
        let id = ann.post("/projects", &body).made();
        let seen = eve.get("/projects/shop");
        assert_eq!(seen.is(200)["metadata"], body["metadata"]);
        assert_eq!(seen.body["cve_allowlist"]["items"], body["cve_allowlist"]["items"]);
        assert_eq!(seen.body["cve_allowlist"]["project_id"], id);
        let listed = eve.get("/projects?name=shop");
        assert_eq!(listed.is(200)[0]["metadata"], body["metadata"]);
        // What a client read is sent back as it is.
        let again = json!({
            "metadata": seen.body["metadata"], "cve_allowlist": seen.body["cve_allowlist"],
        });
        ann.put("/projects/shop", &again).is(200);
        assert_eq!(eve.get("/projects/shop").body["cve_allowlist"], seen.body["cve_allowlist"]);
        let mut foreign = again.clone();
        foreign["cve_allowlist"]["project_id"] = (id + 1).into();
        assert_eq!(ann.put("/projects/shop", &foreign).status, 400);
        assert_eq!(eve.put("/projects/shop", &again).status, 403);
        for (item, status) in [("", 400), ("CVE 2031", 400)] {
            let wrong = json!({"cve_allowlist": {"items": [{"cve_id": item}]}});
            assert_eq!(ann.put("/projects/shop", &wrong).status, status, "{item:?}");
        }
        let list = json!({"items": [{"cve_id": "CVE-2031-0001"}]});
        assert_eq!(ann.put("/system/CVEAllowlist", &list).status, 403);
        assert_eq!(Harbor::anonymous(server).get("/system/CVEAllowlist").status, 401);
        assert_eq!(Harbor::anonymous(server).put("/system/CVEAllowlist", &list).status, 401);
        assert_eq!(Harbor::admin(server).get("/system/CVEAllowlist").is(200)["items"], json!([]));
    });
}

/// A rule that somebody wrote into the policy is not switched off by a flag; and a flag is a rule
/// of the policy, which both show.
#[test]
fn flags_and_the_policy_say_the_same() {
    let server = Server::start();
    let (ann, _) = set_up(&server);
    protect(&ann, &json!({"enable_content_trust_cosign": "true"}));
    let http = server.http().with_user("ann", crate::PASSWORD);
    let path = "/api/sealock/v1/projects/shop/policy";
    let policy = http.get(path).unwrap().text().unwrap();
    assert!(policy.contains("harbor-content-trust"), "{policy}");
    let desk = Desk::of(&server, "ann", crate::PASSWORD);
    let own = "apiVersion: sealock/v1\nkind: Policy\nname: own\nrules:\n\
               - {name: mine, signed: {by: any}}\n";
    std::fs::write(desk.home().join("own.yaml"), own).unwrap();
    desk.sealock(&["policy", "set", "--project", "shop", "own.yaml"]).ok();
    assert_eq!(metadata(&ann)["enable_content_trust_cosign"], "true");
    let off = json!({"metadata": {"enable_content_trust_cosign": "false"}});
    let refused = ann.put("/projects/shop", &off);
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "CONFLICT"));
    assert!(refused.message().contains("\"mine\""), "{}", refused.message());
}
