//! Files that the system sends by itself (sendfile), so that their bytes do not pass through this
//! process: over connections without TLS and without HTTP/2's frames.
//!
//! hyper owns the connection while it answers, and writes pieces of memory. So an answer names a
//! file by its mapping: the pieces are mapped memory that nobody reads, and the connection, which
//! knows what was mapped for it, has the system send the part of the file for which a piece stands.
//! Whoever does read a piece, a layer that looks into bodies for one, finds the file's bytes.

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};
use rustix::{fs::sendfile, net::SendFlags};
use std::{
    fs::File,
    io::{self, IoSlice},
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// The most that one call asks the system to send, in bytes: others have their turn in between.
const MAX_BYTES_AT_ONCE: usize = 512 * 1024;

/// A connection that lets the system send files, as an extension of its requests. There is none
/// where the bytes must pass through this process, to be encrypted or framed.
#[derive(Clone, Default)]
pub struct SendFile(Arc<Mutex<Vec<Announced>>>);

/// A file that the connection may be asked to send.
struct Announced {
    /// Addresses of the mapping.
    memory: Range<usize>,
    file: Arc<File>,
    /// Where in the file the mapping begins.
    offset: u64,
}

/// Mapped memory, which the connection knows until it is dropped.
struct Mapped {
    map: Mmap,
    connection: SendFile,
}

/// Part of a file.
struct Part {
    file: Arc<File>,
    offset: u64,
    length: usize,
}

impl SendFile {
    /// The bytes of a range of a file, none of which is read before it is sent: the system sends
    /// the file itself when they, or parts of them, are written to this connection.
    ///
    /// The file must never be written to again, and not be cut either: whoever reads the bytes
    /// after it was is ended by a signal. The connection itself does not read them; it breaks off.
    pub fn announce(&self, file: Arc<File>, range: Range<u64>) -> io::Result<Bytes> {
        let length = range.end.saturating_sub(range.start);
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut options = MmapOptions::new();
        options.offset(range.start).len(length);
        #[expect(unsafe_code, reason = "memory stands for the file; the system alone reads it")]
        // SAFETY: callers have files that are published once and never changed in place.
        let map = unsafe { options.map(&*file) }?;
        let memory = map.as_ptr_range();
        let memory = memory.start.addr()..memory.end.addr();
        self.lock().push(Announced { memory, file, offset: range.start });
        Ok(Bytes::from_owner(Mapped { map, connection: self.clone() }))
    }

    /// What of a file a piece of memory stands for.
    fn part(&self, memory: &[u8]) -> Option<Part> {
        let start = memory.as_ptr().addr();
        let all = self.lock();
        let found = all.iter().find(|one| one.memory.contains(&start))?;
        let length = memory.len().min(found.memory.end - start);
        let offset = found.offset + (start - found.memory.start) as u64;
        Some(Part { file: found.file.clone(), offset, length })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Announced>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Mapped {
    /// Before the memory is given back: its addresses may stand for something else at once.
    fn drop(&mut self) {
        let start = self.map.as_ptr().addr();
        self.connection.lock().retain(|one| one.memory.start != start);
    }
}

/// A connection without TLS.
pub(crate) struct PlainStream {
    stream: TcpStream,
    files: SendFile,
}

impl PlainStream {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, files: SendFile::default() }
    }

    /// Where files are announced that this connection is to send.
    pub(crate) fn files(&self) -> SendFile {
        self.files.clone()
    }

    /// Does what needs room for sending, as soon as there is some.
    fn poll_send(
        &self,
        context: &mut Context<'_>,
        mut send: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_io(Interest::WRITABLE, || send(&self.stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_send_part(&self, context: &mut Context<'_>, part: &Part) -> Poll<io::Result<usize>> {
        let most = part.length.min(MAX_BYTES_AT_ONCE);
        self.poll_send(context, |stream| {
            let mut offset = part.offset;
            match sendfile(stream, &part.file, Some(&mut offset), most) {
                // The status is out already; breaking off tells the client that this is not all.
                Ok(0) => {
                    tracing::error!(offset = part.offset, "a file ended before what was announced");
                    Err(io::ErrorKind::UnexpectedEof.into())
                }
                Err(rustix::io::Errno::IO) => {
                    tracing::error!(offset = part.offset, "a file could not be read to its end");
                    Err(rustix::io::Errno::IO.into())
                }
                done => Ok(done?),
            }
        })
    }
}

impl AsyncRead for PlainStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for PlainStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let nothing_announced = self.files.lock().is_empty();
        if nothing_announced {
            return Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        }
        let full = pieces.iter().filter(|piece| !piece.is_empty());
        let parts = full.map(|piece| (piece, self.files.part(piece)));
        match parts.take(2).collect::<Vec<_>>().as_slice() {
            [(_, Some(part)), ..] => self.poll_send_part(context, part),
            // The head of an answer goes out in one packet with what follows.
            [(head, None), (_, Some(_))] => self.poll_send(context, |stream| {
                Ok(rustix::net::send(stream, head, SendFlags::MORE | SendFlags::NOSIGNAL)?)
            }),
            [(head, None), ..] => Pin::new(&mut self.stream).poll_write(context, head),
            [] => Poll::Ready(Ok(0)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write as _, time::Duration};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        time::{sleep, timeout},
    };

    const LENGTH: usize = 3 * 1024 * 1024 + 7;

    fn content() -> Vec<u8> {
        (0..LENGTH).map(|i| (i / 5 % 251) as u8).collect()
    }

    fn file() -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content()).unwrap();
        Arc::new(file)
    }

    async fn connected() -> (PlainStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (PlainStream::new(listener.accept().await.unwrap().0), other)
    }

    /// Writes all the pieces as hyper does: together, again from where the system stopped.
    async fn write(stream: &mut PlainStream, mut pieces: Vec<Bytes>) -> io::Result<()> {
        while !pieces.is_empty() {
            let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut written = stream.write_vectored(&slices).await?;
            while let Some(first) = pieces.first_mut() {
                let part = written.min(first.len());
                bytes::Buf::advance(first, part);
                written -= part;
                if !first.is_empty() {
                    break;
                }
                pieces.remove(0);
            }
        }
        stream.flush().await
    }

    #[tokio::test]
    async fn memory_and_parts_of_files_arrive_in_their_order() {
        let (mut stream, mut other) = connected().await;
        let (files, content) = (stream.files(), content());
        let whole = files.announce(file(), 0..LENGTH as u64).unwrap();
        // Neither at a page's beginning nor at its end.
        let within = files.announce(file(), 4099..1_000_003).unwrap();
        let pieces = vec![
            Bytes::from_static(b"head\r\n\r\n"),
            whole.slice(..70_000),
            Bytes::new(),
            whole.slice(70_000..),
            Bytes::from_static(b"between"),
            Bytes::from_static(b"and"),
            within.slice(1..),
            whole.slice(5..6),
            Bytes::from_static(b"end"),
        ];
        let expected: Vec<u8> = [
            b"head\r\n\r\n",
            content.as_slice(),
            b"betweenand",
            &content[4100..1_000_003],
            &content[5..6],
            b"end",
        ]
        .concat();
        assert_eq!(pieces.concat(), expected, "what reads them finds the same");
        let read = tokio::spawn(async move {
            let mut all = Vec::new();
            // Slower than what is sent, so that the system takes less than it is given.
            while other.read_buf(&mut all).await.unwrap() > 0 {
                sleep(Duration::from_micros(100)).await;
            }
            all
        });
        write(&mut stream, pieces).await.unwrap();
        drop(stream);
        assert!(read.await.unwrap() == expected);
    }

    #[tokio::test]
    async fn what_is_no_longer_in_use_is_forgotten() {
        let (stream, _other) = connected().await;
        let files = stream.files();
        let mapped = files.announce(file(), 0..LENGTH as u64).unwrap();
        let (first, second) = (mapped.slice(..10), mapped.slice(10..20));
        drop(mapped);
        assert_eq!(files.part(&second).unwrap().offset, 10);
        assert!(files.part(&content()[..10]).is_none(), "memory stands for itself");
        drop(first);
        assert_eq!(files.lock().len(), 1);
        drop(second);
        assert_eq!(files.lock().len(), 0);
    }

    #[tokio::test]
    async fn a_file_that_ended_early_breaks_the_answer_off() {
        let (mut stream, mut other) = connected().await;
        let file = file();
        let mapped = stream.files().announce(file.clone(), 0..LENGTH as u64).unwrap();
        file.set_len(10_000).unwrap();
        let read = tokio::spawn(async move {
            let mut all = Vec::new();
            other.read_to_end(&mut all).await.map(|_| all)
        });
        let written = timeout(Duration::from_secs(20), write(&mut stream, vec![mapped])).await;
        assert_eq!(written.unwrap().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        drop(stream);
        assert_eq!(read.await.unwrap().unwrap(), content()[..10_000]);
    }

    #[tokio::test]
    async fn who_hangs_up_ends_the_answer() {
        let (mut stream, other) = connected().await;
        let mapped = stream.files().announce(file(), 0..LENGTH as u64).unwrap();
        drop(other);
        let all = (0..20).map(|_| mapped.clone()).collect();
        let written = timeout(Duration::from_secs(20), write(&mut stream, all)).await.unwrap();
        assert!(written.is_err());
    }
}
