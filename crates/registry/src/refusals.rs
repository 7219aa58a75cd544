//! Refusals that repeat themselves.
//!
//! Anybody may ask for what is refused, as often as they like, and every refusal is on record
//! (decision D16). So that this fills no disk, the same refusal of the same caller is counted in
//! the record of the first one for a while, durably and each time; audit events of it thin out:
//! the first, second, fourth, eighth ... one has its own, with the count so far.

use crate::{Registry, Result, audit::Event};
use moka::sync::Cache;
use sealock_auth::{Caller, neighbourhood};
use sealock_metadata as metadata;
use std::{net::IpAddr, sync::Arc, time::Duration};

/// How long refusals are counted in the record of the first one.
const WINDOW: Duration = Duration::from_secs(600);
/// Refusals of which this process remembers the record. What is forgotten gets a new one.
const REMEMBERED: u64 = 20_000;
/// Refused log-ins of one address in a window that are recorded one by one.
const LOGINS_IN_FULL: i64 = 10;

/// What this process remembers of refusals.
pub(crate) struct Refusals {
    /// By caller, place, digest and reasons: the number of the decision.
    decisions: Cache<String, i64>,
    /// By address: how often a log-in was refused.
    logins: Cache<IpAddr, Arc<std::sync::atomic::AtomicI64>>,
    /// By project: how often something did not fit into it.
    quotas: Cache<i64, Arc<std::sync::atomic::AtomicI64>>,
}

impl Refusals {
    pub(crate) fn new() -> Self {
        fn cache<K: std::hash::Hash + Eq + Send + Sync + 'static, V>() -> Cache<K, V>
        where
            V: Clone + Send + Sync + 'static,
        {
            Cache::builder().max_capacity(REMEMBERED).time_to_live(WINDOW).build()
        }
        Self { decisions: cache(), logins: cache(), quotas: cache() }
    }

    /// Remembers the record of a refusal.
    pub(crate) fn remember(&self, key: String, decision: i64) {
        self.decisions.insert(key, decision);
    }
}

/// Whether the `n`th of many has an event of its own.
fn is_told(n: i64) -> bool {
    n > 0 && n & (n - 1) == 0
}

impl Registry {
    /// Counts a refusal that is on record already. The number of the record, if there is one.
    pub(crate) async fn count_refusal(&self, key: &str, event: &Event) -> Result<Option<i64>> {
        let Some(id) = self.refusals().decisions.get(key) else { return Ok(None) };
        let mut tx = self.database().write().await?;
        let Some(repeats) = metadata::decisions::repeat(&mut tx, id).await? else {
            return Ok(None);
        };
        if is_told(repeats) {
            let event = event.clone().detail("decision", id).detail("repeated", repeats);
            event.record(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Records that something did not fit into a project.
    pub(crate) async fn record_quota_refusal(&self, project_id: i64, event: Event) -> Result<()> {
        let count = self.refusals().quotas.get_with(project_id, Arc::default);
        let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        match is_told(count) {
            true if count > 1 => self.record_now(&event.detail("refused", count)).await,
            true => self.record_now(&event).await,
            false => Ok(()),
        }
    }

    /// Records that somebody failed to log in.
    pub(crate) async fn record_refused_login(&self, caller: &Caller, event: Event) -> Result<()> {
        let address = neighbourhood(caller.address);
        let count = self.refusals().logins.get_with(address, Arc::default);
        let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        if count <= LOGINS_IN_FULL {
            return self.record_now(&event).await;
        }
        if is_told(count) {
            return self.record_now(&event.detail("refused", count)).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_thin_out() {
        let told: Vec<i64> = (0..100).filter(|n| is_told(*n)).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64]);
    }
}
