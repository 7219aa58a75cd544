//! SIGTERM while clients are at work: what is under way ends, what was done is written down, and
//! the next start finds all of it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use base64::Engine as _;
use reqwest::Method;
use sealock_tests::{
    images::{MANIFEST, Made, digest},
    server::{ADMIN_PASSWORD, Server, pause},
};

/// Begins a push of `announced` bytes in one request and sends `bytes` of them.
fn begin_push(server: &Server, path: &str, announced: usize, bytes: &[u8]) -> TcpStream {
    let login = base64::prelude::BASE64_STANDARD.encode(format!("admin:{ADMIN_PASSWORD}"));
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {login}\r\n\
         Content-Length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

#[test]
fn a_push_under_way_ends_and_what_was_done_is_on_record() {
    let mut server = Server::start();
    let image = Made::new(1, 3_000_000);
    let http = server.admin();
    let layer = &image.blobs[1];
    for blob in &image.blobs[..1] {
        assert_eq!(
            http.push_blob("library/app", &digest(blob), blob.clone()).unwrap().status(),
            201
        );
    }
    let path = format!("/v2/library/app/blobs/uploads/?digest={}", digest(layer));
    let mut slow = begin_push(&server, &path, layer.len(), &layer[..1_000_000]);
    pause(Duration::from_millis(300));
    // A pull in the very last moment: it waits in memory to be written with others.
    let other = Made::new(2, 1_000);
    for blob in &other.blobs {
        http.push_blob("library/app", &digest(blob), blob.clone()).unwrap();
    }
    let put = http.push_manifest("library/app", "v1", MANIFEST, &other.manifest).unwrap();
    assert_eq!(put.status(), 201);
    assert_eq!(http.get("/v2/library/app/manifests/v1").unwrap().status(), 200);

    let ending = std::thread::spawn({
        let rest = layer[1_000_000..].to_vec();
        move || {
            pause(Duration::from_millis(1_000));
            slow.write_all(&rest).unwrap();
            let mut answer = [0; 12];
            slow.read_exact(&mut answer).unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        }
    });
    server.terminate();
    assert_eq!(ending.join().unwrap(), "HTTP/1.1 201", "the push was cut off");
    let log = server.data_directory().join("sealock.db-wal");
    assert!(!log.exists(), "the database's log was not folded into its file");

    server.restart();
    let http = server.admin();
    let pulled = http.get(&format!("/v2/library/app/blobs/{}", digest(layer))).unwrap();
    assert_eq!(digest(&pulled.bytes().unwrap()), digest(layer));
    let events = http.json(&format!("/api/sealock/v1/audit?digest={}", other.digest()));
    let actions: Vec<_> =
        events["items"].as_array().unwrap().iter().map(|e| &e["action"]).collect();
    assert!(actions.iter().any(|action| *action == "pull"), "the last pull is lost: {actions:?}");
}

#[test]
fn a_client_that_never_ends_does_not_keep_the_server() {
    let mut server = Server::start();
    let path = format!("/v2/library/app/blobs/uploads/?digest={}", digest(b"never"));
    // The beginning of a gzip stream, so that an inspector waits for the rest, too.
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let stalled = begin_push(&server, &path, 1_000_000, &head);
    pause(Duration::from_millis(300));
    let begin = Instant::now();
    server.terminate();
    assert!(begin.elapsed() < Duration::from_secs(25), "{:?}", begin.elapsed());
    drop(stalled);
    server.restart();
    let uploads = server.data_directory().join("blobs/uploads");
    let left = std::fs::read_dir(uploads).unwrap().count();
    assert_eq!(left, 0, "the cut upload left a file behind");
    let missing = format!("/v2/library/app/blobs/{}", digest(b"never"));
    let answer = server.admin().request(Method::HEAD, &missing).send().unwrap();
    assert_eq!(answer.status(), 404);
}

#[test]
fn told_twice_the_server_ends_at_once() {
    let mut server = Server::start();
    let path = format!("/v2/library/app/blobs/uploads/?digest={}", digest(b"never"));
    let stalled = begin_push(&server, &path, 1_000_000, b"slow");
    pause(Duration::from_millis(300));
    let begin = Instant::now();
    let status = server.terminate_twice();
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    assert_eq!(status.code(), Some(1));
    drop(stalled);
    server.restart();
    assert_eq!(server.admin().get("/v2/").unwrap().status(), 200);
}
