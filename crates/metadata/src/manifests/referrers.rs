use crate::{Result, Row, Tx, params};
use sealock_oci::{Digest, ReferrersTag};
use std::collections::BTreeMap;

/// One entry of a referrers list (distribution-spec, "Listing Referrers").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// Number of the manifest.
    pub id: i64,
    /// Digest.
    pub digest: Digest,
    /// Media type.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// The type that the filter looks at.
    pub artifact_type: Option<String>,
    /// Annotations; empty when they are longer than [`super::MAX_ROW_ANNOTATIONS_BYTES`].
    pub annotations: BTreeMap<String, String>,
}

/// Only the columns that are shown: a page has a thousand rows.
macro_rules! select {
    ($before:literal, $condition:literal) => {
        concat!(
            $before,
            "SELECT id, digest, media_type, size, artifact_type, annotations FROM manifests \
             WHERE repository_id = $1 AND subject_digest = $2 AND digest > $3",
            $condition,
            " ORDER BY digest LIMIT $4"
        )
    };
}
macro_rules! all {
    ($before:literal) => {
        select!($before, "")
    };
}
macro_rules! of_type {
    ($before:literal) => {
        select!($before, " AND artifact_type = $5")
    };
}

/// What refers to `subject` in a repository, by digest after `after`, of one type or of any. The
/// subject itself need not exist.
pub async fn referrers(
    tx: &mut Tx,
    repository_id: i64,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<Referrer>> {
    // Two texts: one with an optional condition would walk over every referrer of another type.
    match artifact_type {
        None => tx.list(all!(""), params![repository_id, subject, after, limit], read).await,
        Some(wanted) => {
            let values = params![repository_id, subject, after, limit, wanted];
            tx.list(of_type!(""), values, read).await
        }
    }
}

/// What the index under a client-kept referrers tag lists, as far as it is in the repository and
/// names no subject itself: a `subject` field says what a manifest is about, whoever lists it
/// elsewhere. The subject itself is no list, though clients that copy it give it that tag too, and
/// no referrer. By digest after `after`, of one type or of any.
pub async fn listed(
    tx: &mut Tx,
    repository_id: i64,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<Referrer>> {
    // `|| ''` keeps SQLite from walking the repository from there on: it begins with the tag.
    let sql = "SELECT DISTINCT m.* FROM tags t \
               JOIN manifests p ON p.id = t.manifest_id AND p.digest <> $6 \
               JOIN manifest_children c ON c.parent_id = t.manifest_id \
               JOIN manifests m ON m.repository_id = t.repository_id AND m.digest = c.digest \
               WHERE t.repository_id = $1 AND t.name = $2 AND m.subject_digest IS NULL \
               AND m.digest <> $6 AND (m.digest || '') > $3 \
               AND ($4 IS NULL OR m.artifact_type = $4) \
               ORDER BY m.digest LIMIT $5";
    let name = ReferrersTag::of(subject).text();
    tx.list(sql, params![repository_id, &name, after, artifact_type, limit, subject], read).await
}

/// Whether a manifest is in the repository for which clients keep this tag.
pub async fn has_subject_of(tx: &mut Tx, repository_id: i64, tag: &ReferrersTag) -> Result<bool> {
    let first = tag.digest_prefix();
    // The character after all that a digest is made of.
    let end = format!("{first}g");
    let sql = "SELECT id FROM manifests WHERE repository_id = $1 AND digest >= $2 AND digest < $3 \
               LIMIT 1";
    let found: Option<i64> =
        tx.find(sql, params![repository_id, &first, &end], |row| row.get("id")).await?;
    Ok(found.is_some())
}

fn read(row: &Row) -> Result<Referrer> {
    Ok(Referrer {
        id: row.get("id")?,
        digest: row.get("digest")?,
        media_type: row.get("media_type")?,
        size: row.get("size")?,
        artifact_type: row.opt("artifact_type")?,
        annotations: row.json("annotations")?,
    })
}

#[cfg(test)]
mod tests {
    use crate::{params, plan};

    #[tokio::test]
    async fn both_lists_are_read_in_the_order_of_an_index() {
        let values = params![1_i64, "sha256:00", "", 10_i64];
        let index = "INDEX manifests_subject (repository_id=? AND subject_digest=?";
        plan::assert_one_step(all!("EXPLAIN QUERY PLAN "), values, index).await;
        let values = params![1_i64, "sha256:00", "", 10_i64, "t"];
        let index = "INDEX manifests_subject_type";
        plan::assert_one_step(of_type!("EXPLAIN QUERY PLAN "), values, index).await;
    }
}
