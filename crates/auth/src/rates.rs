//! How often something may happen, for each of many: addresses, accounts. Memory is bounded: who
//! was quiet for as long as a full allowance takes to come back is as good as new and forgotten,
//! and beyond a number of keys the one that was seen longest ago goes.

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock, Reference as _},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use moka::{policy::EvictionPolicy, sync::Cache};
use std::{
    hash::Hash,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Most keys that one set of rates remembers.
pub const MAX_RATED_KEYS: u64 = 50_000;

/// An allowance that comes back evenly: on average one each `period`, and `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// After how long one more is allowed.
    pub period: Duration,
    /// How many at once.
    pub burst: NonZeroU32,
}

impl Allowance {
    /// So many in each stretch of time, of which those of `stretches` may come at once.
    pub fn new(count: NonZeroU32, stretch: Duration, stretches: NonZeroU32) -> Self {
        Self { period: stretch / count.get(), burst: count.saturating_mul(stretches) }
    }

    /// How long a used up allowance takes to be whole again.
    fn whole(self) -> Duration {
        self.period.saturating_mul(self.burst.get())
    }

    fn quota(self) -> Quota {
        // A period of zero cannot be built; the shortest that counts is a nanosecond.
        Quota::with_period(self.period.max(Duration::from_nanos(1)))
            .unwrap_or(Quota::per_second(NonZeroU32::MAX))
            .allow_burst(self.burst)
    }
}

/// What one key has used.
struct Cell<C: Clock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    /// Until when the last refusal holds.
    closed_until: Mutex<Option<C::Instant>>,
}

/// An [`Allowance`] for each key.
pub struct Rates<K, C: Clock = DefaultClock> {
    allowance: Allowance,
    clock: C,
    cells: Cache<K, Arc<Cell<C>>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> Rates<K> {
    /// Nobody has used anything yet.
    pub fn new(allowance: Allowance) -> Self {
        Self::on(DefaultClock::default(), allowance, MAX_RATED_KEYS)
    }
}

impl<K, C> Rates<K, C>
where
    K: Hash + Eq + Send + Sync + 'static,
    C: Clock + Clone + Send + Sync + 'static,
    C::Instant: Send + Sync,
{
    /// The same on another clock and with another number of keys.
    pub fn on(clock: C, allowance: Allowance, keys: u64) -> Self {
        let cells = Cache::builder()
            .max_capacity(keys)
            // Not the ones that are asked for least: a newcomer must count from its first request.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(allowance.whole().max(Duration::from_secs(1)))
            .build();
        Self { allowance, clock, cells }
    }

    /// Takes one of a key's allowance, or says how long to wait for the next.
    pub fn take(&self, key: K) -> Result<(), Duration> {
        let cell = self.cells.get_with(key, || self.cell());
        let Err(refused) = cell.limiter.check() else { return Ok(()) };
        let now = self.clock.now();
        let wait = refused.wait_time_from(now);
        let mut closed = cell.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = Some(refused.earliest_possible());
        Err(wait)
    }

    /// How long a key that was refused has still to wait; nothing is taken.
    pub fn closed(&self, key: &K) -> Option<Duration> {
        let cell = self.cells.get(key)?;
        let until = (*cell.closed_until.lock().unwrap_or_else(PoisonError::into_inner))?;
        let now = self.clock.now();
        (until > now).then(|| until.duration_since(now).into())
    }

    fn cell(&self) -> Arc<Cell<C>> {
        let limiter = RateLimiter::direct_with_clock(self.allowance.quota(), self.clock.clone());
        Arc::new(Cell { limiter, closed_until: Mutex::default() })
    }
}

impl<K, C: Clock> std::fmt::Debug for Rates<K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").field("allowance", &self.allowance).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn two_a_second() -> (FakeRelativeClock, Rates<u32, FakeRelativeClock>) {
        let clock = FakeRelativeClock::default();
        let two = NonZeroU32::new(2).unwrap();
        let three = NonZeroU32::new(3).unwrap();
        let allowance = Allowance::new(two, Duration::from_secs(1), three);
        assert_eq!(allowance.burst.get(), 6);
        (clock.clone(), Rates::on(clock, allowance, 10))
    }

    #[test]
    fn a_burst_then_so_many_a_second_and_each_key_for_itself() {
        let (clock, rates) = two_a_second();
        for _ in 0..6 {
            rates.take(1).unwrap();
        }
        assert_eq!(rates.closed(&1), None, "what was not refused is not closed");
        assert_eq!(rates.take(1), Err(Duration::from_millis(500)));
        assert_eq!(rates.closed(&1), Some(Duration::from_millis(500)));
        assert_eq!(rates.closed(&2), None);
        rates.take(2).unwrap();
        clock.advance(Duration::from_millis(500));
        assert_eq!(rates.closed(&1), None);
        rates.take(1).unwrap();
        assert!(rates.take(1).is_err(), "one came back, not more");
        clock.advance(Duration::from_secs(60));
        for _ in 0..6 {
            rates.take(1).unwrap();
        }
        assert!(rates.take(1).is_err(), "a long rest gives a burst, not more");
    }

    #[test]
    fn keys_are_bounded_and_newcomers_count_from_the_first() {
        let (_, rates) = two_a_second();
        for key in 0..1_000 {
            rates.take(key).unwrap();
        }
        rates.cells.run_pending_tasks();
        assert!(rates.cells.entry_count() <= 10, "{}", rates.cells.entry_count());
        for _ in 0..6 {
            rates.take(5_000).unwrap();
        }
        rates.cells.run_pending_tasks();
        assert!(rates.take(5_000).is_err());
    }
}
