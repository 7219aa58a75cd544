use sealock_metadata::jobs::Job;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// What runs jobs of one kind.
#[async_trait::async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Does the job. It may have been done before, wholly or in part.
    async fn run(&self, job: &Job) -> Result<(), JobError>;
}

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may go better later.
    #[error("{0}")]
    Retry(String),
    /// It will never go better; kept among the dead for a person to see.
    #[error("{0}")]
    Permanent(String),
}

impl JobError {
    /// It may go better later.
    pub fn retry(error: impl std::fmt::Display) -> Self {
        Self::Retry(error.to_string())
    }

    /// It will never go better.
    pub fn permanent(error: impl std::fmt::Display) -> Self {
        Self::Permanent(error.to_string())
    }
}

impl From<sealock_metadata::Error> for JobError {
    fn from(error: sealock_metadata::Error) -> Self {
        Self::retry(error)
    }
}

/// Bounds of the jobs of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// At most this many at once in this process.
    pub at_once: usize,
    /// One execution's time.
    pub time: Duration,
    /// Executions before the job is dead.
    pub attempts: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { at_once: 2, time: Duration::from_secs(600), attempts: 12 }
    }
}

#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) limits: Limits,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) places: Arc<Semaphore>,
}

impl Registered {
    pub(crate) fn new(limits: Limits, handler: Arc<dyn Handler>) -> Self {
        Self { limits, handler, places: Arc::new(Semaphore::new(limits.at_once.max(1))) }
    }

    pub(crate) fn has_place(&self) -> bool {
        self.places.available_permits() > 0
    }
}
