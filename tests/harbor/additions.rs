//! Copies of artifacts, and what artifacts hold besides their manifests.

use crate::{
    artifacts::{NOTES, advise, attach, push_image},
    member, on_both, person, project,
};
use reqwest::Method;
use sealock_tests::{
    clients::Desk,
    harbor::Harbor,
    images::{Image, MANIFEST, digest},
    server::{Server, eventually},
};
use serde_json::{Value, json};
use std::time::Duration;

const FROM: &str = "/projects/shop/repositories/app/artifacts";
const TO: &str = "/projects/store/repositories/team%252Fapp/artifacts";

#[test]
fn a_copy_is_the_artifact_with_all_that_belongs_to_it() {
    on_both(|server| {
        let (ann, desk) = (person(server, "ann"), Desk::admin(server));
        let (shop, store) = (project(&ann, "shop", false), project(&ann, "store", false));
        let index = push_image(&desk, "app-index", "shop/app:all");
        desk.crane(&["tag", &desk.name("shop/app:all"), "stable"]).ok();
        attach(&desk, "shop/app:all");
        let copied = ann.post(&format!("{TO}?from=shop/app:all"), &Value::Null);
        copied.is(201);
        assert_eq!(copied.headers["location"], format!("/api/v2.0{TO}/all"));
        let listed = ann.get(&format!("{TO}?with_accessory=true"));
        assert_eq!((listed.total(), listed.column("digest")), (1, vec![json!(index)]));
        let one = &listed.body[0];
        let mut tags: Vec<&str> = one["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag["name"].as_str().unwrap())
            .collect();
        tags.sort_unstable();
        assert_eq!(tags, ["all", "stable"]);
        assert_eq!(one["references"].as_array().unwrap().len(), 2);
        assert_eq!(one["accessories"][0]["type"], "subject.accessory");
        let there = ann.get(&format!("{FROM}/all"));
        assert_eq!(
            (&one["size"], &one["extra_attrs"]),
            (&there.is(200)["size"], &there.body["extra_attrs"])
        );
        // Another client pulls it, with its referrers.
        desk.skopeo_pull("store/team/app:all", "pulled").ok();
        let path = format!("/v2/store/team/app/referrers/{index}?artifactType={NOTES}");
        assert_eq!(server.admin().json(&path)["manifests"].as_array().unwrap().len(), 1);
        assert_eq!(ann.post(&format!("{TO}?from=shop/app@{index}"), &Value::Null).status, 409);

        // An accessory is not copied by itself, and nothing without rights on both sides.
        let accessory = one["accessories"][0]["digest"].as_str().unwrap();
        let other = "/projects/store/repositories/other/artifacts";
        let copy = |who: &Harbor, from: &str| {
            who.post(&format!("{other}?from={from}"), &Value::Null).status.as_u16()
        };
        assert_eq!(copy(&ann, &format!("shop/app@{accessory}")), 403);
        for (from, status) in
            [("shop/app", 400), ("shop/app:none", 404), ("shop/none:1", 404), ("", 422)]
        {
            assert_eq!(copy(&ann, from), status, "{from}");
        }
        let bob = person(server, "bob");
        assert_eq!(copy(&bob, "shop/app:all"), 403);
        member(&ann, store, "bob", 2);
        assert_eq!(copy(&bob, "shop/app:all"), 403, "no rights at the source");
        let answer = |from: &str| {
            let answer = bob.post(&format!("{other}?from={from}"), &Value::Null);
            (answer.status, answer.body.to_string().replace("no-such", "shop"))
        };
        assert_eq!(answer("shop/app:all"), answer("no-such/app:all"));
        assert_eq!(answer("shop/none:all"), answer("no-such/none:all"));
        member(&ann, shop, "bob", 5);
        assert_eq!(copy(&bob, "shop/app:all"), 201);
        assert_eq!(ann.get(other).total(), 1);
    });
}

#[test]
fn signatures_go_along_and_are_verified_where_they_come() {
    let server = Server::start();
    let (admin, desk) = (Harbor::admin(&server), Desk::admin(&server));
    project(&admin, "shop", false);
    project(&admin, "store", false);
    let digest = push_image(&desk, "small", "shop/app:1");
    let _ = desk.key_pair("ci");
    let image = desk.name(&format!("shop/app@{digest}"));
    desk.cosign2(&[
        "sign",
        "--tlog-upload=false",
        "--allow-http-registry",
        "--key",
        "ci.key",
        &image,
    ])
    .ok();
    let key = desk.home().join("ci.pub").display().to_string();
    desk.sealock(&["project", "key", "add", "store", "ci", &key]).ok();
    admin.post(&format!("{TO}?from=shop/app@{digest}"), &Value::Null).is(201);
    let copied = desk.name(&format!("store/team/app@{digest}"));
    let verify =
        ["verify", "--insecure-ignore-tlog=true", "--allow-http-registry", "--key", "ci.pub"];
    desk.cosign2(&[&verify[..], &[copied.as_str()]].concat()).ok();
    let state = |list: &str| {
        let shown = admin.get(&format!("{list}/{digest}?with_signature=true&with_accessory=true"));
        assert_eq!(shown.is(200)["accessories"][0]["type"], "signature.cosign");
        shown.body["extra_attrs"]["signature"]["state"].clone()
    };
    assert_eq!((state(TO), state(FROM)), (json!("verified"), json!("unverified")));
    assert_eq!(admin.get(TO).total(), 1, "the signature is no artifact of its own");
}

/// Quota, immutable tags and policies of the target hold, and what is refused leaves nothing.
#[test]
fn the_targets_limits_rules_and_doors_stand_before_a_copy() {
    on_both(|server| {
        let (admin, desk) = (Harbor::admin(server), Desk::admin(server));
        project(&admin, "shop", false);
        let store = project(&admin, "store", false);
        let index = push_image(&desk, "app-index", "shop/app:1");
        let copy = || admin.post(&format!("{TO}?from=shop/app:1"), &Value::Null);
        admin.put(&format!("/quotas/{store}"), &json!({"hard": {"storage": 1000}})).is(200);
        let refused = copy();
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "FORBIDDEN"), "{refused:?}");
        assert!(refused.message().contains("exceed"), "{refused:?}");
        assert_eq!(admin.get("/projects/store/artifacts?q=base=*").total(), 0);
        admin.put(&format!("/quotas/{store}"), &json!({"hard": {"storage": -1}})).is(200);

        push_image(&desk, "small", "store/team/app:1");
        let rule = json!({
            "action": "immutable", "template": "immutable_template",
            "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "1"}],
            "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
        });
        admin.post(&format!("/projects/{store}/immutabletagrules"), &rule).is(201);
        assert_eq!(copy().status, 412);
        let tags = admin.get(&format!("{TO}/1/tags?with_immutable_status=true"));
        assert_eq!(tags.column("immutable"), [true]);
        assert_eq!(admin.get(TO).total(), 1);
        assert_eq!(admin.delete(&format!("{TO}/1/tags/1")).status, 412);
        assert_eq!(admin.delete(&format!("{TO}/1")).status, 412);
        let shown = admin.get(&format!("{TO}?with_immutable_status=true"));
        assert_eq!(shown.is(200)[0]["tags"][0]["immutable"], true);
        assert_eq!(
            admin.get(TO).is(200)[0]["tags"][0]["immutable"],
            false,
            "as in Harbor, when asked"
        );

        // A release project takes nothing but promotions, and no tag that would be a push either.
        let http = server.admin();
        let body = json!({"name": "released", "tier": "release"});
        http.write(Method::POST, "/api/sealock/v1/projects", &body);
        let released = "/projects/released/repositories/app/artifacts";
        let refused = admin.post(&format!("{released}?from=shop/app:1"), &Value::Null);
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (412, "PROJECTPOLICYVIOLATION"),
            "{refused:?}"
        );
        assert_eq!(admin.get("/projects/released/artifacts?q=base=*").total(), 0);
        assert_eq!(admin.get(&format!("{FROM}/{index}")).is(200)["digest"], index);
    });
}

#[test]
fn what_an_index_lists_is_not_deleted_under_it() {
    let server = Server::start();
    let (admin, desk) = (Harbor::admin(&server), Desk::admin(&server));
    project(&admin, "shop", false);
    push_image(&desk, "app-index", "shop/app:all");
    let shown = admin.get(&format!("{FROM}/all"));
    let child = shown.is(200)["references"][0]["child_digest"].as_str().unwrap().to_owned();
    assert_eq!(admin.delete(&format!("{FROM}/{child}")).status, 412);
    admin.delete(&format!("{FROM}/all")).is(200);
    assert_eq!(admin.get(FROM).total(), 2, "without their index they stand by themselves");
    admin.delete(&format!("{FROM}/{child}")).is(200);
}

#[test]
fn an_image_tells_how_it_was_built_what_it_holds_and_what_was_found() {
    let server = Server::start();
    let (admin, desk) = (Harbor::admin(&server), Desk::admin(&server));
    project(&admin, "shop", false);
    let digest = push_image(&desk, "small", "shop/app:1");
    let addition = |name: &str| admin.get(&format!("{FROM}/1/additions/{name}"));
    let config = Image::named("small").manifest()["config"]["digest"].as_str().unwrap().to_owned();
    let config: Value = serde_json::from_slice(&Image::named("small").blob(&config)).unwrap();
    assert_eq!(addition("build_history").is(200), &config["history"]);
    let sbom = addition("sbom");
    let content_type = sbom.headers["content-type"].to_str().unwrap().to_owned();
    // As the contract has it; the document says itself what it is.
    assert!(content_type.starts_with("application/json"), "{content_type}");
    assert_eq!(sbom.is(200)["bomFormat"], "CycloneDX");
    assert!(sbom.is(200)["components"].to_string().contains("pkg:pypi/jinja2@"));
    assert_eq!(sbom.headers["content-security-policy"], "default-src 'none'; sandbox");
    let before = addition("vulnerabilities");
    let mime = "application/vnd.security.vulnerability.report; version=1.1";
    let count = |of: &Value| of[mime]["vulnerabilities"].as_array().unwrap().len();
    let before = count(before.is(200));
    advise(&desk, "CVE-2031-0001");
    let report = eventually("the finding", Duration::from_secs(20), || {
        let report = addition("vulnerabilities");
        (count(report.is(200)) == before + 1).then_some(report)
    });
    let found = report.body[mime]["vulnerabilities"].as_array().unwrap();
    let found = found.iter().find(|one| one["id"] == "CVE-2031-0001").unwrap();
    for (field, value) in [
        ("package", json!("jinja2")),
        ("fix_version", json!("3.1.4")),
        ("severity", json!("Critical")),
        ("status", json!("fixed")),
        ("artifact_digests", json!([digest])),
        ("links", json!(["https://nvd.nist.gov/vuln/detail/CVE-2031-0001"])),
    ] {
        assert_eq!(found[field], value, "{field}");
    }
    assert_eq!(found["preferred_cvss"]["score_v3"], 10.0);
    assert_eq!(report.body[mime]["severity"], "Critical");
    let older = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0";
    let asked = admin.with_header("X-Accept-Vulnerabilities", older);
    let asked = asked.get(&format!("{FROM}/1/additions/vulnerabilities"));
    assert_eq!(asked.is(200)[older]["vulnerabilities"].as_array().unwrap().len(), before + 1);
    for (name, status) in [("values.yaml", 400), ("license", 400), ("nothing", 422)] {
        assert_eq!(addition(name).status, status, "{name}");
    }
    for path in ["vulnerabilities", "sbom", "build_history"] {
        let path = format!("{FROM}/1/additions/{path}");
        assert_eq!(Harbor::anonymous(&server).get(&path).status, 401);
        assert_eq!(admin.get(&path.replace("/1/", "/2/")).status, 404);
    }
}

/// Pushes a chart `front:0.1.0` that needs another one and has a file for people to read.
pub(crate) fn push_chart(desk: &Desk, project: &str) {
    desk.helm(&["create", "base"]).ok();
    desk.helm(&["create", "front"]).ok();
    let file = |name: &str| desk.home().join("front").join(name);
    std::fs::write(file("README.md"), "# Front\n<script>alert(1)</script>\n").unwrap();
    let chart = std::fs::read_to_string(file("Chart.yaml")).unwrap();
    let needs = "dependencies:\n- name: base\n  version: 0.1.0\n  repository: file://../base\n";
    std::fs::write(file("Chart.yaml"), chart + needs).unwrap();
    desk.helm(&["package", "front", "--dependency-update", "--version", "0.1.0"]).ok();
    let to = format!("oci://{}", desk.name(project));
    desk.helm(&["push", "front-0.1.0.tgz", &to, "--plain-http"]).ok();
}

#[test]
fn a_chart_tells_its_values_readme_and_dependencies() {
    let server = Server::start();
    let (admin, desk) = (Harbor::admin(&server), Desk::admin(&server));
    project(&admin, "shop", false);
    push_chart(&desk, "shop");
    let addition = |name: &str| {
        admin.get(&format!("/projects/shop/repositories/front/artifacts/0.1.0/additions/{name}"))
    };
    let values = std::fs::read_to_string(desk.home().join("front/values.yaml")).unwrap();
    assert_eq!(addition("values.yaml").is(200), &json!(values));
    let readme = addition("readme.md");
    assert_eq!(readme.is(200), "# Front\n<script>alert(1)</script>\n");
    assert_eq!(readme.headers["content-type"], "text/markdown; charset=utf-8");
    assert_eq!(readme.headers["x-content-type-options"], "nosniff");
    let needed = json!([{"name": "base", "version": "0.1.0", "repository": "file://../base"}]);
    assert_eq!(addition("dependencies").is(200), &needed);
    assert_eq!(addition("build_history").status, 400);
    // What is no gzip, whatever its media type says, is an answer and no crash.
    let http = server.admin();
    let (config, layer) = (&b"{\"name\":\"x\"}"[..], &b"no archive"[..]);
    let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()});
    for bytes in [config, layer] {
        http.push_blob("shop/bad", &digest(bytes), bytes.to_vec()).unwrap();
    }
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor("application/vnd.cncf.helm.config.v1+json", config),
        "layers": [descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", layer)],
    });
    let pushed = http.push_manifest("shop/bad", "1", MANIFEST, &manifest.to_string()).unwrap();
    assert_eq!(pushed.status(), 201);
    let bad = "/projects/shop/repositories/bad/artifacts/1/additions/values.yaml";
    assert_eq!(admin.get(bad).status, 400);
}
