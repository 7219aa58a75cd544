//! Tags.

use crate::{Engine, Result, Row, Tx, manifests, params};
use jiff::Timestamp;
use sealock_oci::{Digest, Tag};

macro_rules! names {
    ($before:literal) => {
        concat!(
            $before,
            "SELECT name FROM tags WHERE repository_id = $1 AND name > $2 ORDER BY name LIMIT $3"
        )
    };
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRow {
    /// Number.
    pub id: i64,
    /// The repository.
    pub repository_id: i64,
    /// Its text.
    pub name: String,
    /// What it names.
    pub manifest_id: i64,
    /// The digest of what it names.
    pub digest: Digest,
    /// Cannot be moved or removed.
    pub immutable: bool,
    /// Who moved it last.
    pub pushed_by: String,
    /// When it was first made.
    pub created_at: Timestamp,
    /// When it was last moved.
    pub updated_at: Timestamp,
}

/// What became of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagSet {
    /// New.
    Created,
    /// Moved from this manifest, or stayed where it was.
    Moved {
        /// The digest before.
        from: Digest,
    },
    /// It is immutable and names another manifest.
    Immutable {
        /// The digest that it keeps.
        digest: Digest,
    },
}

pub(crate) fn read(row: &Row) -> Result<TagRow> {
    Ok(TagRow {
        id: row.get("id")?,
        repository_id: row.get("repository_id")?,
        name: row.get("name")?,
        manifest_id: row.get("manifest_id")?,
        digest: row.get("digest")?,
        immutable: row.get("immutable")?,
        pushed_by: row.get("pushed_by")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Points a tag at a manifest of the same repository. `immutable` is never taken back by a push.
/// Safe under READ COMMITTED: the condition stands in the upsert, which locks the tag's row.
pub async fn set(
    tx: &mut Tx,
    repository_id: i64,
    tag: &Tag,
    manifest_id: i64,
    immutable: bool,
    pushed_by: &str,
) -> Result<TagSet> {
    lock_name(tx, repository_id, tag).await?;
    // One look for both: where the tag is to point, and where it points.
    let sql = "SELECT m.child AS child, t.manifest_id AS old_id, o.digest AS old_digest, \
               o.child AS old_child FROM manifests m \
               LEFT JOIN tags t ON t.repository_id = $1 AND t.name = $2 \
               LEFT JOIN manifests o ON o.id = t.manifest_id \
               WHERE m.repository_id = $1 AND m.id = $3";
    let found = tx.query_one(sql, params![repository_id, tag, manifest_id]).await?;
    // The manifest is gone: the whole push runs again.
    let found = found.ok_or(crate::Error::Retry)?;
    let child: bool = found.get("child")?;
    let before: Option<Digest> = found.opt("old_digest")?;
    let now = tx.now();
    let changed = tx
        .execute(
            "INSERT INTO tags (repository_id, name, manifest_id, immutable, pushed_by, \
             created_at, updated_at) SELECT $1, $2, m.id, $4, $5, $6, $6 FROM manifests m \
             WHERE m.id = $3 AND m.repository_id = $1 \
             ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = excluded.manifest_id, \
             immutable = CASE WHEN tags.immutable = 1 THEN 1 ELSE excluded.immutable END, \
             pushed_by = excluded.pushed_by, updated_at = excluded.updated_at \
             WHERE tags.immutable = 0 OR tags.manifest_id = excluded.manifest_id",
            params![repository_id, tag, manifest_id, immutable, pushed_by, now],
        )
        .await?;
    if changed == 1 {
        let old = found.opt::<i64>("old_id")?.filter(|old| *old != manifest_id);
        let old = old.filter(|_| matches!(found.opt::<bool>("old_child"), Ok(Some(true))));
        let relist: Vec<i64> = child.then_some(manifest_id).into_iter().chain(old).collect();
        if !relist.is_empty() {
            manifests::relist(tx, repository_id, &relist).await?;
        }
    }
    match (changed, before) {
        (1, None) => Ok(TagSet::Created),
        (1, Some(from)) => Ok(TagSet::Moved { from }),
        (_, Some(digest)) => Ok(TagSet::Immutable { digest }),
        // Made between the two statements: the whole push runs again.
        (_, None) => Err(crate::Error::Retry),
    }
}

/// Makes a tag that is not there yet. False when it is: then nothing changed, whoever made it.
pub async fn create(
    tx: &mut Tx,
    repository_id: i64,
    tag: &Tag,
    manifest_id: i64,
    immutable: bool,
    pushed_by: &str,
) -> Result<bool> {
    let now = tx.now();
    let sql = "INSERT INTO tags (repository_id, name, manifest_id, immutable, pushed_by, \
               created_at, updated_at) SELECT $1, $2, m.id, $4, $5, $6, $6 FROM manifests m \
               WHERE m.id = $3 AND m.repository_id = $1 \
               ON CONFLICT (repository_id, name) DO NOTHING";
    let values = params![repository_id, tag, manifest_id, immutable, pushed_by, now];
    let made = tx.execute(sql, values).await? == 1;
    if made {
        manifests::relist(tx, repository_id, &[manifest_id]).await?;
    }
    Ok(made)
}

/// A tag of a repository, held still until the transaction ends.
///
/// In two statements: PostgreSQL, having waited for a tag that another transaction moved, looks for
/// its new manifest among those that were there before it waited, and a join would find no tag.
pub async fn lock(tx: &mut Tx, repository_id: i64, tag: &Tag) -> Result<Option<TagRow>> {
    lock_name(tx, repository_id, tag).await?;
    find(tx, repository_id, tag).await
}

async fn lock_name(tx: &mut Tx, repository_id: i64, tag: &Tag) -> Result<()> {
    if tx.engine() == Engine::Postgres {
        let sql = "SELECT id FROM tags WHERE repository_id = $1 AND name = $2 /*pg: FOR UPDATE */";
        tx.query(sql, params![repository_id, tag]).await?;
    }
    Ok(())
}

/// A tag of a repository.
pub async fn find(tx: &mut Tx, repository_id: i64, tag: &Tag) -> Result<Option<TagRow>> {
    let sql = "SELECT t.*, m.digest AS digest FROM tags t JOIN manifests m ON m.id = t.manifest_id \
               WHERE t.repository_id = $1 AND t.name = $2";
    tx.find(sql, params![repository_id, tag], read).await
}

/// Tags of a repository in bytewise order, after `after` (distribution-spec, "Listing Tags": the
/// spec's `last` is `after`, its `n` is `limit`).
pub async fn list(tx: &mut Tx, repository_id: i64, after: &str, limit: u32) -> Result<Vec<TagRow>> {
    let sql = "SELECT t.*, m.digest AS digest FROM tags t JOIN manifests m ON m.id = t.manifest_id \
               WHERE t.repository_id = $1 AND t.name > $2 ORDER BY t.name LIMIT $3";
    tx.list(sql, params![repository_id, after, limit], read).await
}

/// The names alone of what [`list`] gives: all of it stands in one index.
pub async fn names(tx: &mut Tx, repository_id: i64, after: &str, limit: u32) -> Result<Vec<Tag>> {
    let values = params![repository_id, after, limit];
    tx.list(names!(""), values, |row| row.get("name")).await
}

/// Every tag of these manifests of a repository.
pub async fn of_manifests(
    tx: &mut Tx,
    repository_id: i64,
    manifest_ids: &[i64],
) -> Result<Vec<TagRow>> {
    let sql = "SELECT t.*, m.digest AS digest FROM tags t JOIN manifests m ON m.id = t.manifest_id \
               WHERE +t.repository_id = $1 AND t.manifest_id = ANY($2) ORDER BY t.name";
    tx.list(sql, params![repository_id, manifest_ids], read).await
}

/// Removes a tag that is not immutable. False when there is none or it is immutable.
pub async fn delete(tx: &mut Tx, repository_id: i64, tag: &Tag) -> Result<bool> {
    let sql = "DELETE FROM tags WHERE repository_id = $1 AND name = $2 AND immutable = 0 \
               RETURNING manifest_id";
    let gone = tx.find(sql, params![repository_id, tag], |row| row.get("manifest_id")).await?;
    let Some(manifest_id) = gone else { return Ok(false) };
    manifests::relist(tx, repository_id, &[manifest_id]).await?;
    Ok(true)
}

/// The name of a tag of a repository that is immutable, if there is one.
pub async fn immutable(tx: &mut Tx, repository_id: i64) -> Result<Option<String>> {
    let sql = "SELECT name FROM tags WHERE repository_id = $1 AND immutable = 1 \
               ORDER BY name LIMIT 1";
    tx.find(sql, params![repository_id], |row| row.get("name")).await
}

#[cfg(test)]
mod tests {
    use crate::{params, plan};

    #[tokio::test]
    async fn names_are_read_from_an_index_alone() {
        let values = params![1_i64, "", 10_i64];
        plan::assert_one_step(names!("EXPLAIN QUERY PLAN "), values, "USING COVERING INDEX").await;
    }
}
