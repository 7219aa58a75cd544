//! Uploads that an address has begun and not ended. Each is a row and a file, so whoever begins
//! them without end takes the database's log and the disk's time from others. Whoever ends what
//! they begin, however many a second, never notices.

use crate::{Error, Kind, Result};
use sealock_auth::{MAX_RATED_KEYS, neighbourhood};
use sealock_oci::ErrorCode;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Uploads of one address (IPv6: one /64) that are begun and not ended.
pub const MAX_UNENDED_UPLOADS: u32 = 3_000;
/// Of these, how many a second count no more: clients break off and come back.
pub const UNENDED_UPLOADS_PER_SECOND: u32 = 50;

/// What each address has begun.
#[derive(Debug, Default)]
pub(crate) struct OpenUploads(Mutex<HashMap<IpAddr, Begun>>);

#[derive(Debug, Clone, Copy)]
struct Begun {
    count: f64,
    at: Instant,
}

impl Begun {
    /// What still counts now.
    fn now(self) -> Self {
        let at = Instant::now();
        let forgotten = (at - self.at).as_secs_f64() * f64::from(UNENDED_UPLOADS_PER_SECOND);
        Self { count: (self.count - forgotten).max(0.0), at }
    }
}

impl OpenUploads {
    /// An address begins an upload.
    pub(crate) fn begin(&self, address: IpAddr) -> Result<()> {
        let mut all = self.lock();
        let address = neighbourhood(address);
        if all.len() as u64 >= MAX_RATED_KEYS && !all.contains_key(&address) {
            all.retain(|_, begun| begun.now().count > 0.0);
            if all.len() as u64 >= MAX_RATED_KEYS {
                // With so many at it, one more is not what hurts.
                return Ok(());
            }
        }
        let fresh = Begun { count: 0.0, at: Instant::now() };
        let begun = all.entry(address).or_insert(fresh);
        *begun = begun.now();
        let over = begun.count + 1.0 - f64::from(MAX_UNENDED_UPLOADS);
        if over > 0.0 {
            let wait = Duration::from_secs_f64(over / f64::from(UNENDED_UPLOADS_PER_SECOND));
            return Err(Error::new(
                Kind::TooMany,
                ErrorCode::TooManyRequests,
                format!(
                    "{address} has begun {MAX_UNENDED_UPLOADS} uploads that it has not ended; \
                     finish or cancel some, or wait for {} s",
                    wait.as_secs() + 1
                ),
            ));
        }
        begun.count += 1.0;
        Ok(())
    }

    /// One that the address began has ended, however.
    pub(crate) fn end(&self, address: IpAddr) {
        let mut all = self.lock();
        let address = neighbourhood(address);
        let Some(begun) = all.get_mut(&address) else { return };
        *begun = begun.now();
        begun.count -= 1.0;
        if begun.count <= 0.0 {
            all.remove(&address);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Begun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_without_end_is_stopped_and_others_are_not() {
        let open = OpenUploads::default();
        let (one, other) = (address("192.0.2.7"), address("192.0.2.8"));
        for _ in 0..MAX_UNENDED_UPLOADS {
            open.begin(one).unwrap();
        }
        let told = open.begin(one).expect_err("too many");
        assert_eq!(told.kind(), Kind::TooMany);
        assert!(told.to_string().contains("finish or cancel some"), "{told}");
        open.begin(other).unwrap();
        // One that ends makes room for one.
        open.end(one);
        open.begin(one).unwrap();
        assert!(open.begin(one).is_err());
        // What was left behind counts for a while.
        advance(Duration::from_secs(1)).await;
        let more = (0..1_000).filter(|_| open.begin(one).is_ok()).count();
        assert_eq!(more, UNENDED_UPLOADS_PER_SECOND as usize);
        let network: Vec<_> = (0..MAX_UNENDED_UPLOADS + 9)
            .filter(|n| open.begin(address(&format!("2001:db8::{n:x}"))).is_ok())
            .collect();
        assert_eq!(network.len(), MAX_UNENDED_UPLOADS as usize, "one network is one address");
    }

    #[tokio::test(start_paused = true)]
    async fn who_ends_what_they_begin_is_never_stopped_and_not_remembered() {
        let open = OpenUploads::default();
        for n in 0..100_000_u32 {
            let address = IpAddr::from((n % 100).to_be_bytes());
            open.begin(address).unwrap();
            open.end(address);
        }
        assert!(open.lock().is_empty());
        open.end(address("192.0.2.7"));
        assert!(open.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let open = OpenUploads::default();
        for n in 0..MAX_RATED_KEYS as u32 + 1_000 {
            open.begin(IpAddr::from(n.to_be_bytes())).unwrap();
        }
        assert_eq!(open.lock().len() as u64, MAX_RATED_KEYS);
        advance(Duration::from_secs(1)).await;
        open.begin(address("203.0.113.9")).unwrap();
        assert_eq!(open.lock().len(), 1);
    }
}
