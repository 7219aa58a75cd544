//! The durable queue's rows. The queue itself is the crate `sealock-jobs`.

use crate::{Result, Row, Tx, engine::words, params};
use jiff::{SignedDuration, Timestamp};

/// How far ahead a lease ends or a job is due at most. What lies further was written by a clock
/// that has been set back since, and counts as over: else an hour's mistake would stop the queue
/// for an hour.
pub const HORIZON: SignedDuration = SignedDuration::from_mins(60);

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

/// Queues a job, due within the next [`HORIZON`]. One that is queued already for this kind and key
/// stays, is brought forward if `run_after` is earlier, and takes the new payload.
pub async fn enqueue(
    tx: &mut Tx,
    kind: &str,
    key: &str,
    payload: &str,
    run_after: Timestamp,
) -> Result<()> {
    let now = tx.shared_now().await?;
    let sql = "INSERT INTO jobs (kind, key, payload, state, attempts, run_after, lease, \
               created_at) VALUES ($1, $2, $3, 'queued', 0, $4, 0, $5) \
               ON CONFLICT (kind, key) WHERE state = 'queued' DO UPDATE SET \
               payload = excluded.payload, run_after = CASE WHEN excluded.run_after < \
               jobs.run_after THEN excluded.run_after ELSE jobs.run_after END";
    tx.execute(sql, params![kind, key, payload, run_after, now]).await?;
    Ok(())
}

/// Claims one due job of these kinds for `lease`, or one whose worker let its lease run out.
///
/// Safe with any number of workers: the row is locked as it is chosen (on PostgreSQL locked rows
/// are passed over; SQLite has one writer). A job waits while another of its kind and key runs.
pub async fn claim(tx: &mut Tx, kinds: &[&str], lease: SignedDuration) -> Result<Option<Job>> {
    let now = tx.shared_now().await?;
    let sql = "UPDATE jobs SET state = 'running', attempts = attempts + 1, lease = lease + 1, \
               leased_until = $3 WHERE id = (SELECT j.id FROM jobs j WHERE j.kind = ANY($1) \
               AND ((j.state = 'queued' AND j.run_after NOT BETWEEN $2 + 1 AND $4) \
               OR (j.state = 'running' AND j.leased_until NOT BETWEEN $2 + 1 AND $4)) \
               AND NOT EXISTS (SELECT 1 FROM jobs o WHERE o.kind = j.kind AND o.key = j.key \
               AND o.id <> j.id AND o.state = 'running' AND o.leased_until BETWEEN $2 + 1 AND $4) \
               ORDER BY j.run_after, j.id LIMIT 1 /*pg: FOR UPDATE OF j SKIP LOCKED */) \
               RETURNING *";
    tx.find(sql, params![kinds, now, after(now, lease), after(now, HORIZON)], read).await
}

fn after(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// Claims the job of a kind and key, due or not; `None` when there is none or it runs.
pub async fn claim_key(
    tx: &mut Tx,
    kind: &str,
    key: &str,
    lease: SignedDuration,
) -> Result<Option<Job>> {
    let now = tx.shared_now().await?;
    let sql = "UPDATE jobs SET state = 'running', attempts = attempts + 1, lease = lease + 1, \
               leased_until = $4 WHERE id = (SELECT j.id FROM jobs j WHERE j.kind = $1 \
               AND j.key = $2 AND (j.state = 'queued' \
               OR (j.state = 'running' AND j.leased_until NOT BETWEEN $3 + 1 AND $5)) \
               AND NOT EXISTS (SELECT 1 FROM jobs o WHERE o.kind = $1 AND o.key = $2 \
               AND o.id <> j.id AND o.state = 'running' AND o.leased_until BETWEEN $3 + 1 AND $5) \
               ORDER BY j.id LIMIT 1 /*pg: FOR UPDATE OF j SKIP LOCKED */) RETURNING *";
    tx.find(sql, params![kind, key, now, after(now, lease), after(now, HORIZON)], read).await
}

/// The jobs of a kind and key that wait or run: empty when the work is done.
pub async fn open(tx: &mut Tx, kind: &str, key: &str) -> Result<Vec<Job>> {
    let sql = "SELECT * FROM jobs WHERE kind = $1 AND key = $2 AND state <> 'dead' ORDER BY id";
    tx.list(sql, params![kind, key], read).await
}

/// Ends every lease at once: for the start of the only process that uses the database, whose former
/// life may have been killed.
pub async fn release_all(tx: &mut Tx) -> Result<u64> {
    let now = tx.shared_now().await?;
    let sql = "UPDATE jobs SET leased_until = $1 WHERE state = 'running' AND leased_until > $1";
    tx.execute(sql, params![now]).await
}

/// Holds a lease longer. False when it was lost.
pub async fn extend(tx: &mut Tx, id: i64, lease: i64, span: SignedDuration) -> Result<bool> {
    let until = after(tx.shared_now().await?, span);
    let sql = "UPDATE jobs SET leased_until = $3 \
               WHERE id = $1 AND lease = $2 AND state = 'running'";
    Ok(tx.execute(sql, params![id, lease, until]).await? == 1)
}

/// Ends a job that was done. False when the lease was lost: then another worker has it. In the
/// transaction of the job's own writes, this is the fence.
pub async fn complete(tx: &mut Tx, id: i64, lease: i64) -> Result<bool> {
    let sql = "DELETE FROM jobs WHERE id = $1 AND lease = $2 AND state = 'running'";
    Ok(tx.execute(sql, params![id, lease]).await? == 1)
}

/// Puts a failed job back for a time, or, with none, among the dead. If one for the same kind
/// and key was queued meanwhile, that one does the work and this one ends.
pub async fn fail(
    tx: &mut Tx,
    id: i64,
    lease: i64,
    error: &str,
    pause: Option<SignedDuration>,
) -> Result<bool> {
    let sql = "DELETE FROM jobs WHERE id = $1 AND lease = $2 AND state = 'running' \
               AND EXISTS (SELECT 1 FROM jobs o WHERE o.kind = jobs.kind AND o.key = jobs.key \
               AND o.state = 'queued')";
    if tx.execute(sql, params![id, lease]).await? == 1 {
        return Ok(true);
    }
    let state = if pause.is_some() { JobState::Queued } else { JobState::Dead };
    let run_after = after(tx.shared_now().await?, pause.unwrap_or_default());
    let sql = "UPDATE jobs SET state = $3, run_after = $4, leased_until = NULL, last_error = $5 \
               WHERE id = $1 AND lease = $2 AND state = 'running'";
    Ok(tx.execute(sql, params![id, lease, state, run_after, error]).await? == 1)
}

/// Whether a job of these kinds is due: a queued one's time has come or a lease is over.
pub async fn any_due(tx: &mut Tx, kinds: &[&str]) -> Result<bool> {
    let now = tx.shared_now().await?;
    let sql = "SELECT 1 AS one FROM jobs WHERE kind = ANY($1) \
               AND ((state = 'queued' AND run_after NOT BETWEEN $2 + 1 AND $3) \
               OR (state = 'running' AND leased_until NOT BETWEEN $2 + 1 AND $3)) LIMIT 1";
    Ok(tx.query_one(sql, params![kinds, now, after(now, HORIZON)]).await?.is_some())
}

/// How many jobs stand in each state, by kind.
pub async fn counts(tx: &mut Tx) -> Result<Vec<(String, JobState, i64)>> {
    let sql = "SELECT kind, state, count(*) AS n FROM jobs GROUP BY kind, state \
               ORDER BY kind, state";
    tx.list(sql, params![], |row| Ok((row.get("kind")?, row.get("state")?, row.get("n")?))).await
}

/// Dead jobs by number, after `after`.
pub async fn dead(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<Job>> {
    let sql = "SELECT * FROM jobs WHERE state = 'dead' AND id > $1 ORDER BY id LIMIT $2";
    tx.list(sql, params![after, limit], read).await
}

/// Removes a dead job, for instance when it is queued anew.
pub async fn bury(tx: &mut Tx, id: i64) -> Result<bool> {
    let sql = "DELETE FROM jobs WHERE id = $1 AND state = 'dead'";
    Ok(tx.execute(sql, params![id]).await? == 1)
}
