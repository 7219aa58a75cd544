//! Paths, queries and headers that mean one thing to one reader and another to the next.

use crate::wire;
use sealock_tests::server::{ADMIN_PASSWORD, Server};

use base64::{Engine as _, prelude::BASE64_STANDARD};

fn as_admin() -> String {
    let pair = BASE64_STANDARD.encode(format!("admin:{ADMIN_PASSWORD}"));
    format!("authorization: Basic {pair}\r\n")
}

/// The statuses of the answers to one piece of text.
fn statuses(server: &Server, text: impl AsRef<[u8]>) -> Vec<u16> {
    wire::exchange(server.address, text.as_ref()).iter().map(|answer| answer.status).collect()
}

fn get(server: &Server, target: &str) -> Vec<u16> {
    let login = as_admin();
    let end = "host: a\r\nconnection: close\r\n\r\n";
    statuses(server, format!("GET {target} HTTP/1.1\r\n{login}{end}"))
}

#[test]
fn one_path_has_one_meaning() {
    let server = Server::start();
    server.admin().push_blob("library/app", EMPTY, "").unwrap();
    let long = |part: &str, times: usize| format!("/v2/library/{}/tags/list", part.repeat(times));
    for (target, status) in [
        ("/v2/library/app/tags/list", 200),
        ("/v2/", 200),
        ("/v2", 200),
        ("//v2/", 404),
        ("/v2//", 404),
        ("///v2/library/app/tags/list", 404),
        ("/v2//library/app/tags/list", 400),
        ("/v2/library//app/tags/list", 400),
        ("/v2/library/app//tags/list", 400),
        ("/v2/library/app/tags//list", 404),
        ("/v2/library/app/tags/list/", 404),
        ("/v2/library/app/tags/list//", 404),
        ("/v2/library%2fapp/tags/list", 400),
        ("/v2/library%2Fapp/tags/list", 400),
        ("/v2%2flibrary/app/tags/list", 404),
        ("/v2/library/%2e%2e/library/app/tags/list", 400),
        ("/v2/%2e/library/app/tags/list", 400),
        ("/v2/library/x/../app/tags/list", 400),
        ("/v2/../v2/library/app/tags/list", 400),
        ("/../v2/library/app/tags/list", 404),
        ("/./v2/library/app/tags/list", 404),
        ("/v2/library/app/tags/list%00", 404),
        ("/v2/library/app%00/tags/list", 400),
        ("/v2/library/app/manifests/v1%00", 404),
        ("/v2/library/app/manifests/v1%zz", 404),
        ("/v2/library/app/manifests/%", 404),
        ("/v2/library/app/tags%20/list", 404),
        ("/v2/Library/app/tags/list", 400),
        ("/V2/library/app/tags/list", 404),
        ("/v2/library/app;x=1/tags/list", 400),
        ("/v2/library\\app/tags/list", 400),
        ("/v2/library/app/tags/list?n=1&n=2", 400),
        ("/v2/library/app/tags/list?n=-1", 400),
        ("/v2/library/app/tags/list?n=1%00", 400),
        ("/v2/library/app/tags/list?last=%00", 400),
        ("/v2/library/app/tags/list?last=%ff", 400),
        ("/v2/library/app/tags/list?last=%zz", 200),
        ("/v2/library/app/tags/list?n=99999999999999999999", 200),
        ("/v2/library/app/tags/list?&&&", 200),
        ("/v2/_catalog/", 404),
        ("/health/", 404),
        ("//health", 404),
        ("/api/v2.0//projects", 404),
        ("/api/sealock/v1/../v1/me", 404),
        ("/api/sealock/v1/me/", 404),
        (&long("a", 247), 404),
        (&long("a", 248), 400),
        (&long("a/", 600), 400),
        (&format!("/v2/library/app/tags/list?last={}", "a".repeat(20_000)), 414),
        (&format!("/v2/{}", "a".repeat(70_000)), 414),
        ("http://elsewhere.example/v2/library/app/tags/list", 200),
        ("elsewhere.example:443", 404),
    ] {
        let shown: String = target.chars().take(80).collect();
        assert_eq!(get(&server, target), [status], "{shown}");
    }
    for raw in [
        "GET /v2/\0 HTTP/1.1",
        "GET /v2/ x HTTP/1.1",
        "GET  /v2/ HTTP/1.1",
        "GET /v2/ HTTP/9.9",
        "G\0T /v2/ HTTP/1.1",
        "GET /v2/ HTTP/1.1\r\nhost : a",
        "GET /v2/ HTTP/1.1\r\n folded: a",
        "GET /v2/ HTTP/1.1\r\nx: a\0b",
    ] {
        let answered = statuses(&server, format!("{raw}\r\nhost: a\r\nconnection: close\r\n\r\n"));
        assert!(answered.iter().all(|status| *status == 400), "{raw:?}: {answered:?}");
    }
    assert!(server.http().get("/health").unwrap().status().is_success());
}

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn a_header_says_one_thing_and_a_body_ends_in_one_place() {
    let server = Server::start();
    server.admin().push_blob("library/app", EMPTY, "").unwrap();
    let login = as_admin();
    let put = "PUT /v2/library/app/manifests/v1 HTTP/1.1\r\nhost: a\r\n";
    let get = "GET /v2/library/app/tags/list HTTP/1.1\r\nhost: a\r\n";
    // What would be a second request, for a reader who takes the first body to be shorter.
    let hidden = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n";
    let length = hidden.len();
    let cases = [
        (format!("{get}host: b\r\n{login}\r\n"), 400),
        (format!("GET /health HTTP/1.1\r\n{login}\r\n"), 400),
        (format!("GET http://a/health HTTP/1.1\r\n{login}\r\n"), 400),
        (format!("{get}{login}{login}\r\n"), 401),
        (format!("{get}{login}range: bytes=0-1\r\nrange: bytes=2-3\r\n\r\n"), 400),
        (format!("{put}{login}content-length: {length}\r\ncontent-length: 0\r\n\r\n{hidden}"), 400),
        (format!("{put}{login}content-length: 0\r\ncontent-length: {length}\r\n\r\n{hidden}"), 400),
        (format!("{put}{login}content-length: 0, {length}\r\n\r\n{hidden}"), 400),
        (format!("{put}{login}content-length: -1\r\n\r\n{hidden}"), 400),
        (format!("{put}{login}content-length: +{length}\r\n\r\n{hidden}"), 400),
        (format!("{put}{login}content-length: 99999999999999999999999\r\n\r\n"), 400),
        (format!("{put}{login}transfer-encoding: chunked, x\r\n\r\n0\r\n\r\n{hidden}"), 400),
        (format!("{put}{login}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"), 400),
        (
            format!(
                "{put}{login}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n\
                 0\r\n\r\n{hidden}"
            ),
            400,
        ),
        (
            format!(
                "{put}{login}content-type: a/b\r\ncontent-type: c/d\r\ncontent-length: 0\r\n\r\n"
            ),
            400,
        ),
    ];
    for (text, status) in cases {
        let answered = statuses(&server, &text);
        assert_eq!(answered, [status], "{text}");
    }
    // A length beside chunks counts for nothing, in whatever order they stand, and nothing is read
    // of the connection after it (RFC 9112, section 6.3).
    let (long, chunked) =
        (format!("content-length: {length}\r\n"), "transfer-encoding: chunked\r\n");
    for both in [format!("{long}{chunked}"), format!("{chunked}{long}")] {
        let text = format!("{put}{login}{both}\r\n0\r\n\r\n{hidden}");
        let answers = wire::exchange(server.address, text.as_bytes());
        assert!(answers.len() == 1 && answers[0].status == 400, "{answers:?}");
        assert_eq!(answers[0].header("connection"), Some("close"));
    }
    let start = server.admin().request(reqwest::Method::POST, "/v2/library/app/blobs/uploads/");
    let start = start.send().unwrap();
    let location = start.headers()["location"].to_str().unwrap();
    let twice = format!(
        "PATCH {location} HTTP/1.1\r\nhost: a\r\n{login}content-range: 0-1\r\n\
         content-range: 5-6\r\ncontent-length: 2\r\n\r\nab"
    );
    assert_eq!(statuses(&server, twice), [400]);
    // A chunk longer than it says, or of no readable length, ends the connection.
    for chunks in ["5\r\nab\r\n0\r\n\r\n", "zz\r\nab\r\n0\r\n\r\n", "ffffffffffffffffff\r\na\r\n"] {
        let head = format!("{put}{login}transfer-encoding: chunked\r\n\r\n");
        let answered = statuses(&server, format!("{head}{chunks}{hidden}"));
        assert!(!answered.contains(&200) && !answered.contains(&201), "{chunks:?}: {answered:?}");
    }
    assert_eq!(server.admin().get("/v2/library/app/manifests/v1").unwrap().status(), 404);
}

#[test]
fn heads_are_limited_in_size_and_in_number() {
    let server = Server::start();
    let end = "host: a\r\nconnection: close\r\n\r\n";
    let large = format!("GET /health HTTP/1.1\r\nx: {}\r\n{end}", "a".repeat(70_000));
    assert_eq!(statuses(&server, large), [431]);
    let many = format!("GET /health HTTP/1.1\r\n{}{end}", "x: y\r\n".repeat(200));
    assert_eq!(statuses(&server, many), [431]);
    let endless = format!("GET /health HTTP/1.1\r\nx: {}", "a".repeat(2_000_000));
    assert!(statuses(&server, endless).iter().all(|status| *status == 431));
    let token =
        format!("GET /v2/ HTTP/1.1\r\nauthorization: Bearer {}\r\n{end}", "a".repeat(40_000));
    assert_eq!(statuses(&server, token), [401]);
}
