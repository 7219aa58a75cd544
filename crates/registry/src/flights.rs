//! One at a time per key, in this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Keys beyond which finished flights are swept away.
const SWEEP_AT: usize = 1_024;

/// Lets callers of the same key in one after the other, so that what the first has found serves
/// the others. Across replicas the database decides.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

impl Flights {
    /// Waits until nobody else is in flight under `key`.
    pub(crate) async fn enter(&self, key: &str) -> OwnedMutexGuard<()> {
        let flight = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if flights.len() >= SWEEP_AT {
                flights.retain(|_, flight| flight.strong_count() > 0);
            }
            match flights.get(key).and_then(Weak::upgrade) {
                Some(flight) => flight,
                None => {
                    let flight = Arc::new(AsyncMutex::new(()));
                    flights.insert(key.to_owned(), Arc::downgrade(&flight));
                    flight
                }
            }
        };
        flight.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_per_key() {
        let flights = Flights::default();
        let first = flights.enter("a").await;
        let _other = flights.enter("b").await;
        let wait = tokio::time::timeout(std::time::Duration::from_millis(20), flights.enter("a"));
        assert!(wait.await.is_err());
        drop(first);
        let _second = flights.enter("a").await;
    }
}
