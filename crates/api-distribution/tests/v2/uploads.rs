use crate::support::{Api, error, header};
use reqwest::Method;
use sealock_auth::Role;
use sealock_blobs::testing::Operation;
use sealock_oci::Digest;
use std::io::ErrorKind;

async fn has(api: &Api, content: &[u8]) {
    let path = format!("/v2/team/app/blobs/{}", Digest::sha256(content));
    let response = api.ask(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.bytes().await.unwrap(), content);
}

#[tokio::test]
async fn in_one_request_and_in_two() {
    let api = Api::new().await;
    for content in [&b"first"[..], b"", b"first"] {
        api.blob("team/app", content).await;
        has(&api, content).await;
    }
    let location = api.begin("team/app").await;
    let digest = Digest::sha256(b"second");
    let put = api.ask(Method::PUT, &format!("{location}?digest={digest}")).body("second");
    let put = put.send().await.unwrap();
    assert_eq!(put.status(), 201);
    assert_eq!(header(&put, "location"), format!("/v2/team/app/blobs/{digest}"));
    assert_eq!(header(&put, "docker-content-digest"), digest.to_string());
    has(&api, b"second").await;
    assert_eq!(
        error(api.ask(Method::GET, &location).send().await.unwrap()).await.1,
        "BLOB_UPLOAD_UNKNOWN"
    );
}

#[tokio::test]
async fn in_chunks_out_of_order_and_on() {
    let api = Api::new().await;
    let location = api.begin("team/app").await;
    let chunk = |range: &'static str, bytes: &'static str| {
        api.ask(Method::PATCH, &location).header("content-range", range).body(bytes).send()
    };
    let first = chunk("0-4", "01234").await.unwrap();
    assert_eq!((first.status().as_u16(), header(&first, "range")), (202, "0-4"));
    for wrong in ["6-7", "0-1", "4-5"] {
        let answer = chunk(wrong, "xx").await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "range")), (416, "0-4"), "{wrong}");
        assert_eq!(header(&answer, "location"), location);
    }
    assert_eq!(chunk("5-9", "too long").await.unwrap().status(), 400);
    let status = api.ask(Method::GET, &location).send().await.unwrap();
    assert_eq!((status.status().as_u16(), header(&status, "range")), (204, "0-4"));
    assert_eq!(chunk("5-6", "56").await.unwrap().status(), 202);
    let streamed = api.ask(Method::PATCH, &location).body("78").send().await.unwrap();
    assert_eq!(header(&streamed, "range"), "0-8");
    let whole = "0123456789";
    let end = format!("{location}?digest={}", Digest::sha256(whole.as_bytes()));
    let early = api.ask(Method::PUT, &end).header("content-range", "20-20").body("9");
    assert_eq!(early.send().await.unwrap().status(), 416);
    let last = api.ask(Method::PUT, &end).header("content-range", "9-9").body("9");
    assert_eq!(last.send().await.unwrap().status(), 201);
    has(&api, whole.as_bytes()).await;
}

#[tokio::test]
async fn a_wrong_digest_leaves_nothing() {
    let api = Api::new().await;
    let wrong = Digest::sha256(b"other");
    let location = api.begin("team/app").await;
    api.ask(Method::PATCH, &location).body("content").send().await.unwrap();
    let put = api.ask(Method::PUT, &format!("{location}?digest={wrong}")).send().await.unwrap();
    assert_eq!(error(put).await, (400, "DIGEST_INVALID".into()));
    let path = format!("/v2/team/app/blobs/uploads/?digest={wrong}");
    let post = api.ask(Method::POST, &path).body("content").send().await.unwrap();
    assert_eq!(error(post).await, (400, "DIGEST_INVALID".into()));
    for digest in [wrong, Digest::sha256(b"content")] {
        assert_eq!(api.status(Method::HEAD, &format!("/v2/team/app/blobs/{digest}")).await, 404);
    }
    let location = api.begin("team/app").await;
    for query in ["", "?digest=", "?digest=md5:00", "?digest=sha256:00"] {
        let put = api.ask(Method::PUT, &format!("{location}{query}")).send().await.unwrap();
        assert_eq!(error(put).await, (400, "DIGEST_INVALID".into()), "{query}");
    }
    assert_eq!(api.status(Method::GET, &location).await, 204, "a typing error costs nothing");
}

#[tokio::test]
async fn cancelled_uploads_and_those_of_others_are_unknown() {
    let api = Api::new().await;
    api.stand.user("dana").await;
    api.stand.member("team", "dana", Role::Developer).await;
    let location = api.begin("team/app").await;
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let other = api.by("dana", method, &location).send().await.unwrap();
        assert_eq!(error(other).await, (404, "BLOB_UPLOAD_UNKNOWN".into()));
    }
    let elsewhere = location.replace("team/app", "team/other");
    assert_eq!(api.status(Method::GET, &elsewhere).await, 404);
    assert_eq!(api.status(Method::DELETE, &location).await, 204);
    assert_eq!(api.status(Method::GET, &location).await, 404);
    assert_eq!(api.status(Method::DELETE, &location).await, 404);
}

#[tokio::test]
async fn sha512_whether_it_is_announced_or_not() {
    let api = Api::new().await;
    let digest = Digest::sha512(b"content");
    let path = "/v2/team/app/blobs/uploads/?digest-algorithm=sha512";
    let begun = api.ask(Method::POST, path).send().await.unwrap();
    let location = header(&begun, "location").to_owned();
    api.ask(Method::PATCH, &location).body("content").send().await.unwrap();
    let put = api.ask(Method::PUT, &format!("{location}?digest={digest}")).send().await.unwrap();
    assert_eq!(put.status(), 201);
    let get = api.ask(Method::GET, &format!("/v2/team/app/blobs/{digest}")).send().await.unwrap();
    assert_eq!(header(&get, "docker-content-digest"), digest.to_string());
    let late = Digest::sha512(b"all in the last request");
    let location = api.begin("team/app").await;
    let put = api.ask(Method::PUT, &format!("{location}?digest={late}"));
    let put = put.body("all in the last request").send().await.unwrap();
    assert_eq!(put.status(), 201);
    // Chunks whose algorithm the client names only at the end, and the other way round.
    for (announced, by) in
        [("", Digest::sha512 as fn(&[u8]) -> Digest), ("?digest-algorithm=sha512", Digest::sha256)]
    {
        let path = format!("/v2/team/app/blobs/uploads/{announced}");
        let begin = async || {
            let begun = api.ask(Method::POST, &path).send().await.unwrap();
            let location = header(&begun, "location").to_owned();
            api.ask(Method::PATCH, &location).body("in two ").send().await.unwrap();
            location
        };
        let end = |location: &str, digest| {
            api.ask(Method::PUT, &format!("{location}?digest={digest}")).body("parts").send()
        };
        let wrong = end(&begin().await, by(b"in two halves")).await.unwrap();
        assert_eq!(error(wrong).await, (400, "DIGEST_INVALID".into()));
        let digest = by(b"in two parts");
        assert_eq!(end(&begin().await, digest).await.unwrap().status(), 201);
        let blob = api.ask(Method::GET, &format!("/v2/team/app/blobs/{digest}"));
        assert_eq!(blob.send().await.unwrap().text().await.unwrap(), "in two parts");
    }
    let unknown = "/v2/team/app/blobs/uploads/?digest-algorithm=md5";
    assert_eq!(api.status(Method::POST, unknown).await, 400);
}

#[tokio::test]
async fn mounts_show_nothing_that_the_caller_may_not_read() {
    let api = Api::new().await;
    api.stand.project("mine", false).await;
    for (user, project) in [("dana", "team"), ("eve", "mine")] {
        api.stand.user(user).await;
        api.stand.member(project, user, Role::Developer).await;
    }
    api.push("team/app", "v1", "content").await;
    let digest = Digest::sha256(b"layer content");
    let mount = |user: &'static str, query: String| {
        let name = if user == "eve" { "mine/eve" } else { "team/dana" };
        api.by(user, Method::POST, &format!("/v2/{name}/blobs/uploads/?{query}")).send()
    };
    let missing = Digest::sha256(b"never pushed");
    for query in [format!("mount={digest}&from=team/app"), format!("mount={digest}")] {
        let refused = mount("eve", query.clone()).await.unwrap();
        assert_eq!(refused.status(), 202, "{query}");
        let absent = query.replace(&digest.to_string(), &missing.to_string());
        assert_eq!(mount("eve", absent).await.unwrap().status(), 202);
        let path = format!("/v2/mine/eve/blobs/{digest}");
        let head = api.by("eve", Method::HEAD, &path).send().await.unwrap();
        assert_eq!(head.status(), 404);
        let mounted = mount("dana", query.clone()).await.unwrap();
        assert_eq!(mounted.status(), 201, "{query}");
        assert_eq!(header(&mounted, "location"), format!("/v2/team/dana/blobs/{digest}"));
    }
    // Where nothing can be, nothing is found: the client uploads.
    for from in ["busybox", "Team/app", "team/app/"] {
        let mounted = mount("dana", format!("mount={digest}&from={from}")).await.unwrap();
        assert_eq!(mounted.status(), 202, "{from}");
    }
    let wrong = mount("eve", "mount=sha256:00&from=team/app".to_owned()).await.unwrap();
    assert_eq!(error(wrong).await, (400, "DIGEST_INVALID".into()));
}

#[tokio::test]
async fn a_full_or_failing_disk_is_said_and_nothing_is_lost() {
    let api = Api::new().await;
    let digest = Digest::sha256(b"content");
    let path = format!("/v2/team/app/blobs/uploads/?digest={digest}");
    let post = || api.ask(Method::POST, &path).body("content").send();
    api.stand.disk.full_after(3);
    let full = post().await.unwrap();
    assert_eq!(full.status(), 507);
    assert!(full.text().await.unwrap().contains("disk is full"));
    api.stand.disk.heal();
    for operation in [Operation::Write, Operation::SyncData, Operation::Rename, Operation::SyncDir]
    {
        api.stand.disk.fail_once(operation, 0, ErrorKind::Other);
        assert_eq!(error(post().await.unwrap()).await, (500, "UNKNOWN".into()), "{operation:?}");
        assert_eq!(api.status(Method::HEAD, &format!("/v2/team/app/blobs/{digest}")).await, 404);
    }
    assert_eq!(post().await.unwrap().status(), 201);
    has(&api, b"content").await;
}
