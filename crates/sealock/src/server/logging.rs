//! The log goes to standard error; what a person must read on the first start goes to standard
//! output.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// How long a line that reports no trouble waits for others to be written with. A system call for
/// each would be a good part of what a request costs.
const DELAY: Duration = Duration::from_millis(50);
/// Lines that wait are written at once when they have as many bytes.
const WAITING_BYTES: usize = 64 * 1024;

/// Writes what waits when it is dropped.
#[must_use]
pub(crate) struct Log(Lines);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.0.lock().flush();
    }
}

/// Starts logging; `RUST_LOG` chooses what.
pub(crate) fn start(json: bool) -> Log {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,hyper=warn,rustls=warn"));
    let terminal = io::stderr().is_terminal();
    let lines = Lines(Arc::new(Shared {
        waiting: Mutex::new(Waiting { bytes: Vec::new(), out: Box::new(io::stderr()) }),
        // Whoever looks on sees each line when it is made.
        at_once: terminal,
        more: Notify::new(),
    }));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal)
        .with_writer(lines.clone());
    if json {
        builder.json().init();
    } else {
        builder.with_target(false).init();
    }
    tokio::spawn(write_now_and_then(lines.clone()));
    Log(lines)
}

async fn write_now_and_then(lines: Lines) {
    loop {
        lines.0.more.notified().await;
        tokio::time::sleep(DELAY).await;
        lines.0.lock().flush();
    }
}

/// Lines on their way out, in their order.
#[derive(Clone)]
struct Lines(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    at_once: bool,
    more: Notify,
}

struct Waiting {
    bytes: Vec<u8>,
    out: Box<dyn Write + Send>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn flush(&mut self) {
        // Nobody is left to be told when the log cannot be written.
        let _ = self.out.write_all(&self.bytes);
        let _ = self.out.flush();
        self.bytes.clear();
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
        let first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(bytes);
        if self.at_once || waiting.bytes.len() >= WAITING_BYTES {
            waiting.flush();
        } else if first {
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

    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lines_wait_for_each_other_and_trouble_waits_for_nothing() {
        let out = Out::default();
        let lines = Lines(Arc::new(Shared {
            waiting: Mutex::new(Waiting { bytes: Vec::new(), out: Box::new(out.clone()) }),
            at_once: false,
            more: Notify::new(),
        }));
        let written = || String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let line = |text: &str, at_once| {
            Line { shared: &lines.0, at_once }.write_all(text.as_bytes()).unwrap();
        };
        tokio::spawn(write_now_and_then(lines.clone()));
        line("a", false);
        line("b", false);
        assert_eq!(written(), "");
        tokio::time::sleep(DELAY * 2).await;
        assert_eq!(written(), "ab");
        line("c", false);
        line("d", true);
        assert_eq!(written(), "abcd", "in their order");
        line(&"e".repeat(WAITING_BYTES), false);
        assert_eq!(written().len(), 4 + WAITING_BYTES, "memory is bounded");
        line("f", false);
        drop(Log(lines));
        assert!(written().ends_with('f'), "the end writes what waits");
    }
}
