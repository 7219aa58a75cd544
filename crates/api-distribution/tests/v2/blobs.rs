use crate::support::{Api, error, header};
use reqwest::Method;
use sealock_oci::Digest;

#[tokio::test]
async fn whole_in_part_and_only_the_head() {
    let api = Api::new().await;
    let content: Vec<u8> = (0..600_000u32).map(|i| (i / 3) as u8).collect();
    let digest = api.blob("team/app", &content).await;
    let path = format!("/v2/team/app/blobs/{digest}");
    for method in [Method::GET, Method::HEAD] {
        let response = api.ask(method.clone(), &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-length"), "600000");
        assert_eq!(header(&response, "docker-content-digest"), digest.to_string());
        assert_eq!(header(&response, "etag"), format!("\"{digest}\""));
        let body = response.bytes().await.unwrap();
        assert!(method == Method::HEAD && body.is_empty() || body == content);
    }
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=262140-262150", 262_140, 262_150),
        ("bytes=599990-", 599_990, 599_999),
        ("bytes=-10", 599_990, 599_999),
        ("bytes=0-9999999", 0, 599_999),
    ] {
        let response = api.ask(Method::GET, &path).header("range", range).send().await.unwrap();
        assert_eq!(response.status(), 206, "{range}");
        assert_eq!(header(&response, "content-range"), format!("bytes {first}-{last}/600000"));
        assert_eq!(response.bytes().await.unwrap(), content[first..=last], "{range}");
    }
    let beyond = api.ask(Method::GET, &path).header("range", "bytes=600000-").send().await.unwrap();
    assert_eq!(header(&beyond, "content-range"), "bytes */600000");
    assert_eq!(error(beyond).await.0, 416);
    let head = api.ask(Method::HEAD, &path).header("range", "bytes=0-1").send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "600000"));
    let stale = api.ask(Method::GET, &path).header("range", "bytes=0-1");
    let stale = stale.header("if-range", "\"other\"").send().await.unwrap();
    assert_eq!(stale.status(), 200);
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let api = Api::new().await;
    let digest = api.blob("team/app", b"content").await;
    let path = format!("/v2/team/app/blobs/{digest}");
    for method in [Method::GET, Method::HEAD] {
        let request = api.ask(method, &path).header("if-none-match", format!("\"{digest}\""));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 304);
        // What a length says of the answer that is not sent is right (RFC 9110, section 8.6).
        let length = response.headers().get("content-length");
        assert!(length.is_none_or(|length| length == "7"), "{length:?}");
        assert!(response.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_the_client_does_not_mean_is_neither_sent_nor_deleted() {
    let api = Api::new().await;
    let digest = api.blob("team/app", b"content").await;
    let path = format!("/v2/team/app/blobs/{digest}");
    let status = async |method: &Method, name: &str, tags: &str| {
        let answer = api.ask(method.clone(), &path).header(name, tags).send().await.unwrap();
        answer.status().as_u16()
    };
    let (same, weak) = (format!("\"{digest}\""), format!("W/\"{digest}\""));
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        assert_eq!(status(&method, "if-match", "\"other\"").await, 412, "{method}");
        assert_eq!(status(&method, "if-match", &weak).await, 412, "{method}");
    }
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(status(&method, "if-match", "*").await, 200, "{method}");
        assert_eq!(
            status(&method, "if-match", &format!("\"other\", {same}")).await,
            200,
            "{method}"
        );
    }
    assert_eq!(status(&Method::DELETE, "if-none-match", "*").await, 412);
    assert_eq!(status(&Method::DELETE, "if-match", &same).await, 202);
    assert_eq!(status(&Method::GET, "if-match", &same).await, 404);
}

#[tokio::test]
async fn a_blob_in_use_tells_what_may_be_done_with_it() {
    let api = Api::new().await;
    api.push("team/app", "v1", "content").await;
    let blob = Digest::sha256(b"layer content");
    let refused = api.ask(Method::DELETE, &format!("/v2/team/app/blobs/{blob}"));
    let refused = refused.send().await.unwrap();
    assert_eq!(header(&refused, "allow"), "GET, HEAD");
    assert_eq!(error(refused).await, (405, "UNSUPPORTED".into()));
}

#[tokio::test]
async fn a_blob_exists_only_where_it_was_pushed() {
    let api = Api::new().await;
    let digest = api.blob("team/app", b"content").await;
    api.blob("team/other", b"something else").await;
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        assert_eq!(api.status(method, &format!("/v2/team/other/blobs/{digest}")).await, 404);
    }
    let unknown = Digest::sha256(b"never pushed");
    let get = api.ask(Method::GET, &format!("/v2/team/app/blobs/{unknown}")).send().await.unwrap();
    assert_eq!(error(get).await, (404, "BLOB_UNKNOWN".into()));
    let get = api.ask(Method::GET, "/v2/team/app/blobs/sha256:abc").send().await.unwrap();
    assert_eq!(error(get).await, (400, "DIGEST_INVALID".into()));
    assert_eq!(api.status(Method::DELETE, &format!("/v2/team/app/blobs/{digest}")).await, 202);
    assert_eq!(api.status(Method::GET, &format!("/v2/team/app/blobs/{digest}")).await, 404);
}
