use jiff::{SignedDuration, Timestamp};
use std::cell::Cell;

/// The moment of a decision, which remembers every later moment that it was compared with: the
/// first of them is when time alone may change the verdict. All of `evaluate`'s time goes through
/// here.
pub(crate) struct Moments {
    now: Timestamp,
    next: Cell<Option<Timestamp>>,
}

/// How far data may be dated in the future before it is taken as a sign of a wrong clock.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_hours(24);

/// The age of data against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    TooOld,
    /// Dated later than the clock allows.
    Future,
}

impl Moments {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now, next: Cell::new(None) }
    }

    /// Whether `moment` has come. One that has not bounds the verdict's validity.
    pub(crate) fn reached(&self, moment: Timestamp) -> bool {
        let reached = self.now >= moment;
        if !reached && self.next.get().is_none_or(|next| moment < next) {
            self.next.set(Some(moment));
        }
        reached
    }

    /// Whether data of this date is at most `limit` old.
    pub(crate) fn age(&self, date: Timestamp, limit: crate::Days) -> Age {
        let plausible = date.checked_sub(CLOCK_TOLERANCE).unwrap_or(Timestamp::MIN);
        if !self.reached(plausible) {
            return Age::Future;
        }
        if self.reached(limit.after(date)) { Age::TooOld } else { Age::Fresh }
    }

    /// The first later moment that was met.
    pub(crate) fn valid_until(&self) -> Option<Timestamp> {
        self.next.get()
    }
}
