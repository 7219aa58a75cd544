//! Blobs: which bytes exist, and through which repositories.
//!
//! What may have lost its last user is queued for review in its own row (decision D13): a link
//! that no manifest may name, a blob that no repository may hold. Every call here that can take a
//! user away does so, and so do those of [`crate::manifests`]; no caller has to think of it. Who
//! locks both locks the blob before the link; collection ([`crate::reviews`]) waits for neither.

use crate::{
    Result, Row, Tx,
    dying_files::{self, DyingFile, Reason},
    engine::words,
    params,
};
use jiff::Timestamp;
use sealock_oci::Digest;

words! {
    /// Where a blob stands.
    pub enum BlobState {
        /// May be read and linked.
        Active = "active",
        /// Was being collected by a program that kept the row; may not be linked.
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
    /// This file is the blob now. `replaced` is the generation of a corrupt file, which is dying
    /// ([`crate::dying_files`]): who removes it at once spares the collector the work.
    Won {
        /// The former file's generation.
        replaced: Option<i64>,
    },
    /// The blob was stored before; this file can be removed after the transaction.
    Lost(Blob),
}

pub(crate) fn read(row: &Row) -> Result<Blob> {
    Ok(Blob {
        digest: row.get("digest")?,
        size: row.get("size")?,
        generation: row.get("generation")?,
        state: row.get("state")?,
        created_at: row.get("created_at")?,
    })
}

/// Records a stored file. Safe under READ COMMITTED: the upsert locks the blob's row, so of two
/// uploads of the same bytes one wins, and collection (which locks the row too) is before or after:
/// if it was before, the row is new and its file is of another generation than the dying one.
pub async fn insert(tx: &mut Tx, digest: &Digest, size: u64, generation: i64) -> Result<Inserted> {
    let locked = "SELECT * FROM blobs WHERE digest = $1 /*pg: FOR UPDATE */";
    let before = tx.find(locked, params![digest], read).await?;
    let now = tx.now();
    let review = tx.review_time().await?;
    let won = tx
        .query_one(
            "INSERT INTO blobs (digest, size, generation, state, created_at, review_at, \
             review_reason) VALUES ($1, $2, $3, 'active', $4, $5, 'unnamed') \
             ON CONFLICT (digest) DO UPDATE SET \
             size = excluded.size, generation = excluded.generation, state = 'active', \
             created_at = excluded.created_at WHERE blobs.state <> 'active' RETURNING digest",
            params![digest, size, generation, now, review],
        )
        .await?;
    if won.is_some() {
        if let Some(blob) = &before {
            let file = DyingFile::Blob { digest: blob.digest, generation: blob.generation };
            dying_files::add(tx, &[(file, blob.size, Reason::Replaced)]).await?;
        }
        return Ok(Inserted::Won { replaced: before.map(|blob| blob.generation) });
    }
    let present = tx.find(locked, params![digest], read).await?;
    present.map(Inserted::Lost).ok_or(crate::Error::Retry)
}

/// Links blobs to a repository and grants it a lease on them. Those that are not there or not
/// active stay unlinked; the linked ones are returned.
///
/// Safe under READ COMMITTED: the blobs' rows are locked against collection, and so are the links,
/// also those that were there (the upsert locks what it finds, changed or not), until the
/// transaction has stored the manifest that names them.
pub async fn link(tx: &mut Tx, repository_id: i64, digests: &[Digest]) -> Result<Vec<Digest>> {
    let found = "SELECT digest FROM blobs WHERE digest = ANY($1) AND state = 'active' \
                 ORDER BY digest /*pg: FOR SHARE */";
    let found: Vec<Digest> = tx.list(found, params![digests], |row| row.get("digest")).await?;
    if found.is_empty() {
        return Ok(found);
    }
    let now = tx.now();
    let review = tx.review_time().await?;
    let row = |digest| params![repository_id, digest, now, review, "unnamed"];
    let head = "INSERT INTO repository_blobs (repository_id, digest, linked_at, review_at, \
                review_reason)";
    let tail = "ON CONFLICT (repository_id, digest) DO UPDATE SET review_at = excluded.review_at \
                WHERE repository_blobs.review_at < excluded.review_at";
    tx.insert_many(head, found.iter().map(row).collect(), tail).await?;
    Ok(found)
}

/// A readable blob of a repository.
pub async fn find(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<Option<Blob>> {
    let sql = "SELECT b.* FROM repository_blobs l JOIN blobs b ON b.digest = l.digest \
               WHERE l.repository_id = $1 AND l.digest = $2 AND b.state = 'active'";
    tx.find(sql, params![repository_id, digest], read).await
}

/// What a client that may push is told of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The blob.
    pub blob: Blob,
    /// When the repository loses it, if no manifest there names it until then.
    pub ends: Option<Timestamp>,
}

/// A readable blob of a repository, for one who may go on to push a manifest that names it.
pub async fn offer(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<Option<Offer>> {
    let sql = "SELECT b.*, CASE WHEN l.review_at IS NULL THEN NULL WHEN EXISTS (SELECT 1 \
               FROM manifest_blobs m WHERE m.digest = l.digest \
               AND m.repository_id = l.repository_id) THEN NULL ELSE l.review_at END AS ends \
               FROM repository_blobs l JOIN blobs b ON b.digest = l.digest \
               WHERE l.repository_id = $1 AND l.digest = $2 AND b.state = 'active'";
    let read_offer = |row: &Row| Ok(Offer { blob: read(row)?, ends: row.opt("ends")? });
    tx.find(sql, params![repository_id, digest], read_offer).await
}

/// Grants a lease on a blob of a repository. False when the repository does not hold it any more.
/// The row's lock puts it before or after a review of the link.
pub async fn lease(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<bool> {
    let review = tx.review_time().await?;
    let sql = "UPDATE repository_blobs SET review_at = CASE WHEN review_at < $3 THEN $3 \
               ELSE review_at END WHERE repository_id = $1 AND digest = $2";
    Ok(tx.execute(sql, params![repository_id, digest, review]).await? == 1)
}

/// A repository in `visible` that holds this blob, for a mount without `from`.
pub async fn find_mountable(
    tx: &mut Tx,
    visible: &crate::projects::Visible,
    digest: &Digest,
) -> Result<Option<i64>> {
    let (all, ids, some) = visible.repositories();
    let sql = "SELECT l.repository_id AS id FROM repository_blobs l \
               JOIN repositories r ON r.id = l.repository_id \
               JOIN blobs b ON b.digest = l.digest \
               WHERE l.digest = $1 AND b.state = 'active' \
               AND ($2 = 1 OR r.project_id = ANY($3) OR r.id = ANY($4)) LIMIT 1";
    tx.find(sql, params![digest, all, ids, some], |row| row.get("id")).await
}

/// Which of these blobs the repository holds, with sizes: what a manifest may name. The links are
/// locked until the transaction has stored it: neither collection nor a deletion takes them away.
pub async fn present(tx: &mut Tx, repository_id: i64, digests: &[Digest]) -> Result<Vec<Blob>> {
    let sql = "SELECT b.* FROM repository_blobs l JOIN blobs b ON b.digest = l.digest \
               WHERE l.repository_id = $1 AND l.digest = ANY($2) AND b.state = 'active' \
               ORDER BY l.digest /*pg: FOR KEY SHARE OF l */";
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
///
/// Safe under READ COMMITTED: the locks come first, so the second statement sees every manifest
/// that was stored before, and none is stored until the transaction ends.
pub async fn unlink(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<bool> {
    let sql = "SELECT digest FROM blobs WHERE digest = $1 /*pg: FOR NO KEY UPDATE */";
    tx.query(sql, params![digest]).await?;
    let sql = "SELECT digest FROM repository_blobs WHERE repository_id = $1 AND digest = $2 \
               /*pg: FOR UPDATE */";
    tx.query(sql, params![repository_id, digest]).await?;
    let sql = "DELETE FROM repository_blobs WHERE repository_id = $1 AND digest = $2 \
               AND NOT EXISTS (SELECT 1 FROM manifest_blobs b \
               WHERE b.digest = $2 AND b.repository_id = $1)";
    if tx.execute(sql, params![repository_id, digest]).await? == 0 {
        return Ok(false);
    }
    queue(tx, &[*digest], Reason::BlobDeleted).await?;
    Ok(true)
}

/// Queues the review of blobs that a repository holds no more.
pub(crate) async fn queue(tx: &mut Tx, digests: &[Digest], reason: Reason) -> Result<()> {
    let review = tx.review_time().await?;
    let sql = "SELECT digest FROM blobs WHERE digest = ANY($1) ORDER BY digest \
               /*pg: FOR NO KEY UPDATE */";
    tx.query(sql, params![digests]).await?;
    let sql = "UPDATE blobs SET review_at = CASE WHEN review_at > $2 THEN review_at ELSE $2 END, \
               review_reason = $3 WHERE digest = ANY($1)";
    tx.execute(sql, params![digests, review, reason]).await?;
    Ok(())
}

/// Queues the review of a repository's links that these manifests of it name, in the transaction
/// that deletes the manifests, or writes anew what they name.
///
/// The links are locked in order, so that two deletions of images with common layers wait for one
/// another instead of meeting.
pub(crate) async fn queue_links(
    tx: &mut Tx,
    repository_id: i64,
    manifest_ids: &[i64],
) -> Result<()> {
    let review = tx.review_time().await?;
    let sql = "SELECT l.digest FROM repository_blobs l WHERE l.repository_id = $1 \
               AND l.digest IN (SELECT b.digest FROM manifest_blobs b \
               WHERE b.manifest_id = ANY($2)) ORDER BY l.digest /*pg: FOR NO KEY UPDATE OF l */";
    let links: Vec<Digest> =
        tx.list(sql, params![repository_id, manifest_ids], |row| row.get("digest")).await?;
    let sql = "UPDATE repository_blobs SET review_at = CASE WHEN review_at > $3 THEN review_at \
               ELSE $3 END, review_reason = $4 WHERE repository_id = $1 AND digest = ANY($2)";
    let reason = Reason::ManifestDeleted;
    tx.execute(sql, params![repository_id, &links, review, reason]).await?;
    Ok(())
}

/// Which of these blobs the repository holds, without a lock: for reading them.
pub async fn held(tx: &mut Tx, repository_id: i64, digests: &[Digest]) -> Result<Vec<Blob>> {
    let sql = "SELECT b.* FROM repository_blobs l JOIN blobs b ON b.digest = l.digest \
               WHERE l.repository_id = $1 AND l.digest = ANY($2) AND b.state = 'active' \
               ORDER BY b.digest";
    tx.list(sql, params![repository_id, digests], read).await
}
