//! Manifests in: bytes stay as they are, types agree, many tags at once, subjects that are absent.

use crate::{
    member::{INDEX, Member, manifest_path},
    support::{OCI_MANIFEST, error, header},
};
use reqwest::Method;
use sealock_oci::{Digest, MAX_MANIFEST_BYTES};
use serde_json::{Value, json};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Pushes a text by tag and by both digests, and pulls it by each.
async fn goes_round(member: &Member, media_type: &str, text: &str) {
    let digests = [Digest::sha256(text.as_bytes()), Digest::sha512(text.as_bytes())];
    let names = ["v1".to_owned(), digests[0].to_string(), digests[1].to_string()];
    for (name, digest) in names.iter().zip([digests[0], digests[0], digests[1]]) {
        let put = member.put(name, media_type, text).await;
        assert_eq!(put.status(), 201, "{name}: {}", put.text().await.unwrap());
        assert_eq!(header(&put, "docker-content-digest"), digest.to_string());
        let location = header(&put, "location").to_owned();
        for path in [location, manifest_path(name)] {
            let got = member.get(&path).await;
            assert_eq!(header(&got, "docker-content-digest"), digest.to_string());
            assert_eq!(header(&got, "etag"), format!("\"{digest}\""));
            assert_eq!(header(&got, "content-type"), media_type.split(';').next().unwrap());
            assert_eq!(header(&got, "content-length"), text.len().to_string());
            assert_eq!(got.text().await.unwrap(), text);
        }
    }
}

#[tokio::test]
async fn bytes_are_kept_whatever_they_look_like() {
    let member = Member::new().await;
    let plain = member.manifest("one").await;
    let mut odd = plain.clone();
    odd["x-unknown"] = json!({"deep": [1, {"er": null}], "\u{1f984}": 1.5e300});
    odd["config"]["data"] = json!("e30=");
    odd["config"]["urls"] = json!(["https://elsewhere.example/x"]);
    let spaced = serde_json::to_string_pretty(&odd).unwrap().replace('\n', "\r\n\t");
    for text in [
        plain.to_string(),
        odd.to_string(),
        format!("\n {spaced} \n\n"),
        plain.to_string().replace("text", "t\\u0065xt"),
    ] {
        goes_round(&member, OCI_MANIFEST, &text).await;
    }
    // A layer that nobody may distribute need not be here.
    let mut foreign = plain.clone();
    foreign["layers"] = json!([{
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "digest": Digest::sha256(b"never pushed"), "size": 123,
        "urls": ["https://elsewhere.example/layer"],
    }]);
    goes_round(&member, OCI_MANIFEST, &foreign.to_string()).await;
    // An empty blob as a layer, an artifact, and Docker's own types.
    let empty = member.blob("team/app", b"").await;
    let mut artifact = plain.clone();
    artifact["artifactType"] = json!("application/vnd.example+type");
    artifact["layers"] =
        json!([{"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 0}]);
    goes_round(&member, OCI_MANIFEST, &artifact.to_string()).await;
    let mut docker = plain.clone();
    docker["mediaType"] = json!(DOCKER);
    goes_round(&member, DOCKER, &docker.to_string()).await;
}

#[tokio::test]
async fn indexes_of_indexes_of_what_is_not_here_with_a_subject() {
    let member = Member::new().await;
    let child = member.push("", "child").await;
    let absent = Digest::sha512(b"absent");
    let entry = |media_type: &str, digest: Digest| json!({"mediaType": media_type, "digest": digest, "size": 2});
    let index =
        |entries: Value| json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    let inner = index(json!([entry(OCI_MANIFEST, child), entry(OCI_MANIFEST, absent)]));
    goes_round(&member, INDEX, &inner.to_string()).await;
    let inner_digest = Digest::sha256(inner.to_string().as_bytes());
    let mut outer = index(json!([entry(INDEX, inner_digest), entry("text/x-unknown", absent)]));
    goes_round(&member, INDEX, &outer.to_string()).await;
    outer["subject"] = entry(OCI_MANIFEST, absent);
    let put = member.put("v2", INDEX, &outer.to_string()).await;
    assert_eq!((put.status().as_u16(), header(&put, "oci-subject")), (201, &*absent.to_string()));
    goes_round(&member, INDEX, &index(json!([])).to_string()).await;
    let mut list = index(json!([entry(DOCKER, child)]));
    list["mediaType"] = json!(DOCKER_LIST);
    goes_round(&member, DOCKER_LIST, &list.to_string()).await;
}

#[tokio::test]
async fn the_type_in_the_header_and_the_one_in_the_body_agree() {
    let member = Member::new().await;
    let typed = member.manifest("one").await;
    let mut untyped = typed.clone();
    untyped.as_object_mut().unwrap().remove("mediaType");
    let mut empty = typed.clone();
    empty["mediaType"] = json!("");
    let (typed, untyped, empty) = (typed.to_string(), untyped.to_string(), empty.to_string());
    for (header, text) in [
        (OCI_MANIFEST, &typed),
        ("application/vnd.oci.image.manifest.v1+json; charset=utf-8", &typed),
        ("Application/Vnd.OCI.image.manifest.v1+JSON;a=b;c=\"d;e\"", &typed),
        ("", &typed),
        (OCI_MANIFEST, &untyped),
        (OCI_MANIFEST, &empty),
    ] {
        let put = member.put("v1", header, text).await;
        assert_eq!(put.status(), 201, "{header}: {}", put.text().await.unwrap());
        let got = member.get(&manifest_path("v1")).await;
        assert_eq!(crate::support::header(&got, "content-type"), OCI_MANIFEST, "{header}");
    }
    for (header, text) in [
        (INDEX, &typed),
        (DOCKER, &typed),
        ("application/json", &typed),
        ("application/octet-stream", &typed),
        ("text/plain", &untyped),
        ("", &untyped),
        ("", &empty),
        (";", &untyped),
        (INDEX, &untyped),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", &untyped),
        ("application/vnd.docker.distribution.manifest.v1+json", &untyped),
        (OCI_MANIFEST, &"".to_owned()),
        (OCI_MANIFEST, &"{}".to_owned()),
        (OCI_MANIFEST, &"null".to_owned()),
        (OCI_MANIFEST, &"[]".to_owned()),
        (OCI_MANIFEST, &typed[..typed.len() - 1].to_owned()),
        (OCI_MANIFEST, &format!("{typed}{{}}")),
        (OCI_MANIFEST, &typed.replace("\"schemaVersion\":2", "\"schemaVersion\":1")),
        (OCI_MANIFEST, &typed.replace("\"schemaVersion\":2", "\"schemaVersion\":\"2\"")),
        (OCI_MANIFEST, &typed.replace("\"size\":2", "\"size\":-2")),
        (OCI_MANIFEST, &typed.replace("\"size\":2", "\"size\":3")),
        (OCI_MANIFEST, &typed.replace("\"size\":2", "\"size\":99999999999999999999")),
        (OCI_MANIFEST, &typed.replace("sha256:", "sha384:")),
        (OCI_MANIFEST, &typed.replace("sha256:", "SHA256:")),
    ] {
        let answer = error(member.put("v2", header, text).await).await;
        assert_eq!(answer, (400, "MANIFEST_INVALID".into()), "{header}: {text}");
    }
    assert_eq!(member.get(&manifest_path("v2")).await.status(), 404);
}

#[tokio::test]
async fn a_manifest_of_four_mebibytes_is_taken_and_one_byte_more_is_not() {
    let member = Member::new().await;
    let frame = member.manifest("").await.to_string().len();
    let at_limit = member.manifest(&"a".repeat(MAX_MANIFEST_BYTES - frame)).await.to_string();
    assert_eq!(at_limit.len(), 4 * 1024 * 1024);
    assert_eq!(member.put("v1", OCI_MANIFEST, &at_limit).await.status(), 201);
    let got = member.get(&manifest_path("v1")).await;
    assert!(got.text().await.unwrap() == at_limit);
    let over = format!("{at_limit} ");
    for name in ["v2".to_owned(), Digest::sha256(over.as_bytes()).to_string()] {
        let answer = error(member.put(&name, OCI_MANIFEST, &over).await).await;
        assert_eq!(answer.0, 413, "{name}");
    }
}

#[tokio::test]
async fn what_a_manifest_names_is_here_but_for_its_subject() {
    let member = Member::new().await;
    let mut manifest = member.manifest("one").await;
    let absent = Digest::sha256(b"absent");
    for digest in [absent, Digest::sha512(b"absent")] {
        manifest["subject"] = json!({"mediaType": "any/thing", "digest": digest, "size": 1});
        let put = member.put("v1", OCI_MANIFEST, &manifest.to_string()).await;
        let subject = header(&put, "oci-subject").to_owned();
        assert_eq!((put.status().as_u16(), subject), (201, digest.to_string()));
    }
    manifest["subject"] = json!({"mediaType": "any/thing", "digest": "sha384:00", "size": 1});
    let wrong = error(member.put("v1", OCI_MANIFEST, &manifest.to_string()).await).await;
    assert_eq!(wrong, (400, "MANIFEST_INVALID".into()));
    manifest.as_object_mut().unwrap().remove("subject");
    let put = member.put("v1", OCI_MANIFEST, &manifest.to_string()).await;
    assert_eq!(header(&put, "oci-subject"), "");
    for part in ["config", "layers"] {
        let mut lacking = manifest.clone();
        let blob = json!({"mediaType": "a/b", "digest": absent, "size": 1});
        lacking[part] = if part == "layers" { json!([blob]) } else { blob };
        let answer = error(member.put("v2", OCI_MANIFEST, &lacking.to_string()).await).await;
        assert_eq!(answer, (404, "MANIFEST_BLOB_UNKNOWN".into()), "{part}");
    }
    // A blob of another repository is not here; mounted, it is.
    let elsewhere = member.blob("team/other", b"elsewhere").await;
    let mut borrowed = manifest.clone();
    borrowed["layers"] = json!([{"mediaType": "a/b", "digest": elsewhere, "size": 9}]);
    let put = member.put("v2", OCI_MANIFEST, &borrowed.to_string()).await;
    assert_eq!(error(put).await, (404, "MANIFEST_BLOB_UNKNOWN".into()));
    let mount = format!("/v2/team/app/blobs/uploads/?mount={elsewhere}&from=team/other");
    assert_eq!(member.post(&mount, b"").await.status(), 201);
    assert_eq!(member.put("v2", OCI_MANIFEST, &borrowed.to_string()).await.status(), 201);
}

fn tags_of(response: &reqwest::Response) -> Vec<String> {
    let values = response.headers().get_all("oci-tag").iter();
    values.flat_map(|value| value.to_str().unwrap().split(", ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn one_push_sets_many_tags_or_none() {
    let member = Member::new().await;
    let text = member.manifest("one").await.to_string();
    for digest in [Digest::sha256(text.as_bytes()), Digest::sha512(text.as_bytes())] {
        let many: Vec<String> = (0..100).map(|n| format!("t{n:03}")).collect();
        let path = |tags: &[String]| format!("{digest}?tag={}", tags.join("&tag="));
        let put = member.put(&path(&many), OCI_MANIFEST, &text).await;
        assert_eq!(put.status(), 201);
        assert_eq!(tags_of(&put), many, "each tag that was set, once");
        let lines = put.headers().get_all("oci-tag").iter().count();
        assert!(lines <= 10, "{lines} lines are too many for clients that take a hundred");
        for tag in ["t000", "t099"] {
            let head = member.head(&manifest_path(tag)).await;
            assert_eq!(header(&head, "docker-content-digest"), digest.to_string());
        }
        // A tag that is named twice is one tag.
        let twice = ["a", "b", "a"].map(str::to_owned);
        let put = member.put(&path(&twice), OCI_MANIFEST, &text).await;
        assert_eq!((put.status().as_u16(), tags_of(&put)), (201, vec!["a".into(), "b".into()]));
        // One bad tag among good ones, or one too many: nothing is set.
        for bad in ["-x", "", "a/b", "a+b", &"x".repeat(129)] {
            let tags = ["new".to_owned(), bad.to_owned()];
            let answer = error(member.put(&path(&tags), OCI_MANIFEST, &text).await).await;
            assert_eq!(answer, (400, "MANIFEST_INVALID".into()), "{bad}");
        }
        let mut more = many.clone();
        more.push("new".into());
        let answer = error(member.put(&path(&more), OCI_MANIFEST, &text).await).await;
        assert_eq!(answer, (414, "UNSUPPORTED".into()));
        assert_eq!(member.get(&manifest_path("new")).await.status(), 404);
        // Without a parameter there is nothing to say.
        let put = member.put(&digest.to_string(), OCI_MANIFEST, &text).await;
        assert!(tags_of(&put).is_empty());
    }
    // It belongs to pushes by digest; by tag, nothing is set and nothing claimed.
    let put = member.put("v1?tag=v2", OCI_MANIFEST, &text).await;
    assert_eq!((put.status().as_u16(), tags_of(&put)), (201, Vec::new()));
    assert_eq!(member.get(&manifest_path("v2")).await.status(), 404);
}

#[tokio::test]
async fn a_digest_in_the_path_is_the_digest_of_the_bytes() {
    let member = Member::new().await;
    let text = member.manifest("one").await.to_string();
    for wrong in [Digest::sha256(b"other"), Digest::sha512(b"other")] {
        let put = member.put(&wrong.to_string(), OCI_MANIFEST, &text).await;
        assert_eq!(error(put).await, (400, "DIGEST_INVALID".into()));
        let put = member.put(&format!("{wrong}?tag=v1"), OCI_MANIFEST, &text).await;
        assert_eq!(put.status(), 400);
    }
    assert_eq!(member.get(&manifest_path("v1")).await.status(), 404);
    assert_eq!(member.get("/v2/team/app/tags/list").await.status(), 200);
    // Pushed again it is the same manifest, and the tag stays where it is.
    for status in [201, 201] {
        assert_eq!(member.put("v1", OCI_MANIFEST, &text).await.status(), status);
    }
    let wrong_method = member.ask(Method::POST, &manifest_path("v1")).send().await.unwrap();
    assert_eq!(header(&wrong_method, "allow"), "GET, HEAD, PUT, DELETE");
    assert_eq!(error(wrong_method).await, (405, "UNSUPPORTED".into()));
}
