use jiff::{SignedDuration, Timestamp};

/// How long what nothing refers to is kept for those who count on it (decision D13): a client that
/// was told that a blob is there has this long to push a manifest that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(SignedDuration);

impl Lease {
    /// A day: longer than the slowest push of the other layers of an image.
    pub const DEFAULT: Self = Self(SignedDuration::from_hours(24));

    /// Most that is added to a lease.
    const MARGIN: SignedDuration = SignedDuration::from_mins(1);

    /// A lease of this length; less than nothing is nothing.
    pub fn new(span: SignedDuration) -> Self {
        Self(span.max(SignedDuration::ZERO))
    }

    /// Its length.
    pub const fn span(self) -> SignedDuration {
        self.0
    }

    /// When a lease that is granted at `now` ends. A transaction takes a while between its look at
    /// the clock and its commit, and who looks in that while sees the state before it: so a lease
    /// is granted for a minute more than is promised (for twice as long, if it is shorter than
    /// that). Within that minute, asking again writes nothing.
    pub fn ends(self, now: Timestamp) -> Timestamp {
        let span = self.0.saturating_add(self.0.min(Self::MARGIN));
        now.saturating_add(span).unwrap_or(Timestamp::MAX)
    }

    /// Whether a lease that ends at `end` holds for a whole length from `now` on.
    pub fn covers(self, end: Timestamp, now: Timestamp) -> bool {
        now.saturating_add(self.0).is_ok_and(|needed| end >= needed)
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_later_than_is_promised() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let hour = Lease::new(SignedDuration::from_hours(1));
        assert_eq!(hour.ends(now), now + SignedDuration::from_mins(61));
        let short = Lease::new(SignedDuration::from_millis(50));
        assert_eq!(short.ends(now), now + SignedDuration::from_millis(100));
        let none = Lease::new(SignedDuration::from_secs(-1));
        assert_eq!((none.span(), none.ends(now)), (SignedDuration::ZERO, now));
        let minute_later = now + SignedDuration::from_mins(1);
        assert!(hour.covers(hour.ends(now), minute_later));
        assert!(!hour.covers(hour.ends(now), minute_later + SignedDuration::from_micros(1)));
        assert!(Lease::new(SignedDuration::MAX).ends(now) == Timestamp::MAX);
    }
}
