//! Inspection that rides along with an upload.
//!
//! The bytes of a blob pass an inspector on another thread while they are hashed and written. The
//! channel between them is bounded and the upload never waits for it: an inspector that falls
//! behind loses the stream and reads the rest from the stored file after the upload has finished,
//! so no byte is inflated twice and no push is slowed down.

use bytes::{Buf, Bytes};
use std::{
    io::{self, Read},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Most buffers waiting between an upload and its inspector. A buffer is what the HTTP server
/// hands on at once, at most about 512 KiB.
const QUEUE_BUFFERS: usize = 64;
/// Most bytes waiting between an upload and its inspector.
const QUEUE_BYTES: usize = 8 * 1024 * 1024;
/// How long an inspector waits for the next bytes of a silent client before it gives up.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes needed to recognise a plain tar archive by its magic.
const TAR_MAGIC_END: usize = 262;
/// Bytes at the beginning of a blob that tell whether it may be a layer.
pub(crate) const HEAD_BYTES: usize = TAR_MAGIC_END;

/// Opens the stored file and returns a reader that stands at the given offset.
pub(crate) type Reopen = Box<dyn FnOnce(u64) -> io::Result<Box<dyn Read + Send>> + Send>;

/// Whether a blob that begins with `head` can be a layer: gzip, zstd or tar by their magic. What
/// it is called plays no part.
pub(crate) fn may_be_layer(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
        || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
        || head.get(TAR_MAGIC_END - 5..TAR_MAGIC_END) == Some(b"ustar")
}

/// The upload's end of a ride.
pub(crate) struct Ride<T> {
    buffers: Option<SyncSender<Bytes>>,
    waiting: Arc<std::sync::atomic::AtomicUsize>,
    fed: u64,
    end: Option<SyncSender<End>>,
    over: Arc<std::sync::atomic::AtomicBool>,
    result: oneshot::Receiver<Option<T>>,
}

enum End {
    /// The stream was whole.
    Whole,
    /// The stream was lost at some point; the rest stands in the file.
    Rest(Reopen),
}

impl<T: Send + 'static> Ride<T> {
    /// Starts an inspector on a background thread, if one of `places` is free.
    pub(crate) fn start(
        places: &Arc<Semaphore>,
        inspect: impl FnOnce(&mut dyn Read) -> T + Send + 'static,
    ) -> Option<Self> {
        let permit: OwnedSemaphorePermit = Arc::clone(places).try_acquire_owned().ok()?;
        let (buffers, incoming) = sync_channel(QUEUE_BUFFERS);
        let (end, ended) = sync_channel(1);
        let waiting = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let at_end = Arc::clone(&over);
        let result = crate::background::spawn(move || {
            let mut reader = RideReader {
                incoming: Some(incoming),
                waiting: counter,
                current: Bytes::new(),
                offset: 0,
                ended,
                rest: None,
                lost: false,
            };
            let found = inspect(&mut reader);
            // What was read from a ride that broke off says nothing about the blob.
            let found = reader.run_to_end().then_some(found);
            at_end.store(true, std::sync::atomic::Ordering::Relaxed);
            drop(permit);
            found
        })
        .ok()?;
        Some(Self { buffers: Some(buffers), waiting, fed: 0, end: Some(end), over, result })
    }

    /// Offers the next bytes. Never waits.
    pub(crate) fn feed(&mut self, bytes: &Bytes) {
        use std::sync::atomic::Ordering::Relaxed;
        let Some(buffers) = &self.buffers else { return };
        if bytes.is_empty() {
            return;
        }
        let full = self.waiting.load(Relaxed) + bytes.len() > QUEUE_BYTES;
        if !full {
            self.waiting.fetch_add(bytes.len(), Relaxed);
            match buffers.try_send(bytes.clone()) {
                Ok(()) => {
                    self.fed += bytes.len() as u64;
                    return;
                }
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
        self.buffers = None;
    }

    /// Feeds no more: the inspector reads the rest from the file.
    pub(crate) fn stop_feeding(&mut self) {
        self.buffers = None;
    }

    /// Whether the inspector has given up.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The number of bytes that the inspector was given.
    pub(crate) fn fed(&self) -> u64 {
        self.fed
    }

    /// The upload of `size` bytes is stored. Resolves to the inspector's result; to none when it
    /// gave up.
    pub(crate) async fn finish(mut self, size: u64, reopen: Reopen) -> Option<T> {
        self.buffers = None;
        let end = if self.fed == size { End::Whole } else { End::Rest(reopen) };
        if let Some(sender) = self.end.take() {
            let _ = sender.try_send(end);
        }
        self.result.await.ok().flatten()
    }
}

/// The inspector's end of a ride.
struct RideReader {
    incoming: Option<Receiver<Bytes>>,
    waiting: Arc<std::sync::atomic::AtomicUsize>,
    current: Bytes,
    offset: u64,
    ended: Receiver<End>,
    rest: Option<Box<dyn Read + Send>>,
    lost: bool,
}

impl RideReader {
    fn broken(&mut self, why: &'static str) -> io::Error {
        self.lost = true;
        io::Error::new(io::ErrorKind::ConnectionAborted, why)
    }

    /// Waits for the next buffer. `false` at the end of what was fed.
    fn next_buffer(&mut self) -> io::Result<bool> {
        let Some(incoming) = &self.incoming else { return Ok(false) };
        match incoming.recv_timeout(IDLE) {
            Ok(bytes) => {
                self.waiting.fetch_sub(bytes.len(), std::sync::atomic::Ordering::Relaxed);
                self.current = bytes;
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => {
                self.incoming = None;
                Err(self.broken("the upload is silent"))
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.incoming = None;
                self.wait_for_end()?;
                Ok(false)
            }
        }
    }

    fn wait_for_end(&mut self) -> io::Result<()> {
        match self.ended.recv_timeout(IDLE) {
            Ok(End::Whole) => Ok(()),
            Ok(End::Rest(reopen)) => {
                self.rest = Some(reopen(self.offset).inspect_err(|_| self.lost = true)?);
                Ok(())
            }
            Err(_) => Err(self.broken("the upload did not finish")),
        }
    }

    /// Makes sure that the upload did finish: an inspector may stop before the end of its input.
    fn run_to_end(&mut self) -> bool {
        if self.lost {
            return false;
        }
        self.current = Bytes::new();
        while self.incoming.is_some() {
            match self.next_buffer() {
                Ok(_) => self.current = Bytes::new(),
                Err(_) => return false,
            }
        }
        true
    }
}

impl Read for RideReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.lost {
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.current.is_empty() && self.rest.is_none() {
            self.next_buffer()?;
        }
        if !self.current.is_empty() {
            let n = buffer.len().min(self.current.len());
            self.current.copy_to_slice(&mut buffer[..n]);
            self.offset += n as u64;
            return Ok(n);
        }
        match &mut self.rest {
            Some(rest) => rest.read(buffer).inspect_err(|_| self.lost = true),
            None => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(reader: &mut dyn Read) -> Vec<u8> {
        let mut all = Vec::new();
        let _ = reader.read_to_end(&mut all);
        all
    }

    fn no_file() -> Reopen {
        Box::new(|_| Err(io::Error::other("must not be opened")))
    }

    #[tokio::test]
    async fn the_inspector_sees_every_byte() {
        let places = Arc::new(Semaphore::new(1));
        let mut ride = Ride::start(&places, read_all).expect("a place");
        assert!(Ride::start(&places, read_all).is_none(), "places are bounded");
        for part in [&b"ab"[..], b"", b"cde"] {
            ride.feed(&Bytes::from_static(part));
        }
        assert_eq!(ride.fed(), 5);
        assert_eq!(ride.finish(5, no_file()).await, Some(b"abcde".to_vec()));
    }

    #[tokio::test]
    async fn what_it_missed_is_read_from_the_file() {
        let places = Arc::new(Semaphore::new(1));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let mut ride = Ride::start(&places, move |reader| {
            let _ = wait.recv();
            read_all(reader)
        })
        .expect("a place");
        let stored: Vec<u8> = (0..200_u8).collect();
        for byte in &stored {
            ride.feed(&Bytes::copy_from_slice(&[*byte]));
        }
        assert_eq!(ride.fed(), QUEUE_BUFFERS as u64, "the upload did not wait");
        let file = stored.clone();
        let done = ride.finish(
            200,
            Box::new(move |offset| {
                Ok(Box::new(io::Cursor::new(file[offset as usize..].to_vec())) as _)
            }),
        );
        go.send(()).expect("inspector waits");
        assert_eq!(done.await, Some(stored));
    }

    #[tokio::test]
    async fn an_upload_that_breaks_off_gives_no_fact() {
        let places = Arc::new(Semaphore::new(1));
        let mut ride = Ride::start(&places, read_all).expect("a place");
        ride.feed(&Bytes::from_static(b"half"));
        let Ride { buffers, end, result, .. } = ride;
        drop((buffers, end));
        assert_eq!(result.await, Ok(None));
    }

    #[test]
    fn layers_are_recognised_by_magic() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for yes in
            [&[0x1f, 0x8b, 8][..], &[0x28, 0xb5, 0x2f, 0xfd], &[0x50, 0x2a, 0x4d, 0x18], &tar]
        {
            assert!(may_be_layer(yes));
        }
        for no in [&b"{}"[..], b"", &[0x1f], &[0; 512]] {
            assert!(!may_be_layer(no));
        }
    }
}
