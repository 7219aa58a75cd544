//! Deletions: at once, and only of what was named.

use crate::{
    member::{INDEX, Member, manifest_path},
    on_both_engines,
    support::{OCI_MANIFEST, error, header, json_of},
};
use reqwest::Method;
use sealock_oci::Digest;
use serde_json::json;

on_both_engines!(
    a_tag_goes_alone_and_a_manifest_with_all_its_tags,
    a_blob_goes_when_no_manifest_names_it,
    a_deletion_with_a_condition_is_made_when_it_holds,
);

async fn tags(member: &Member) -> Vec<serde_json::Value> {
    let list = json_of(member.get("/v2/team/app/tags/list").await).await;
    list["tags"].as_array().unwrap().clone()
}

async fn a_tag_goes_alone_and_a_manifest_with_all_its_tags(member: Member) {
    let nowhere = manifest_path("v1");
    assert_eq!(member.refused(Method::DELETE, &nowhere).await, (404, "NAME_UNKNOWN".into()));
    for digest_of in [Digest::sha256 as fn(&[u8]) -> Digest, Digest::sha512] {
        let text = member.manifest("one").await.to_string();
        let digest = digest_of(text.as_bytes());
        let put = member.put(&format!("{digest}?tag=a&tag=b&tag=c"), OCI_MANIFEST, &text).await;
        assert_eq!(put.status(), 201);
        member.push("other", "other").await;
        let gone = member.delete(&manifest_path("a")).await;
        assert_eq!(gone.status(), 202);
        assert!(gone.bytes().await.unwrap().is_empty());
        assert_eq!(tags(&member).await, [json!("b"), json!("c"), json!("other")]);
        for (name, status) in
            [("a".to_owned(), 404), ("b".to_owned(), 200), (digest.to_string(), 200)]
        {
            assert_eq!(member.get(&manifest_path(&name)).await.status(), status, "{name}");
            assert_eq!(member.head(&manifest_path(&name)).await.status(), status, "{name}");
        }
        let again = member.refused(Method::DELETE, &manifest_path("a")).await;
        assert_eq!(again, (404, "MANIFEST_UNKNOWN".into()));
        // By its other name it is another manifest, which is not here.
        let twin = Digest::of(digest.algorithm().other(), text.as_bytes());
        assert_eq!(member.delete(&manifest_path(twin)).await.status(), 404);
        assert_eq!(member.delete(&manifest_path(digest)).await.status(), 202);
        for name in ["b".to_owned(), "c".to_owned(), digest.to_string()] {
            let answer = member.refused(Method::GET, &manifest_path(&name)).await;
            assert_eq!(answer, (404, "MANIFEST_UNKNOWN".into()), "{name}");
            assert_eq!(member.delete(&manifest_path(&name)).await.status(), 404, "{name}");
        }
        assert_eq!(tags(&member).await, [json!("other")], "at once");
        // What was deleted can come again.
        assert_eq!(member.put("a", OCI_MANIFEST, &text).await.status(), 201);
        assert_eq!(member.delete(&manifest_path("a")).await.status(), 202);
        assert_eq!(member.delete(&manifest_path("other")).await.status(), 202);
        let by_tag = Digest::sha256(text.as_bytes());
        assert_eq!(member.delete(&manifest_path(by_tag)).await.status(), 202);
    }
    // A child goes though an index lists it; the index stays, and says what it said.
    let child = member.push("", "child").await;
    let entry = json!({"mediaType": OCI_MANIFEST, "digest": child, "size": 1});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).to_string();
    assert_eq!(member.put("index", INDEX, &index).await.status(), 201);
    assert_eq!(member.delete(&manifest_path(child)).await.status(), 202);
    assert_eq!(member.get(&manifest_path(child)).await.status(), 404);
    assert_eq!(member.get(&manifest_path("index")).await.text().await.unwrap(), index);
}

async fn a_blob_goes_when_no_manifest_names_it(member: Member) {
    let path = |digest: &Digest| format!("/v2/team/app/blobs/{digest}");
    let missing = Digest::sha256(b"missing");
    assert_eq!(member.refused(Method::DELETE, &path(&missing)).await.0, 404);
    let loose = member.blob("team/app", b"loose").await;
    member.blob("team/other", b"loose").await;
    assert_eq!(member.refused(Method::DELETE, &path(&missing)).await, (404, "BLOB_UNKNOWN".into()));
    assert_eq!(member.delete(&path(&loose)).await.status(), 202);
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        let answer = member.ask(method, &path(&loose)).send().await.unwrap();
        assert_eq!(answer.status(), 404);
    }
    let elsewhere = member.get(&format!("/v2/team/other/blobs/{loose}")).await;
    assert_eq!(elsewhere.text().await.unwrap(), "loose", "another repository's is its own");
    // One that a manifest names stays until the manifest goes: nothing is left that cannot be
    // pulled.
    let manifest = member.push("v1", "one").await;
    let config = Digest::sha256(b"{}");
    let kept = member.refused(Method::DELETE, &path(&config)).await;
    assert_eq!(kept, (405, "UNSUPPORTED".into()));
    assert_eq!(member.get(&path(&config)).await.status(), 200);
    assert_eq!(member.delete(&manifest_path(manifest)).await.status(), 202);
    assert_eq!(member.delete(&path(&config)).await.status(), 202);
    // And comes again by a push.
    member.push("v1", "one").await;
    assert_eq!(member.get(&path(&config)).await.text().await.unwrap(), "{}");
}

async fn a_deletion_with_a_condition_is_made_when_it_holds(member: Member) {
    let digest = member.push("v1", "one").await;
    let delete = async |name: &str, condition: &str, value: &str| {
        let request = member.ask(Method::DELETE, &manifest_path(name)).header(condition, value);
        request.send().await.unwrap()
    };
    let other = Digest::sha256(b"other");
    let name = digest.to_string();
    for (reference, condition, value) in [
        ("v1", "if-match", format!("\"{other}\"")),
        ("v1", "if-match", format!("W/\"{digest}\"")),
        ("v1", "if-match", digest.to_string()),
        ("v1", "if-match", String::new()),
        ("v1", "if-none-match", format!("\"{other}\", \"{digest}\"")),
        ("v1", "if-none-match", "*".to_owned()),
        (&name, "if-match", format!("\"{other}\"")),
        (&name, "if-none-match", "*".to_owned()),
    ] {
        let answer = delete(reference, condition, &value).await;
        let (status, code) = error(answer).await;
        assert_eq!((status, code.as_str()), (412, "DENIED"), "{reference} {condition}: {value}");
    }
    assert_eq!(member.get(&manifest_path("v1")).await.status(), 200);
    let etag = header(&member.head(&manifest_path("v1")).await, "etag").to_owned();
    assert_eq!(etag, format!("\"{digest}\""), "strong, and of the content");
    assert_eq!(delete("v1", "if-match", &format!("\"{other}\", {etag}")).await.status(), 202);
    member.push("v1", "one").await;
    assert_eq!(delete("v1", "if-match", "*").await.status(), 202);
    assert_eq!(delete(&name, "if-match", &etag).await.status(), 202);
    assert_eq!(member.get(&manifest_path(&name)).await.status(), 404);
}
