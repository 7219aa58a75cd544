//! Artifacts, which come by pushes: listed, looked at, tagged, labelled and removed.

use crate::{member, on_both, person, project, push};
use sealock_tests::{
    clients::Desk,
    harbor::{Answer, Harbor},
    images::Image,
    server::{Server, eventually},
};
use serde_json::{Value, json};
use std::time::Duration;

const APP: &str = "/projects/shop/repositories/app/artifacts";
pub(crate) const NOTES: &str = "application/vnd.example.notes";

/// Pushes one of the test images with all that it lists.
pub(crate) fn push_image(desk: &Desk, image: &str, name: &str) -> String {
    let image = Image::named(image);
    desk.skopeo_push(&image.reference(), name, &["--all", "--preserve-digests"]).ok();
    image.digest()
}

/// Attaches notes to an artifact with oras.
pub(crate) fn attach(desk: &Desk, name: &str) {
    std::fs::write(desk.home().join("notes.txt"), "notes\n").unwrap();
    let subject = desk.name(name);
    let options = ["attach", "--plain-http", "--artifact-type", NOTES, &subject, "notes.txt"];
    desk.oras(&options).ok();
}

fn query(harbor: &Harbor, list: &str, q: &str) -> Answer {
    let encoded = q.replace(' ', "%20").replace('{', "%7B").replace('}', "%7D");
    let encoded = encoded.replace('[', "%5B").replace(']', "%5D").replace('"', "%22");
    harbor.get(&format!("{list}?q={encoded}"))
}

#[test]
fn what_skopeo_pushed_is_shown_as_harbor_shows_it() {
    on_both(|server| {
        let (ann, desk) = (person(server, "ann"), Desk::admin(server));
        let shop = project(&ann, "shop", false);
        let digest = push_image(&desk, "small", "shop/team/app:1");
        let list = "/projects/shop/repositories/team%252Fapp/artifacts";
        let listed = ann.get(list);
        assert_eq!((listed.total(), listed.column("digest")), (1, vec![json!(digest)]));
        let one = &listed.body[0];
        let manifest = Image::named("small").manifest();
        let layers = manifest["layers"].as_array().unwrap();
        let size: u64 =
            layers.iter().chain([&manifest["config"]]).map(|b| b["size"].as_u64().unwrap()).sum();
        assert!(one["size"].as_u64().unwrap() > size, "the manifest itself counts: {one}");
        for (field, value) in [
            ("type", json!("IMAGE")),
            ("media_type", json!("application/vnd.oci.image.config.v1+json")),
            ("manifest_media_type", json!("application/vnd.oci.image.manifest.v1+json")),
            ("repository_name", json!("shop/team/app")),
            ("project_id", json!(shop)),
            ("pull_time", json!("0001-01-01T00:00:00.000Z")),
        ] {
            assert_eq!(one[field], value, "{field}");
        }
        assert_eq!(one["extra_attrs"]["architecture"], "amd64");
        assert_eq!(one["extra_attrs"]["os"], "linux");
        assert_eq!(
            (&one["tags"][0]["name"], &one["tags"][0]["artifact_id"]),
            (&json!("1"), &one["id"])
        );
        assert!(one.get("labels").is_none() && one.get("scan_overview").is_none());
        let history = one["addition_links"]["build_history"]["href"].as_str().unwrap();
        assert_eq!(history, format!("/api/v2.0{list}/{digest}/additions/build_history"));
        for reference in ["1", &digest] {
            let got = ann.get(&format!("{list}/{reference}"));
            assert_eq!(got.is(200), one, "by {reference}");
        }
        assert!(ann.get(&format!("{list}?with_tag=false")).is(200)[0].get("tags").is_none());
        // Pushed again it is the same.
        push_image(&desk, "small", "shop/team/app:2");
        assert_eq!(ann.get(&format!("{list}/2")).is(200)["id"], one["id"]);
        let icon = one["icon"].as_str().unwrap();
        let icon = Harbor::anonymous(server).get(&format!("/icons/{icon}"));
        assert_eq!(icon.is(200)["content-type"], "image/png");
        for (wrong, status) in [("nothing", 400), (digest.as_str(), 404)] {
            assert_eq!(ann.get(&format!("/icons/{wrong}")).status, status);
        }
    });
}

#[test]
fn a_pull_is_told_with_its_time() {
    let server = Server::start();
    let (ann, desk) = (Harbor::admin(&server), Desk::admin(&server));
    project(&ann, "shop", false);
    push_image(&desk, "small", "shop/app:1");
    let before = ann.get(&format!("{APP}/1")).is(200)["push_time"].as_str().unwrap().to_owned();
    desk.skopeo_pull("shop/app:1", "pulled").ok();
    let pulled = eventually("the time of the pull", Duration::from_secs(20), || {
        let pulled = ann.get(&format!("{APP}/1")).is(200)["pull_time"].as_str().unwrap().to_owned();
        (pulled > before).then_some(pulled)
    });
    assert_eq!(ann.get(&format!("{APP}/1/tags")).is(200)[0]["pull_time"], pulled);
    assert_eq!(query(&ann, APP, &format!("pull_time=[{before}~]")).total(), 1);
    assert_eq!(query(&ann, APP, &format!("pull_time=[~{before}]")).total(), 0);
    assert_eq!(ann.get(&format!("{APP}?sort=-pull_time")).total(), 1);
}

#[test]
fn children_and_accessories_are_listed_when_all_are_asked_for() {
    on_both(|server| {
        let (ann, desk) = (person(server, "ann"), Desk::admin(server));
        project(&ann, "shop", false);
        let index = push_image(&desk, "app-index", "shop/app:all");
        attach(&desk, "shop/app:all");
        let listed = ann.get(APP);
        assert_eq!((listed.total(), listed.column("digest")), (1, vec![json!(index)]));
        let one = &listed.body[0];
        assert_eq!(
            (&one["type"], &one["media_type"]),
            (&json!("IMAGE"), &one["manifest_media_type"])
        );
        let references = one["references"].as_array().unwrap();
        let platforms: Vec<&Value> =
            references.iter().map(|r| &r["platform"]["architecture"]).collect();
        assert_eq!(platforms, ["amd64", "arm64"]);
        let child = references[0]["child_digest"].as_str().unwrap().to_owned();
        let of_child = ann.get(&format!("{APP}/{child}"));
        assert_eq!(of_child.is(200)["id"], references[0]["child_id"]);
        assert!(one["size"].as_u64() > of_child.body["size"].as_u64(), "children count");
        let all = query(&ann, APP, "base=*");
        assert_eq!((all.total(), all.column("digest").len()), (4, 4));
        let repository = ann.get("/projects/shop/repositories/app");
        assert_eq!(repository.is(200)["artifact_count"], 1);

        // A child with a tag of its own is an artifact of its own, until it has none.
        let tags = format!("{APP}/{child}/tags");
        ann.post(&tags, &json!({"name": "amd64"})).is(201);
        assert_eq!(ann.get(APP).total(), 2);
        assert_eq!(query(&ann, APP, "tags=amd64").column("digest"), [json!(child)]);
        assert_eq!(desk.digest_of("shop/app:amd64"), child);
        ann.delete(&format!("{tags}/amd64")).is(200);
        assert_eq!(ann.get(APP).total(), 1);
        // And so is one that another push gives the tag to, and takes it from.
        desk.crane(&["tag", &desk.name(&format!("shop/app@{child}")), "moving"]).ok();
        assert_eq!(ann.get(APP).total(), 2);
        push_image(&desk, "small", "shop/app:moving");
        assert_eq!(ann.get(APP).total(), 2, "the new one, and no more the child");
        assert_eq!(query(&ann, APP, "tags=nil").total(), 0);

        let accessories = ann.get(&format!("{APP}/all/accessories"));
        assert_eq!(
            (accessories.total(), accessories.column("type")),
            (1, vec![json!("subject.accessory")])
        );
        assert_eq!(accessories.body[0]["subject_artifact_digest"], json!(index));
        assert_eq!(accessories.body[0]["subject_artifact_repo"], "shop/app");
        let shown = ann.get(&format!("{APP}/all?with_accessory=true"));
        assert_eq!(shown.is(200)["accessories"], accessories.body);
        assert_eq!(
            query(&ann, &format!("{APP}/all/accessories"), "type=signature.cosign").total(),
            0
        );
    });
}

#[test]
fn lists_understand_harbors_conditions() {
    on_both(|server| {
        let (admin, desk) = (Harbor::admin(server), Desk::admin(server));
        project(&admin, "shop", false);
        let small = push_image(&desk, "small", "shop/app:1.0");
        let base = push_image(&desk, "base", "shop/app:2.0");
        desk.crane(&["tag", &desk.name("shop/app:2.0"), "latest"]).ok();
        push_image(&desk, "small", "shop/tool:1.0");
        let found = |q: &str| query(&admin, APP, q).column("digest");
        assert_eq!(found("tags=*"), [json!(base), json!(small)], "the newest first");
        assert_eq!(found("tags=nil"), [] as [Value; 0]);
        assert_eq!(found("tags=1.0"), [json!(small)]);
        assert_eq!(found("tags=~0"), [json!(base), json!(small)]);
        assert_eq!(found("tags={latest other}"), [json!(base)]);
        assert_eq!(found(&format!("digest={small}")), [json!(small)]);
        assert_eq!(found("type=IMAGE").len(), 2);
        assert_eq!(found("type=CHART").len(), 0);
        assert_eq!(
            found("media_type=application/vnd.oci.image.config.v1+json").len(),
            0,
            "a plus is a space in a query"
        );
        assert_eq!(found("media_type=application/vnd.oci.image.config.v1%2Bjson").len(), 2);
        let time =
            admin.get(&format!("{APP}/2.0")).is(200)["push_time"].as_str().unwrap().to_owned();
        assert_eq!(found(&format!("push_time=[{time}~]")), [json!(base)]);
        assert_eq!(found(&format!("push_time=[~{time}]")).len(), 2);
        let order = |sort: &str| admin.get(&format!("{APP}?sort={sort}")).column("digest");
        assert_eq!(order("push_time"), [json!(small), json!(base)]);
        assert_eq!(order("-push_time"), [json!(base), json!(small)]);
        let sizes = admin.get(&format!("{APP}?sort=size")).column("size");
        assert!(sizes[0].as_u64() < sizes[1].as_u64());
        let page = admin.get(&format!("{APP}?page_size=1&page=2"));
        assert_eq!((page.total(), page.column("digest")), (2, vec![json!(small)]));

        let all = "/projects/shop/artifacts";
        let everywhere = admin.get(all);
        assert_eq!(everywhere.total(), 3);
        assert_eq!(everywhere.column("repository_name"), ["shop/tool", "shop/app", "shop/app"]);
        assert_eq!(query(&admin, all, "repository_name=shop/tool").total(), 1);
        assert_eq!(query(&admin, all, "tags=1.0").total(), 2);
        assert_eq!(admin.get(&format!("{all}?latest_in_repository=true")).status, 400);
        let kind = "q=artifact_type=application/vnd.oci.image.config.v1%2Bjson";
        let newest = admin.get(&format!("{all}?latest_in_repository=true&{kind}"));
        assert_eq!((newest.total(), newest.column("digest")), (2, vec![json!(small), json!(base)]));
        assert_eq!(Harbor::anonymous(server).get(all).status, 401);
        assert!(admin.get("/projects/shop/repositories/none/artifacts").column("id").is_empty());
    });
}

#[test]
fn tags_are_made_and_removed() {
    on_both(|server| {
        let (ann, desk) = (person(server, "ann"), Desk::admin(server));
        let shop = project(&ann, "shop", false);
        let small = push_image(&desk, "small", "shop/app:1");
        let base = push_image(&desk, "base", "shop/app:2");
        let tags = format!("{APP}/{small}/tags");
        let made = ann.post(&tags, &json!({"name": "stable"}));
        made.is(201);
        assert_eq!(made.headers["location"], format!("/api/v2.0{tags}/stable"));
        assert_eq!(desk.digest_of("shop/app:stable"), small);
        assert_eq!(ann.post(&tags, &json!({"name": "stable"})).status, 409);
        assert_eq!(ann.post(&tags, &json!({"name": "2"})).status, 409, "it is another's");
        assert_eq!(desk.digest_of("shop/app:2"), base);
        for bad in ["", "-x", "a b", &"a".repeat(129), &format!("{}.sig", small.replace(':', "-"))]
        {
            assert_eq!(ann.post(&tags, &json!({"name": bad})).status, 400, "{bad}");
        }
        let listed = ann.get(&format!("{tags}?sort=name"));
        assert_eq!((listed.total(), listed.column("name")), (2, vec![json!("1"), json!("stable")]));
        assert_eq!(query(&ann, &tags, "name=~ST").column("name"), ["stable"]);
        let of_base = format!("{APP}/{base}/tags/stable");
        assert_eq!(ann.delete(&of_base).status, 404, "a tag of another artifact");
        ann.delete(&format!("{tags}/stable")).is(200);
        assert_eq!(ann.delete(&format!("{tags}/stable")).status, 404);
        desk.crane(&["manifest", &desk.name("shop/app:stable")]).refused("MANIFEST_UNKNOWN");

        person(server, "gus");
        member(&ann, shop, "gus", 3);
        let gus = Harbor::of(server, "gus", crate::PASSWORD);
        assert_eq!(gus.post(&tags, &json!({"name": "mine"})).status, 403);
        assert_eq!(gus.get(&tags).total(), 1);
    });
}

#[test]
fn an_artifact_goes_with_its_tags_and_accessories() {
    on_both(|server| {
        let (ann, desk) = (person(server, "ann"), Desk::admin(server));
        project(&ann, "shop", false);
        let small = push_image(&desk, "small", "shop/app:1");
        push_image(&desk, "small", "shop/app:2");
        push_image(&desk, "base", "shop/app:3");
        attach(&desk, "shop/app:1");
        let accessory = ann.get(&format!("{APP}/1/accessories")).column("digest");
        let accessory = accessory[0].as_str().unwrap().to_owned();
        ann.delete(&format!("{APP}/2")).is(200);
        for gone in ["1", "2", &small, &accessory] {
            assert_eq!(ann.get(&format!("{APP}/{gone}")).status, 404, "{gone}");
            assert_eq!(ann.delete(&format!("{APP}/{gone}")).status, 404, "{gone}");
        }
        assert_eq!(query(&ann, APP, "base=*").total(), 1);
        desk.crane(&["manifest", &desk.name("shop/app:1")]).refused("MANIFEST_UNKNOWN");
        desk.crane(&["manifest", &desk.name("shop/app:3")]).ok();
    });
}

#[test]
fn labels_are_put_on_artifacts() {
    on_both(|server| {
        let (admin, ann, desk) =
            (Harbor::admin(server), person(server, "ann"), Desk::admin(server));
        let (shop, other) = (project(&ann, "shop", false), project(&ann, "other", false));
        let small = push_image(&desk, "small", "shop/app:1");
        push_image(&desk, "base", "shop/app:2");
        let label = |name: &str, scope: Option<i64>| {
            let body = match scope {
                Some(id) => json!({"name": name, "scope": "p", "project_id": id}),
                None => json!({"name": name, "scope": "g"}),
            };
            admin.post("/labels", &body).made()
        };
        let (good, fast, foreign) =
            (label("good", Some(shop)), label("fast", None), label("foreign", Some(other)));
        let labels = format!("{APP}/1/labels");
        ann.post(&labels, &json!({"id": good})).is(200);
        assert_eq!(ann.post(&labels, &json!({"id": good})).status, 409);
        ann.post(&labels, &json!({"id": fast})).is(200);
        ann.post(&format!("{APP}/2/labels"), &json!({"id": fast})).is(200);
        let not_there = ann.post(&labels, &json!({"id": 99_999_999}));
        let not_here = ann.post(&labels, &json!({"id": foreign}));
        assert_eq!((not_there.status.as_u16(), not_here.status.as_u16()), (404, 404));
        let plain = |answer: &Answer, id: i64| answer.message().replace(&id.to_string(), "#");
        assert_eq!(plain(&not_there, 99_999_999), plain(&not_here, foreign));
        let shown = ann.get(&format!("{APP}/1?with_label=true"));
        let names: Vec<&Value> =
            shown.is(200)["labels"].as_array().unwrap().iter().map(|l| &l["name"]).collect();
        assert_eq!(names, ["fast", "good"]);
        let found = |q: &str| query(&ann, APP, q).total();
        assert_eq!(found(&format!("labels=({good} {fast})")), 1);
        assert_eq!(found(&format!("labels={fast}")), 2);
        assert_eq!(found(&format!("labels={{{good} {foreign}}}")), 1);
        ann.delete(&format!("{labels}/{good}")).is(200);
        assert_eq!(ann.delete(&format!("{labels}/{good}")).status, 404);
        assert_eq!(ann.delete(&format!("{labels}/{foreign}")).status, 404);
        // A label that goes is on nothing any more; so is one whose artifact goes.
        admin.delete(&format!("/labels/{fast}")).is(200);
        assert_eq!(found(&format!("labels={fast}")), 0);
        ann.delete(&format!("{APP}/{small}")).is(200);
        assert_eq!(ann.get(&format!("/labels?scope=p&project_id={shop}")).total(), 1);
    });
}

#[test]
fn findings_and_boms_are_summed_up_in_lists() {
    let server = Server::start();
    let (admin, desk) = (Harbor::admin(&server), Desk::admin(&server));
    project(&admin, "shop", false);
    push_image(&desk, "small", "shop/app:1");
    let one = format!("{APP}/1?with_scan_overview=true&with_sbom_overview=true");
    let report = "application/vnd.security.vulnerability.report; version=1.1";
    let summary = |of: &Answer| of.is(200)["scan_overview"][report]["summary"].clone();
    let before = admin.get(&one);
    let count = |summary: &Value| {
        let number = |name: &str| summary[name].as_u64().unwrap();
        (number("total"), number("fixable"), summary["summary"]["Critical"].as_u64().unwrap_or(0))
    };
    let (total, fixable, critical) = count(&summary(&before));
    advise(&desk, "CVE-2031-0001");
    let shown = eventually("the finding", Duration::from_secs(20), || {
        let shown = admin.get(&one);
        (summary(&shown) != summary(&before)).then_some(shown)
    });
    let overview = &shown.body["scan_overview"][report];
    assert_eq!(count(&overview["summary"]), (total + 1, fixable + 1, critical + 1));
    assert_eq!(
        (&overview["severity"], &overview["scan_status"]),
        (&json!("Critical"), &json!("Success"))
    );
    assert_eq!(overview["scanner"]["name"], "Sealock");
    assert_eq!(overview["complete_percent"], 100);
    assert_eq!(shown.body["sbom_overview"]["scan_status"], "Success");
    let listed = admin.get(&format!("{APP}?with_scan_overview=true"));
    assert_eq!(&listed.is(200)[0]["scan_overview"][report], overview);
    assert!(listed.body[0].get("sbom_overview").is_none());
    let older = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0";
    let asked = admin.with_header("X-Accept-Vulnerabilities", older).get(&one);
    assert_eq!(&asked.is(200)["scan_overview"][older], overview);
    let asked = admin.with_header("X-Accept-Vulnerabilities", "text/plain").get(&one);
    assert!(asked.is(200).get("scan_overview").is_none());
    // What is kept of an overview ends when another finding comes.
    advise(&desk, "CVE-2031-0002");
    eventually("the second finding", Duration::from_secs(20), || {
        (summary(&admin.get(&one))["total"] == total + 2).then_some(())
    });
}

/// Imports an advisory about what the image `small` holds.
pub(crate) fn advise(desk: &Desk, id: &str) {
    let record = json!({
        "schema_version": "1.6.0", "id": id, "modified": "2026-01-01T00:00:00Z",
        "published": "2026-01-01T00:00:00Z", "summary": "Templates escape their sandbox",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}],
        "affected": [{"package": {"ecosystem": "PyPI", "name": "jinja2"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.4"}]}]}],
    });
    let file = format!("{id}.json");
    std::fs::write(desk.home().join(&file), record.to_string()).unwrap();
    let source = id.to_ascii_lowercase();
    desk.sealock(&["advisories", "import", &file, "--source", &source]).ok();
}

#[test]
fn signatures_of_cosign_are_accessories_and_their_state_is_told() {
    let server = Server::start();
    let (admin, desk) = (Harbor::admin(&server), Desk::admin(&server));
    project(&admin, "shop", false);
    let digest = push_image(&desk, "small", "shop/app:1");
    let _ = desk.key_pair("ci");
    let state = |keys: usize, state: &str| {
        let shown = admin.get(&format!("{APP}/1?with_signature=true"));
        let signature = &shown.is(200)["extra_attrs"]["signature"];
        assert_eq!(
            (&signature["state"], signature["keys"].as_array().unwrap().len()),
            (&json!(state), keys)
        );
        let listed = admin.get(&format!("{APP}?with_signature=true"));
        assert_eq!(&listed.is(200)[0]["extra_attrs"]["signature"], signature);
    };
    state(0, "unsigned");
    let image = desk.name(&format!("shop/app@{digest}"));
    let config = desk.signing_config();
    let options = ["--allow-http-registry", "--signing-config", &config, "--key", "ci.key"];
    desk.cosign(&[&["sign"], &options[..], &[image.as_str()]].concat()).ok();
    state(0, "unverified");
    let key = desk.home().join("ci.pub").display().to_string();
    desk.sealock(&["project", "key", "add", "shop", "ci", &key]).ok();
    eventually("the signature to be verified", Duration::from_secs(20), || {
        let shown = admin.get(&format!("{APP}/1?with_signature=true"));
        (shown.body["extra_attrs"]["signature"]["state"] == "verified").then_some(())
    });
    state(1, "verified");

    // Cosign 2 keeps its signature under a tag.
    let legacy =
        ["sign", "--tlog-upload=false", "--allow-http-registry", "--key", "ci.key", &image];
    desk.cosign2(&legacy).ok();
    std::fs::write(desk.home().join("predicate.json"), "{}").unwrap();
    let what = ["--type", "custom", "--predicate", "predicate.json", image.as_str()];
    desk.cosign(&[&["attest"], &options[..], &what[..]].concat()).ok();
    let mut types: Vec<String> = admin
        .get(&format!("{APP}/1/accessories"))
        .column("type")
        .iter()
        .map(|kind| kind.as_str().unwrap().to_owned())
        .collect();
    types.sort();
    assert_eq!(types, ["signature.cosign", "signature.cosign", "subject.accessory"]);
    let listed = admin.get(&format!("{APP}?with_accessory=true"));
    assert_eq!((listed.total(), listed.body[0]["accessories"].as_array().unwrap().len()), (1, 3));
    admin.delete(&format!("{APP}/1")).is(200);
    assert_eq!(query(&admin, APP, "base=*").total(), 0, "they went with it");
}

#[test]
fn charts_and_other_artifacts_have_types() {
    let server = Server::start();
    let (admin, desk) = (Harbor::admin(&server), Desk::admin(&server));
    project(&admin, "shop", false);
    desk.helm(&["create", "front"]).ok();
    desk.helm(&["package", "front", "--version", "0.1.0"]).ok();
    let to = format!("oci://{}", desk.name("shop"));
    desk.helm(&["push", "front-0.1.0.tgz", &to, "--plain-http"]).ok();
    let chart =
        admin.get("/projects/shop/repositories/front/artifacts/0.1.0?with_scan_overview=true");
    assert_eq!(
        (&chart.is(200)["type"], &chart.body["extra_attrs"]["name"]),
        (&json!("CHART"), &json!("front"))
    );
    assert_eq!(chart.body["extra_attrs"]["version"], "0.1.0");
    assert!(chart.body.get("scan_overview").is_none(), "a chart is not scanned");
    std::fs::write(desk.home().join("notes.txt"), "notes\n").unwrap();
    let name = desk.name("shop/notes:1");
    desk.oras(&["push", "--plain-http", "--artifact-type", NOTES, &name, "notes.txt"]).ok();
    let notes = admin.get("/projects/shop/repositories/notes/artifacts/1");
    assert_eq!(
        (&notes.is(200)["type"], &notes.body["artifact_type"]),
        (&json!("UNKNOWN"), &json!(NOTES))
    );
    let config = "{\"framework\":\"x\"}";
    std::fs::write(desk.home().join("model.json"), config).unwrap();
    let name = desk.name("shop/model:1");
    let model = "model.json:application/vnd.example.model.config.v1+json";
    desk.oras(&["push", "--plain-http", "--config", model, &name, "notes.txt"]).ok();
    let shown = admin.get("/projects/shop/repositories/model/artifacts/1");
    assert_eq!(
        (&shown.is(200)["type"], &shown.body["extra_attrs"]),
        (&json!("MODEL"), &json!({"framework": "x"}))
    );
    assert_eq!(query(&admin, "/projects/shop/artifacts", "type=CHART").total(), 1);
}

/// Of another project, an artifact, tag or label is as one that does not exist.
#[test]
fn another_projects_artifacts_are_as_ones_that_do_not_exist() {
    let server = Server::start();
    let (ann, eve) = (person(&server, "ann"), person(&server, "eve"));
    project(&ann, "shop", false);
    project(&eve, "lair", false);
    push(&server, "shop/app:1");
    push(&server, "lair/app:1");
    let digest = Image::named("small").digest();
    for who in [&eve, &Harbor::anonymous(&server)] {
        let both = |path: &str| {
            ["shop", "no-such"].map(|project| {
                let answer = who.get(&path.replace('#', project));
                (answer.status, answer.body.to_string().replace(project, "#"))
            })
        };
        for path in [
            "/projects/#/artifacts",
            "/projects/#/repositories/app/artifacts",
            "/projects/#/repositories/app/artifacts/1",
            "/projects/#/repositories/app/artifacts/1/tags",
            "/projects/#/repositories/app/artifacts/1/accessories",
        ] {
            let [there, not_there] = both(path);
            assert!(there.0.is_client_error());
            assert_eq!(there, not_there, "{path}");
        }
    }
    // The digest is in both projects; each sees its own, with its own number.
    let own = eve.get(&format!("/projects/lair/repositories/app/artifacts/{digest}"));
    let foreign = ann.get(&format!("/projects/shop/repositories/app/artifacts/{digest}"));
    assert_ne!(own.is(200)["id"], foreign.is(200)["id"]);
    let id = &foreign.body["id"];
    assert_eq!(eve.get(&format!("/projects/lair/artifacts?q=id={id}")).total(), 0);
}
