//! One connection that is kept, and no retries: what is timed is the server.

use super::{bodies::Body, login::Pass};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use sealock_oci::Digest;
use sha2::Digest as _;
use std::{path::Path, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Largest answer that is kept instead of counted, in bytes.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// A server's address.
pub(super) struct Endpoint {
    host: String,
    port: u16,
    authority: HeaderValue,
    tls: Option<TlsConnector>,
}

impl Endpoint {
    /// Reads `http://host:port` or `https://host:port`.
    pub(super) fn new(url: &str, ca: Option<&Path>) -> Result<Self> {
        let uri: http::Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => bail!("{url}: neither http nor https"),
        };
        let authority = uri.authority().context("the URL names no host")?;
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self {
            host: authority.host().to_owned(),
            port,
            authority: authority.as_str().parse()?,
            tls: secure.then(|| connector(ca)).transpose()?,
        })
    }

    async fn connect(&self) -> Result<http1::SendRequest<Body>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return handshake(stream).await };
        let name = ServerName::try_from(self.host.clone())?;
        handshake(tls.connect(name, stream).await?).await
    }
}

async fn handshake<S>(stream: S) -> Result<http1::SendRequest<Body>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its error reaches whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}

fn connector(ca: Option<&Path>) -> Result<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    let path = ca.context("an https server needs --ca")?;
    let pem = std::fs::read(path).with_context(|| path.display().to_string())?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

/// A client with its connection.
pub(super) struct Client {
    endpoint: Arc<Endpoint>,
    pass: Arc<Pass>,
    sender: Option<http1::SendRequest<Body>>,
}

impl Client {
    /// Connects with the first request.
    pub(super) fn new(endpoint: Arc<Endpoint>, pass: Arc<Pass>) -> Self {
        Self { endpoint, pass, sender: None }
    }

    /// A request to a path of this server, with the credentials for the repository.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        repository: &str,
    ) -> http::request::Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.endpoint.authority)
            .header(header::USER_AGENT, "sealock-bench");
        let credentials = match path.starts_with("/api/") {
            true => self.pass.for_api(),
            false => self.pass.for_repository(repository),
        };
        if let Some(credentials) = credentials {
            request = request.header(header::AUTHORIZATION, credentials);
        }
        request
    }

    /// Sends and waits for the answer's head. The answer's body must be read to its end before the
    /// next request.
    pub(super) async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>> {
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.endpoint.connect().await?,
        };
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        self.sender = Some(sender);
        Ok(answer)
    }

    /// Sends, expects a status, and reads the answer to its end without keeping it. Gives its
    /// headers and its length in bytes.
    pub(super) async fn expect(
        &mut self,
        request: Request<Body>,
        status: StatusCode,
    ) -> Result<(http::HeaderMap, u64)> {
        let what = (request.method().clone(), request.uri().clone());
        let answer = self.send(request).await.with_context(|| format!("{} {}", what.0, what.1))?;
        if answer.status() != status {
            let found = answer.status();
            let text = keep(answer.into_body()).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            bail!("{} {}: {found} instead of {status}: {text}", what.0, what.1);
        }
        let (head, body) = answer.into_parts();
        Ok((head.headers, count(body, None).await?))
    }

    /// Sends a GET that must give so many bytes, and this digest if it is to be verified.
    pub(super) async fn fetch(
        &mut self,
        request: Request<Body>,
        (digest, size): (&Digest, u64),
        verify: bool,
    ) -> Result<()> {
        let what = request.uri().clone();
        let answer = self.send(request).await.with_context(|| format!("GET {what}"))?;
        if answer.status() != StatusCode::OK {
            bail!("GET {what}: {}", answer.status());
        }
        let mut hash = verify.then(sha2::Sha256::new);
        let found = count(answer.into_body(), hash.as_mut()).await?;
        if found != size {
            bail!("GET {what}: {found} bytes instead of {size}");
        }
        if let Some(hash) = hash
            && hex(&hash.finalize()) != digest.hex()
        {
            bail!("GET {what}: not the bytes that were pushed");
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a body to its end, hashing it if asked to.
async fn count(mut body: Incoming, mut hash: Option<&mut sha2::Sha256>) -> Result<u64> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            length += data.len() as u64;
            if let Some(hash) = &mut hash {
                hash.update(&data);
            }
        }
    }
    Ok(length)
}

/// Reads a small body.
pub(super) async fn keep(body: Incoming) -> Result<Bytes> {
    let limited = http_body_util::Limited::new(body, MAX_KEPT_BYTES);
    let whole = limited.collect().await.map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(whole.to_bytes())
}
