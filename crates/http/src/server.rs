//! Listeners, with the limits that keep slow or hostile clients from holding the server.

use crate::{
    ClientCertificate, Front, Peer, SendFile, Turns, body::IdleLimited, crowd::Crowd,
    patience::Patience, sendfile::PlainStream, turns::Caller,
};
use axum::{Router, body::Body};
use http::{Request, Response, StatusCode, request::Parts};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use rustls::ServerConfig;
use sealock_oci::Digest;
use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

/// Limits of a listener. The defaults suit a registry on the open internet.
#[derive(Debug, Clone)]
pub struct ListenerLimits {
    /// Connections open at once; more wait to be accepted.
    pub connections: usize,
    /// Connections open at once from one address (IPv6: one /64); more are closed.
    pub connections_per_address: usize,
    /// Proxies, which may have as many as there are.
    pub trusted_proxies: Arc<[IpAddr]>,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for a request's head, and longest idle time between requests of a connection.
    pub head: Duration,
    /// Longest pause of a client that sends a body.
    pub body_idle: Duration,
    /// Longest pause of a client that receives an answer.
    pub write_idle: Duration,
    /// Bytes a second that a client sends of a body, or takes of an answer, on average over half a
    /// minute of waiting for it; 0 for no limit.
    pub least_rate: u32,
    /// Headers per request.
    pub headers: usize,
    /// Size of a request's headers in bytes.
    pub header_bytes: u32,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Time that requests under way get to end when the server stops.
    pub drain: Duration,
    /// Which requests begin first. Listeners of one process share it.
    pub turns: Turns,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 5_000,
            trusted_proxies: Arc::default(),
            handshake: Duration::from_secs(15),
            head: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            write_idle: Duration::from_secs(120),
            least_rate: 256,
            headers: 100,
            header_bytes: 64 * 1024,
            streams: 128,
            drain: Duration::from_secs(15),
            turns: Turns::default(),
        }
    }
}

/// Size of a connection's read buffer in bytes: large reads are what makes uploads cheap.
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// HTTP/2 flow-control windows in bytes, per stream and per connection.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// How long connections that are cut off may take to notice.
const CUT_OFF: Duration = Duration::from_secs(1);
/// Pause after the system refuses a connection for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What is said to a connection that is one too many of its address, where it is not TLS.
const CROWDED: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\n\
connection: close\r\ncontent-type: application/json\r\ncontent-length: 119\r\n\r\n\
{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"too many connections from this address; \
use fewer at once, or again\"}]}";

/// Serves until `shutdown` is ready, then lets requests under way end within the limit, and cuts
/// off what is left: when this returns, no handler runs.
///
/// With `tls` the listener speaks TLS only, HTTP/2 or HTTP/1.1 as the client chooses by ALPN;
/// without it, HTTP/1.1 only.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    app: Router,
    limits: ListenerLimits,
    shutdown: impl Future<Output = ()>,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let room = Arc::new(Semaphore::new(limits.connections));
    let crowd = Crowd::new(limits.connections_per_address, limits.trusted_proxies.clone());
    let trusted_proxies = limits.trusted_proxies.to_vec();
    let front = Arc::new(Front { external_url: None, trusted_proxies });
    let graceful = GracefulShutdown::new();
    let (cut, _) = watch::channel(false);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, address, permit)) = accepted else { continue };
        let peer = Peer { address, tls: acceptor.is_some() };
        let Some(place) = crowd.enter(address.ip()) else {
            tracing::debug!(peer = %address, "an address has as many connections as it may");
            if !peer.tls {
                // Best effort: whoever does not read it sees the connection end.
                let _told = stream.try_write(CROWDED);
            }
            continue;
        };
        let limits = limits.clone();
        let asker = Asker::of(&peer, &front, &limits.turns);
        let whole = asker.whole_connection();
        let watcher = graceful.watcher();
        let connection = Connection { app: app.clone(), peer, limits, watcher, asker };
        let acceptor = acceptor.clone();
        let mut cut = cut.subscribe();
        tokio::spawn(async move {
            let _permit: OwnedSemaphorePermit = permit;
            let _place = place;
            let served = async {
                match acceptor {
                    Some(acceptor) => connection.serve_tls(acceptor, stream).await,
                    None => connection.serve_plain(PlainStream::new(stream)).await,
                }
            };
            let served = async {
                match whole {
                    Some(caller) => caller.metered(served).await,
                    None => served.await,
                }
            };
            tokio::select! {
                () = served => {}
                _ = cut.wait_for(|cut| *cut) => {}
            }
        });
    }
    drop(listener);
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way when the time to drain was over");
        let _nobody_left = cut.send(true);
        let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
        let _every_connection_is_gone = timeout(CUT_OFF, room.acquire_many(all)).await;
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, std::net::SocketAddr, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no TCP_NODELAY");
            }
            Some((stream, address, permit))
        }
        Err(error) => {
            // Errors of one connection say nothing about the next; want of descriptors needs
            // patience.
            tracing::warn!(%error, "a connection could not be accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Whose requests come over a connection.
enum Asker {
    /// The other end's.
    Peer(Caller),
    /// Those of whom a trusted proxy names.
    Proxied(Arc<Front>, Turns),
}

impl Asker {
    fn of(peer: &Peer, front: &Arc<Front>, turns: &Turns) -> Self {
        let address = peer.address.ip().to_canonical();
        match front.trusts(address) {
            true => Self::Proxied(front.clone(), turns.clone()),
            false => Self::Peer(turns.caller(address)),
        }
    }

    /// Whom all that a connection costs is counted for.
    fn whole_connection(&self) -> Option<Caller> {
        match self {
            Self::Peer(caller) => Some(caller.clone()),
            Self::Proxied(..) => None,
        }
    }

    /// Whose request this is. Nobody's where a proxy does not say whom it asks for: it would be
    /// everybody.
    fn of_request(&self, parts: &Parts) -> Option<Caller> {
        match self {
            Self::Peer(caller) => Some(caller.clone()),
            Self::Proxied(front, turns) => {
                let address = front.client_address(parts);
                (!front.trusts(address)).then(|| turns.caller(address))
            }
        }
    }
}

struct Connection {
    app: Router,
    peer: Peer,
    limits: ListenerLimits,
    watcher: Watcher,
    asker: Asker,
}

impl Connection {
    async fn serve_tls(self, acceptor: TlsAcceptor, stream: TcpStream) {
        match timeout(self.limits.handshake, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let session = stream.get_ref().1;
                let http2 = session.alpn_protocol() == Some(b"h2");
                let shown = session.peer_certificates().and_then(|chain| chain.first());
                let shown = shown.map(|der| ClientCertificate(Digest::sha256(der)));
                self.serve(stream, http2, shown, None).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = %self.peer.address, %error, "TLS handshake failed");
            }
            Err(_) => tracing::debug!(peer = %self.peer.address, "TLS handshake took too long"),
        }
    }

    async fn serve_plain(self, stream: PlainStream) {
        let files = stream.files();
        self.serve(stream, false, None, Some(files)).await;
    }

    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        http2: bool,
        certificate: Option<ClientCertificate>,
        files: Option<SendFile>,
    ) {
        let Self { app, peer, limits, watcher, asker } = self;
        let io = TokioIo::new(WriteLimited::new(
            stream,
            Patience::new(limits.write_idle, limits.least_rate),
        ));
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let (mut parts, body) = request.into_parts();
            parts.extensions.insert(peer);
            if let Some(certificate) = certificate {
                parts.extensions.insert(certificate);
            }
            if let Some(files) = &files {
                parts.extensions.insert(files.clone());
            }
            let asks_first = parts.headers.contains_key(http::header::EXPECT);
            let patience = Patience::new(limits.body_idle, limits.least_rate);
            let body = Body::new(IdleLimited::new(body, !asks_first, patience));
            let caller = asker.of_request(&parts);
            // What is run by the connection's own task is counted with it.
            let apart = http2 || matches!(asker, Asker::Proxied(..));
            let answer = app.clone().call(Request::from_parts(parts, body));
            async move {
                let Some(caller) = caller else { return answer.await };
                let answer = match apart {
                    true => caller.begin(caller.metered(answer)).await,
                    false => caller.begin(answer).await,
                };
                if let Ok(StatusCode::TOO_MANY_REQUESTS) = answer.as_ref().map(Response::status) {
                    caller.asked_too_much();
                }
                answer
            }
        });
        let served = if http2 {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(limits.streams)
                .max_header_list_size(limits.header_bytes)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .keep_alive_interval(limits.head)
                .keep_alive_timeout(limits.handshake);
            watcher.watch(builder.serve_connection(io, service)).await
        } else {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head)
                .max_headers(limits.headers)
                .max_buf_size(READ_BUFFER_BYTES);
            watcher.watch(builder.serve_connection(io, service)).await
        };
        if let Err(error) = served {
            tracing::debug!(peer = %peer.address, %error, "connection ended");
        }
    }
}

/// A stream that fails when its receiver takes nothing, or too little, for too long.
struct WriteLimited<S> {
    inner: S,
    patience: Patience,
}

impl<S> WriteLimited<S> {
    fn new(inner: S, patience: Patience) -> Self {
        Self { inner, patience }
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let slow = match &polled {
            Poll::Ready(Ok(done)) => self.patience.moved(bytes(done)).is_err(),
            Poll::Ready(Err(_)) => false,
            Poll::Pending => self.patience.wait(context).is_ready(),
        };
        if slow { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { polled }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteLimited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteLimited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, polled, |bytes| *bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, buffers);
        self.watch(context, polled, |bytes| *bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        self.watch(context, polled, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(context);
        self.watch(context, polled, |()| 0)
    }
}
