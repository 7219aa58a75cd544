//! The log goes to standard error; what a person must read on the first start goes to standard
//! output.

use std::{
    io::{self, IsTerminal as _, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// How long a line that reports no trouble waits for others to be written with. A system call for
/// each would be a good part of what a request costs.
const DELAY: Duration = Duration::from_millis(50);
/// Lines that wait are written at once when they have as many bytes.
const ENOUGH_BYTES: usize = 64 * 1024;
/// Lines have so many bytes in memory at most while whoever reads the log does not. More are
/// lost, and counted: no request waits for a reader.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;
/// How long the end of the server waits for the last lines to be read.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Writes what waits when it is dropped.
#[must_use]
pub(crate) struct Log(Lines);

impl Drop for Log {
    fn drop(&mut self) {
        let shared = &self.0.0;
        shared.lock().ended = true;
        shared.more.notify_one();
        let waiting = shared.lock();
        let _ = shared.written.wait_timeout_while(waiting, LAST_LINES, |waiting| !waiting.told);
    }
}

/// Starts logging; `RUST_LOG` chooses what.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn start(json: bool) -> io::Result<Log> {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,hyper=warn,rustls=warn"));
    let terminal = io::stderr().is_terminal();
    // Whoever looks on sees each line when it is made.
    let lines = Lines::to(io::stderr(), terminal)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal)
        .with_writer(lines.clone());
    if json {
        builder.json().init();
    } else {
        builder.with_target(false).init();
    }
    Ok(Log(lines))
}

/// Lines on their way out, in their order.
#[derive(Clone)]
struct Lines(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    at_once: bool,
    /// There is something for the thread that writes.
    more: Condvar,
    /// It has written the last line.
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// They wait for no others.
    hurry: bool,
    /// Lines for which there was no room.
    lost: u64,
    ended: bool,
    /// All was written after the end.
    told: bool,
}

impl Lines {
    /// With a thread of its own: a pipe that nobody reads holds up whoever writes to it.
    fn to(out: impl Write + Send + 'static, at_once: bool) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            at_once,
            more: Condvar::new(),
            written: Condvar::new(),
        });
        let writer = shared.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_all(out))?;
        Ok(Self(shared))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut out: impl Write) {
        let mut bytes = Vec::new();
        while let Some(lost) = self.take(&mut bytes) {
            // Nobody is left to be told when the log cannot be written.
            let _ = out.write_all(&bytes);
            let _ = out.flush();
            if lost > 0 {
                tracing::warn!(lines = lost, "whoever reads the log was too slow; lines are lost");
            }
        }
        self.lock().told = true;
        self.written.notify_all();
    }

    /// Waits for lines, and takes them in exchange for the room of the last ones; how many were
    /// lost behind them. `None` after the end.
    fn take(&self, bytes: &mut Vec<u8>) -> Option<u64> {
        bytes.clear();
        bytes.shrink_to(2 * ENOUGH_BYTES);
        let idle = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.ended;
        let waiting = self.more.wait_while(self.lock(), idle);
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let calm = |waiting: &mut Waiting| !waiting.hurry && !waiting.ended;
        let waiting = self.more.wait_timeout_while(waiting, DELAY, calm);
        let (mut waiting, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes.is_empty() {
            return None;
        }
        mem::swap(&mut waiting.bytes, bytes);
        waiting.hurry = false;
        Some(mem::take(&mut waiting.lost))
    }
}

/// One line.
struct Line<'a> {
    shared: &'a Shared,
    at_once: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { shared: &self.0, at_once: true }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line<'a> {
        // A crash may lose the last lines that wait, and must not lose what led to it.
        let trouble = *about.level() <= Level::WARN;
        Line { shared: &self.0, at_once: trouble || self.0.at_once }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut waiting = self.shared.lock();
        if waiting.bytes.len() + bytes.len() > MAX_WAITING_BYTES {
            waiting.lost += 1;
            return Ok(bytes.len());
        }
        let first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(bytes);
        let hurry = self.at_once || waiting.bytes.len() >= ENOUGH_BYTES;
        let news = first || (hurry && !waiting.hurry);
        waiting.hurry |= hurry;
        drop(waiting);
        if news {
            self.shared.more.notify_one();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Tells what it is given; waits before that, where it is told to.
    struct Out {
        told: Sender<String>,
        held: Option<Receiver<()>>,
    }

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(held) = &self.held {
                let _ = held.recv();
            }
            let _ = self.told.send(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(held: Option<Receiver<()>>) -> (Lines, Receiver<String>) {
        let (told, written) = channel();
        (Lines::to(Out { told, held }, false).unwrap(), written)
    }

    fn write(lines: &Lines, text: &str, at_once: bool) {
        Line { shared: &lines.0, at_once }.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn lines_wait_for_each_other_and_trouble_waits_for_nothing() {
        let (lines, written) = lines(None);
        let second = Duration::from_secs(10);
        write(&lines, "a", false);
        write(&lines, "b", false);
        assert_eq!(written.recv_timeout(second).unwrap(), "ab", "after a moment, together");
        write(&lines, "c", false);
        write(&lines, "d", true);
        let mut soon = String::new();
        while soon.len() < 2 {
            soon += &written.recv_timeout(second).unwrap();
        }
        assert_eq!(soon, "cd", "in their order");
        write(&lines, "f", false);
        drop(Log(lines));
        assert_eq!(written.try_recv().unwrap(), "f", "the end writes what waits");
    }

    #[test]
    fn nobody_waits_for_who_does_not_read_the_log() {
        let (release, held) = channel();
        let (lines, written) = lines(Some(held));
        write(&lines, "first", true);
        while !lines.0.lock().bytes.is_empty() {
            thread::yield_now();
        }
        // From here on the thread hangs in a write. As many lines as there is room for, and more.
        let line = "x".repeat(1024);
        for _ in 0..MAX_WAITING_BYTES / 1024 + 7 {
            write(&lines, &line, true);
        }
        assert_eq!(lines.0.lock().bytes.len(), MAX_WAITING_BYTES, "memory is bounded");
        assert_eq!(lines.0.lock().lost, 7);
        drop(Log(Lines(lines.0.clone())));
        assert!(!lines.0.lock().told, "nor does the end of the server, for ever");
        drop(release);
        assert_eq!(written.recv().unwrap(), "first");
        assert_eq!(written.recv().unwrap().len(), MAX_WAITING_BYTES);
    }
}
