use crate::{Result, Tx, params};
use sealock_oci::Digest;
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
    tx.list(sql, params![repository_id, subject, after, artifact_type, limit], |row| {
        Ok(Referrer {
            id: row.get("id")?,
            digest: row.get("digest")?,
            media_type: row.get("media_type")?,
            size: row.get("size")?,
            artifact_type: row.opt("artifact_type")?,
            annotations: row.json("annotations")?,
        })
    })
    .await
}
