//! Blobs: which bytes exist, and through which repositories.

use crate::{Result, Row, Tx, engine::words, params};
use jiff::Timestamp;
use sealock_oci::Digest;

words! {
    /// Where a blob stands.
    pub enum BlobState {
        /// May be read and linked.
        Active = "active",
        /// Being collected; may not be linked (decision D13).
        Dying = "dying",
        /// Found corrupt on disk; may not be read.
        Isolated = "isolated",
    }
}

/// A blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Digest.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    /// Which stored file holds it.
    pub generation: i64,
    /// State.
    pub state: BlobState,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// What became of a stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// This file is the blob now. `replaced` is the generation of a dying or corrupt file.
    Won {
        /// The former file's generation.
        replaced: Option<i64>,
    },
    /// The blob was stored before; this file can be removed after the transaction.
    Lost(Blob),
}

fn read(row: &Row) -> Result<Blob> {
    Ok(Blob {
        digest: row.get("digest")?,
        size: row.get("size")?,
        generation: row.get("generation")?,
        state: row.get("state")?,
        created_at: row.get("created_at")?,
    })
}

/// Records a stored file. Safe under READ COMMITTED: the upsert locks the blob's row, so of two
/// uploads of the same bytes one wins, and collection (which locks the row too) is before or after.
pub async fn insert(tx: &mut Tx, digest: &Digest, size: u64, generation: i64) -> Result<Inserted> {
    let locked = "SELECT * FROM blobs WHERE digest = $1 /*pg: FOR UPDATE */";
    let before = tx.find(locked, params![digest], read).await?;
    let now = tx.now();
    let won = tx
        .query_one(
            "INSERT INTO blobs (digest, size, generation, state, created_at) \
             VALUES ($1, $2, $3, 'active', $4) ON CONFLICT (digest) DO UPDATE SET \
             size = excluded.size, generation = excluded.generation, state = 'active', \
             created_at = excluded.created_at WHERE blobs.state <> 'active' RETURNING digest",
            params![digest, size, generation, now],
        )
        .await?;
    if won.is_some() {
        return Ok(Inserted::Won { replaced: before.map(|blob| blob.generation) });
    }
    let present = tx.find(locked, params![digest], read).await?;
    present.map(Inserted::Lost).ok_or(crate::Error::Retry)
}

/// Links blobs to a repository. Those that are not there or not active stay unlinked; the linked
/// ones are returned. The rows are locked against collection.
pub async fn link(tx: &mut Tx, repository_id: i64, digests: &[Digest]) -> Result<Vec<Digest>> {
    let found = "SELECT digest FROM blobs WHERE digest = ANY($1) AND state = 'active' \
                 ORDER BY digest /*pg: FOR SHARE */";
    let found: Vec<Digest> = tx.list(found, params![digests], |row| row.get("digest")).await?;
    let now = tx.now();
    let rows = found.iter().map(|digest| params![repository_id, digest, now]).collect();
    let head = "INSERT INTO repository_blobs (repository_id, digest, linked_at)";
    tx.insert_many(head, rows, "ON CONFLICT (repository_id, digest) DO NOTHING").await?;
    Ok(found)
}

/// A readable blob of a repository.
pub async fn find(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<Option<Blob>> {
    let sql = "SELECT b.* FROM repository_blobs l JOIN blobs b ON b.digest = l.digest \
               WHERE l.repository_id = $1 AND l.digest = $2 AND b.state = 'active'";
    tx.find(sql, params![repository_id, digest], read).await
}

/// A repository in `visible` that holds this blob, for a mount without `from`.
pub async fn find_mountable(
    tx: &mut Tx,
    visible: &crate::projects::Visible,
    digest: &Digest,
) -> Result<Option<i64>> {
    let (all, ids) = visible.params();
    let sql = "SELECT l.repository_id AS id FROM repository_blobs l \
               JOIN repositories r ON r.id = l.repository_id \
               JOIN blobs b ON b.digest = l.digest \
               WHERE l.digest = $1 AND b.state = 'active' \
               AND ($2 = 1 OR r.project_id = ANY($3)) LIMIT 1";
    tx.find(sql, params![digest, all, &ids], |row| row.get("id")).await
}

/// Which of these blobs the repository holds, with sizes: what a manifest may name.
pub async fn present(tx: &mut Tx, repository_id: i64, digests: &[Digest]) -> Result<Vec<Blob>> {
    let sql = "SELECT b.* FROM repository_blobs l JOIN blobs b ON b.digest = l.digest \
               WHERE l.repository_id = $1 AND l.digest = ANY($2) AND b.state = 'active' \
               ORDER BY b.digest /*pg: FOR SHARE OF b */";
    tx.list(sql, params![repository_id, digests], read).await
}

/// A blob by digest alone: for jobs, never for a caller.
pub async fn get(tx: &mut Tx, digest: &Digest) -> Result<Option<Blob>> {
    tx.find("SELECT * FROM blobs WHERE digest = $1", params![digest], read).await
}

/// Marks a blob as corrupt on disk or readable again.
pub async fn set_state(tx: &mut Tx, digest: &Digest, state: BlobState) -> Result<bool> {
    let sql = "UPDATE blobs SET state = $2 WHERE digest = $1";
    Ok(tx.execute(sql, params![digest, state]).await? == 1)
}

/// Takes a blob out of a repository. False when it was not there or a manifest of the repository
/// names it.
pub async fn unlink(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<bool> {
    let sql = "DELETE FROM repository_blobs WHERE repository_id = $1 AND digest = $2 \
               AND NOT EXISTS (SELECT 1 FROM manifest_blobs b \
               JOIN manifests m ON m.id = b.manifest_id \
               WHERE b.digest = $2 AND m.repository_id = $1)";
    Ok(tx.execute(sql, params![repository_id, digest]).await? == 1)
}

/// Which of these blobs the repository holds, without a lock: for reading them.
pub async fn held(tx: &mut Tx, repository_id: i64, digests: &[Digest]) -> Result<Vec<Blob>> {
    let sql = "SELECT b.* FROM repository_blobs l JOIN blobs b ON b.digest = l.digest \
               WHERE l.repository_id = $1 AND l.digest = ANY($2) AND b.state = 'active' \
               ORDER BY b.digest";
    tx.list(sql, params![repository_id, digests], read).await
}
