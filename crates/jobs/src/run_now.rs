use crate::{JobError, Jobs, worker::LEASE};
use sealock_metadata::{Result, jobs};
use std::time::Duration;
use tokio::time::Instant;

/// How often a door looks whether a job that another process runs has ended.
const LOOK: Duration = Duration::from_millis(50);

/// What [`Jobs::run_now`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOutcome {
    /// Nothing waits for this kind and key (any more): the facts are there.
    Done,
    /// The job ran and failed; it stays queued.
    Failed(String),
    /// It did not end in time, here or elsewhere.
    TimedOut,
}

impl Jobs {
    /// Runs the jobs of a kind and key here and now if any are queued, or waits for who runs them,
    /// within `limit`. Many callers at once cause one execution. The execution goes on when the
    /// caller gives up.
    pub async fn run_now(&self, kind: &str, key: &str, limit: Duration) -> Result<RunOutcome> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.inner.ended.notified();
            let mut tx = self.inner.db.read().await?;
            let open = jobs::open(&mut tx, kind, key).await?;
            tx.rollback().await?;
            if open.is_empty() {
                return Ok(RunOutcome::Done);
            }
            let mut tx = self.inner.db.write().await?;
            let claimed = jobs::claim_key(&mut tx, kind, key, LEASE).await?;
            tx.commit_soon().await?;
            let Some(job) = claimed else {
                let look = async {
                    tokio::select! { () = ended => {}, () = tokio::time::sleep(LOOK) => {} }
                };
                if tokio::time::timeout_at(deadline, look).await.is_err() {
                    return Ok(RunOutcome::TimedOut);
                }
                continue;
            };
            let own = self.clone();
            let task = tokio::spawn(async move { own.execute(job).await });
            match tokio::time::timeout_at(deadline, task).await {
                Err(_) => return Ok(RunOutcome::TimedOut),
                Ok(Err(error)) => return Ok(RunOutcome::Failed(error.to_string())),
                Ok(Ok(ended)) => {
                    if let Err(JobError::Retry(text) | JobError::Permanent(text)) = ended? {
                        return Ok(RunOutcome::Failed(text));
                    }
                }
            }
        }
    }
}
