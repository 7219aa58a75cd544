//! Uploads in chunks: their order, their ranges, and what a client does after a 416.

use crate::{
    member::{Member, UPLOADS},
    support::{error, header},
};
use reqwest::Method;
use sealock_oci::Digest;

/// Status and `Range`; each answer about an upload that goes on has its location.
async fn stands(member: &Member, location: &str) -> String {
    let state = member.get(location).await;
    assert_eq!(state.status(), 204);
    assert_eq!(header(&state, "location"), location);
    assert_eq!(header(&state, "content-length"), "", "204 has no body, and says none");
    header(&state, "range").to_owned()
}

#[tokio::test]
async fn a_content_range_is_two_numbers() {
    let member = Member::new().await;
    let location = member.begin().await;
    let huge = "9".repeat(40);
    for range in [
        "bytes=0-3",
        "bytes 0-3/4",
        "0-3/4",
        "0-3/*",
        "0",
        "-3",
        "0-",
        "3-0",
        "a-b",
        "0 - 3",
        " 0-3 x",
        "+0-3",
        "0--3",
        "0x0-0x3",
        "0-3,4-7",
        "\u{b9}-3",
    ] {
        let request = member.ask(Method::PATCH, &location).body("0123");
        let value = reqwest::header::HeaderValue::from_bytes(range.as_bytes()).unwrap();
        let answer = request.header("content-range", value).send().await.unwrap();
        assert_eq!(error(answer).await, (400, "BLOB_UPLOAD_INVALID".into()), "{range}");
    }
    // The first chunk begins at 0.
    for range in ["1-4", &format!("{huge}-{huge}"), &format!("18446744073709551615-{huge}")] {
        let answer = member.patch(&location, range, b"0123").await;
        assert_eq!(answer.status(), 416, "{range}");
        assert_eq!(header(&answer, "location"), location);
    }
    // A chunk of another length than its range says.
    for range in ["0-2", "0-4", &format!("0-{huge}"), "0-18446744073709551615"] {
        let answer = member.patch(&location, range, b"0123").await;
        assert_eq!(error(answer).await, (400, "SIZE_INVALID".into()), "{range}");
    }
    let empty = member.patch(&location, "0-0", b"").await;
    assert_eq!(error(empty).await, (400, "SIZE_INVALID".into()));
    assert_eq!(stands(&member, &location).await, "0-0");
    // Nothing of all that was kept, and the upload goes on.
    let digest = Digest::sha256(b"0123");
    assert_eq!(member.patch(&location, "0-3", b"0123").await.status(), 202);
    assert_eq!(member.end(&location, &digest, "", b"").await.status(), 201);
    assert!(member.has(&digest, b"0123").await);
}

#[tokio::test]
async fn chunks_that_overlap_or_leave_a_gap_are_refused_and_change_nothing() {
    let member = Member::new().await;
    let location = member.begin().await;
    assert_eq!(member.patch(&location, "0-3", b"0123").await.status(), 202);
    for (range, body) in [
        ("0-3", &b"0123"[..]),
        ("3-4", b"34"),
        ("0-9", b"0123456789"),
        ("5-6", b"56"),
        ("400-401", b"ab"),
    ] {
        for end in [false, true] {
            let digest = Digest::sha256(b"012345");
            let answer = match end {
                false => member.patch(&location, range, body).await,
                true => member.end(&location, &digest, range, body).await,
            };
            assert_eq!((answer.status().as_u16(), header(&answer, "range")), (416, "0-3"));
            assert_eq!(header(&answer, "location"), location, "where to go on");
            assert!(["SIZE_INVALID", "BLOB_UPLOAD_INVALID"].contains(&&*error(answer).await.1));
        }
    }
    assert_eq!(stands(&member, &location).await, "0-3");
    // Without a range, bytes are the next ones; none are none.
    let none = member.patch(&location, "", b"").await;
    assert_eq!((none.status().as_u16(), header(&none, "range")), (202, "0-3"));
    let more = member.patch(&location, "", b"45").await;
    assert_eq!((more.status().as_u16(), header(&more, "range")), (202, "0-5"));
    // The last chunk rides on the PUT, and has the length that it says.
    let digest = Digest::sha256(b"01234567");
    let short = member.end(&location, &digest, "6-9", b"67").await;
    assert_eq!(error(short).await, (400, "SIZE_INVALID".into()));
    assert_eq!(stands(&member, &location).await, "0-5");
    assert_eq!(member.end(&location, &digest, "6-7", b"67").await.status(), 201);
    assert!(member.has(&digest, b"01234567").await);
    assert_eq!(member.get(&location).await.status(), 404, "the session is closed");
}

#[tokio::test]
async fn a_wrong_digest_at_the_end_leaves_no_blob() {
    let member = Member::new().await;
    let right = Digest::sha256(b"content");
    for wrong in [Digest::sha256(b"other"), Digest::sha512(b"other"), Digest::sha256(b"")] {
        let location = member.begin().await;
        assert_eq!(member.patch(&location, "0-3", b"cont").await.status(), 202);
        let end = member.end(&location, &wrong, "4-6", b"ent").await;
        assert_eq!(error(end).await, (400, "DIGEST_INVALID".into()), "{wrong}");
        for digest in [wrong, right] {
            let path = format!("/v2/team/app/blobs/{digest}");
            assert_eq!(member.head(&path).await.status(), 404, "{wrong}");
        }
    }
    // What is no digest is a typing error, and costs nothing.
    let location = member.begin().await;
    assert_eq!(member.patch(&location, "", b"content").await.status(), 202);
    let upper = format!("sha256:{}", right.hex().to_uppercase());
    for query in ["", "?", "?digest", "?digest=", "?digest=x", "?digest=sha384:00"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("?digest={upper}")])
    {
        let answer = member.refused(Method::PUT, &format!("{location}{query}")).await;
        assert_eq!(answer, (400, "DIGEST_INVALID".into()), "{query}");
    }
    let twice = format!("{location}?digest={right}&digest={right}");
    assert_eq!(member.refused(Method::PUT, &twice).await.0, 400);
    assert_eq!(member.end(&location, &right, "", b"").await.status(), 201);
    assert!(member.has(&right, b"content").await);
}

#[tokio::test]
async fn an_upload_of_sha512_goes_in_chunks_like_any_other() {
    let member = Member::new().await;
    let begun = member.post(&format!("{UPLOADS}?digest-algorithm=sha512"), b"").await;
    let location = header(&begun, "location").to_owned();
    assert_eq!(member.patch(&location, "0-3", b"0123").await.status(), 202);
    let early = member.patch(&location, "5-6", b"56").await;
    assert_eq!((early.status().as_u16(), header(&early, "range")), (416, "0-3"));
    let digest = Digest::sha512(b"012345");
    let put = member.end(&location, &digest, "4-5", b"45").await;
    assert_eq!(put.status(), 201);
    assert_eq!(header(&put, "location"), format!("/v2/team/app/blobs/{digest}"));
    assert_eq!(header(&put, "docker-content-digest"), digest.to_string());
    assert!(member.has(&digest, b"012345").await);
    let short = Digest::sha256(b"012345");
    assert!(!member.has(&short, b"012345").await, "another name is another blob");
}
