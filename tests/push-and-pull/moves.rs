//! Many clients move one tag, each from where it saw it: no move is lost.

use reqwest::{Method, StatusCode, blocking::Response};
use sealock_tests::{http::Http, server::Server};
use std::collections::BTreeSet;

use crate::shop_on;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CLIENTS: usize = 8;
const MOVES: usize = 12;

/// An image that says which move it is, and the one before.
fn image(config: &str, size: usize, number: usize, by: usize, before: &str) -> String {
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.example.config.v1+json", "digest": config, "size": size},
        "layers": [],
        "annotations": {"number": number.to_string(), "by": by.to_string(), "before": before},
    })
    .to_string()
}

fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name).expect("a header");
    value.to_str().expect("text").to_owned()
}

fn number_in(body: &str) -> (usize, String) {
    let manifest: serde_json::Value = serde_json::from_str(body).expect("a manifest");
    let text = |name: &str| manifest["annotations"][name].as_str().unwrap_or_default().to_owned();
    (text("number").parse().expect("a number"), text("before"))
}

fn nobody_loses_a_move(server: &Server) {
    shop_on(server);
    let admin = server.admin();
    let config = b"{}";
    let digest = sealock_tests::images::digest(config);
    let pushed = admin.push_blob("shop/counter", &digest, config.to_vec()).expect("a blob");
    assert_eq!(pushed.status(), StatusCode::CREATED);
    let path = "/v2/shop/counter/manifests/latest";
    let put = |http: &Http, body: String, condition: (&'static str, String)| {
        let request = http.request(Method::PUT, path).header("Content-Type", OCI_MANIFEST);
        request.header(condition.0, condition.1).body(body).send().expect("an answer")
    };
    // Of those who make the tag one succeeds.
    let made: Vec<StatusCode> = std::thread::scope(|scope| {
        let make = |by: usize| {
            let (http, digest) = (server.admin(), digest.clone());
            let body = image(&digest, config.len(), 0, by, "");
            scope.spawn(move || put(&http, body, ("If-None-Match", "*".to_owned())).status())
        };
        let threads: Vec<_> = (0..CLIENTS).map(make).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
    });
    let of = |status| made.iter().filter(|made| **made == status).count();
    assert_eq!((of(StatusCode::CREATED), of(StatusCode::PRECONDITION_FAILED)), (1, CLIENTS - 1));

    let refused: usize = std::thread::scope(|scope| {
        let client = |by: usize| {
            let (http, digest) = (server.admin(), digest.clone());
            scope.spawn(move || {
                let (mut done, mut refused) = (0, 0);
                while done < MOVES {
                    let seen = http.get(path).expect("an answer");
                    let etag = header(&seen, "etag");
                    let before = header(&seen, "docker-content-digest");
                    let number = number_in(&seen.text().expect("a body")).0 + 1;
                    let body = image(&digest, config.len(), number, by, &before);
                    match put(&http, body, ("If-Match", etag)).status() {
                        StatusCode::CREATED => done += 1,
                        StatusCode::PRECONDITION_FAILED => refused += 1,
                        other => panic!("{other}"),
                    }
                }
                refused
            })
        };
        let threads: Vec<_> = (0..CLIENTS).map(client).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).sum()
    });
    // The last one counted every move, and each names the one before it.
    let (mut number, mut before) =
        number_in(&admin.get(path).expect("an answer").text().expect("a body"));
    assert_eq!(number, CLIENTS * MOVES, "a move was lost");
    assert!(refused > 0, "nobody met anybody: this tested nothing");
    let mut seen = BTreeSet::new();
    while !before.is_empty() {
        assert!(seen.insert(before.clone()), "twice in the chain");
        let manifest = format!("/v2/shop/counter/manifests/{before}");
        let found = number_in(&admin.get(&manifest).expect("an answer").text().expect("a body"));
        assert_eq!(found.0, number - 1);
        (number, before) = found;
    }
    assert_eq!((number, seen.len()), (0, CLIENTS * MOVES));

    // Deleting asks the same: of those who delete what they saw one succeeds, and whoever looked
    // before the last move deletes nothing.
    let delete = |etag: String| {
        let request = admin.request(Method::DELETE, path).header("If-Match", etag);
        request.send().expect("an answer").status()
    };
    let etag = header(&admin.get(path).expect("an answer"), "etag");
    let stale = format!("\"{}\"", seen.first().expect("a chain"));
    assert_eq!(delete(stale), StatusCode::PRECONDITION_FAILED);
    assert_eq!(admin.get(path).expect("an answer").status(), StatusCode::OK);
    assert_eq!(delete(etag.clone()), StatusCode::ACCEPTED);
    assert_eq!(delete(etag), StatusCode::NOT_FOUND);
}

#[test]
fn nobody_loses_a_move_on_sqlite() {
    nobody_loses_a_move(&Server::start());
}

#[test]
fn nobody_loses_a_move_on_postgres() {
    let Some(server) = Server::start_on_postgres() else { return };
    nobody_loses_a_move(&server);
}
