//! Blob rows, and who uses them.

use crate::{
    Result, Row, Tx,
    blobs::{self, BlobState, Inserted},
    dying_files, params,
};
use sealock_oci::Digest;

/// A blob's row, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBlob {
    /// Should be a digest.
    pub digest: String,
    /// Size in bytes; should not be negative.
    pub size: i64,
    /// Which stored file holds it; should not be negative.
    pub generation: i64,
    /// Should be the word of a [`BlobState`].
    pub state: String,
}

/// How much there is to look through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Blob rows.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blob rows that say that a file is there: active ones.
    pub active: u64,
    /// Manifest rows.
    pub manifests: u64,
    /// Projects: a database that was used has some.
    pub projects: u64,
}

/// Counts rows.
pub async fn totals(tx: &mut Tx) -> Result<Totals> {
    let sql = "SELECT (SELECT count(*) FROM blobs) AS blobs, \
               (SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM blobs WHERE size > 0) AS bytes, \
               (SELECT count(*) FROM blobs WHERE state = 'active') AS active, \
               (SELECT count(*) FROM manifests) AS manifests, \
               (SELECT count(*) FROM projects) AS projects";
    let totals = tx.find(sql, params![], |row| {
        Ok(Totals {
            blobs: row.get("blobs")?,
            bytes: row.get("bytes")?,
            active: row.get("active")?,
            manifests: row.get("manifests")?,
            projects: row.get("projects")?,
        })
    });
    Ok(totals.await?.unwrap_or_default())
}

fn read(row: &Row) -> Result<RawBlob> {
    Ok(RawBlob {
        digest: row.get("digest")?,
        size: row.get("size")?,
        generation: row.get("generation")?,
        state: row.get("state")?,
    })
}

/// Blob rows in the bytewise order of their digests, after `after`.
pub async fn list(tx: &mut Tx, after: &str, limit: u32) -> Result<Vec<RawBlob>> {
    let sql = "SELECT digest, size, generation, state FROM blobs WHERE digest > $1 \
               ORDER BY digest LIMIT $2";
    tx.list(sql, params![after, limit], read).await
}

/// The row of a digest.
pub async fn get(tx: &mut Tx, digest: &Digest) -> Result<Option<RawBlob>> {
    let sql = "SELECT digest, size, generation, state FROM blobs WHERE digest = $1";
    tx.find(sql, params![digest], read).await
}

/// A repository that needs a blob: through a link, or through a manifest that names it. `None` when
/// nothing refers to it.
pub async fn user(tx: &mut Tx, digest: &str) -> Result<Option<String>> {
    let sql = "SELECT r.name AS name FROM repository_blobs l \
               JOIN repositories r ON r.id = l.repository_id WHERE l.digest = $1 \
               UNION ALL SELECT r.name AS name FROM manifest_blobs b \
               JOIN manifests m ON m.id = b.manifest_id \
               JOIN repositories r ON r.id = m.repository_id WHERE b.digest = $1 LIMIT 1";
    tx.find(sql, params![digest], |row| row.get("name")).await
}

/// Corrects a row that still names the generation `from`. What it says about when it was stored
/// stays. A file that it names now and that was to be removed is so no more.
pub async fn correct(
    tx: &mut Tx,
    digest: &Digest,
    from: i64,
    size: u64,
    generation: i64,
    state: BlobState,
) -> Result<bool> {
    let sql = "UPDATE blobs SET size = $3, generation = $4, state = $5 \
               WHERE digest = $1 AND generation = $2";
    let done = tx.execute(sql, params![digest, from, size, generation, state]).await? == 1;
    if done {
        dying_files::spare(tx, digest, generation).await?;
    }
    Ok(done)
}

/// Makes the row of a file that has lost it and is needed; false when there is one. Was the file to
/// be removed, it is so no more.
pub async fn revive(tx: &mut Tx, digest: &Digest, size: u64, generation: i64) -> Result<bool> {
    let inserted = blobs::insert(tx, digest, size, generation).await?;
    dying_files::spare(tx, digest, generation).await?;
    Ok(inserted == Inserted::Won { replaced: None })
}

/// Removes a row that nothing refers to. False when something does, or it changed.
pub async fn remove_unused(tx: &mut Tx, digest: &str, generation: i64) -> Result<bool> {
    let sql = "DELETE FROM blobs WHERE digest = $1 AND generation = $2 \
               AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = $1) \
               AND NOT EXISTS (SELECT 1 FROM manifest_blobs b WHERE b.digest = $1)";
    Ok(tx.execute(sql, params![digest, generation]).await? == 1)
}
