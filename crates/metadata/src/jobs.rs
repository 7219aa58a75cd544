//! The durable queue's rows. The queue itself is the crate `sealock-jobs`.

use crate::{Result, Row, Tx, engine::words, params};
use jiff::Timestamp;

words! {
    /// Where a job stands. A finished job has no row.
    pub enum JobState {
        /// Waits until `run_after`.
        Queued = "queued",
        /// Leased by a worker.
        Running = "running",
        /// Failed too often; kept for a person to see.
        Dead = "dead",
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Number.
    pub id: i64,
    /// Which handler runs it.
    pub kind: String,
    /// What it is about; one queued job for each kind and key.
    pub key: String,
    /// JSON for the handler.
    pub payload: String,
    /// State.
    pub state: JobState,
    /// How often it was begun.
    pub attempts: i64,
    /// Not before.
    pub run_after: Timestamp,
    /// Fencing token: counts claims, and only the holder of the newest may finish the job.
    pub lease: i64,
    /// Until when the worker holds it.
    pub leased_until: Option<Timestamp>,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
}

fn read(row: &Row) -> Result<Job> {
    Ok(Job {
        id: row.get("id")?,
        kind: row.get("kind")?,
        key: row.get("key")?,
        payload: row.get("payload")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        run_after: row.get("run_after")?,
        lease: row.get("lease")?,
        leased_until: row.opt("leased_until")?,
        last_error: row.opt("last_error")?,
        created_at: row.get("created_at")?,
    })
}

/// Queues a job. One that is queued already for this kind and key stays, is brought forward if
/// `run_after` is earlier, and takes the new payload.
pub async fn enqueue(
    tx: &mut Tx,
    kind: &str,
    key: &str,
    payload: &str,
    run_after: Timestamp,
) -> Result<()> {
    let now = tx.now();
    let sql = "INSERT INTO jobs (kind, key, payload, state, attempts, run_after, lease, \
               created_at) VALUES ($1, $2, $3, 'queued', 0, $4, 0, $5) \
               ON CONFLICT (kind, key) WHERE state = 'queued' DO UPDATE SET \
               payload = excluded.payload, run_after = CASE WHEN excluded.run_after < \
               jobs.run_after THEN excluded.run_after ELSE jobs.run_after END";
    tx.execute(sql, params![kind, key, payload, run_after, now]).await?;
    Ok(())
}
