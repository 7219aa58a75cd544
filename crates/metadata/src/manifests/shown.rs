use super::Manifest;
use crate::{Result, Tx, params};
use sealock_oci::Digest;

/// What lists show of a manifest: what the caller has read of its bytes, in Harbor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a> {
    /// What it is, such as `IMAGE`.
    pub kind: &'a str,
    /// The media type that this word comes from.
    pub media_type: &'a str,
    /// What it is to another manifest; none for an artifact of its own.
    pub accessory: Option<&'a str>,
    /// What its configuration says, as JSON; none where that was not read.
    pub attributes: Option<&'a str>,
}

impl Default for Shown<'_> {
    fn default() -> Self {
        Self { kind: "UNKNOWN", media_type: "", accessory: None, attributes: None }
    }
}

/// Counts a manifest that has just come for what it lists and for what lists it.
pub(super) async fn adopt(tx: &mut Tx, row: &Manifest, children: &[Digest]) -> Result<()> {
    if !children.is_empty() {
        let sql = "UPDATE manifests SET child = 1, listed = CASE WHEN accessory IS NULL AND EXISTS (\
                   SELECT 1 FROM tags t WHERE t.manifest_id = manifests.id) THEN 1 ELSE 0 END \
                   WHERE repository_id = $1 AND digest = ANY($2) AND child = 0";
        tx.execute(sql, params![row.repository_id, children]).await?;
    }
    if row.child {
        let sql = "UPDATE manifests SET total_size = total_size + $3 WHERE id IN (\
                   SELECT c.parent_id FROM manifest_children c WHERE c.repository_id = $1 \
                   AND c.digest = $2)";
        tx.execute(sql, params![row.repository_id, row.digest, row.total_size]).await?;
    }
    Ok(())
}

/// Makes an accessory of a manifest that came without the tag that says so.
pub(super) async fn make_accessory(tx: &mut Tx, id: i64, accessory: &str) -> Result<()> {
    let sql = "UPDATE manifests SET accessory = $2, listed = 0 WHERE id = $1";
    tx.execute(sql, params![id, accessory]).await?;
    Ok(())
}

/// Finds out again whether lists show these manifests, after their tags changed.
pub(crate) async fn relist(tx: &mut Tx, repository_id: i64, ids: &[i64]) -> Result<()> {
    let sql = "UPDATE manifests SET listed = CASE WHEN accessory IS NULL AND (child = 0 OR EXISTS (\
               SELECT 1 FROM tags t WHERE t.manifest_id = manifests.id)) THEN 1 ELSE 0 END \
               WHERE +repository_id = $1 AND id = ANY($2)";
    tx.execute(sql, params![repository_id, ids]).await?;
    Ok(())
}

/// Finds out again what lists these digests, after indexes were removed.
pub(super) async fn orphan(tx: &mut Tx, repository_id: i64, digests: &[Digest]) -> Result<()> {
    let sql = "UPDATE manifests SET child = 0, \
               listed = CASE WHEN accessory IS NULL THEN 1 ELSE 0 END \
               WHERE repository_id = $1 AND digest = ANY($2) AND child = 1 AND NOT EXISTS (\
               SELECT 1 FROM manifest_children c WHERE c.repository_id = $1 \
               AND c.digest = manifests.digest)";
    tx.execute(sql, params![repository_id, digests]).await?;
    Ok(())
}

/// What the configurations of these manifests say, as JSON, with the manifests' numbers: of those
/// of which it is known.
pub async fn attributes(tx: &mut Tx, ids: &[i64]) -> Result<Vec<(i64, String)>> {
    let sql = "SELECT manifest_id, attributes FROM manifest_payloads \
               WHERE manifest_id = ANY($1) AND attributes IS NOT NULL";
    let read = |row: &crate::Row| Ok((row.get("manifest_id")?, row.get("attributes")?));
    tx.list(sql, params![ids], read).await
}
