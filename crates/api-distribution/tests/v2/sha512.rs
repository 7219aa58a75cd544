//! SHA-512 wherever a digest can stand.

use crate::support::{Api, OCI_MANIFEST, error, header, json_of};
use reqwest::{Method, Response};
use sealock_oci::{Digest, ReferrersTag};
use serde_json::{Value, json};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

async fn get(api: &Api, path: &str) -> Response {
    api.ask(Method::GET, path).send().await.unwrap()
}

/// An image whose configuration and layer are named by SHA-512.
async fn image(api: &Api, name: &str, text: &str) -> Value {
    let blob = async |media_type: &str, content: String| {
        let digest = Digest::sha512(content.as_bytes());
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let size = content.len();
        let pushed = api.ask(Method::POST, &path).body(content).send().await.unwrap();
        assert_eq!(pushed.status(), 201);
        assert_eq!(header(&pushed, "docker-content-digest"), digest.to_string());
        json!({"mediaType": media_type, "digest": digest, "size": size})
    };
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blob("application/vnd.example.config.v1+json", format!("{{\"t\":\"{text}\"}}")).await,
        "layers": [blob("application/vnd.example.text", format!("layer {text}")).await],
    })
}

fn listed(index: &Value) -> Vec<String> {
    let entries = index["manifests"].as_array().unwrap().iter();
    entries.map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn blobs_answer_with_the_digest_that_was_asked_for() {
    let api = Api::new().await;
    let (short, long) = (Digest::sha256(b"layer x"), Digest::sha512(b"layer x"));
    image(&api, "team/app", "x").await;
    let path = |name: &str, digest: Digest| format!("/v2/{name}/blobs/{digest}");
    assert_eq!(api.status(Method::HEAD, &path("team/app", short)).await, 404, "another name");
    api.blob("team/app", b"layer x").await;
    for digest in [short, long] {
        for method in [Method::GET, Method::HEAD] {
            let answer = api.ask(method, &path("team/app", digest)).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(header(&answer, "docker-content-digest"), digest.to_string());
            assert_eq!(header(&answer, "etag"), format!("\"{digest}\""));
            assert_eq!(header(&answer, "content-length"), "7");
        }
        let part = api.ask(Method::GET, &path("team/app", digest)).header("range", "bytes=1-2");
        assert_eq!(part.send().await.unwrap().text().await.unwrap(), "ay");
        for query in [format!("mount={digest}&from=team/app"), format!("mount={digest}")] {
            let name = format!("team/{}", query.len());
            let post = format!("/v2/{name}/blobs/uploads/?{query}");
            let mounted = api.ask(Method::POST, &post).send().await.unwrap();
            assert_eq!(mounted.status(), 201, "{query}");
            assert_eq!(get(&api, &path(&name, digest)).await.text().await.unwrap(), "layer x");
        }
    }
    // Two names are two things: one goes, the other stays.
    assert_eq!(api.status(Method::DELETE, &path("team/app", long)).await, 202);
    assert_eq!(api.status(Method::GET, &path("team/app", long)).await, 404);
    assert_eq!(api.status(Method::GET, &path("team/app", short)).await, 200);
}

#[tokio::test]
async fn the_same_manifest_under_two_digests_is_two_manifests() {
    let api = Api::new().await;
    let manifest = image(&api, "team/app", "one").await;
    let text = manifest.to_string();
    let (short, long) = (Digest::sha256(text.as_bytes()), Digest::sha512(text.as_bytes()));
    let path = |reference: &str| format!("/v2/team/app/manifests/{reference}");
    let put = api.put("team/app", &format!("{long}?tag=long&tag=both"), &manifest).await;
    assert_eq!(put.status(), 201);
    assert_eq!(header(&put, "location"), path(&long.to_string()));
    assert_eq!(header(&put, "docker-content-digest"), long.to_string());
    assert_eq!(put.headers().get_all("oci-tag").iter().count(), 2);
    assert_eq!(api.status(Method::GET, &path(&short.to_string())).await, 404, "not by its other");
    // A push by tag is named by SHA-256, whatever the manifest's blobs are named by.
    let put = api.put("team/app", "short", &manifest).await;
    assert_eq!(header(&put, "docker-content-digest"), short.to_string());
    let (short_name, long_name) = (short.to_string(), long.to_string());
    for (reference, digest) in [
        (short_name.as_str(), short),
        (long_name.as_str(), long),
        ("short", short),
        ("long", long),
        ("both", long),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = api.ask(method.clone(), &path(reference)).send().await.unwrap();
            assert_eq!(header(&answer, "docker-content-digest"), digest.to_string(), "{reference}");
            assert_eq!(header(&answer, "etag"), format!("\"{digest}\""));
            let body = answer.text().await.unwrap();
            assert!(method == Method::HEAD && body.is_empty() || body == text);
        }
    }
    // A tag moves from one to the other like between any two, and conditions tell them apart.
    let request = |etag: Digest| {
        let request = api.ask(Method::PUT, &path("both")).header("if-match", format!("\"{etag}\""));
        request.header("content-type", OCI_MANIFEST).body(text.clone()).send()
    };
    assert_eq!(request(short).await.unwrap().status(), 412);
    assert_eq!(request(long).await.unwrap().status(), 201);
    assert_eq!(header(&get(&api, &path("both")).await, "docker-content-digest"), short.to_string());
    assert_eq!(api.status(Method::DELETE, &path(&short.to_string())).await, 202);
    for (reference, status) in [("short", 404), ("both", 404), ("long", 200)] {
        assert_eq!(api.status(Method::GET, &path(reference)).await, status, "{reference}");
    }
    let mut other = manifest.clone();
    other["annotations"] = json!({"a": "b"});
    let wrong = api.put("team/app", &long.to_string(), &other).await;
    assert_eq!(error(wrong).await, (400, "DIGEST_INVALID".into()));
}

#[tokio::test]
async fn subjects_and_their_referrers() {
    let api = Api::new().await;
    let subject = image(&api, "team/app", "subject").await;
    let text = subject.to_string();
    let (short, long) = (Digest::sha256(text.as_bytes()), Digest::sha512(text.as_bytes()));
    let mut expected = Vec::new();
    // Before the subject is there, and after; named by one digest and by the other.
    for round in 0..2 {
        let mut referrer = image(&api, "team/app", &format!("referrer {round}")).await;
        referrer["subject"] =
            json!({"mediaType": OCI_MANIFEST, "digest": long, "size": text.len()});
        let bytes = referrer.to_string();
        let digest = [Digest::sha256, Digest::sha512][round](bytes.as_bytes());
        let put = api.put("team/app", &digest.to_string(), &referrer).await;
        assert_eq!(put.status(), 201);
        assert_eq!(header(&put, "oci-subject"), long.to_string());
        expected.push(digest.to_string());
        assert_eq!(api.put("team/app", &long.to_string(), &subject).await.status(), 201);
    }
    let referrers = async |digest: Digest| {
        listed(&json_of(get(&api, &format!("/v2/team/app/referrers/{digest}")).await).await)
    };
    expected.sort();
    assert_eq!(referrers(long).await, expected);
    assert!(referrers(short).await.is_empty(), "what is said of one name is not said of another");
    assert_eq!(api.put("team/app", "v1", &subject).await.status(), 201);
    let path = |digest: &str| format!("/v2/team/app/manifests/{digest}");
    assert_eq!(api.status(Method::DELETE, &path(&short.to_string())).await, 202);
    assert_eq!(referrers(long).await, expected, "they belong to the other");
    assert_eq!(api.status(Method::DELETE, &path(&long.to_string())).await, 202);
    for digest in &expected {
        assert_eq!(api.status(Method::GET, &path(digest)).await, 404, "dies with its subject");
    }
}

/// A tag cannot carry a SHA-512 digest: clients cut it after 64 characters.
#[tokio::test]
async fn the_referrers_tag_of_a_long_digest_is_found_and_goes_with_its_subject() {
    let api = Api::new().await;
    let subject = image(&api, "team/app", "subject").await;
    let text = subject.to_string();
    let long = Digest::sha512(text.as_bytes());
    assert_eq!(api.put("team/app", &long.to_string(), &subject).await.status(), 201);
    let member = image(&api, "team/app", "member").await;
    let bytes = member.to_string();
    let digest = Digest::sha512(bytes.as_bytes());
    assert_eq!(api.put("team/app", &digest.to_string(), &member).await.status(), 201);
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [{"mediaType": OCI_MANIFEST, "digest": digest, "size": bytes.len()}],
    });
    let tag = ReferrersTag::of(&long).text();
    assert_eq!(tag.len(), "sha512-".len() + 64);
    assert_eq!(api.put("team/app", &tag, &index).await.status(), 201);
    let path = format!("/v2/team/app/referrers/{long}");
    assert_eq!(listed(&json_of(get(&api, &path).await).await), [digest.to_string()]);
    assert_eq!(api.status(Method::DELETE, &format!("/v2/team/app/manifests/{long}")).await, 202);
    assert_eq!(api.status(Method::GET, &format!("/v2/team/app/manifests/{tag}")).await, 404);
    assert!(listed(&json_of(get(&api, &path).await).await).is_empty());
    let member = format!("/v2/team/app/manifests/{digest}");
    assert_eq!(api.status(Method::GET, &member).await, 200, "to be listed binds nobody");
}
