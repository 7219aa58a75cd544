//! Downloads from a server on this machine, which the egress policy must be told to allow.

use super::*;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers every request by its head, and keeps the paths.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = socket.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            // The whole head, for those who look for conditions.
            let reply = answer(&head);
            kept.lock().unwrap().push(path);
            let _ = socket.write_all(&reply).await;
            let _ = socket.shutdown().await;
        }
    });
    Server { port, asked }
}

fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn request(url: String, egress: EgressPolicy) -> Download {
    Download { url, ecosystems: vec!["npm".to_owned()], egress, ..Download::default() }
}

fn local() -> EgressPolicy {
    EgressPolicy::with_hosts(["127.0.0.1".to_owned()])
}

#[tokio::test]
async fn takes_the_layout_of_osv_dev() {
    let server = serve(|_| reply("200 OK", "", b"zipped")).await;
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = request(format!("http://127.0.0.1:{}/base/", server.port), local());
    wanted.ecosystems.push("Debian:12".to_owned());
    let files = download(&wanted, folder.path()).await.unwrap().files;
    assert_eq!(*server.asked.lock().unwrap(), ["/base/npm/all.zip", "/base/Debian:12/all.zip"]);
    assert_eq!(std::fs::read(&files[1]).unwrap(), b"zipped");
    let single = request(format!("http://127.0.0.1:{}/x.jsonl.zst?a=b", server.port), local());
    let files = download(&single, folder.path()).await.unwrap().files;
    assert!(files[0].to_string_lossy().ends_with(".jsonl.zst"));
}

#[tokio::test]
async fn goes_nowhere_that_the_policy_denies() {
    let server = serve(|_| reply("200 OK", "", b"secret")).await;
    let folder = tempfile::tempdir().unwrap();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/x.json", server.port);
        let error = download(&request(url, EgressPolicy::public_only()), folder.path()).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("egress policy"), "{error}");
    }
    assert!(server.asked.lock().unwrap().is_empty());
    for url in ["ftp://127.0.0.1/x.json", "file:///etc/passwd.json", "nonsense"] {
        assert!(download(&request(url.to_owned(), local()), folder.path()).await.is_err());
    }
}

#[tokio::test]
async fn a_redirect_is_checked_like_the_first_address() {
    let inner = serve(|_| reply("200 OK", "", b"secret")).await;
    let port = inner.port;
    let to = move |host: &str| format!("Location: http://{host}:{port}/x.json\r\n");
    let outer = serve(move |path| {
        let host = if path.contains("allowed") { "127.0.0.1" } else { "127.0.0.2" };
        reply("302 Found", &to(host), b"")
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("http://127.0.0.1:{}/{name}.json", outer.port);
    download(&request(url("allowed"), local()), folder.path()).await.unwrap();
    let error = download(&request(url("denied"), local()), folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("egress policy"), "{error}");
    assert_eq!(inner.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn lengths_and_failures() {
    let path = |head: &str| head.split(' ').nth(1).unwrap_or_default().to_owned();
    let server = serve(move |head| match path(head).as_str() {
        "/stated.zip" => reply("200 OK", "Content-Length: 1000\r\n", &[0; 1000]),
        "/unstated.zip" => reply("200 OK", "", &[0; 1000]),
        "/small.zip" => reply("200 OK", "", &[0; 100]),
        _ => reply("404 Not Found", "Content-Length: 0\r\n", b""),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let get = async |name: &str| {
        let mut wanted = request(format!("http://127.0.0.1:{}/{name}", server.port), local());
        wanted.limits.download_bytes = 500;
        download(&wanted, folder.path()).await
    };
    assert!(get("small.zip").await.is_ok());
    for long in ["stated.zip", "unstated.zip"] {
        assert!(matches!(get(long).await, Err(AdvisoryError::Limit { .. })), "{long}");
    }
    let error = get("absent.zip").await.unwrap_err().to_string();
    assert!(error.contains("404"), "{error}");
}

/// A server whose files have versions; `npm` moves to the second one when told.
async fn versioned(newer: Arc<std::sync::atomic::AtomicBool>) -> Server {
    serve(move |head| {
        let second = newer.load(std::sync::atomic::Ordering::SeqCst) && head.contains("/npm/");
        let (version, condition, body) = if head.contains("/npm/") {
            let etag = if second { "\"two\"" } else { "\"one\"" };
            (format!("ETag: {etag}\r\n"), format!("if-none-match: {etag}"), etag)
        } else {
            let date = "Sun, 01 Nov 2026 00:00:00 GMT";
            (format!("Last-Modified: {date}\r\n"), format!("if-modified-since: {date}"), date)
        };
        if head.contains(&condition) {
            return reply("304 Not Modified", &version, b"");
        }
        reply("200 OK", &version, body.as_bytes())
    })
    .await
}

#[tokio::test]
async fn what_has_not_changed_is_not_fetched_again() {
    let newer = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let server = versioned(newer.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = request(format!("http://127.0.0.1:{}/", server.port), local());
    wanted.ecosystems.push("PyPI".to_owned());
    let first = download(&wanted, folder.path()).await.unwrap();
    assert_eq!((first.files.len(), first.versions.len()), (2, 2));
    wanted.known = first.versions.clone();
    let again = download(&wanted, folder.path()).await.unwrap();
    assert!(again.is_unchanged());
    assert_eq!(again.versions, first.versions);

    // One has changed: what replaces the source must be whole.
    newer.store(true, std::sync::atomic::Ordering::SeqCst);
    let folder = tempfile::tempdir().unwrap();
    let changed = download(&wanted, folder.path()).await.unwrap();
    assert_eq!(changed.files.len(), 2);
    assert_eq!(std::fs::read(&changed.files[0]).unwrap(), b"\"two\"");
    assert!(std::fs::read(&changed.files[1]).unwrap().starts_with(b"Sun"));
    assert_ne!(changed.versions, first.versions);

    // Other files than those that the source was made of: nothing is known about the whole.
    wanted.known = changed.versions.clone();
    wanted.ecosystems.pop();
    assert_eq!(download(&wanted, folder.path()).await.unwrap().files.len(), 1);
}

#[tokio::test]
async fn not_modified_is_no_answer_to_a_plain_request() {
    let server = serve(|_| reply("304 Not Modified", "", b"")).await;
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = request(format!("http://127.0.0.1:{}/", server.port), local());
    // The server had given no version, so there is nothing to ask by.
    let url = format!("http://127.0.0.1:{}/npm/all.zip", server.port);
    wanted.known.insert(url, FileVersion::default());
    let error = download(&wanted, folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("304"), "{error}");
}
