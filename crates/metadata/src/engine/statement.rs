//! What is known of a statement: each text is read once.

use super::{dialect, row::Names, tables::Touched};
use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::runtime::{Handle, RuntimeFlavor};

/// What took longer the last time is not run again where other tasks wait for the thread.
const INLINE: Duration = Duration::from_millis(1);

/// A statement of the program.
#[derive(Debug)]
pub(super) struct Statement {
    text: &'static str,
    pub(super) touched: Touched,
    sqlite: OnceLock<String>,
    postgres: OnceLock<Cow<'static, str>>,
    /// How long it takes on SQLite.
    pub(super) pace: Pace,
    /// The columns that it answered with on SQLite when it was first run.
    pub(super) names: OnceLock<Names>,
}

impl Statement {
    /// What is known of this text.
    pub(super) fn of(text: &'static str) -> &'static Self {
        // Statements are constants of the program, so there are as many as it holds, and what is
        // known of them may stay for ever.
        static KNOWN: OnceLock<RwLock<HashMap<(usize, usize), &'static Statement>>> =
            OnceLock::new();
        let known = KNOWN.get_or_init(RwLock::default);
        let key = (text.as_ptr() as usize, text.len());
        if let Some(found) = known.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return found;
        }
        let touched = Touched::by(text);
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(key).or_insert_with(|| {
            Box::leak(Box::new(Self {
                text,
                touched,
                sqlite: OnceLock::new(),
                postgres: OnceLock::new(),
                // Such as a look for damage, or a change of the schema.
                pace: Pace::new(touched == Touched::ALL),
                names: OnceLock::new(),
            }))
        })
    }

    /// As SQLite reads it.
    pub(super) fn sqlite(&self) -> &str {
        self.sqlite.get_or_init(|| dialect::sqlite(self.text))
    }

    /// As PostgreSQL reads it.
    pub(super) fn postgres(&'static self) -> &'static str {
        self.postgres.get_or_init(|| dialect::postgres(self.text))
    }
}

/// Whether something took long the last time that it was run.
#[derive(Debug)]
pub(super) struct Pace(AtomicBool);

impl Pace {
    /// For what is taken to be slow, or quick, until it has been run.
    pub(super) const fn new(slow: bool) -> Self {
        Self(AtomicBool::new(slow))
    }

    /// Runs it: on the spot, or [`aside`] if it took long the last time.
    pub(super) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let was_slow = self.0.load(Ordering::Relaxed);
        let started = Instant::now();
        let done = if was_slow { aside(work) } else { work() };
        let slow = started.elapsed() > INLINE;
        if slow != was_slow {
            self.0.store(slow, Ordering::Relaxed);
        }
        done
    }
}

/// Runs what may take long: the other tasks of this thread go on in another one meanwhile. Where
/// tasks have one thread only, as in tests, they wait.
pub(super) fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_slow_is_run_aside_until_it_is_quick_again() {
        let pace = Pace::new(false);
        let slow = || pace.0.load(Ordering::Relaxed);
        pace.run(|| std::thread::park_timeout(INLINE * 3));
        assert!(slow());
        assert_eq!(pace.run(|| 7), 7);
        assert!(!slow());
    }

    #[test]
    fn a_text_is_read_once() {
        let text = "SELECT name FROM users WHERE id = $1";
        assert!(std::ptr::eq(Statement::of(text), Statement::of(text)));
        assert_eq!(Statement::of(text).sqlite(), "SELECT name FROM users WHERE id = ?1");
        assert_eq!(Statement::of(text).postgres(), text);
    }
}
