//! Uploads that are under way.

use crate::{Result, Row, Tx, params};
use jiff::Timestamp;

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// UUID.
    pub id: String,
    /// Where it goes.
    pub repository_id: i64,
    /// Who began it, by a word that never means another; only they go on.
    pub principal: String,
    /// The blob store's state, JSON.
    pub state: String,
    /// Bytes received.
    pub received: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last grew.
    pub updated_at: Timestamp,
}

fn read(row: &Row) -> Result<Upload> {
    Ok(Upload {
        id: row.get("id")?,
        repository_id: row.get("repository_id")?,
        principal: row.get("principal")?,
        state: row.get("state")?,
        received: row.get("received")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Begins an upload.
pub async fn create(
    tx: &mut Tx,
    id: &str,
    repository_id: i64,
    principal: &str,
    state: &str,
) -> Result<()> {
    let now = tx.now();
    let sql = "INSERT INTO uploads (id, repository_id, principal, state, received, created_at, \
               updated_at) VALUES ($1, $2, $3, $4, 0, $5, $5)";
    tx.execute(sql, params![id, repository_id, principal, state, now]).await?;
    Ok(())
}

/// An upload of a repository by the one who began it.
pub async fn find(
    tx: &mut Tx,
    repository_id: i64,
    principal: &str,
    id: &str,
) -> Result<Option<Upload>> {
    let sql = "SELECT * FROM uploads WHERE id = $1 AND repository_id = $2 AND principal = $3";
    tx.find(sql, params![id, repository_id, principal], read).await
}

/// Stores progress if the upload still stands at `from` bytes; false when another request moved it.
pub async fn advance(
    tx: &mut Tx,
    repository_id: i64,
    id: &str,
    from: u64,
    to: u64,
    state: &str,
) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE uploads SET state = $5, received = $4, updated_at = $6 \
               WHERE id = $1 AND repository_id = $2 AND received = $3";
    Ok(tx.execute(sql, params![id, repository_id, from, to, state, now]).await? == 1)
}

/// Ends an upload: finished, cancelled or failed. False when it was gone.
pub async fn delete(tx: &mut Tx, repository_id: i64, id: &str) -> Result<bool> {
    let sql = "DELETE FROM uploads WHERE id = $1 AND repository_id = $2";
    Ok(tx.execute(sql, params![id, repository_id]).await? == 1)
}

/// How many uploads a principal has under way in a repository.
pub async fn count(tx: &mut Tx, repository_id: i64, principal: &str) -> Result<i64> {
    let sql = "SELECT count(*) AS n FROM uploads WHERE repository_id = $1 AND principal = $2";
    Ok(tx.find(sql, params![repository_id, principal], |row| row.get("n")).await?.unwrap_or(0))
}

/// Uploads that have rested since before `before`, to be discarded.
pub async fn stale(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<Vec<Upload>> {
    let sql = "SELECT * FROM uploads WHERE updated_at < $1 ORDER BY updated_at LIMIT $2";
    tx.list(sql, params![before, limit], read).await
}
