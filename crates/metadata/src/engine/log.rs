//! Durable commits on SQLite, many for one flush.
//!
//! SQLite's own `synchronous=FULL` flushes the write-ahead log once for each transaction while
//! nobody else may write, so a disk that answers in a millisecond allows a thousand transactions a
//! second however many write. Here the writer's connection runs with `synchronous=NORMAL`: a commit
//! appends its frames to the log and lets the next writer in. Then it waits for a flush of the log
//! that began after it, and everybody who waits by then shares that one.
//!
//! Why a commit that was answered survives:
//!
//! - Recovery replays the log from its first frame as far as the chain of checksums holds. A flush
//!   of the whole file that begins after a commit covers its frames and all before them.
//! - The log begins anew, over its own first frames, only after a checkpoint has flushed it, copied
//!   all of it into the database file and flushed that; with NORMAL, too, SQLite does all three,
//!   and flushes the log's new header before the first new frame. So a commit whose frames are no
//!   longer in the log when its flush begins is in the database file already. A checkpoint may run
//!   beside a flush (`pool.rs`), but never beside a writer.
//! - Transactions are seen by others before they are flushed. Whoever builds on one and is answered
//!   has waited for a later flush of the same log, which covers both.
//!
//! Why a failed flush loses nothing that was answered: the kernel reports a failed write once and
//! then takes the pages for clean, so a second flush would succeed and prove nothing. After a
//! failure nobody is answered until the log has been mended: under the write lock every byte of it
//! is written again, which makes the pages dirty again, and flushed. Our handle stays open between
//! flushes, so that a failure in the background or in a checkpoint of SQLite's reaches it too.

use super::error::{Error, Result};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};
use tokio::sync::oneshot;

/// Bytes that are written again at a time after a failed flush.
const MEND_BYTES: usize = 1024 * 1024;

/// Makes the bytes of a file durable: fdatasync, or what a test puts in its place.
pub(super) type Flush = Arc<dyn Fn(&File) -> io::Result<()> + Send + Sync>;

type Answer = Result<(), String>;

/// The log of one database. Cheap to clone; its thread ends with the last clone.
#[derive(Debug, Clone)]
pub(super) struct Log {
    asks: Sender<Ask>,
    failed: Arc<AtomicBool>,
}

enum Ask {
    /// Who has committed and waits. How many there are is bounded by the requests in flight.
    Flush(oneshot::Sender<Answer>),
    /// Who holds the write lock and mends the log.
    Mend(oneshot::Sender<Answer>),
}

impl Log {
    /// Starts flushing the log of the database `path`.
    pub(super) fn start(path: &Path, flush: Flush) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        let (asks, asked) = channel();
        let failed = Arc::new(AtomicBool::new(false));
        let mut file = LogFile { path: name.into(), open: None, flush, failed: failed.clone() };
        thread::Builder::new().name("flush".to_owned()).spawn(move || file.serve(&asked))?;
        Ok(Self { asks, failed })
    }

    /// Waits until everything that is committed now is durable.
    pub(super) async fn flush(&self) -> Result<()> {
        self.ask(Ask::Flush).await
    }

    /// Makes the log whole again if a flush has failed. The caller holds the write lock.
    pub(super) async fn mend(&self) -> Result<()> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        self.ask(Ask::Mend).await?;
        tracing::warn!("the database's log was written again after a failed flush");
        Ok(())
    }

    async fn ask(&self, ask: impl FnOnce(oneshot::Sender<Answer>) -> Ask) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::Disk { why: "the thread that flushes the log has ended".to_owned() };
        self.asks.send(ask(answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?.map_err(|why| Error::Disk { why })
    }
}

struct LogFile {
    path: PathBuf,
    open: Option<File>,
    flush: Flush,
    failed: Arc<AtomicBool>,
}

impl LogFile {
    fn serve(&mut self, asked: &Receiver<Ask>) {
        while let Ok(first) = asked.recv() {
            // Whoever is in the queue by now has committed before the flush below begins.
            let (mut waiting, mut mending) = (Vec::new(), Vec::new());
            for ask in std::iter::once(first).chain(asked.try_iter()) {
                match ask {
                    Ask::Flush(answer) => waiting.push(answer),
                    Ask::Mend(answer) => mending.push(answer),
                }
            }
            let outcome = if mending.is_empty() { self.flush() } else { self.mend() };
            for answer in waiting.into_iter().chain(mending) {
                // Who no longer waits has gone away.
                let _ = answer.send(outcome.clone());
            }
        }
    }

    fn flush(&mut self) -> Answer {
        if self.failed.load(Ordering::Acquire) {
            return Err("an earlier flush of the log failed".to_owned());
        }
        self.guarded(|file, flush| flush(file))
    }

    fn mend(&mut self) -> Answer {
        self.guarded(|file, flush| {
            let length = file.metadata()?.len();
            let mut buffer = vec![0; MEND_BYTES];
            let mut at = 0;
            while at < length {
                let read = file.read_at(&mut buffer, at)?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                file.write_all_at(&buffer[..read], at)?;
                at += read as u64;
            }
            flush(file)
        })
    }

    /// After an error, also from finding the file, only mending helps. A panic in the step ends the
    /// thread, and with it every later commit.
    fn guarded(&mut self, step: impl FnOnce(&File, &Flush) -> io::Result<()>) -> Answer {
        let flush = self.flush.clone();
        let outcome = self.file().and_then(|file| step(file, &flush));
        self.failed.store(outcome.is_err(), Ordering::Release);
        outcome.map_err(|error| {
            tracing::error!(path = %self.path.display(), %error, "the log was not flushed");
            format!("the log was not flushed: {error}")
        })
    }

    /// The file that stands under the log's name. SQLite keeps it as long as a connection is open.
    fn file(&mut self) -> io::Result<&File> {
        let named = std::fs::metadata(&self.path)?;
        let ours = match &self.open {
            Some(file) => {
                let held = file.metadata()?;
                (held.dev(), held.ino()) == (named.dev(), named.ino())
            }
            None => false,
        };
        if !ours {
            let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
            // A log without a name would not be found again.
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            self.open = Some(file);
        }
        self.open.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
