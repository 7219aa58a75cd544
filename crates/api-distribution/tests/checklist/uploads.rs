//! Uploads in one request and in two, mounts, and how an upload is cancelled.

use crate::{
    member::{Member, UPLOADS},
    on_both_engines,
    support::{error, header},
};
use reqwest::Method;
use sealock_oci::Digest;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_location_is_relative_new_each_time_and_asks_for_no_size_of_chunks() {
    let member = Member::new().await;
    let mut seen = BTreeSet::new();
    // With and without the slash at its end; a query that nobody knows changes nothing.
    for path in [UPLOADS, UPLOADS.trim_end_matches('/'), &format!("{UPLOADS}?a=b&digestion=c")] {
        let begun = member.post(path, b"").await;
        assert_eq!(begun.status(), 202);
        let location = header(&begun, "location").to_owned();
        // A path alone: it is right behind every proxy, whatever name that has.
        let id = location.strip_prefix(UPLOADS).expect("a relative location").to_owned();
        assert_eq!((id.len(), id.matches('-').count()), (36, 4), "{location}");
        assert_eq!(header(&begun, "docker-upload-uuid"), id);
        assert_eq!(header(&begun, "range"), "0-0", "docker's way to say that there is nothing");
        assert_eq!(header(&begun, "content-length"), "0");
        assert_eq!(header(&begun, "oci-chunk-min-length"), "", "a chunk may have any size");
        assert!(seen.insert(id));
        // So one byte is a chunk, and what the client adds to the location is no part of it.
        let one = member.patch(&format!("{location}?_state=x"), "0-0", b"a").await;
        assert_eq!((one.status().as_u16(), header(&one, "range")), (202, "0-0"));
        assert_eq!(header(&one, "location"), location);
        let two = member.patch(&location, "1-1", b"b").await;
        assert_eq!((two.status().as_u16(), header(&two, "range")), (202, "0-1"));
        let digest = Digest::sha256(b"ab");
        let end = format!("{location}?_state=x&digest={}", digest.to_string().replace(':', "%3A"));
        let put = member.ask(Method::PUT, &end).send().await.unwrap();
        assert_eq!(put.status(), 201);
        let pullable = header(&put, "location").to_owned();
        assert_eq!(member.get(&pullable).await.text().await.unwrap(), "ab");
    }
}

#[tokio::test]
async fn in_one_request_with_a_digest_that_is_right() {
    let member = Member::new().await;
    let of = |query: String| format!("{UPLOADS}?{query}");
    for content in [&b""[..], b"content"] {
        for digest in [Digest::sha256(content), Digest::sha512(content)] {
            let pushed = member.post(&of(format!("digest={digest}")), content).await;
            assert_eq!(pushed.status(), 201);
            assert_eq!(header(&pushed, "docker-content-digest"), digest.to_string());
            assert!(member.has(&digest, content).await);
        }
    }
    let right = Digest::sha256(b"other");
    for (query, body) in [
        (format!("digest={right}"), &b""[..]),
        (format!("digest={right}"), b"otherwise"),
        (format!("digest={}", Digest::sha256(b"")), b"x"),
        (format!("digest={}", right.to_string().to_uppercase()), b"other"),
        ("digest=".to_owned(), b"other"),
        ("digest".to_owned(), b"other"),
        (format!("digest={}", right.hex()), b"other"),
        (format!("digest={}", right.to_string().replace("sha256", "sha384")), b"other"),
        (format!("digest=%20{right}"), b"other"),
    ] {
        let answer = error(member.post(&of(query.clone()), body).await).await;
        assert_eq!(answer, (400, "DIGEST_INVALID".into()), "{query}");
    }
    // Said twice is not said, even where both are the same.
    let twice = format!("digest={right}&digest={right}");
    assert_eq!(member.post(&of(twice), b"other").await.status(), 400);
    assert!(!member.has(&right, b"other").await);
    // The digest decides which hash is made; the parameter is for uploads without one.
    let both = format!("digest={right}&digest-algorithm=sha512");
    assert_eq!(member.post(&of(both), b"other").await.status(), 201);
    for wrong in ["sha384", "SHA512", "", "sha256,sha512"] {
        let answer = error(member.post(&of(format!("digest-algorithm={wrong}")), b"").await).await;
        assert_eq!(answer, (400, "DIGEST_INVALID".into()), "{wrong}");
    }
}

#[tokio::test]
async fn a_mount_that_cannot_be_is_the_beginning_of_an_upload() {
    let member = Member::new().await;
    let digest = member.blob("team/other", b"content").await;
    let long = Digest::sha512(b"content");
    let path = format!("/v2/team/other/blobs/uploads/?digest={long}");
    assert_eq!(member.post(&path, b"content").await.status(), 201);
    let missing = Digest::sha256(b"never pushed");
    let post = async |query: String| member.post(&format!("{UPLOADS}?{query}"), b"").await;
    for query in [
        format!("mount={missing}&from=team/other"),
        format!("mount={missing}"),
        format!("mount={digest}&from=team/empty"),
        format!("mount={digest}&from=TEAM"),
        // What the digest says is for the upload that follows, and this one has no bytes.
        format!("mount={missing}&from=team/other&digest={missing}"),
    ] {
        let begun = post(query.clone()).await;
        assert_eq!((begun.status().as_u16(), header(&begun, "range")), (202, "0-0"), "{query}");
        let location = header(&begun, "location").to_owned();
        let put = member.end(&location, &missing, "", b"never pushed").await;
        assert_eq!(put.status(), 201, "{query}");
        let gone = member.delete(&format!("/v2/team/app/blobs/{missing}")).await;
        assert_eq!(gone.status(), 202);
    }
    // One algorithm's name is not the other's; each is mounted by its own.
    for (digest, query) in [
        (digest, format!("mount={digest}&from=team/other")),
        (digest, format!("mount={digest}&from=team/app")),
        (long, format!("mount={long}&from=team%2Fother&digest={missing}")),
        (long, format!("mount={long}&from=")),
    ] {
        let mounted = post(query.clone()).await;
        assert_eq!(mounted.status(), 201, "{query}");
        assert_eq!(header(&mounted, "location"), format!("/v2/team/app/blobs/{digest}"));
        assert_eq!(header(&mounted, "docker-content-digest"), digest.to_string());
        assert!(member.has(&digest, b"content").await, "{query}");
    }
    for (query, code) in [
        ("mount=&from=team/other".to_owned(), "DIGEST_INVALID"),
        (format!("mount={digest}&mount={digest}"), "UNSUPPORTED"),
        (format!("mount={digest}&from=team/a&from=team/b"), "UNSUPPORTED"),
    ] {
        assert_eq!(error(post(query.clone()).await).await, (400, code.into()), "{query}");
    }
}

#[tokio::test]
async fn a_cancelled_upload_is_gone_and_nothing_of_it_stays() {
    let member = Member::new().await;
    let digest = Digest::sha256(b"content");
    for bytes in [&b""[..], b"content"] {
        let location = member.begin().await;
        if !bytes.is_empty() {
            assert_eq!(member.patch(&location, "", bytes).await.status(), 202);
        }
        let cancelled = member.delete(&location).await;
        assert_eq!(cancelled.status(), 204);
        assert!(cancelled.bytes().await.unwrap().is_empty());
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            let answer = member.refused(method, &location).await;
            assert_eq!(answer, (404, "BLOB_UPLOAD_UNKNOWN".into()));
        }
        let end = member.end(&location, &digest, "", b"").await;
        assert_eq!(error(end).await, (404, "BLOB_UPLOAD_UNKNOWN".into()));
    }
    assert!(!member.has(&digest, b"content").await);
    // A finished one cannot be cancelled, and its blob stays.
    let location = member.begin().await;
    assert_eq!(member.end(&location, &digest, "", b"content").await.status(), 201);
    assert_eq!(member.delete(&location).await.status(), 404);
    assert!(member.has(&digest, b"content").await);
}

/// An upload has one name.
#[tokio::test]
async fn an_upload_is_found_under_its_location_only() {
    let member = Member::new().await;
    let location = member.begin().await;
    let id = location.strip_prefix(UPLOADS).unwrap().to_owned();
    assert_eq!(member.get(&location).await.status(), 204);
    for other in [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("urn:uuid:{id}"),
        format!("%7B{id}%7D"),
        format!("{id}/"),
        format!("{id}0"),
        id[1..].to_owned(),
        "00000000-0000-0000-0000-000000000000".to_owned(),
    ] {
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            let answer = member.ask(method.clone(), &format!("{UPLOADS}{other}"));
            assert_eq!(answer.send().await.unwrap().status(), 404, "{method} {other}");
        }
    }
    assert_eq!(member.get(&location).await.status(), 204);
}

on_both_engines!(one_upload_of_many_writers, the_same_blob_from_many_at_once);

/// Of chunks for the same place one is taken; who comes second hears it, and no byte is mixed.
async fn one_upload_of_many_writers(member: Member) {
    let location = member.begin().await;
    let chunks: Vec<Vec<u8>> = (0..8_u8).map(|n| vec![n; 100_000]).collect();
    let sent = chunks.iter().map(|chunk| member.patch(&location, "0-99999", chunk));
    let answers = futures_util::future::join_all(sent).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    let taken: Vec<usize> = (0..8).filter(|n| statuses[*n] == 202).collect();
    assert_eq!(taken.len(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [202, 409, 416].contains(status)), "{statuses:?}");
    let state = member.get(&location).await;
    assert_eq!((state.status().as_u16(), header(&state, "range")), (204, "0-99999"));
    let content = &chunks[taken[0]];
    let digest = Digest::sha256(content);
    let ends = (0..4).map(|_| member.end(&location, &digest, "", b""));
    let answers = futures_util::future::join_all(ends).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 404, 409].contains(status)), "{statuses:?}");
    assert!(member.has(&digest, content).await);
}

async fn the_same_blob_from_many_at_once(member: Member) {
    let content = vec![7; 300_000];
    let digest = Digest::sha256(&content);
    let path = format!("{UPLOADS}?digest={digest}");
    let answers = (0..8).map(|_| member.post(&path, &content));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status(), 201);
    }
    assert!(member.has(&digest, &content).await);
}
