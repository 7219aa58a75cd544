//! What layers and images hold: facts that can be found out again.

use crate::{Result, Tx, params};

/// The contents of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLayer {
    /// Digest of the layer.
    pub digest: String,
    /// Version of the inspector.
    pub inspector: String,
    /// The document.
    pub contents: Vec<u8>,
}

/// The contents of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawImage {
    /// Number.
    pub id: i64,
    /// Key: a digest over the layers.
    pub chain: String,
    /// The document.
    pub contents: Vec<u8>,
    /// Number of components, by its own word.
    pub components: i64,
    /// Number of components that are recorded.
    pub recorded: i64,
}

/// A manifest whose contents are not its own, or not known and on no way to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Without {
    /// Number.
    pub id: i64,
    /// Number of its repository.
    pub repository_id: i64,
    /// Full name of its repository.
    pub repository: String,
    /// Its digest.
    pub digest: String,
    /// Key of its contents.
    pub chain: Option<String>,
}

fn read_without(row: &crate::Row) -> Result<Without> {
    Ok(Without {
        id: row.get("id")?,
        repository_id: row.get("repository_id")?,
        repository: row.get("repository")?,
        digest: row.get("digest")?,
        chain: row.opt("chain")?,
    })
}

/// Contents of layers, after a digest and inspector.
pub async fn layers(tx: &mut Tx, after: (&str, &str), limit: u32) -> Result<Vec<RawLayer>> {
    let sql = "SELECT digest, inspector, contents FROM layer_contents \
               WHERE (digest, inspector) > ($1, $2) ORDER BY digest, inspector LIMIT $3";
    tx.list(sql, params![after.0, after.1, limit], |row| {
        Ok(RawLayer {
            digest: row.get("digest")?,
            inspector: row.get("inspector")?,
            contents: row.get("contents")?,
        })
    })
    .await
}

/// Forgets the contents of a layer, which are read again when they are needed.
pub async fn forget_layer(tx: &mut Tx, layer: &RawLayer) -> Result<bool> {
    let sql = "DELETE FROM layer_contents WHERE digest = $1 AND inspector = $2";
    let values = params![layer.digest.as_str(), layer.inspector.as_str()];
    Ok(tx.execute(sql, values).await? == 1)
}

/// Contents of images by number, after `after`.
pub async fn images(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<RawImage>> {
    let sql = "SELECT i.id AS id, i.chain AS chain, i.contents AS contents, \
               i.components AS components, (SELECT count(*) FROM image_components c \
               WHERE c.contents_id = i.id) AS recorded FROM image_contents i \
               WHERE i.id > $1 ORDER BY i.id LIMIT $2";
    tx.list(sql, params![after, limit], |row| {
        Ok(RawImage {
            id: row.get("id")?,
            chain: row.get("chain")?,
            contents: row.get("contents")?,
            components: row.get("components")?,
            recorded: row.get("recorded")?,
        })
    })
    .await
}

/// Forgets the contents of an image. The manifests that had them, which need them again.
pub async fn forget_image(tx: &mut Tx, id: i64) -> Result<Vec<Without>> {
    let sql = "SELECT m.id AS id, m.repository_id AS repository_id, r.name AS repository, \
               m.digest AS digest, m.chain AS chain FROM manifests m \
               JOIN repositories r ON r.id = m.repository_id WHERE m.contents_id = $1";
    let users = tx.list(sql, params![id], read_without).await?;
    let sql = "UPDATE manifests SET contents_id = NULL, facts_rev = facts_rev + 1 \
               WHERE contents_id = $1";
    tx.execute(sql, params![id]).await?;
    tx.execute("DELETE FROM image_contents WHERE id = $1", params![id]).await?;
    Ok(users)
}

/// Manifests whose contents are those of other layers, or gone, after number `after`.
pub async fn wrong(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<Without>> {
    let sql = "SELECT m.id AS id, m.repository_id AS repository_id, r.name AS repository, \
               m.digest AS digest, m.chain AS chain FROM manifests m \
               JOIN repositories r ON r.id = m.repository_id \
               LEFT JOIN image_contents i ON i.id = m.contents_id \
               WHERE m.id > $1 AND m.contents_id IS NOT NULL \
               AND (i.id IS NULL OR m.chain IS NULL OR i.chain <> m.chain) ORDER BY m.id LIMIT $2";
    tx.list(sql, params![after, limit], read_without).await
}

/// Takes wrong contents from a manifest.
pub async fn forget_wrong(tx: &mut Tx, manifest_id: i64) -> Result<()> {
    let sql = "UPDATE manifests SET contents_id = NULL, facts_rev = facts_rev + 1 WHERE id = $1";
    tx.execute(sql, params![manifest_id]).await?;
    Ok(())
}

/// Manifests with layers to inspect that have no contents, and no job of this kind that waits or
/// runs for their chain, after number `after`. Those of which a layer is not readable are left out.
pub async fn missing(tx: &mut Tx, kind: &str, after: i64, limit: u32) -> Result<Vec<Without>> {
    let sql = "SELECT m.id AS id, m.repository_id AS repository_id, r.name AS repository, \
               m.digest AS digest, m.chain AS chain FROM manifests m \
               JOIN repositories r ON r.id = m.repository_id \
               WHERE m.id > $2 AND m.chain IS NOT NULL AND m.contents_id IS NULL \
               AND m.state <> 'isolated' AND NOT EXISTS (SELECT 1 FROM jobs j \
               WHERE j.kind = $1 AND j.key = m.chain AND j.state <> 'dead') \
               AND NOT EXISTS (SELECT 1 FROM manifest_blobs b JOIN blobs x ON x.digest = b.digest \
               WHERE b.manifest_id = m.id AND x.state <> 'active') ORDER BY m.id LIMIT $3";
    tx.list(sql, params![kind, after, limit], read_without).await
}
