//! Files whose row is gone and whose bytes are not: what the collector removes from the disk
//! (decision D13, "dying").
//!
//! The row that named the file becomes a row here in one transaction, so a crash between that and
//! the removal is completed later. A file is named by its generation or its upload's id, neither
//! of which is ever used again: a late removal cannot hit a new upload of the same bytes.

use crate::{Result, Row, Tx, engine::words, params};
use jiff::{SignedDuration, Timestamp};
use sealock_oci::Digest;

words! {
    /// Why bytes are freed.
    pub enum Reason {
        /// Pushed or mounted, and no manifest named it in time.
        Unnamed = "unnamed",
        /// The last manifest that named it was deleted.
        ManifestDeleted = "manifest-deleted",
        /// It was deleted from the last repository that held it.
        BlobDeleted = "blob-deleted",
        /// The last repository that held it was deleted.
        RepositoryDeleted = "repository-deleted",
        /// The file was found corrupt, and the same bytes were pushed again.
        Replaced = "replaced",
        /// The upload rested too long.
        UploadAbandoned = "upload-abandoned",
    }
}

impl Reason {
    /// All of them, as reports list them.
    pub const ALL: [Self; 6] = [
        Self::Unnamed,
        Self::ManifestDeleted,
        Self::BlobDeleted,
        Self::RepositoryDeleted,
        Self::Replaced,
        Self::UploadAbandoned,
    ];
}

/// A file that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DyingFile {
    /// A stored blob.
    Blob {
        /// Its digest.
        digest: Digest,
        /// Its generation.
        generation: i64,
    },
    /// What an upload had received.
    Upload {
        /// UUID.
        id: String,
    },
}

/// A file that this claim is to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Number.
    pub id: i64,
    /// Which file.
    pub file: DyingFile,
    /// Its size in bytes, as far as it was acknowledged.
    pub size: u64,
    /// Why.
    pub reason: Reason,
    /// How often its removal failed.
    pub attempts: i64,
    /// Fencing token: counts claims, and only the newest one ends the row.
    pub lease: i64,
    /// When its row went.
    pub created_at: Timestamp,
}

fn read(row: &Row) -> Result<Claimed> {
    let file = match (row.opt("digest")?, row.opt("generation")?) {
        (Some(digest), Some(generation)) => DyingFile::Blob { digest, generation },
        _ => DyingFile::Upload { id: row.get("upload")? },
    };
    Ok(Claimed {
        id: row.get("id")?,
        file,
        size: row.get("size")?,
        reason: row.get("reason")?,
        attempts: row.get("attempts")?,
        lease: row.get("lease")?,
        created_at: row.get("created_at")?,
    })
}

/// Records files that nothing names from this transaction on, with their sizes in bytes.
pub async fn add(tx: &mut Tx, files: &[(DyingFile, u64, Reason)]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let now = tx.shared_now().await?;
    let row = |(file, size, reason): &(DyingFile, u64, Reason)| {
        let (digest, generation, upload) = match file {
            DyingFile::Blob { digest, generation } => (Some(digest), Some(*generation), None),
            DyingFile::Upload { id } => (None, None, Some(id.as_str())),
        };
        params![digest, generation, upload, *size, *reason, 0, 0, now, now]
    };
    let head = "INSERT INTO dying_files (digest, generation, upload, size, reason, attempts, \
                lease, run_after, created_at)";
    tx.insert_many(head, files.iter().map(row).collect(), "").await?;
    Ok(())
}

/// Claims files to be removed within `span`, oldest first; after it, another may claim them.
///
/// Safe with any number of replicas: rows are locked as they are chosen, locked ones are passed
/// over, and the token of an outrun claim ends nothing. The removal itself may happen twice.
pub async fn claim(tx: &mut Tx, span: SignedDuration, limit: u32) -> Result<Vec<Claimed>> {
    let now = tx.shared_now().await?;
    let until = now.saturating_add(span).unwrap_or(Timestamp::MAX);
    let sql = "SELECT id FROM dying_files WHERE run_after <= $1 ORDER BY run_after, id LIMIT $2 \
               /*pg: FOR UPDATE SKIP LOCKED */";
    let ids: Vec<i64> = tx.list(sql, params![now, limit], |row| row.get("id")).await?;
    let sql = "UPDATE dying_files SET lease = lease + 1, run_after = $2 WHERE id = ANY($1) \
               RETURNING *";
    tx.list(sql, params![&ids, until], read).await
}

/// The removal is done and durable. Those of the claim that nobody claimed since.
pub async fn finish(tx: &mut Tx, removed: &[Claimed]) -> Result<Vec<Claimed>> {
    let tokens: Vec<String> = removed.iter().map(|c| format!("{}/{}", c.id, c.lease)).collect();
    let ids: Vec<i64> = removed.iter().map(|claimed| claimed.id).collect();
    let sql = "DELETE FROM dying_files WHERE id = ANY($1) AND id || '/' || lease = ANY($2) \
               RETURNING *";
    tx.list(sql, params![&ids, &tokens], read).await
}

/// The removal failed and is tried again after `pause`.
pub async fn put_off(tx: &mut Tx, claimed: &Claimed, pause: SignedDuration) -> Result<()> {
    let after = tx.shared_now().await?.saturating_add(pause).unwrap_or(Timestamp::MAX);
    let sql = "UPDATE dying_files SET attempts = attempts + 1, run_after = $3 \
               WHERE id = $1 AND lease = $2";
    tx.execute(sql, params![claimed.id, claimed.lease, after]).await?;
    Ok(())
}

/// Files that are to be removed, with a number above `after`: for a check of the store.
pub async fn list(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<Claimed>> {
    let sql = "SELECT * FROM dying_files WHERE id > $1 ORDER BY id LIMIT $2";
    tx.list(sql, params![after, limit], read).await
}

/// Whether a file is to be removed: for a check of the store.
pub async fn is_listed(tx: &mut Tx, file: &DyingFile) -> Result<bool> {
    let row = match file {
        DyingFile::Blob { digest, generation } => {
            let sql = "SELECT id FROM dying_files WHERE digest = $1 AND generation = $2 LIMIT 1";
            tx.query_one(sql, params![digest, *generation]).await?
        }
        DyingFile::Upload { id } => {
            let sql = "SELECT id FROM dying_files WHERE upload = $1 LIMIT 1";
            tx.query_one(sql, params![id]).await?
        }
    };
    Ok(row.is_some())
}

/// Takes the file of a blob off the list, because a row names it again. **Only** while no server
/// runs: one that has claimed the file removes it all the same.
pub(crate) async fn spare(tx: &mut Tx, digest: &Digest, generation: i64) -> Result<()> {
    let sql = "DELETE FROM dying_files WHERE digest = $1 AND generation = $2";
    tx.execute(sql, params![digest, generation]).await?;
    Ok(())
}
