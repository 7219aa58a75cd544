//! Whole pushes over a disk that fails: the client is told, nothing is lost or half there, and the
//! server goes on.

use crate::support::{Api, OCI_MANIFEST, header, json_of};
use reqwest::{Method, Response};
use sealock_blobs::testing::Operation;
use sealock_metadata::Database;
use sealock_oci::Digest;
use serde_json::json;
use std::io::ErrorKind;

/// An image whose layer is pushed in chunks and whose config in one request.
struct Image {
    layer: Vec<u8>,
    config: Vec<u8>,
}

impl Image {
    fn new(seed: u8) -> Self {
        let layer = (0..900_000_u32).map(|i| (i / 7) as u8 ^ seed).collect();
        Self { layer, config: format!("{{\"seed\":{seed}}}").into_bytes() }
    }

    fn manifest(&self) -> String {
        let descriptor = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": Digest::sha256(bytes), "size": bytes.len()});
        json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor("application/vnd.example.config", &self.config),
            "layers": [descriptor("application/vnd.example.bytes", &self.layer)],
        })
        .to_string()
    }
}

/// Pushes an image, each step once; the first answer that is no success, or none.
async fn push(api: &Api, image: &Image, acknowledged: &mut Vec<Digest>) -> Option<Response> {
    let begun = api.ask(Method::POST, "/v2/team/app/blobs/uploads/").send().await.unwrap();
    if begun.status() != 202 {
        return Some(begun);
    }
    let mut location = header(&begun, "location").to_owned();
    for part in image.layer.chunks(400_000) {
        let sent = api.ask(Method::PATCH, &location).body(part.to_vec()).send().await.unwrap();
        if sent.status() != 202 {
            return Some(sent);
        }
        location = header(&sent, "location").to_owned();
    }
    let (layer, config) = (Digest::sha256(&image.layer), Digest::sha256(&image.config));
    let end = api.ask(Method::PUT, &format!("{location}?digest={layer}")).send().await.unwrap();
    if end.status() != 201 {
        return Some(end);
    }
    acknowledged.push(layer);
    let path = format!("/v2/team/app/blobs/uploads/?digest={config}");
    let whole = api.ask(Method::POST, &path).body(image.config.clone()).send().await.unwrap();
    if whole.status() != 201 {
        return Some(whole);
    }
    acknowledged.push(config);
    let put = api.ask(Method::PUT, "/v2/team/app/manifests/v1");
    let put = put.header("content-type", OCI_MANIFEST).body(image.manifest()).send().await.unwrap();
    (put.status() != 201).then_some(put)
}

#[tokio::test]
async fn whatever_operation_fails_the_client_is_told_and_nothing_is_half_there() {
    let api = Api::new().await;
    let mut seed = 0;
    let mut failures = 0;
    for operation in [
        Operation::OpenWrite,
        Operation::Write,
        Operation::SyncData,
        Operation::Rename,
        Operation::CreateDir,
        Operation::SyncDir,
    ] {
        for (after, error) in [0, 1, 2, 3]
            .into_iter()
            .zip([ErrorKind::Other, ErrorKind::StorageFull].into_iter().cycle())
        {
            seed += 1;
            let image = Image::new(seed);
            let mut acknowledged = Vec::new();
            api.stand.disk.fail_once(operation, after, error);
            let refused = push(&api, &image, &mut acknowledged).await;
            api.stand.disk.heal();
            let case = format!("{operation:?} after {after}: {error:?}");
            if let Some(refused) = refused {
                failures += 1;
                let full = error == ErrorKind::StorageFull;
                let status = refused.status().as_u16();
                assert_eq!(status, if full { 507 } else { 500 }, "{case}");
                let message = json_of(refused).await["errors"][0]["message"].to_string();
                assert_eq!(message.contains("disk is full"), full, "{case}: {message}");
                let tag = api.status(Method::GET, "/v2/team/app/manifests/v1").await;
                assert_eq!(tag, 404, "{case}: the manifest was never acknowledged");
            }
            for blob in [&image.layer, &image.config] {
                let digest = Digest::sha256(blob);
                let path = format!("/v2/team/app/blobs/{digest}");
                let got = api.ask(Method::GET, &path).send().await.unwrap();
                let there = got.status() == 200;
                assert_eq!(there, acknowledged.contains(&digest), "{case}");
                assert!(!there || got.bytes().await.unwrap() == *blob, "{case}: other bytes");
            }
            // The same server takes the same image when the disk is well again.
            assert!(push(&api, &image, &mut acknowledged).await.is_none(), "{case}: again");
            let got = api.ask(Method::GET, "/v2/team/app/manifests/v1").send().await.unwrap();
            assert_eq!(got.text().await.unwrap(), image.manifest(), "{case}");
            let deleted = api.status(Method::DELETE, "/v2/team/app/manifests/v1").await;
            assert_eq!(deleted, 202);
        }
    }
    assert!(failures >= 12, "only {failures} faults were met");
}

/// After a failed write or flush an upload is lost: going on with it must not store other bytes.
#[tokio::test]
async fn an_upload_that_met_a_fault_is_never_taken_up_again() {
    let api = Api::new().await;
    for operation in [Operation::Write, Operation::SyncData] {
        let location = api.begin("team/app").await;
        let first = api.ask(Method::PATCH, &location).body(vec![1; 1000]).send().await.unwrap();
        assert_eq!(first.status(), 202);
        api.stand.disk.fail_once(operation, 0, ErrorKind::Other);
        let failed = api.ask(Method::PATCH, &location).body(vec![2; 1000]).send().await.unwrap();
        assert_eq!(failed.status(), 500, "{operation:?}");
        let gone = api.ask(Method::GET, &location).send().await.unwrap();
        assert_eq!(gone.status(), 404, "{operation:?}");
        let code = json_of(gone).await["errors"][0]["code"].clone();
        assert_eq!(code, "BLOB_UPLOAD_UNKNOWN");
    }
}

/// A read that fails breaks the answer off: nobody takes half a blob for a whole one.
#[tokio::test]
async fn a_blob_that_cannot_be_read_is_never_served_short() {
    let api = Api::new().await;
    let content = Image::new(9).layer;
    let digest = api.blob("team/app", &content).await;
    let path = format!("/v2/team/app/blobs/{digest}");
    for after in 0..3 {
        api.stand.disk.fail_once(Operation::Read, after, ErrorKind::Other);
        // The connection may end before the client has seen the answer's head.
        let whole = match api.ask(Method::GET, &path).send().await {
            Ok(got) if got.status() == 200 => got.bytes().await.is_ok_and(|got| got == content),
            _ => false,
        };
        api.stand.disk.heal();
        assert!(!whole || after > 0, "the read did not fail");
        let again = api.ask(Method::GET, &path).send().await.unwrap();
        assert_eq!(again.bytes().await.unwrap(), content);
    }
    // One that is not open yet.
    let digest = api.blob("team/app", &Image::new(10).layer).await;
    let path = format!("/v2/team/app/blobs/{digest}");
    api.stand.disk.fail_once(Operation::OpenRead, 0, ErrorKind::Other);
    assert_eq!(api.status(Method::GET, &path).await, 500);
    assert_eq!(api.status(Method::GET, &path).await, 200);
}

/// Another process holds the database: who writes is told to come again, who reads notices nothing,
/// and nothing of what was refused has happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_another_process_holds_is_said_and_passes() {
    let api = Api::new().await;
    api.push("team/app", "v1", "one").await;
    let manifest = api.image("team/app", "two").await;
    // Judged before; what is not yet known of an image could not be found out now.
    assert_eq!(api.status(Method::GET, "/v2/team/app/manifests/v1").await, 200);
    // A second connection of its own stands for the other process: SQLite locks between
    // connections.
    let (config, clock) = (api.stand.database.config.clone(), api.stand.database.clock.clone());
    let other = Database::open(config, clock).await.unwrap();
    let held = other.write().await.unwrap();
    let begin = api.ask(Method::POST, "/v2/team/app/blobs/uploads/").send();
    let delete = api.ask(Method::DELETE, "/v2/team/app/manifests/v1").send();
    let read = api.status(Method::GET, "/v2/team/app/manifests/v1");
    let (put, begin, delete, read) =
        tokio::join!(api.put("team/app", "v2", &manifest), begin, delete, read);
    assert_eq!(read, 200);
    for answer in [put, begin.unwrap(), delete.unwrap()] {
        let (status, retry) = (answer.status(), header(&answer, "retry-after").to_owned());
        assert_eq!(status, 503, "{}", answer.text().await.unwrap());
        assert!(retry.parse::<u32>().is_ok(), "{retry:?}");
        let message = json_of(answer).await["errors"][0]["message"].to_string();
        assert!(message.contains("database") && message.contains("try again"), "{message}");
    }
    held.rollback().await.unwrap();
    assert_eq!(api.status(Method::GET, "/v2/team/app/manifests/v2").await, 404);
    assert_eq!(api.put("team/app", "v2", &manifest).await.status(), 201);
    assert_eq!(api.status(Method::DELETE, "/v2/team/app/manifests/v1").await, 202);
}
