//! Rows of uploads that are under way.

use crate::{Result, Tx, params};

/// An upload's row, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawUpload {
    /// Should be a UUID.
    pub id: String,
    /// Full name of its repository; none when that is gone.
    pub repository: Option<String>,
    /// Should be the blob store's state, JSON.
    pub state: String,
    /// Bytes received.
    pub received: i64,
}

/// Uploads in the order of their ids, after `after`.
pub async fn list(tx: &mut Tx, after: &str, limit: u32) -> Result<Vec<RawUpload>> {
    let sql = "SELECT u.id AS id, r.name AS repository, u.state AS state, u.received AS received \
               FROM uploads u LEFT JOIN repositories r ON r.id = u.repository_id \
               WHERE u.id > $1 ORDER BY u.id LIMIT $2";
    tx.list(sql, params![after, limit], |row| {
        Ok(RawUpload {
            id: row.get("id")?,
            repository: row.opt("repository")?,
            state: row.get("state")?,
            received: row.get("received")?,
        })
    })
    .await
}

/// Forgets an upload that cannot go on.
pub async fn remove(tx: &mut Tx, id: &str) -> Result<bool> {
    Ok(tx.execute("DELETE FROM uploads WHERE id = $1", params![id]).await? == 1)
}
