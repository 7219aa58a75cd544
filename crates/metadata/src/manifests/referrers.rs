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
    let sql = "SELECT * FROM manifests WHERE repository_id = $1 AND subject_digest = $2 \
               AND digest > $3 AND ($4 IS NULL OR artifact_type = $4) ORDER BY digest LIMIT $5";
    tx.list(sql, params![repository_id, subject, after, artifact_type, limit], read).await
}

/// What the index under a client-kept referrers tag lists, as far as it is in the repository and
/// names no subject itself: a `subject` field says what a manifest is about, whoever lists it
/// elsewhere. By digest after `after`, of one type or of any.
pub async fn listed(
    tx: &mut Tx,
    repository_id: i64,
    tag: &ReferrersTag,
    artifact_type: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<Referrer>> {
    let sql = "SELECT DISTINCT m.* FROM tags t \
               JOIN manifest_children c ON c.parent_id = t.manifest_id \
               JOIN manifests m ON m.repository_id = t.repository_id AND m.digest = c.digest \
               WHERE t.repository_id = $1 AND t.name = $2 AND m.subject_digest IS NULL \
               AND m.digest > $3 AND ($4 IS NULL OR m.artifact_type = $4) \
               ORDER BY m.digest LIMIT $5";
    let name = tag.text();
    tx.list(sql, params![repository_id, &name, after, artifact_type, limit], read).await
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
