//! Pulls: blobs in whole and in part, manifests by tag and by digest.

use crate::{
    member::{Member, manifest_path},
    support::{OCI_MANIFEST, error, header},
};
use reqwest::Method;
use sealock_oci::Digest;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test]
async fn a_range_in_every_form() {
    let member = Member::new().await;
    let content = b"0123456789";
    let digest = member.blob("team/app", content).await;
    let empty = member.blob("team/app", b"").await;
    let ask = async |digest: &Digest, range: &str| {
        let request = member.ask(Method::GET, &format!("/v2/team/app/blobs/{digest}"));
        let got = request.header("range", range).send().await.unwrap();
        let status = got.status().as_u16();
        assert_eq!(header(&got, "content-range").is_empty(), status == 200, "{range}");
        let about = header(&got, "content-range").to_owned();
        let length = header(&got, "content-length").to_owned();
        let body = got.bytes().await.unwrap();
        assert_eq!(length, body.len().to_string(), "{range}");
        (status, about, String::from_utf8(body.to_vec()).unwrap())
    };
    let huge = "9".repeat(40);
    for (range, about, body) in [
        ("bytes=0-0".to_owned(), "bytes 0-0/10", "0"),
        ("bytes=0-9".to_owned(), "bytes 0-9/10", "0123456789"),
        ("bytes=9-9".to_owned(), "bytes 9-9/10", "9"),
        ("bytes=4-".to_owned(), "bytes 4-9/10", "456789"),
        ("bytes=-1".to_owned(), "bytes 9-9/10", "9"),
        (format!("bytes=-{huge}"), "bytes 0-9/10", "0123456789"),
        (format!("bytes=8-{huge}"), "bytes 8-9/10", "89"),
        ("BYTES=1-2".to_owned(), "bytes 1-2/10", "12"),
    ] {
        assert_eq!(ask(&digest, &range).await, (206, about.to_owned(), body.to_owned()), "{range}");
    }
    for range in
        ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=5-4", &format!("bytes={huge}-{huge}")]
    {
        let (status, about, body) = ask(&digest, range).await;
        assert_eq!((status, about.as_str()), (416, "bytes */10"), "{range}");
        assert!(body.contains("\"SIZE_INVALID\""), "{range}: {body}");
    }
    // What is no range of ours, or of several parts, is answered with the whole.
    for range in ["bytes=0-1,3-4", "bytes=", "bytes=-", "bytes=a-b", "items=0-1", "0-1", "bytes"] {
        let (status, _, body) = ask(&digest, range).await;
        assert_eq!((status, body.as_bytes()), (200, &content[..]), "{range}");
    }
    for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
        let (status, about, _) = ask(&empty, range).await;
        assert_eq!((status, about.as_str()), (416, "bytes */0"), "{range}");
    }
    assert_eq!(ask(&empty, "bytes=0-1,2-3").await.0, 200);
    // A range holds while the content is what the client has a part of: by its tag, and by no date.
    for (condition, status) in [
        (format!("\"{digest}\""), 206),
        (format!("W/\"{digest}\""), 200),
        (format!("\"{empty}\""), 200),
        ("Fri, 27 Nov 2026 08:00:00 GMT".to_owned(), 200),
    ] {
        let request = member.ask(Method::GET, &format!("/v2/team/app/blobs/{digest}"));
        let request = request.header("range", "bytes=0-1").header("if-range", &condition);
        assert_eq!(request.send().await.unwrap().status(), status, "{condition}");
    }
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let member = Member::new().await;
    let digest = member.blob("team/app", b"").await;
    let path = format!("/v2/team/app/blobs/{digest}");
    for method in [Method::GET, Method::HEAD] {
        let got = member.ask(method, &path).send().await.unwrap();
        assert_eq!((got.status().as_u16(), header(&got, "content-length")), (200, "0"));
        assert_eq!(header(&got, "docker-content-digest"), digest.to_string());
        assert_eq!(header(&got, "accept-ranges"), "bytes");
        assert_eq!(header(&got, "content-type"), "application/octet-stream");
        assert!(got.bytes().await.unwrap().is_empty());
    }
}

/// What is no digest is said so; what is one and not here is not found.
#[tokio::test]
async fn digests_are_read_to_the_letter() {
    let member = Member::new().await;
    let upper = HEX.to_uppercase();
    for bad in [
        format!("sha256:{upper}"),
        format!("SHA256:{HEX}"),
        format!("sha256:{}", &HEX[1..]),
        format!("sha256:{HEX}0"),
        format!("sha512:{HEX}"),
        format!("sha384:{HEX}{}", &HEX[..32]),
        format!("md5:{}", &HEX[..32]),
        "sha256:".to_owned(),
        format!(":{HEX}"),
        format!("sha256+b64u:{HEX}"),
        format!("sha256:{HEX}:{HEX}"),
    ] {
        for (method, path) in [
            (Method::GET, format!("/v2/team/app/blobs/{bad}")),
            (Method::DELETE, format!("/v2/team/app/blobs/{bad}")),
            (Method::GET, manifest_path(&bad)),
            (Method::PUT, manifest_path(&bad)),
            (Method::DELETE, manifest_path(&bad)),
            (Method::GET, format!("/v2/team/app/referrers/{bad}")),
            (Method::POST, format!("/v2/team/app/blobs/uploads/?digest={bad}")),
            (Method::POST, format!("/v2/team/app/blobs/uploads/?mount={bad}&from=team/other")),
        ] {
            let what = format!("{method} {path}");
            let answer = member.refused(method, &path).await;
            assert_eq!(answer, (400, "DIGEST_INVALID".into()), "{what}");
        }
    }
    for algorithm in ["sha256", "sha512"] {
        let hex = if algorithm == "sha256" { HEX.to_owned() } else { HEX.repeat(2) };
        for (path, code) in [
            (format!("/v2/team/app/blobs/{algorithm}:{hex}"), "BLOB_UNKNOWN"),
            (manifest_path(format!("{algorithm}:{hex}")), "MANIFEST_UNKNOWN"),
        ] {
            // The repository is not there either, then it is.
            assert_eq!(member.get(&path).await.status(), 404);
            member.blob("team/app", b"something").await;
            assert_eq!(member.refused(Method::GET, &path).await, (404, code.into()), "{path}");
            assert_eq!(member.head(&path).await.status(), 404);
        }
    }
    // Some clients encode the colon.
    let digest = member.blob("team/app", b"content").await;
    let encoded = digest.to_string().replace(':', "%3A");
    assert_eq!(member.get(&format!("/v2/team/app/blobs/{encoded}")).await.status(), 200);
}

/// The type is the pushed one, whatever the client says that it takes.
#[tokio::test]
async fn accept_changes_nothing() {
    let member = Member::new().await;
    let text = member.manifest("one").await.to_string();
    assert_eq!(member.put("v1", OCI_MANIFEST, &text).await.status(), 201);
    for accept in [
        "*/*",
        OCI_MANIFEST,
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v2+json, text/html;q=0.1",
        "application/vnd.oci.image.manifest.v1+json;q=0",
        "text/html",
        "nonsense",
    ] {
        for method in [Method::GET, Method::HEAD] {
            let request = member.ask(method, &manifest_path("v1")).header("accept", accept);
            let got = request.send().await.unwrap();
            assert_eq!(got.status(), 200, "{accept}");
            assert_eq!(header(&got, "content-type"), OCI_MANIFEST, "{accept}");
            assert_eq!(header(&got, "content-length"), text.len().to_string());
        }
    }
}

/// A mirror is told for whom it is asked; a registry that is none answers for itself, and does not
/// say that it looked elsewhere.
#[tokio::test]
async fn the_name_of_an_upstream_is_not_followed() {
    let member = Member::new().await;
    let digest = member.push("v1", "one").await;
    let config = Digest::sha256(b"{}");
    for path in [
        manifest_path("v1"),
        manifest_path(digest),
        format!("/v2/team/app/blobs/{config}"),
        "/v2/team/app/tags/list".to_owned(),
    ] {
        let got = member.get(&format!("{path}?ns=docker.io")).await;
        assert_eq!(got.status(), 200, "{path}");
        assert_eq!(header(&got, "oci-namespace"), "", "{path}");
    }
    let missing = member.get(&format!("{}?ns=docker.io", manifest_path("v2"))).await;
    assert_eq!(error(missing).await, (404, "MANIFEST_UNKNOWN".into()));
}

#[tokio::test]
async fn a_tag_has_at_most_128_characters_and_begins_with_a_word() {
    let member = Member::new().await;
    let text = member.manifest("one").await.to_string();
    let long = |length: usize| "a".repeat(length);
    for tag in [long(128), long(127), "_".into(), "0".into(), "A.b-C_d".into(), "a..b--c__".into()]
    {
        assert_eq!(member.put(&tag, OCI_MANIFEST, &text).await.status(), 201, "{tag}");
        assert_eq!(member.get(&manifest_path(&tag)).await.status(), 200, "{tag}");
    }
    for tag in [long(129), ".a".into(), "-a".into(), "a+b".into(), "a%20b".into(), "a~".into()] {
        let put = error(member.put(&tag, OCI_MANIFEST, &text).await).await;
        assert_eq!(put, (400, "MANIFEST_INVALID".into()), "{tag}");
        for method in [Method::GET, Method::DELETE] {
            let answer = member.refused(method, &manifest_path(&tag)).await;
            assert_eq!(answer, (404, "MANIFEST_UNKNOWN".into()), "{tag}");
        }
    }
}

/// Names of every form that the specification has, and of none that it has not.
#[tokio::test]
async fn names_are_read_as_the_specification_writes_them() {
    let member = Member::new().await;
    let api = &member.api;
    let post = async |name: &str| {
        let path = format!("/v2/{name}/blobs/uploads/");
        let answer = api.ask(Method::POST, &path).send().await.unwrap();
        if answer.status() == 202 { (202, String::new()) } else { error(answer).await }
    };
    for part in ["a", "0", "a.b", "a_b", "a__b", "a-b", "a---b", "a/b/c/d/e/f", "a.b_c__d-e/f"] {
        assert_eq!(post(&format!("team/{part}")).await.0, 202, "{part}");
    }
    let longest = format!("team/{}", "a".repeat(250));
    assert_eq!(post(&longest).await.0, 202);
    for part in [
        "A", "a..b", "a___b", "a.-b", "-a", "a-", ".a", "a.", "_a", "a_", "a b", "a%20b", "a:b",
        "a@b", "a//b", "a/", "\u{e4}", "a~b", "*",
    ] {
        let answer = post(&format!("team/{part}")).await;
        assert_eq!(answer, (400, "NAME_INVALID".into()), "{part}");
    }
    assert_eq!(post(&format!("{longest}a")).await, (400, "NAME_INVALID".into()));
    assert_eq!(post("team").await, (400, "NAME_INVALID".into()), "a project is no repository");
}
