//! The listener against slow, large, broken and leaving clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use axum::{
    Router,
    body::Body,
    extract::Request,
    routing::{get, post},
};
use http::StatusCode;
use http_body_util::BodyExt as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sealock_http::{
    ClientCertificate, Front, ListenerLimits, Peer, REQUEST_ID, around,
    registered_client_certificates, serve,
};
use sealock_oci::Digest;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn app() -> Router {
    let app = Router::new()
        .route("/ok", get(|| async { "ok" }))
        .route(
            "/slow",
            get(|| async {
                sleep(Duration::from_millis(300)).await;
                "done"
            }),
        )
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("the secret of the panic");
                }
            }),
        )
        .route(
            "/tls",
            get(|request: Request| async move {
                request.extensions().get::<Peer>().unwrap().tls.to_string()
            }),
        )
        .route(
            "/certificate",
            get(|request: Request| async move {
                let shown = request.extensions().get::<ClientCertificate>();
                shown.map_or_else(|| "none".to_owned(), |shown| shown.0.to_string())
            }),
        )
        .route("/endless", get(|| async { Body::from(vec![0; 64 * 1024 * 1024]) }))
        .route("/refuse", post(|| async { (StatusCode::FORBIDDEN, "not you") }))
        .route(
            "/count",
            post(|body: Body| async move {
                match body.collect().await {
                    Ok(body) => body.to_bytes().len().to_string(),
                    Err(error) => format!("broken: {error}"),
                }
            }),
        );
    around(app, Arc::new(Front::default()))
}

async fn start(limits: ListenerLimits, tls: Option<Arc<rustls::ServerConfig>>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        serve(listener, tls, app(), limits, stopped).await;
    });
    Served { address, stop, task }
}

fn limits() -> ListenerLimits {
    ListenerLimits {
        head: Duration::from_millis(400),
        body_idle: Duration::from_millis(400),
        write_idle: Duration::from_millis(400),
        handshake: Duration::from_millis(400),
        drain: Duration::from_secs(5),
        ..ListenerLimits::default()
    }
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

/// As [`ask`], from another address of this machine.
async fn ask_from(from: &str, address: SocketAddr, request: &str) -> String {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

const CLOSE: &str = "host: a\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn answers_carry_a_request_id_and_panics_stay_inside() {
    let served = start(limits(), None).await;
    let answer = ask(served.address, &format!("GET /ok HTTP/1.1\r\n{CLOSE}")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
    let request = format!("GET /ok HTTP/1.1\r\n{REQUEST_ID}: mine-1\r\n{CLOSE}");
    assert!(ask(served.address, &request).await.contains("x-request-id: mine-1"));
    let request = format!("GET /ok HTTP/1.1\r\n{REQUEST_ID}: a b\r\n{CLOSE}");
    assert!(!ask(served.address, &request).await.contains("a b"));
    let answer = ask(served.address, &format!("GET /panic HTTP/1.1\r\n{CLOSE}")).await;
    assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("\"UNKNOWN\""), "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
    let answer = ask(served.address, &format!("GET /no HTTP/1.1\r\n{CLOSE}")).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("NOT_FOUND"), "{answer}");
}

#[tokio::test]
async fn heads_are_limited_in_time_and_size() {
    let served = start(limits(), None).await;
    let answer = ask(served.address, "GET /ok HTTP/1.1\r\nhost: a\r\n").await;
    assert!(!answer.contains("200"), "an unfinished head: {answer}");
    assert_eq!(ask(served.address, "").await, "", "a silent client");
    let large = format!("GET /ok HTTP/1.1\r\nx: {}\r\n{CLOSE}", "a".repeat(70_000));
    assert!(ask(served.address, &large).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET /ok HTTP/1.1\r\n{}{CLOSE}", "x: y\r\n".repeat(200));
    assert!(ask(served.address, &many).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_head_that_does_not_end_is_held_to_its_limit_and_no_further() {
    let patient = ListenerLimits { head: Duration::from_secs(60), ..limits() };
    let served = start(patient, None).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // More than is held of it; the server may be gone before all of it is written.
    let head = format!("GET /ok HTTP/1.1\r\nhost: a\r\nx: {}", "a".repeat(300 * 1024));
    let _cut = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "it is waited for");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn bodies_that_pause_or_break_off_are_errors() {
    let served = start(limits(), None).await;
    let head = "POST /count HTTP/1.1\r\ncontent-length: 10\r\n";
    let answer = ask(served.address, &format!("{head}{CLOSE}0123456789")).await;
    assert!(answer.ends_with("\r\n10"), "{answer}");
    let answer = ask(served.address, &format!("{head}{CLOSE}01234")).await;
    assert!(answer.contains("broken: no byte came"), "{answer}");
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(format!("{head}{CLOSE}01234").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(!answer.ends_with("\r\n5"), "a cut body is not a whole one: {answer}");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped() {
    let served = start(limits(), None).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(format!("GET /endless HTTP/1.1\r\n{CLOSE}").as_bytes()).await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
    assert!(read.is_err() || answer.len() < 64 * 1024 * 1024, "served in full");
}

#[tokio::test]
async fn requests_under_way_end_before_the_server_does() {
    let served = start(limits(), None).await;
    let address = served.address;
    let slow =
        tokio::spawn(async move { ask(address, "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await });
    sleep(Duration::from_millis(100)).await;
    served.stop.send(()).unwrap();
    let answer = slow.await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    timeout(Duration::from_secs(2), served.task).await.expect("ends at once").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn tls_speaks_both_versions_of_http_and_drops_the_silent() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let served = start(limits(), Some(Arc::new(config))).await;
    for alpn in ["h2", "http/1.1"] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let mut config =
            rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = TcpStream::connect(served.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let request = http::Request::get("https://localhost/tls").header("host", "localhost");
        let request = request.body(Body::empty()).unwrap();
        let response = if alpn == "h2" {
            let executor = hyper_util::rt::TokioExecutor::new();
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(executor, io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        assert_eq!(response.status(), 200);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "true");
    }
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut nothing = Vec::new();
    let read = timeout(Duration::from_secs(3), silent.read_to_end(&mut nothing)).await;
    assert!(read.is_ok(), "a silent client keeps its place");
}

/// Whoever shows a certificate must hold its key; who shows none is served all the same.
#[tokio::test]
async fn a_client_certificate_is_told_to_the_faces_once_its_key_is_proved() {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(registered_client_certificates(&provider))
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let served = start(limits(), Some(Arc::new(config))).await;
    let client = rcgen::generate_simple_self_signed(vec!["cluster".to_owned()]).unwrap();
    let stranger = rcgen::KeyPair::generate().unwrap();
    let own = client.signing_key.serialize_der();
    let der = client.cert.der().clone();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let cases = [
            (None, Some("none".to_owned())),
            (Some(own.clone()), Some(Digest::sha256(&der).to_string())),
            // A certificate is public: without its key it proves nothing.
            (Some(stranger.serialize_der()), None),
        ];
        for (key, expected) in cases {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(certificate.clone()).unwrap();
            let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots);
            let config = match key {
                None => builder.with_no_client_auth(),
                Some(key) => {
                    let key = PrivateKeyDer::try_from(key).unwrap();
                    let signer = provider.key_provider.load_private_key(key).unwrap();
                    let shown = rustls::sign::CertifiedKey::new(vec![der.clone()], signer);
                    builder.with_client_cert_resolver(Arc::new(Always(Arc::new(shown))))
                }
            };
            let got = ask_tls(served.address, config).await;
            assert_eq!(got, expected, "{version:?}");
        }
    }
}

/// Shows this certificate whatever the server asks for.
#[derive(Debug)]
struct Always(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Always {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The answer of `/certificate`; none when the connection is refused.
async fn ask_tls(address: SocketAddr, config: rustls::ClientConfig) -> Option<String> {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.ok()?;
    let request = b"GET /certificate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).unwrap();
    answer.rsplit("\r\n").next().map(str::to_owned)
}

/// Most clients send all they have before they look at the answer; one that comes early must not
/// be lost because the connection is closed under them.
#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let served = start(limits(), None).await;
    const SIZE: usize = 8 * 1024 * 1024;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = format!("POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    stream.write_all(&vec![0; SIZE]).await.expect("the body is taken");
    // The connection is whole: the next request is answered, too.
    stream.write_all(format!("GET /ok HTTP/1.1\r\n{CLOSE}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 403") && answer.ends_with("\r\nok"), "{answer}");
    // Who asks before sending is not told to go on.
    let head = "POST /refuse HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 9999999\r\n";
    let answer = ask(served.address, &format!("{head}{CLOSE}")).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

/// What is still under way when the time to drain is over is cut off: nothing runs on.
#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_when_the_server_stops() {
    let limits = ListenerLimits {
        body_idle: Duration::from_secs(60),
        drain: Duration::from_millis(300),
        ..limits()
    };
    let served = start(limits, None).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = format!("POST /count HTTP/1.1\r\ncontent-length: 10\r\n{CLOSE}01234");
    stream.write_all(head.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    served.stop.send(()).unwrap();
    timeout(Duration::from_secs(2), served.task).await.expect("does not wait").unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await.unwrap();
    assert!(read.is_err() || answer.is_empty(), "an answer out of nowhere");
}

/// Clients on a thread of their own, so that all of them have asked before the server looks.
fn clients(address: SocketAddr, proxied: bool, number: usize) -> Vec<std::thread::JoinHandle<()>> {
    let ask = move |from: &'static str| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let (from, named) = match proxied {
                true => ("127.0.0.9", format!("x-forwarded-for: {from}\r\n")),
                false => (from, String::new()),
            };
            let request = format!("GET /busy HTTP/1.1\r\n{named}{CLOSE}");
            let answer = runtime.unwrap().block_on(ask_from(from, address, &request));
            assert!(answer.starts_with("HTTP/1.1 200"), "nobody is refused: {answer}");
        })
    };
    let mut asking = vec![ask("127.0.0.3")];
    asking.extend((0..number).map(|_| ask("127.0.0.2")));
    std::thread::park_timeout(Duration::from_millis(200));
    asking.push(ask("127.0.0.3"));
    asking
}

/// One thread serves, and a request costs it 30 ms.
async fn who_was_served(proxied: bool) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(std::sync::Mutex::new(Vec::new()));
    let order = served.clone();
    let busy = move |request: Request| async move {
        let peer = request.extensions().get::<Peer>().unwrap().address.ip().to_string();
        let named = request.headers().get("x-forwarded-for");
        order.lock().unwrap().push(named.map_or(peer, |name| name.to_str().unwrap().to_owned()));
        std::thread::park_timeout(Duration::from_millis(30));
        "done"
    };
    let app = around(Router::new().route("/busy", get(busy)), Arc::new(Front::default()));
    let proxies = Arc::from(["127.0.0.9".parse().unwrap()]);
    let limits = ListenerLimits { trusted_proxies: proxies, ..ListenerLimits::default() };
    let server = tokio::spawn(serve(listener, None, app, limits, std::future::pending()));
    let asking = tokio::task::spawn_blocking(move || {
        clients(address, proxied, 60).into_iter().for_each(|client| client.join().unwrap());
    });
    asking.await.unwrap();
    server.abort();
    served.lock().unwrap().clone()
}

#[tokio::test]
async fn who_asks_for_much_lets_others_go_first_and_is_answered() {
    for proxied in [false, true] {
        let order = who_was_served(proxied).await;
        assert_eq!(order.len(), 62);
        let last = order.iter().rposition(|who| who == "127.0.0.3").unwrap();
        // Sixty at 30 ms each: it came when a few of them had been answered.
        assert!(last < 30, "proxied: {proxied}: {order:?}");
    }
}
