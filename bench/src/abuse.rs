//! Clients that take what they can get, to measure what others notice of them. They come from an
//! address of their own, speak HTTP/1.1 as bytes, and cost little themselves: on a machine of two
//! cores they share one with the client whose latencies are measured.

use anyhow::{Context, Result, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sealock_oci::Digest;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

/// What the abuser does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Sends bodies, each as slowly as the server bears.
    SlowBodies,
    /// Asks without a pause, whatever the answer.
    Hammer,
    /// Lists the referrers of a subject that has a great many.
    Referrers,
    /// Begins uploads and ends none.
    Uploads,
    /// Guesses passwords of ever other names.
    Guess,
}

/// Abuse a server for a while.
#[derive(Debug, clap::Args)]
pub(crate) struct Abuse {
    /// What is done.
    kind: Kind,
    /// The server's address, such as 127.0.0.1:5000.
    #[arg(long)]
    server: SocketAddr,
    /// Where the abuser connects from.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)))]
    from: IpAddr,
    /// Connections.
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Ends after so many seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The abuser's user; the password is in SEALOCK_PASSWORD.
    #[arg(long, default_value = "admin")]
    user: String,
    /// Repositories are NAME-0, NAME-1 and so on.
    #[arg(long, default_value = "library/abuse")]
    repository: String,
    /// What `referrers` asks for, such as /v2/library/referrers/referrers/sha256:….
    #[arg(long, default_value = "/v2/")]
    path: String,
}

/// Bytes of a slow body, and of each piece of it, which comes once a second.
const SLOW_BYTES: usize = 1024 * 1024;
const SLOW_PIECE: usize = 512;
/// How long an abuser that is refused a connection rests.
const REST: Duration = Duration::from_millis(50);

/// How often each status came; 0 stands for connections that failed.
type Answers = BTreeMap<u16, u64>;

/// Runs the abuser.
pub(crate) async fn abuse(args: Abuse) -> Result<Value> {
    let password = std::env::var("SEALOCK_PASSWORD").context("SEALOCK_PASSWORD is not set")?;
    let pair = BASE64_STANDARD.encode(format!("{}:{password}", args.user));
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let mut workers = JoinSet::new();
    for number in 0..args.connections {
        let worker = Worker {
            kind: args.kind,
            server: args.server,
            from: args.from,
            login: format!("authorization: Basic {pair}\r\n"),
            repository: args.repository.clone(),
            path: args.path.clone(),
            number: u64::from(number),
            step: u64::from(args.connections),
        };
        workers.spawn(worker.run(end));
    }
    let mut all = Answers::new();
    while let Some(done) = workers.join_next().await {
        for (status, count) in done? {
            *all.entry(status).or_default() += count;
        }
    }
    let answers: BTreeMap<String, u64> =
        all.into_iter().map(|(status, count)| (status.to_string(), count)).collect();
    Ok(json!({"seconds": args.seconds, "connections": args.connections, "answers": answers}))
}

struct Worker {
    kind: Kind,
    server: SocketAddr,
    from: IpAddr,
    login: String,
    repository: String,
    path: String,
    number: u64,
    step: u64,
}

impl Worker {
    async fn run(mut self, end: Instant) -> Answers {
        let mut answers = Answers::new();
        let mut connection = None;
        while Instant::now() < end {
            let status = match tokio::time::timeout_at(end.into(), self.once(&mut connection)).await
            {
                Ok(Ok(status)) => status,
                Ok(Err(_)) => {
                    connection = None;
                    tokio::time::sleep(REST).await;
                    0
                }
                Err(_) => break,
            };
            *answers.entry(status).or_default() += 1;
        }
        answers
    }

    /// One request and the status of its answer.
    async fn once(&mut self, connection: &mut Option<BufReader<TcpStream>>) -> Result<u16> {
        let stream = match connection {
            Some(stream) => stream,
            none => none.insert(BufReader::new(self.connect().await?)),
        };
        self.number += self.step;
        let (number, login) = (self.number, self.login.as_str());
        let request = |method: &str, path: &str, login: &str, length: usize| {
            format!(
                "{method} {path} HTTP/1.1\r\nhost: {}\r\n{login}content-length: {length}\r\n\r\n",
                self.server
            )
        };
        let text = match self.kind {
            Kind::SlowBodies => return self.slow(stream, &request).await,
            Kind::Hammer => request("GET", "/v2/", login, 0),
            Kind::Referrers => request("GET", &self.path, login, 0),
            Kind::Uploads => {
                // A thousand of each repository are the limit.
                let path = format!("/v2/{}-{}/blobs/uploads/", self.repository, number / 1_000);
                request("POST", &path, login, 0)
            }
            Kind::Guess => {
                let pair = BASE64_STANDARD.encode(format!("name-{number}:a guess"));
                request("GET", "/v2/", &format!("authorization: Basic {pair}\r\n"), 0)
            }
        };
        stream.get_mut().write_all(text.as_bytes()).await?;
        answer(stream).await
    }

    async fn slow(
        &self,
        stream: &mut BufReader<TcpStream>,
        request: &impl Fn(&str, &str, &str, usize) -> String,
    ) -> Result<u16> {
        let digest = Digest::sha256(self.number.to_string().as_bytes());
        let path = format!("/v2/{}-0/blobs/uploads/?digest={digest}", self.repository);
        let head = request("POST", &path, &self.login, SLOW_BYTES);
        stream.get_mut().write_all(head.as_bytes()).await?;
        for _ in 0..SLOW_BYTES / SLOW_PIECE {
            stream.get_mut().write_all(&[7; SLOW_PIECE]).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        answer(stream).await
    }

    async fn connect(&self) -> Result<TcpStream> {
        let socket = if self.server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(self.from, 0))?;
        Ok(socket.connect(self.server).await?)
    }
}

/// Reads an answer to its end; its status.
async fn answer(stream: &mut BufReader<TcpStream>) -> Result<u16> {
    let mut line = String::new();
    let (mut status, mut length) = (None, 0_u64);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            bail!("the server hung up");
        }
        let text = line.trim_end();
        if status.is_none() {
            status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
            status.context("no status")?;
        } else if text.is_empty() {
            break;
        } else if let Some((name, value)) = text.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse()?;
        }
    }
    let mut body = stream.take(length);
    tokio::io::copy(&mut body, &mut tokio::io::sink()).await?;
    status.context("no status")
}
