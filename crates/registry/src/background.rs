//! Threads that give way.
//!
//! Reading a layer inflates it and costs several times what storing it does. Nobody waits for most
//! of that work, so it must not take the processor from those who push, pull or ask meanwhile.

use std::{io, thread};
use tokio::sync::oneshot;

/// Niceness of these threads: beside a busy thread of the usual niceness they get about a tenth of
/// a processor, so that facts are late on a busy machine and never missing.
const NICENESS: i32 = 10;

/// Runs `work` on a thread of its own that gives way to all others. Callers bound their number.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name("background".to_owned()).spawn(move || {
        give_way();
        let _ = done.send(work());
    })?;
    Ok(result)
}

/// Linux schedules each thread by a niceness of its own; elsewhere it belongs to the process.
#[cfg(target_os = "linux")]
fn give_way() {
    let this = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(this), NICENESS) {
        tracing::debug!(%error, "a background thread keeps its priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {
    let _ = NICENESS;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    /// Of the thread that asks, from proc(5).
    fn niceness() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        after_name.split(' ').nth(16).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn the_thread_gives_way_and_the_others_do_not() {
        let before = niceness();
        let there = super::spawn(niceness).unwrap().await.unwrap();
        assert_eq!(there, super::NICENESS.max(before));
        assert_eq!(niceness(), before);
    }
}
