//! Bytes on a socket, as no client library would send them.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};
use tokio::net::TcpSocket;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// After which silence nothing more comes.
const SILENCE: Duration = Duration::from_secs(3);

/// What came back for one request.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Connects from this address of the machine.
pub(crate) fn connect_from(from: [u8; 4], address: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.into(), 0)).unwrap();
        socket.connect(address).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends these bytes, and reads until the server closes or has nothing more to say.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = connect(address);
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    // The server may answer, and close, before it has taken all.
    let _cut = stream.write_all(bytes);
    answers(&read(&mut stream))
}

/// Sends these bytes and hangs up in their middle.
pub(crate) fn hang_up(address: SocketAddr, bytes: &[u8]) {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    read(&mut stream);
}

/// Reads to the end; a connection that is reset has said all that it had to say.
pub(crate) fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return all,
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return all,
            Err(error) if error.kind() == ErrorKind::WouldBlock && !all.is_empty() => return all,
            Err(error) => panic!("{error} after {} bytes", all.len()),
        }
    }
}

/// The answers in what was read. Bodies with a length only.
pub(crate) fn answers(bytes: &[u8]) -> Vec<Answer> {
    let mut rest = String::from_utf8_lossy(bytes).into_owned();
    let mut found = Vec::new();
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut answer = Answer {
            status: status.unwrap_or_else(|| panic!("no answer: {head:?}")),
            head: head.to_owned(),
            body: String::new(),
        };
        let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        answer.body = after[..after.len().min(length)].to_owned();
        let after = after[after.len().min(length)..].to_owned();
        found.push(answer);
        rest = after;
    }
    found
}
