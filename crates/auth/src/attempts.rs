//! Guessing passwords is slow: who fails often under one name from one address waits longer and
//! longer there. Others are not touched: not the same name from elsewhere, not another name from
//! the same address, and not who has shown the right password a moment ago. Robots' secrets cannot
//! be guessed and are not counted.

use crate::AuthError;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

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

/// Who tries, and where from.
pub(crate) type Key = (IpAddr, String);

#[derive(Debug)]
struct Entry {
    failures: u32,
    /// When the next try may be made.
    free_at: Instant,
}

/// Failed log-ins of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<Key, Entry>>);

impl Attempts {
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
        let mut entries = self.lock();
        if !entries.is_empty() {
            entries.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
