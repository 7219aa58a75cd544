//! The durable queue: claims, retries, executions.
//!
//! A job is queued in the transaction of what makes it necessary ([`enqueue`]), so neither can be
//! without the other. Workers lease jobs and hold the lease by a heartbeat; a worker that dies
//! loses its jobs to others when the lease ends. A job may therefore run more than once: handlers
//! are idempotent. A door that needs a job's result runs it itself ([`Jobs::run_now`], decision
//! D4).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod handler;
mod run_now;
mod worker;

pub use handler::{Handler, JobError, Limits};
pub use run_now::RunOutcome;
pub use worker::Workers;

use handler::Registered;
use jiff::Timestamp;
pub use sealock_metadata::jobs::Job;
use sealock_metadata::{Database, Result, Tx, jobs};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::Notify;

/// Queues a job in the caller's transaction; [`Jobs::wake`] after the commit makes it run at once.
///
/// One job waits for each kind and key: a second call brings it forward and takes the new payload.
pub async fn enqueue(
    tx: &mut Tx,
    kind: &str,
    key: &str,
    payload: &impl serde::Serialize,
) -> Result<()> {
    let now = tx.shared_now().await?;
    enqueue_at(tx, kind, key, payload, now).await
}

/// As [`enqueue`], not before `run_after`, which lies less than [`jobs::HORIZON`] ahead.
pub async fn enqueue_at(
    tx: &mut Tx,
    kind: &str,
    key: &str,
    payload: &impl serde::Serialize,
    run_after: Timestamp,
) -> Result<()> {
    let payload = serde_json::to_string(payload)?;
    jobs::enqueue(tx, kind, key, &payload, run_after).await
}

/// The queue and its handlers. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    handlers: RwLock<BTreeMap<&'static str, Registered>>,
    /// Work may have come.
    arrived: Notify,
    /// A job ended in this process.
    ended: Notify,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("kinds", &self.kinds()).finish_non_exhaustive()
    }
}

impl Jobs {
    /// A queue without handlers.
    pub fn new(db: Database) -> Self {
        let inner =
            Inner { db, handlers: RwLock::default(), arrived: Notify::new(), ended: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Gives jobs of `kind` a handler. A handler that holds this queue keeps it alive until
    /// [`Jobs::clear`].
    pub fn register(&self, kind: &'static str, limits: Limits, handler: Arc<dyn Handler>) {
        let mut handlers = self.inner.handlers.write().unwrap_or_else(PoisonError::into_inner);
        handlers.insert(kind, Registered::new(limits, handler));
    }

    /// Drops every handler.
    pub fn clear(&self) {
        self.inner.handlers.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Says that a transaction which queued jobs has committed. One worker looks; each that finds
    /// a job wakes the next.
    pub fn wake(&self) {
        self.inner.arrived.notify_one();
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.inner.db
    }

    fn kinds(&self) -> Vec<&'static str> {
        let handlers = self.inner.handlers.read().unwrap_or_else(PoisonError::into_inner);
        handlers.keys().copied().collect()
    }

    /// The kinds with a free place.
    fn free_kinds(&self) -> Vec<&'static str> {
        let handlers = self.inner.handlers.read().unwrap_or_else(PoisonError::into_inner);
        let free = handlers.iter().filter(|(_, registered)| registered.has_place());
        free.map(|(kind, _)| *kind).collect()
    }

    fn handler(&self, kind: &str) -> Option<Registered> {
        let handlers = self.inner.handlers.read().unwrap_or_else(PoisonError::into_inner);
        handlers.get(kind).cloned()
    }
}
