use super::{Kind, Manifest, read, select};
use crate::{Result, Tx, params};
use sealock_oci::Digest;

/// What a door needs to know of a manifest and, for an index, of its children: three queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The manifest that was asked for.
    pub manifest: Manifest,
    /// For an index, what it lists, in order, with the manifest where it is present.
    pub children: Vec<(super::Child, Option<Manifest>)>,
}

/// A manifest of a repository with its children.
pub async fn facts(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<Option<Facts>> {
    let Some(manifest) = super::find(tx, repository_id, digest).await? else {
        return Ok(None);
    };
    if manifest.kind == Kind::Image {
        return Ok(Some(Facts { manifest, children: Vec::new() }));
    }
    let listed = super::children(tx, repository_id, &[manifest.id]).await?;
    let sql = select!(
        "FROM manifests m JOIN repositories r ON r.id = m.repository_id \
         WHERE m.repository_id = $1 AND m.digest IN (SELECT c.digest FROM manifest_children c \
         WHERE c.repository_id = $1 AND c.parent_id = $2)"
    );
    let present = tx.list(sql, params![repository_id, manifest.id], read).await?;
    let children = listed
        .into_iter()
        .map(|child| {
            let found = present.iter().find(|m| m.digest == child.digest).cloned();
            (child, found)
        })
        .collect();
    Ok(Some(Facts { manifest, children }))
}

/// Counts a change of the facts about these manifests, and of every index above them in the same
/// repository. The walk upwards is bounded by UNION, which drops what it has seen.
pub async fn bump_facts_rev(tx: &mut Tx, manifest_ids: &[i64]) -> Result<u64> {
    let sql = "WITH RECURSIVE touched (id, repository_id, digest) AS (\
               SELECT id, repository_id, digest FROM manifests WHERE id = ANY($1) \
               UNION SELECT p.id, p.repository_id, p.digest FROM touched t \
               JOIN manifest_children c ON c.repository_id = t.repository_id \
               AND c.digest = t.digest JOIN manifests p ON p.id = c.parent_id) \
               UPDATE manifests SET facts_rev = facts_rev + 1 \
               WHERE id IN (SELECT id FROM touched)";
    tx.execute(sql, params![manifest_ids]).await
}

/// As [`bump_facts_rev`], and every child below too, for all manifests of a repository with these
/// digests: evidence on an index covers its children (decision D9).
pub async fn bump_by_digest(tx: &mut Tx, repository_id: i64, digests: &[Digest]) -> Result<u64> {
    let sql = "WITH RECURSIVE below (id, repository_id, digest) AS (\
               SELECT id, repository_id, digest FROM manifests \
               WHERE repository_id = $1 AND digest = ANY($2) \
               UNION SELECT m.id, m.repository_id, m.digest FROM below b \
               JOIN manifest_children c ON c.parent_id = b.id \
               JOIN manifests m ON m.repository_id = b.repository_id AND m.digest = c.digest), \
               above (id, repository_id, digest) AS (SELECT id, repository_id, digest FROM below \
               UNION SELECT p.id, p.repository_id, p.digest FROM above a \
               JOIN manifest_children c ON c.repository_id = a.repository_id \
               AND c.digest = a.digest \
               JOIN manifests p ON p.id = c.parent_id) \
               UPDATE manifests SET facts_rev = facts_rev + 1 \
               WHERE id IN (SELECT id FROM above)";
    tx.execute(sql, params![repository_id, digests]).await
}

/// As [`bump_facts_rev`] for every manifest, anywhere, that names this blob.
pub async fn bump_by_blob(tx: &mut Tx, digest: &Digest) -> Result<u64> {
    let sql = "SELECT DISTINCT manifest_id AS id FROM manifest_blobs WHERE digest = $1";
    let ids: Vec<i64> = tx.list(sql, params![digest], |row| row.get("id")).await?;
    bump_facts_rev(tx, &ids).await
}

/// The facts' revision now, locked until the transaction ends.
pub async fn lock_facts_rev(tx: &mut Tx, repository_id: i64, id: i64) -> Result<Option<i64>> {
    let sql = "SELECT facts_rev FROM manifests WHERE repository_id = $1 AND id = $2 \
               /*pg: FOR SHARE */";
    tx.find(sql, params![repository_id, id], |row| row.get("facts_rev")).await
}

/// Gives every manifest with this chain of layers its contents. The numbers of those that changed;
/// the caller bumps their revisions.
pub async fn set_contents(tx: &mut Tx, chain: &Digest, contents_id: i64) -> Result<Vec<i64>> {
    let sql = "UPDATE manifests SET contents_id = $2 WHERE chain = $1 \
               AND (contents_id IS NULL OR contents_id <> $2) RETURNING id";
    tx.list(sql, params![chain, contents_id], |row| row.get("id")).await
}

/// Manifests, anywhere, that have this chain of layers and no contents yet.
pub async fn waiting_for_chain(tx: &mut Tx, chain: &Digest) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM manifests WHERE chain = $1 AND contents_id IS NULL";
    tx.list(sql, params![chain], |row| row.get("id")).await
}

/// Manifests with layers to inspect that have no contents by this inspector: what an upgrade
/// inspects again, after number `after`.
pub async fn without_contents(
    tx: &mut Tx,
    inspector: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<Manifest>> {
    let sql = select!(
        "FROM manifests m JOIN repositories r ON r.id = m.repository_id \
         LEFT JOIN image_contents i ON i.id = m.contents_id AND i.inspector = $1 \
         WHERE m.chain IS NOT NULL AND i.id IS NULL AND m.id > $2 ORDER BY m.id LIMIT $3"
    );
    tx.list(sql, params![inspector, after, limit], read).await
}
