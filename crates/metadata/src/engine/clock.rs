use jiff::{SignedDuration, Timestamp};
use std::{
    fmt::Debug,
    sync::atomic::{AtomicI64, Ordering},
};

/// The clock seam. Times have microsecond precision, so that what is stored equals what was meant.
pub trait Clock: Send + Sync + Debug {
    /// The present moment, cut to microseconds.
    fn now(&self) -> Timestamp;

    /// Whether it is a machine's own, which may differ from another replica's. What replicas must
    /// agree on is then told by the database ([`crate::Tx::shared_now`]).
    fn is_machines(&self) -> bool {
        false
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam itself")]
    fn now(&self) -> Timestamp {
        cut(Timestamp::now())
    }

    fn is_machines(&self) -> bool {
        true
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// Stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_microsecond()))
    }

    /// Moves to `time`, forwards or backwards.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_microsecond(), Ordering::SeqCst);
    }

    /// Moves on by `by`.
    pub fn advance(&self, by: SignedDuration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

fn cut(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}
