//! Runs of the collector: what was asked for, how far it is, what it came to.

use crate::{Result, Row, Tx, engine::words, params};
use jiff::{SignedDuration, Timestamp};

/// Runs that are kept; older ones are forgotten.
pub const KEPT_RUNS: u32 = 1_000;

words! {
    /// Where a run stands.
    pub enum RunState {
        /// Under way; one at a time.
        Running = "running",
        /// Ended.
        Finished = "finished",
        /// Ended by an error, or the process that ran it ended.
        Failed = "failed",
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Number.
    pub id: i64,
    /// State.
    pub state: RunState,
    /// Who asked for it.
    pub actor: String,
    /// What was asked for, JSON.
    pub options: String,
    /// What it has come to so far, JSON.
    pub report: String,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

fn read(row: &Row) -> Result<Run> {
    Ok(Run {
        id: row.get("id")?,
        state: row.get("state")?,
        actor: row.get("actor")?,
        options: row.get("options")?,
        report: row.get("report")?,
        error: row.opt("error")?,
        started_at: row.get("started_at")?,
        finished_at: row.opt("finished_at")?,
    })
}

/// Begins a run that holds its place for `span`; `None` while another one is under way.
///
/// A unique index lets one run in, with any number of replicas. One whose process ended without a
/// word loses its place when its span is over.
pub async fn begin(
    tx: &mut Tx,
    actor: &str,
    options: &str,
    report: &str,
    span: SignedDuration,
) -> Result<Option<Run>> {
    let now = tx.shared_now().await?;
    let sql = "UPDATE collections SET state = 'failed', finished_at = $1, \
               error = 'the process that ran it ended' \
               WHERE state = 'running' AND leased_until < $1";
    tx.execute(sql, params![now]).await?;
    let until = now.saturating_add(span).unwrap_or(Timestamp::MAX);
    let sql = "INSERT INTO collections (state, actor, options, report, leased_until, started_at) \
               VALUES ('running', $1, $2, $3, $4, $5) \
               ON CONFLICT (state) WHERE state = 'running' DO NOTHING RETURNING *";
    tx.find(sql, params![actor, options, report, until, now], read).await
}

/// Says how far a run is and holds its place longer. False when it has lost its place, and must
/// end.
pub async fn progress(tx: &mut Tx, id: i64, report: &str, span: SignedDuration) -> Result<bool> {
    let until = tx.shared_now().await?.saturating_add(span).unwrap_or(Timestamp::MAX);
    let sql = "UPDATE collections SET report = $2, leased_until = $3 \
               WHERE id = $1 AND state = 'running'";
    Ok(tx.execute(sql, params![id, report, until]).await? == 1)
}

/// Ends a run, with an error if it failed, and forgets the oldest runs.
pub async fn end(tx: &mut Tx, id: i64, report: &str, error: Option<&str>) -> Result<()> {
    let now = tx.shared_now().await?;
    let state = if error.is_some() { RunState::Failed } else { RunState::Finished };
    let sql = "UPDATE collections SET state = $2, report = $3, error = $4, finished_at = $5 \
               WHERE id = $1 AND state = 'running'";
    tx.execute(sql, params![id, state, report, error, now]).await?;
    forget(tx).await
}

/// Records a run that nobody asked for and that found something.
pub async fn record(
    tx: &mut Tx,
    actor: &str,
    options: &str,
    report: &str,
    started_at: Timestamp,
) -> Result<()> {
    let now = tx.shared_now().await?;
    let sql = "INSERT INTO collections (state, actor, options, report, leased_until, started_at, \
               finished_at) VALUES ('finished', $1, $2, $3, $5, $4, $5)";
    tx.execute(sql, params![actor, options, report, started_at, now]).await?;
    forget(tx).await
}

async fn forget(tx: &mut Tx) -> Result<()> {
    let sql = "DELETE FROM collections WHERE state <> 'running' AND id <= (\
               SELECT max(id) FROM collections) - $1";
    tx.execute(sql, params![KEPT_RUNS]).await?;
    Ok(())
}

/// A run.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Run>> {
    tx.find("SELECT * FROM collections WHERE id = $1", params![id], read).await
}

/// Runs with a number below `before`, newest first.
pub async fn list(tx: &mut Tx, before: Option<i64>, limit: u32) -> Result<Vec<Run>> {
    let sql = "SELECT * FROM collections WHERE id < $1 ORDER BY id DESC LIMIT $2";
    tx.list(sql, params![before.unwrap_or(i64::MAX), limit], read).await
}
