//! The reviews of collection (decision D13): what is due and has no user is freed, what has one is
//! taken off the queue.
//!
//! The queue is a column of the reviewed rows themselves, so an entry can neither be lost nor left
//! over, and the row's lock is the entry's lock. What makes every review here safe under READ
//! COMMITTED, with any number of replicas: it **locks first and looks second**. A statement that
//! locked and looked at once would look at the snapshot that was taken before it had the lock, and
//! miss a manifest that was stored in between. Locked rows are passed over: a review waits for
//! nobody, so it cannot be part of a deadlock, and whoever waits for it waits for one short
//! transaction.

use crate::{
    Result, Row, Tx,
    dying_files::{self, DyingFile, Reason},
    params, quotas,
};
use jiff::Timestamp;
use sealock_oci::Digest;
use std::collections::BTreeMap;

/// Which entries count as due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Due {
    /// Those whose lease is over.
    #[default]
    Ended,
    /// All: **unsafe** while anybody pushes, for clients may count on what is freed.
    All,
}

impl Due {
    pub(crate) async fn until(self, tx: &mut Tx) -> Result<Timestamp> {
        match self {
            Self::Ended => tx.shared_now().await,
            Self::All => Ok(Timestamp::MAX),
        }
    }
}

/// What a batch of reviews came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reviewed {
    /// Entries that were due and not locked by others. Zero ends a run.
    pub looked_at: u64,
    /// Links that no manifest named, and that are gone now.
    pub links_dropped: u64,
    /// Links that stay because a manifest of their repository names the blob.
    pub kept_named: u64,
    /// Blobs that stay because another repository holds them.
    pub kept_held: u64,
    /// Blobs whose files are dying now, with sizes in bytes.
    pub condemned: Vec<Condemned>,
}

/// A blob that is gone, and whose file is dying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condemned {
    /// Its digest.
    pub digest: Digest,
    /// The generation of its file.
    pub generation: i64,
    /// Its size in bytes.
    pub size: u64,
    /// Why.
    pub reason: Reason,
}

/// A link under review.
struct Link {
    /// Repository and digest as one text, for lists of pairs.
    pair: String,
    digest: Digest,
    reason: Option<Reason>,
}

fn read_link(row: &Row) -> Result<Link> {
    let digest: Digest = row.get("digest")?;
    let repository: i64 = row.get("repository_id")?;
    let reason = row.opt("review_reason")?;
    Ok(Link { pair: format!("{repository}/{digest}"), digest, reason })
}

/// Reviews due links: those that no manifest of their repository names go, and with the last link
/// of a blob the blob. One transaction, bounded by `limit` links.
pub async fn links(tx: &mut Tx, due: Due, limit: u32) -> Result<Reviewed> {
    let until = due.until(tx).await?;
    let sql = "SELECT repository_id, digest, review_reason FROM repository_blobs \
               WHERE review_at <= $1 ORDER BY review_at LIMIT $2 /*pg: FOR UPDATE SKIP LOCKED */";
    let locked = tx.list(sql, params![until, limit], read_link).await?;
    let mut reviewed = Reviewed { looked_at: count(&locked), ..Reviewed::default() };
    if locked.is_empty() {
        return Ok(reviewed);
    }
    // Locked; from here on each statement sees every manifest that was stored before.
    let (pairs, digests) = pairs_of(locked.iter());
    let sql = "UPDATE repository_blobs SET review_at = NULL, review_reason = NULL \
               WHERE digest = ANY($1) AND repository_id || '/' || digest = ANY($2) \
               AND EXISTS (SELECT 1 FROM manifest_blobs b WHERE b.digest = repository_blobs.digest \
               AND b.repository_id = repository_blobs.repository_id)";
    reviewed.kept_named = tx.execute(sql, params![&digests, &pairs]).await?;
    quotas::arrived(tx, &digests).await?;
    let sql = "SELECT repository_id, digest, review_reason FROM repository_blobs \
               WHERE digest = ANY($1) AND repository_id || '/' || digest = ANY($2) \
               AND review_at IS NOT NULL";
    let unnamed = tx.list(sql, params![&digests, &pairs], read_link).await?;
    // A blob that somebody links right now is left for the next round, with its links.
    let free = lock_blobs(tx, &pairs_of(unnamed.iter()).1).await?;
    let unnamed: Vec<Link> = unnamed.into_iter().filter(|l| free.contains(&l.digest)).collect();
    let (pairs, digests) = pairs_of(unnamed.iter());
    let sql = "DELETE FROM repository_blobs WHERE digest = ANY($1) \
               AND repository_id || '/' || digest = ANY($2)";
    reviewed.links_dropped = tx.execute(sql, params![&digests, &pairs]).await?;
    let reasons: BTreeMap<Digest, Reason> =
        unnamed.iter().map(|link| (link.digest, link.reason.unwrap_or(Reason::Unnamed))).collect();
    condemn(tx, &digests, &reasons, &mut reviewed).await?;
    Ok(reviewed)
}

/// Reviews due blobs: those that no repository holds go. One transaction, bounded by `limit`.
pub async fn blobs(tx: &mut Tx, due: Due, limit: u32) -> Result<Reviewed> {
    let until = due.until(tx).await?;
    let sql = "SELECT digest, review_reason FROM blobs WHERE review_at <= $1 ORDER BY review_at \
               LIMIT $2 /*pg: FOR UPDATE SKIP LOCKED */";
    let locked: BTreeMap<Digest, Reason> = tx
        .list(sql, params![until, limit], |row| {
            let reason = row.opt("review_reason")?;
            Ok((row.get("digest")?, reason.unwrap_or(Reason::Unnamed)))
        })
        .await?
        .into_iter()
        .collect();
    let mut reviewed = Reviewed { looked_at: locked.len() as u64, ..Reviewed::default() };
    let digests: Vec<Digest> = locked.keys().copied().collect();
    condemn(tx, &digests, &locked, &mut reviewed).await?;
    let sql = "UPDATE blobs SET review_at = NULL, review_reason = NULL WHERE digest = ANY($1)";
    tx.execute(sql, params![&digests]).await?;
    Ok(reviewed)
}

/// Reviews due contents of images: those that no manifest has go. How many were looked at and how
/// many went. With them go their lists of components; the components themselves stay, with their
/// findings: they are small, and the next image that holds them is matched already.
pub async fn contents(tx: &mut Tx, due: Due, limit: u32) -> Result<(u64, u64)> {
    let until = due.until(tx).await?;
    let sql = "SELECT id FROM image_contents WHERE review_at <= $1 ORDER BY review_at LIMIT $2 \
               /*pg: FOR UPDATE SKIP LOCKED */";
    let locked: Vec<i64> = tx.list(sql, params![until, limit], |row| row.get("id")).await?;
    let sql = "DELETE FROM image_contents WHERE id = ANY($1) AND NOT EXISTS (\
               SELECT 1 FROM manifests m WHERE m.contents_id = image_contents.id)";
    let gone = tx.execute(sql, params![&locked]).await?;
    let sql = "UPDATE image_contents SET review_at = NULL WHERE id = ANY($1)";
    tx.execute(sql, params![&locked]).await?;
    Ok((count(&locked), gone))
}

/// Takes uploads that have rested since before `before` off the list; their bytes are dying. How
/// many. Who goes on with one at the same time is before (then it does not rest) or after.
pub async fn uploads(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64> {
    let sql = "SELECT id FROM uploads WHERE updated_at < $1 ORDER BY updated_at LIMIT $2 \
               /*pg: FOR UPDATE SKIP LOCKED */";
    let locked: Vec<String> = tx.list(sql, params![before, limit], |row| row.get("id")).await?;
    let sql = "DELETE FROM uploads WHERE id = ANY($1) RETURNING id, received";
    let dying = tx
        .list(sql, params![&locked], |row| {
            let file = DyingFile::Upload { id: row.get("id")? };
            Ok((file, row.get("received")?, Reason::UploadAbandoned))
        })
        .await?;
    dying_files::add(tx, &dying).await?;
    Ok(count(&dying))
}

fn count<T>(rows: &[T]) -> u64 {
    rows.len() as u64
}

fn pairs_of<'a>(links: impl Iterator<Item = &'a Link>) -> (Vec<String>, Vec<Digest>) {
    links.map(|link| (link.pair.clone(), link.digest)).unzip()
}

/// Locks those of these blobs that nobody else has locked.
async fn lock_blobs(tx: &mut Tx, digests: &[Digest]) -> Result<Vec<Digest>> {
    let sql = "SELECT digest FROM blobs WHERE digest = ANY($1) /*pg: FOR UPDATE SKIP LOCKED */";
    tx.list(sql, params![digests], |row| row.get("digest")).await
}

/// Deletes those of these locked blobs that no repository holds, and hands their files to the
/// dying. The foreign key of the links is a second guard: a blob with a link cannot be deleted.
async fn condemn(
    tx: &mut Tx,
    digests: &[Digest],
    reasons: &BTreeMap<Digest, Reason>,
    reviewed: &mut Reviewed,
) -> Result<()> {
    if digests.is_empty() {
        return Ok(());
    }
    let sql = "DELETE FROM blobs WHERE digest = ANY($1) AND NOT EXISTS (\
               SELECT 1 FROM repository_blobs l WHERE l.digest = blobs.digest) \
               RETURNING digest, generation, size";
    let gone = tx
        .list(sql, params![digests], |row| {
            let digest: Digest = row.get("digest")?;
            Ok(Condemned {
                digest,
                generation: row.get("generation")?,
                size: row.get("size")?,
                reason: reasons.get(&digest).copied().unwrap_or(Reason::Unnamed),
            })
        })
        .await?;
    let dying: Vec<_> = gone
        .iter()
        .map(|blob| {
            let file = DyingFile::Blob { digest: blob.digest, generation: blob.generation };
            (file, blob.size, blob.reason)
        })
        .collect();
    dying_files::add(tx, &dying).await?;
    // What was read from bytes goes with the bytes.
    let bytes: Vec<Digest> = gone.iter().map(|blob| blob.digest).collect();
    let sql = "DELETE FROM layer_contents WHERE digest = ANY($1)";
    tx.execute(sql, params![&bytes]).await?;
    let distinct: std::collections::BTreeSet<&Digest> = digests.iter().collect();
    reviewed.kept_held += (distinct.len() - gone.len()) as u64;
    reviewed.condemned.extend(gone);
    Ok(())
}

/// Which of these digests a repository holds: for assertions.
pub async fn linked(tx: &mut Tx, digests: &[Digest]) -> Result<Vec<Digest>> {
    let sql = "SELECT DISTINCT digest FROM repository_blobs WHERE digest = ANY($1)";
    tx.list(sql, params![digests], |row| row.get("digest")).await
}
