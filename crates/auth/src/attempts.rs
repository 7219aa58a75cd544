//! Guessing passwords is slow: who fails often under one name from one address waits longer and
//! longer there. Others are not touched: not the same name from elsewhere, not another name from
//! the same address, and not who has shown the right password a moment ago. Robots are counted like
//! people, but who shows a secret that was made at random never waits.
//!
//! Trying many names is slow, too: an address from which too many log-ins failed, whatever the
//! names, is refused without a look at the password; those who have logged in from there before are
//! not. And of the work on passwords an address has a few places at a time, so that nobody else
//! waits behind all of its guesses.

use crate::{
    AuthError,
    rates::{Allowance, Rates},
};
use moka::sync::Cache;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};

/// Failures that cost nothing: people mistype, and scripts go on with an old password for a while.
const FREE: u32 = 100;
/// First pause between two tries; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest time that a request waits; who would wait longer is told when to come again.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// After how long without a try failures are forgotten.
const FORGET: Duration = Duration::from_secs(900);
/// Most names and addresses remembered; when they are full, new ones are not counted.
const REMEMBERED: usize = 10_000;
/// Bytes of a name that count.
const NAME_BYTES: usize = 64;
/// Failed log-ins of one address in a minute, whatever the names, where nothing else is set.
pub const FAILURES_PER_MINUTE: u32 = 60;
/// Minutes whose failures an address may have at once. Zero would not compile: it is a constant.
const FAILURE_MINUTES: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// How long who logged in from an address is known there.
const KNOWN_THERE: Duration = Duration::from_secs(24 * 3600);
/// Most names known at addresses.
const KNOWN: u64 = 10_000;
/// Passwords of one address that are looked at at once.
const TURNS: usize = 1;
/// Most addresses whose passwords are looked at or wait for it.
const TAKING_TURNS: u64 = 10_000;
/// Longest wait for a turn.
const LONGEST_TURN: Duration = Duration::from_secs(5);

/// Who tries, and where from.
pub(crate) type Key = (IpAddr, String);

#[derive(Debug)]
struct Entry {
    failures: u32,
    /// When the next try may be made.
    free_at: Instant,
}

/// Failed log-ins of the last minutes.
#[derive(Debug)]
pub(crate) struct Attempts {
    names: Mutex<HashMap<Key, Entry>>,
    /// None where they are not limited.
    addresses: Option<Rates<IpAddr>>,
    /// Who has logged in where.
    known: Cache<Key, ()>,
    turns: Cache<IpAddr, Arc<Semaphore>>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self::new(NonZeroU32::new(FAILURES_PER_MINUTE))
    }
}

impl Attempts {
    /// With so many failures of an address in a minute; without a number they are not limited.
    pub(crate) fn new(failures_per_minute: Option<NonZeroU32>) -> Self {
        let minute = Duration::from_secs(60);
        let allowance = |count| Allowance::new(count, minute, FAILURE_MINUTES);
        Self {
            names: Mutex::default(),
            addresses: failures_per_minute.map(|count| Rates::new(allowance(count))),
            known: Cache::builder().max_capacity(KNOWN).time_to_live(KNOWN_THERE).build(),
            turns: Cache::builder().max_capacity(TAKING_TURNS).time_to_idle(FORGET).build(),
        }
    }

    /// Waits until a password of this address may be looked at. Whoever waits for a place among all
    /// of them waits behind one of each address, not behind all of one.
    pub(crate) async fn turn(&self, key: &Key) -> Result<OwnedSemaphorePermit, AuthError> {
        let turns = self.turns.get_with(key.0, || Arc::new(Semaphore::new(TURNS)));
        let turn = timeout(LONGEST_TURN, turns.acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or(AuthError::Busy)
    }

    /// Whether the address of a try may still fail.
    pub(crate) fn admit(&self, key: &Key) -> Result<(), AuthError> {
        let closed = self.addresses.as_ref().and_then(|rates| rates.closed(&key.0));
        match closed {
            Some(wait) if !self.known.contains_key(key) => {
                Err(AuthError::TooManyFailures { seconds: wait.as_secs() + 1 })
            }
            _ => Ok(()),
        }
    }

    /// The key of a try.
    pub(crate) fn key(address: IpAddr, name: &str) -> Key {
        (neighbourhood(address), name[..name.floor_char_boundary(NAME_BYTES)].to_owned())
    }

    /// Waits for the turn of a try, or says when to come again.
    pub(crate) async fn enter(&self, key: &Key) -> Result<(), AuthError> {
        let turn = {
            let mut entries = self.lock();
            let Some(entry) = entries.get_mut(key).filter(|entry| entry.failures >= FREE) else {
                return Ok(());
            };
            let now = Instant::now();
            let turn = entry.free_at.max(now);
            let wait = turn - now;
            if wait > LONGEST_WAIT {
                return Err(AuthError::TooManyAttempts { seconds: wait.as_secs() + 1 });
            }
            entry.free_at = turn + pause(entry.failures);
            turn
        };
        sleep_until(turn).await;
        Ok(())
    }

    /// The try failed.
    pub(crate) fn failed(&self, key: Key) {
        if let Some(rates) = &self.addresses {
            // What is over the limit shows at the next try.
            let _counted = rates.take(key.0);
        }
        let mut entries = self.lock();
        let now = Instant::now();
        if entries.len() >= REMEMBERED && !entries.contains_key(&key) {
            entries.retain(|_, entry| entry.free_at + FORGET > now);
            if entries.len() >= REMEMBERED {
                return;
            }
        }
        let entry = entries.entry(key).or_insert(Entry { failures: 0, free_at: now });
        if entry.free_at + FORGET < now {
            *entry = Entry { failures: 0, free_at: now };
        }
        entry.failures = entry.failures.saturating_add(1);
        entry.free_at = entry.free_at.max(now);
    }

    /// The try succeeded: what was before it is forgotten.
    pub(crate) fn succeeded(&self, key: &Key) {
        if !self.known.contains_key(key) {
            self.known.insert(key.clone(), ());
        }
        let mut entries = self.lock();
        if !entries.is_empty() {
            entries.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address as far as it tells callers apart: of IPv6 the network that one customer gets.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(FREE).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str, name: &str) -> Key {
        Attempts::key(address.parse().unwrap(), name)
    }

    #[tokio::test(start_paused = true)]
    async fn guessing_is_slow_and_others_are_not_touched() {
        let attempts = Attempts::default();
        let guesser = key("192.0.2.7", "admin");
        let begin = Instant::now();
        let mut tries = 0;
        while begin.elapsed() < Duration::from_secs(3600) {
            match attempts.enter(&guesser).await {
                Ok(()) => {
                    tries += 1;
                    attempts.failed(guesser.clone());
                }
                Err(AuthError::TooManyAttempts { seconds }) => {
                    assert!(seconds <= 31, "{seconds}");
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!((200..250).contains(&tries), "{tries} in an hour");
        for other in [key("192.0.2.8", "admin"), key("192.0.2.7", "ann")] {
            let begin = Instant::now();
            attempts.enter(&other).await.unwrap();
            assert_eq!(begin.elapsed(), Duration::ZERO);
        }
        attempts.succeeded(&guesser);
        attempts.enter(&guesser).await.unwrap();
        assert!(attempts.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_mistakes_cost_nothing_and_are_forgotten() {
        let attempts = Attempts::default();
        let ann = key("2001:db8::1", "ann");
        assert_eq!(ann, key("2001:db8::2", "ann"));
        let begin = Instant::now();
        for _ in 0..FREE {
            attempts.enter(&ann).await.unwrap();
            attempts.failed(ann.clone());
        }
        assert_eq!(begin.elapsed(), Duration::ZERO);
        tokio::time::sleep(FORGET * 2).await;
        attempts.failed(ann.clone());
        assert_eq!(attempts.lock()[&ann].failures, 1);
    }

    #[tokio::test]
    async fn many_names_from_one_address_are_refused_and_who_is_known_there_is_not() {
        let attempts = Attempts::new(NonZeroU32::new(2));
        let (guesser, ann) = ("192.0.2.7", key("192.0.2.7", "ann"));
        attempts.succeeded(&ann);
        for number in 0..11 {
            attempts.admit(&key(guesser, &format!("user-{number}"))).unwrap();
            attempts.failed(key(guesser, &format!("user-{number}")));
        }
        let refused = attempts.admit(&key(guesser, "bob")).unwrap_err();
        let AuthError::TooManyFailures { seconds } = refused else { panic!("{refused}") };
        assert!((29..=31).contains(&seconds), "{seconds}");
        attempts.admit(&ann).unwrap();
        attempts.admit(&key("192.0.2.8", "bob")).unwrap();
        let off = Attempts::new(None);
        (0..1_000).for_each(|number| off.failed(key(guesser, &number.to_string())));
        off.admit(&key(guesser, "bob")).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_one_turn_at_a_time() {
        let attempts = Attempts::default();
        let (here, there) = (key("192.0.2.7", "ann"), key("192.0.2.8", "ann"));
        let turn = attempts.turn(&here).await.unwrap();
        let _other = attempts.turn(&there).await.unwrap();
        let begin = Instant::now();
        let busy = attempts.turn(&key("192.0.2.7", "bob")).await.unwrap_err();
        assert!(matches!(busy, AuthError::Busy), "{busy}");
        assert_eq!(begin.elapsed(), LONGEST_TURN);
        drop(turn);
        let _again = attempts.turn(&here).await.unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::default();
        for number in 0..20_000_u32 {
            attempts.failed((IpAddr::from(number.to_be_bytes()), String::new()));
        }
        assert_eq!(attempts.lock().len(), REMEMBERED);
        assert_eq!(neighbourhood("::ffff:192.0.2.7".parse().unwrap()).to_string(), "192.0.2.7");
        assert_eq!(key("192.0.2.7", &"ä".repeat(100)).1.len(), NAME_BYTES);
    }
}
