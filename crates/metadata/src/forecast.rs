//! What a collection would find: counts and bytes, for dry runs and for the queue's length.
//!
//! These look at whole tables, on one snapshot, and lock nothing.

use crate::{Result, Tx, dying_files::Reason, engine::words, params, reviews::Due};
use jiff::Timestamp;

words! {
    /// Why bytes are kept.
    pub enum Kept {
        /// A manifest names the blob.
        Named = "named",
        /// A lease on it holds: pushed, mounted, asked for or unreferenced not long ago.
        Leased = "leased",
        /// The upload is under way.
        Uploading = "uploading",
    }
}

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pile {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What would be freed and what would be kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forecast {
    /// By reason.
    pub freed: Vec<(Reason, Pile)>,
    /// By reason.
    pub kept: Vec<(Kept, Pile)>,
}

/// What a run would do now to blobs, to uploads that have rested since before `rested`, and to
/// files that wait to be removed.
pub async fn forecast(tx: &mut Tx, due: Due, rested: Timestamp) -> Result<Forecast> {
    let until = due.until(tx).await?;
    let mut forecast = Forecast::default();
    let sql = "SELECT fate, reason, count(*) AS files, CAST(sum(size) AS BIGINT) AS bytes FROM (\
               SELECT b.size AS size, CASE \
               WHEN EXISTS (SELECT 1 FROM repository_blobs l JOIN manifest_blobs m \
               ON m.digest = l.digest AND m.repository_id = l.repository_id \
               WHERE l.digest = b.digest) THEN 'named' \
               WHEN EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = b.digest \
               AND l.review_at > $1) THEN 'leased' \
               WHEN b.review_at > $1 AND NOT EXISTS (SELECT 1 FROM repository_blobs l \
               WHERE l.digest = b.digest) THEN 'leased' ELSE 'freed' END AS fate, \
               coalesce((SELECT max(l.review_reason) FROM repository_blobs l \
               WHERE l.digest = b.digest), b.review_reason, 'unnamed') AS reason \
               FROM blobs b) AS fates GROUP BY fate, reason ORDER BY fate, reason";
    for row in tx.query(sql, params![until]).await? {
        let pile = Pile { files: row.get("files")?, bytes: row.get("bytes")? };
        match row.get::<String>("fate")?.as_str() {
            "freed" => add(&mut forecast.freed, row.get("reason")?, pile),
            "named" => add(&mut forecast.kept, Kept::Named, pile),
            _ => add(&mut forecast.kept, Kept::Leased, pile),
        }
    }
    let sql = "SELECT CASE WHEN updated_at < $1 THEN 1 ELSE 0 END AS rests, count(*) AS files, \
               CAST(sum(received) AS BIGINT) AS bytes FROM uploads GROUP BY rests ORDER BY rests";
    for row in tx.query(sql, params![rested]).await? {
        let pile = Pile { files: row.get("files")?, bytes: row.get("bytes")? };
        match row.get("rests")? {
            true => add(&mut forecast.freed, Reason::UploadAbandoned, pile),
            false => add(&mut forecast.kept, Kept::Uploading, pile),
        }
    }
    let sql = "SELECT reason, count(*) AS files, CAST(sum(size) AS BIGINT) AS bytes \
               FROM dying_files GROUP BY reason ORDER BY reason";
    for row in tx.query(sql, params![]).await? {
        let pile = Pile { files: row.get("files")?, bytes: row.get("bytes")? };
        add(&mut forecast.freed, row.get("reason")?, pile);
    }
    Ok(forecast)
}

fn add<R: PartialEq>(piles: &mut Vec<(R, Pile)>, reason: R, more: Pile) {
    match piles.iter_mut().find(|(known, _)| *known == reason) {
        Some((_, pile)) => {
            pile.files += more.files;
            pile.bytes += more.bytes;
        }
        None => piles.push((reason, more)),
    }
}

/// How much waits for the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queue {
    /// Reviews whose time has come.
    pub due: u64,
    /// Reviews that wait for a lease to end.
    pub waiting: u64,
    /// Files that are to be removed.
    pub dying: u64,
    /// Bytes of these.
    pub dying_bytes: u64,
}

/// The queue as it stands.
pub async fn queue(tx: &mut Tx) -> Result<Queue> {
    let now = tx.shared_now().await?;
    let mut queue = Queue::default();
    let sql = "SELECT due, count(*) AS n FROM (\
               SELECT CASE WHEN review_at <= $1 THEN 1 ELSE 0 END AS due FROM repository_blobs \
               WHERE review_at IS NOT NULL UNION ALL \
               SELECT CASE WHEN review_at <= $1 THEN 1 ELSE 0 END FROM blobs \
               WHERE review_at IS NOT NULL UNION ALL \
               SELECT CASE WHEN review_at <= $1 THEN 1 ELSE 0 END FROM image_contents \
               WHERE review_at IS NOT NULL) AS queued GROUP BY due ORDER BY due";
    for row in tx.query(sql, params![now]).await? {
        match row.get("due")? {
            true => queue.due = row.get("n")?,
            false => queue.waiting = row.get("n")?,
        }
    }
    let sql = "SELECT count(*) AS n, CAST(coalesce(sum(size), 0) AS BIGINT) AS bytes \
               FROM dying_files";
    if let Some(row) = tx.query_one(sql, params![]).await? {
        (queue.dying, queue.dying_bytes) = (row.get("n")?, row.get("bytes")?);
    }
    Ok(queue)
}
