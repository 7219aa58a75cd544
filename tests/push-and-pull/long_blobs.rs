//! Blobs that are longer than one read: over a plain connection the system sends the file itself,
//! over TLS the server does. What arrives is the same.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Method, blocking::Response};
use sealock_tests::server::{ADMIN_PASSWORD, Options, Server, TlsFiles};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

const LENGTH: usize = 3 * 1024 * 1024 + 7;

fn blob() -> (Vec<u8>, String) {
    let content: Vec<u8> = (0..LENGTH).map(|i| (i / 7 % 253) as u8).collect();
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&content)));
    (content, digest)
}

/// Pushes the blob and gives its path.
fn pushed(server: &Server) -> (Vec<u8>, String) {
    let (content, digest) = blob();
    let push = server.admin().push_blob("library/app", &digest, content.clone()).unwrap();
    assert_eq!(push.status(), 201);
    (content, format!("/v2/library/app/blobs/{digest}"))
}

fn same_bytes_whole_and_in_part(server: &Server) {
    let (content, path) = pushed(server);
    let admin = server.admin();
    let body = |answer: Response| answer.bytes().unwrap();
    assert!(body(admin.get(&path).unwrap()) == content);
    for (first, last) in
        [(0, 65_535), (1, 65_537), (4095, 1_048_577), (262_143, 262_144), (5, LENGTH - 1)]
    {
        let request = admin.request(Method::GET, &path);
        let part = request.header("range", format!("bytes={first}-{last}")).send().unwrap();
        assert_eq!(part.status(), 206);
        assert!(body(part) == content[first..=last], "{first} to {last}");
    }
}

#[test]
fn a_long_blob_is_the_same_over_plain_connections_and_over_tls() {
    same_bytes_whole_and_in_part(&Server::start());
    let folder = tempfile::tempdir().unwrap();
    let tls = Some(TlsFiles::new(folder.path()));
    same_bytes_whole_and_in_part(&Server::start_with(Options { tls, ..Options::default() }));
}

#[test]
fn answers_of_one_connection_do_not_mix() {
    let server = Server::start();
    let (content, path) = pushed(&server);
    let admin = BASE64_STANDARD.encode(format!("admin:{ADMIN_PASSWORD}"));
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Basic {admin}");
    let ask = |more: &str| format!("{head}\r\n{more}\r\n");
    let requests = [
        ask("range: bytes=0-99999\r\n"),
        "GET /api/v2.0/ping HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        ask(""),
        ask("range: bytes=7-1000006\r\n"),
        ask("connection: close\r\nrange: bytes=3-3\r\n"),
    ];
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(requests.concat().as_bytes()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let mut bodies = Vec::new();
    let mut rest = all.as_slice();
    while let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let (body, next) = rest[end + 4..].split_at(length.parse().unwrap());
        bodies.push(body);
        rest = next;
    }
    assert_eq!(rest.len(), 0);
    let expected = [
        &content[..100_000],
        b"Pong".as_slice(),
        &content,
        &content[7..=1_000_006],
        &content[3..4],
    ];
    assert!(bodies == expected);
}

/// The file on disk with the blob's bytes.
fn file_of_length(folder: &Path, length: usize) -> Option<PathBuf> {
    fs::read_dir(folder).unwrap().find_map(|entry| {
        let entry = entry.unwrap();
        match entry.metadata().unwrap() {
            is if is.is_dir() => file_of_length(&entry.path(), length),
            is => (is.len() == length as u64).then(|| entry.path()),
        }
    })
}

#[test]
fn a_blob_that_was_cut_on_disk_breaks_off_and_the_server_lives() {
    let mut server = Server::start();
    let (_, path) = pushed(&server);
    let admin = server.admin();
    assert_eq!(admin.get(&path).unwrap().bytes().unwrap().len(), LENGTH);
    let file = file_of_length(&server.data_directory(), LENGTH).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_len(1_000_000).unwrap();
    for range in ["bytes=0-", "bytes=999999-", "bytes=2000000-2999999"] {
        let request = admin.request(Method::GET, &path).header("range", range);
        let whole = request.send().and_then(|answer| answer.error_for_status()?.bytes());
        assert!(whole.is_err(), "{range}");
    }
    assert!(server.runs());
    assert_eq!(admin.get("/v2/").unwrap().status(), 200);
    let told = server.log().contains("could not be read to its end");
    assert!(told || server.log().contains("ended before"), "{}", server.log());
}
