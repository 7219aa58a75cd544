//! Which answers have a line in the log. Who asks without a pause would else fill the disk with
//! lines, and writing them out would hold up what others wait for.

use crate::rates::BURST_SECONDS;
use moka::sync::Cache;
use sealock_auth::{Allowance, MAX_RATED_KEYS, Rates, neighbourhood};
use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Lines a second about answers to one address, on average over [`BURST_SECONDS`], where nothing
/// else is set: a crowd behind one address has a line for each answer, a flood for some.
pub const LOG_LINES_PER_ADDRESS: u32 = 200;
/// Seconds between two lines in the log about the refusals with 429 of one address.
const REFUSAL_LINE_SECONDS: u64 = 10;
/// For how long an address is remembered whose answers had no line: as long as a line may be away.
const REMEMBERED: Duration = Duration::from_secs(6 * REFUSAL_LINE_SECONDS);

/// Chooses which answers have a line, by the address that they go to (IPv6: by its /64).
#[derive(Debug)]
pub struct AccessLog {
    lines: Option<Rates<IpAddr>>,
    /// The addresses of which answers had no line lately.
    held_back: Cache<IpAddr, Arc<Mutex<HeldBack>>>,
}

#[derive(Debug, Default)]
struct HeldBack {
    answers: u64,
    refusal_told: Option<Instant>,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self::new(LOG_LINES_PER_ADDRESS)
    }
}

impl AccessLog {
    /// With so many lines a second for an address, on average over [`BURST_SECONDS`]; 0 is no
    /// limit.
    pub fn new(per_second: u32) -> Self {
        let allowance = |number| Allowance::new(number, Duration::from_secs(1), BURST_SECONDS);
        Self {
            lines: NonZeroU32::new(per_second).map(|number| Rates::new(allowance(number))),
            held_back: Cache::builder()
                .max_capacity(MAX_RATED_KEYS)
                .time_to_idle(REMEMBERED)
                .build(),
        }
    }

    /// An address is answered. How many answers to it had no line since the last one that had, if
    /// this one is to have one.
    pub(crate) fn line(&self, address: IpAddr) -> Option<u64> {
        let Some(lines) = &self.lines else { return Some(0) };
        let address = neighbourhood(address);
        if lines.take(address).is_err() {
            let held_back = self.held_back.get_with(address, Arc::default);
            held_back.lock().unwrap_or_else(PoisonError::into_inner).answers += 1;
            return None;
        }
        let Some(held_back) = self.held_back.get(&address) else { return Some(0) };
        let mut held_back = held_back.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut held_back.answers))
    }

    /// The same of one that is refused with 429.
    pub(crate) fn line_of_refusal(&self, address: IpAddr) -> Option<u64> {
        let held_back = self.held_back.get_with(neighbourhood(address), Arc::default);
        let mut held_back = held_back.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let every = Duration::from_secs(REFUSAL_LINE_SECONDS);
        if held_back.refusal_told.is_some_and(|last| now < last + every) {
            held_back.answers += 1;
            return None;
        }
        held_back.refusal_told = Some(now);
        Some(std::mem::take(&mut held_back.answers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> [IpAddr; 2] {
        ["192.0.2.7", "192.0.2.8"].map(|text| text.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_of_an_address_have_a_line_each_ten_seconds() {
        let log = AccessLog::default();
        let [one, other] = addresses();
        let flood = || (0..1_000).filter_map(|_| log.line_of_refusal(one)).collect::<Vec<_>>();
        assert_eq!(flood(), [0]);
        assert_eq!(log.line_of_refusal(other), Some(0));
        tokio::time::advance(Duration::from_secs(REFUSAL_LINE_SECONDS)).await;
        assert_eq!(flood(), [999]);
        assert_eq!(log.line_of_refusal(other), Some(0));
        assert_eq!(log.line(one), Some(999), "any line tells of all that had none");
    }

    #[test]
    fn answers_of_an_address_have_so_many_lines_and_none_goes_uncounted() {
        let log = AccessLog::new(1);
        let [one, other] = addresses();
        let lines = (0..1_000).filter(|_| log.line(one).is_some()).count() as u64;
        assert!((60..=70).contains(&lines), "{lines}");
        assert_eq!(log.line(other), Some(0), "others have their own lines");
        assert!(log.line_of_refusal(one).is_some_and(|untold| untold == 1_000 - lines));
        // The addresses of one IPv6 network are one.
        let network = |n: u32| format!("2001:db8::{n:x}").parse().unwrap();
        let lines = (0..1_000).filter(|n| log.line(network(*n)).is_some()).count();
        assert!((60..=70).contains(&lines), "{lines}");
        let every = AccessLog::new(0);
        assert!((0..100_000).all(|_| every.line(one) == Some(0)), "0 is no limit");
    }
}
