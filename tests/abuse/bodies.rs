//! Bodies that come slowly, break off, or are larger than anything should be.

use crate::wire;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Method;
use sealock_tests::{
    http::Http,
    server::{ADMIN_PASSWORD, Options, Server, pause},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::{
    io::{
        ErrorKind::{TimedOut, WouldBlock},
        Read as _, Write as _,
    },
    net::{IpAddr, Shutdown},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn head(method: &str, path: &str, length: usize) -> String {
    let pair = BASE64_STANDARD.encode(format!("admin:{ADMIN_PASSWORD}"));
    format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Basic {pair}\r\n\
         content-type: {MANIFEST}\r\ncontent-length: {length}\r\n\r\n"
    )
}

fn begin(admin: &Http) -> String {
    let begun = admin.request(Method::POST, "/v2/library/app/blobs/uploads/").send().unwrap();
    assert_eq!(begun.status(), 202);
    begun.headers()["location"].to_str().unwrap().to_owned()
}

/// Bytes that an upload holds.
fn held(admin: &Http, location: &str) -> usize {
    let status = admin.get(location).unwrap();
    assert_eq!(status.status(), 204);
    let range = status.headers()["range"].to_str().unwrap().to_owned();
    range.strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1
}

/// The rest of an upload, and whether it is then the whole.
fn finish(admin: &Http, location: &str, content: &[u8], from: usize) {
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(content)));
    let done = admin.request(Method::PUT, &format!("{location}?digest={digest}"));
    let done = done.body(content[from..].to_vec()).send().unwrap();
    assert_eq!(done.status(), 201, "{}", done.text().unwrap());
    let blob = admin.get(&format!("/v2/library/app/blobs/{digest}")).unwrap();
    assert_eq!(blob.bytes().unwrap(), content);
}

#[test]
fn a_body_that_pauses_is_cut_off_and_its_upload_goes_on_where_it_stopped() {
    let environment = vec![("SEALOCK_BODY_IDLE_SECONDS".into(), "1".into())];
    let server = Server::start_with(Options { environment, ..Options::default() });
    let admin = server.admin();
    let location = begin(&admin);
    let content = vec![7; 100_000];
    let mut stream = wire::connect(server.address);
    stream.write_all(head("PATCH", &location, content.len()).as_bytes()).unwrap();
    stream.write_all(&content[..60_000]).unwrap();
    let paused = Instant::now();
    let answers = wire::answers(&wire::read(&mut stream));
    assert!(paused.elapsed() < Duration::from_secs(8), "{:?}", paused.elapsed());
    assert_eq!((answers.len(), answers[0].status), (1, 400), "{answers:?}");
    assert!(answers[0].body.contains("BLOB_UPLOAD_INVALID"), "{answers:?}");
    assert_eq!(held(&admin, &location), 60_000);
    finish(&admin, &location, &content, 60_000);
}

#[test]
fn a_body_that_breaks_off_leaves_an_upload_to_go_on_with_and_no_manifest() {
    let server = Server::start();
    let admin = server.admin();
    let location = begin(&admin);
    let content: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let mut stream = wire::connect(server.address);
    stream.write_all(head("PATCH", &location, content.len()).as_bytes()).unwrap();
    stream.write_all(&content[..150_000]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    wire::read(&mut stream);
    let offset = held(&admin, &location);
    assert_eq!(offset, 150_000);
    finish(&admin, &location, &content, offset);
    // Half a blob in one request is no blob.
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(b"0123456789")));
    let path = format!("/v2/library/app/blobs/uploads/?digest={digest}");
    wire::hang_up(server.address, format!("{}01234", head("POST", &path, 10)).as_bytes());
    let blob = admin.get(&format!("/v2/library/app/blobs/{digest}")).unwrap();
    assert_eq!(blob.status(), 404);
    // Neither is half a manifest one, even where the half is a whole text.
    let config = format!("sha256:{}", hex::encode(Sha256::digest(b"{}")));
    assert_eq!(admin.push_blob("library/app", &config, "{}").unwrap().status(), 201);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
    })
    .to_string();
    let path = "/v2/library/app/manifests/v1";
    let cut = format!("{}{manifest}", head("PUT", path, manifest.len() + 1));
    wire::hang_up(server.address, cut.as_bytes());
    assert_eq!(admin.get(path).unwrap().status(), 404);
    let whole = format!("{}{manifest}", head("PUT", path, manifest.len()));
    assert_eq!(wire::exchange(server.address, whole.as_bytes())[0].status, 201);
    assert_eq!(admin.get(path).unwrap().status(), 200);
}

#[test]
fn a_giant_manifest_is_refused_before_it_is_read() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let server = Server::start();
    let path = "/v2/library/app/manifests/v1";
    // Announced: not a byte of it is waited for.
    let mut stream = wire::connect(server.address);
    let announced =
        head("PUT", path, LIMIT + 1).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let asked = Instant::now();
    stream.write_all(announced.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 413");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    // Not announced: cut off at the limit.
    let admin = server.admin();
    let put = |size: usize| {
        let body = reqwest::blocking::Body::new(std::io::Cursor::new(vec![b' '; size]));
        admin.request(Method::PUT, path).header("content-type", MANIFEST).body(body).send().unwrap()
    };
    assert_eq!(put(LIMIT + 1).status(), 413);
    assert_eq!(put(LIMIT).status(), 400, "read, and no manifest");
    // Nobody's are not read at all, however large they may be.
    let nobody = format!("PUT {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {LIMIT}\r\n\r\n");
    let mut stream = wire::connect(server.address);
    let asked = Instant::now();
    stream.write_all(nobody.as_bytes()).unwrap();
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 401");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

/// Somebody who sends many large manifests, all of them without their ends, holds a share of the
/// room for such bodies: others push.
#[test]
fn who_holds_large_bodies_does_not_hold_the_room() {
    /// More than `MAX_HELD_BYTES` in all.
    const BODIES: usize = 40;
    const LENGTH: usize = 4 * 1024 * 1024;
    /// So many must be told.
    const REFUSED: usize = 10;
    let server = Server::start();
    let head = head("PUT", "/v2/library/app/manifests/v1", LENGTH);
    let body = vec![b' '; LENGTH - 1];
    // Each round of waiting gives the room of those who are refused to the others: some are told
    // after one, some after several.
    let told = AtomicUsize::new(0);
    let end = Instant::now() + Duration::from_secs(50);
    thread::scope(|scope| {
        let send = || {
            let mut stream = wire::connect(server.address);
            // Who finds no room is told after a while, and may be cut off.
            let _cut = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let mut first = [0; 12];
            while told.load(Ordering::Relaxed) < REFUSED && Instant::now() < end {
                match stream.read(&mut first) {
                    Ok(0) => break,
                    Ok(read) => {
                        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                        let whole = stream.read_exact(&mut first[read..]).is_ok();
                        let refused = whole && first == *b"HTTP/1.1 429";
                        told.fetch_add(usize::from(refused), Ordering::Relaxed);
                        break;
                    }
                    Err(error) if matches!(error.kind(), WouldBlock | TimedOut) => {}
                    Err(_) => break,
                }
            }
            stream
        };
        let sending: Vec<_> = (0..BODIES).map(|_| scope.spawn(send)).collect();
        pause(Duration::from_secs(2));
        // As large, from elsewhere and by somebody else; 400: it was read, and is no manifest.
        let person = json!({"username": "ann", "password": "Correct-Horse-9"});
        let admin = server.admin().from_address(IpAddr::from([127, 0, 0, 3]));
        let made = admin.request(Method::POST, "/api/v2.0/users").json(&person).send().unwrap();
        assert_eq!(made.status(), 201, "{}", made.text().unwrap());
        let ann = server.http().with_user("ann", "Correct-Horse-9");
        let ann = ann.from_address(IpAddr::from([127, 0, 0, 2]));
        made_project(&ann);
        let put = ann.request(Method::PUT, "/v2/shop/app/manifests/v1");
        let begin = Instant::now();
        let put = put.header("content-type", MANIFEST).body(vec![b' '; LENGTH]).send().unwrap();
        assert_eq!(put.status(), 400, "{}", put.text().unwrap());
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        // Open until the last has ended: who hangs up would make room.
        let _streams: Vec<_> = sending.into_iter().map(|one| one.join().unwrap()).collect();
    });
    let refused = told.into_inner();
    assert!(refused >= REFUSED, "only {refused} of {BODIES} were told to come again");
}

fn made_project(who: &Http) {
    let body = json!({"project_name": "shop"});
    let made = who.request(Method::POST, "/api/v2.0/projects").json(&body).send().unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().unwrap());
}
