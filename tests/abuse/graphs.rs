//! Manifests that name manifests: deep, wide, long, and a great many of them.

use reqwest::Method;
use sealock_tests::{http::Http, server::Server};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, Instant};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

fn digest(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// Puts a manifest by digest: its descriptor, and the status.
fn put(http: &Http, media_type: &str, manifest: &Value) -> (Value, u16) {
    let text = manifest.to_string();
    let digest = digest(&text);
    let answer = http.push_manifest("library/app", &digest, media_type, &text).unwrap();
    let descriptor = json!({"mediaType": media_type, "digest": digest, "size": text.len()});
    (descriptor, answer.status().as_u16())
}

fn index(children: &[Value], note: &str) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children,
           "annotations": {"note": note}})
}

fn artifact(subject: Option<&Value>, note: usize) -> Value {
    let mut made = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x.note",
        "config": {"mediaType": EMPTY, "digest": digest("{}"), "size": 2}, "layers": [],
        "annotations": {"note": note.to_string()},
    });
    if let Some(subject) = subject {
        made["subject"] = subject.clone();
    }
    made
}

fn start(server: &Server) -> Http {
    let admin = server.admin();
    assert_eq!(admin.push_blob("library/app", &digest("{}"), "{}").unwrap().status(), 201);
    admin
}

fn deep_indexes(server: &Server) {
    let admin = start(server);
    let (image, status) = put(&admin, MANIFEST, &artifact(None, 0));
    assert_eq!(status, 201);
    // Inner ones first: the ninth is one too many.
    let mut child = image.clone();
    let mut made = Vec::new();
    for level in 1..=9 {
        let (next, status) = put(&admin, INDEX, &index(&[child.clone()], "up"));
        assert_eq!(status, if level <= 8 { 201 } else { 400 }, "level {level}");
        made.push(next.clone());
        child = next;
    }
    // Outer ones first, none of them there yet when it is named: the same.
    let mut levels = vec![index(std::slice::from_ref(&image), "down")];
    for _ in 1..9 {
        let text = levels.last().unwrap().to_string();
        let below = json!({"mediaType": INDEX, "digest": digest(&text), "size": text.len()});
        levels.push(index(&[below], "down"));
    }
    let outcomes: Vec<u16> = levels.iter().rev().map(|level| put(&admin, INDEX, level).1).collect();
    assert_eq!(outcomes, [201, 201, 201, 201, 201, 201, 201, 201, 400]);
    // Two stacks of allowed height are not joined by a new index in the middle.
    let (top, _) = put(&admin, INDEX, &index(&[made[4].clone()], "joins"));
    let joined = put(&admin, INDEX, &index(&[top, made[6].clone()], "two"));
    assert_eq!(joined.1, 201, "seven below and itself");
    let refused = put(&admin, INDEX, &index(&[made[7].clone(), image], "three"));
    assert_eq!(refused.1, 400);
}

#[test]
fn indexes_stand_only_so_deep() {
    deep_indexes(&Server::start());
}

#[test]
fn indexes_stand_only_so_deep_on_postgres() {
    if let Some(server) = Server::start_on_postgres() {
        deep_indexes(&server);
    }
}

#[test]
fn a_wide_index_is_taken_up_to_its_limit() {
    let server = Server::start();
    let admin = start(&server);
    let child = |number: usize| {
        let text = number.to_string();
        json!({"mediaType": MANIFEST, "digest": digest(&text), "size": 7})
    };
    let children: Vec<Value> = (0..10_001).map(child).collect();
    let begin = Instant::now();
    assert_eq!(put(&admin, INDEX, &index(&children, "too wide")).1, 400);
    assert_eq!(put(&admin, INDEX, &index(&children[..10_000], "wide")).1, 201);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn a_long_chain_of_subjects_and_one_that_names_itself_later_end() {
    let server = Server::start();
    let admin = start(&server);
    let (root, _) = put(&admin, MANIFEST, &artifact(None, 0));
    let mut last = root.clone();
    for number in 1..=60 {
        let (next, status) = put(&admin, MANIFEST, &artifact(Some(&last), number));
        assert_eq!(status, 201, "number {number}");
        last = next;
    }
    // A subject that is not there yet may come later, and have a subject that is not there yet.
    let missing = json!({"mediaType": MANIFEST, "digest": digest("not yet"), "size": 7});
    let (early, status) = put(&admin, MANIFEST, &artifact(Some(&missing), 61));
    assert_eq!(status, 201);
    let listed = admin.json(&format!("/v2/library/app/referrers/{}", digest("not yet")));
    assert_eq!(listed["manifests"][0]["digest"], early["digest"]);
    let path = |descriptor: &Value| {
        format!("/v2/library/app/manifests/{}", descriptor["digest"].as_str().unwrap())
    };
    // Quarantine and deletion of the first end in time, whatever hangs on it.
    let name = root["digest"].as_str().unwrap();
    let ban = format!("/api/sealock/v1/quarantines/{name}");
    let begin = Instant::now();
    admin.write(Method::PUT, &ban, &json!({"reason": "a test"}));
    let deleted = admin.request(Method::DELETE, &path(&root)).send().unwrap();
    assert_eq!(deleted.status(), 202, "{}", deleted.text().unwrap());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(admin.get(&path(&root)).unwrap().status(), 404);
    // What is further away than a deletion follows stays, and can be deleted by itself.
    assert_eq!(admin.request(Method::DELETE, &path(&last)).send().unwrap().status(), 202);
}

#[test]
fn a_great_many_referrers_come_in_pages_and_go_with_their_subject() {
    const MANY: usize = 2_000;
    let server = Server::start();
    let admin = start(&server);
    let (subject, _) = put(&admin, MANIFEST, &artifact(None, 0));
    for number in 1..=MANY {
        assert_eq!(put(&admin, MANIFEST, &artifact(Some(&subject), number)).1, 201);
    }
    let name = subject["digest"].as_str().unwrap();
    let mut next = format!("/v2/library/app/referrers/{name}");
    let (mut found, mut pages) = (0, 0);
    while !next.is_empty() {
        let answer = admin.get(&next).unwrap();
        assert_eq!(answer.status(), 200);
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        next = link.map_or_else(String::new, |link| {
            link.trim_start_matches('<').split('>').next().unwrap().to_owned()
        });
        let body = answer.bytes().unwrap();
        assert!(body.len() < 4 * 1024 * 1024, "{} bytes", body.len());
        let body: Value = serde_json::from_slice(&body).unwrap();
        let items = body["manifests"].as_array().unwrap().len();
        assert!(items <= 1_000, "{items}");
        found += items;
        pages += 1;
    }
    assert_eq!((found, pages), (MANY, 2));
    let path = format!("/v2/library/app/manifests/{name}");
    let begin = Instant::now();
    assert_eq!(admin.request(Method::DELETE, &path).send().unwrap().status(), 202);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let left = admin.json(&format!("/v2/library/app/referrers/{name}"));
    assert_eq!(left["manifests"], json!([]));
}
