//! What layers and images hold, and the components found in them.
//!
//! These facts belong to bytes (decision D6), not to a project: callers reach them only through an
//! artifact that they may read.

use crate::{Result, Row, Tx, params};
use sealock_facts::Component;
use sealock_oci::Digest;
use std::collections::{BTreeMap, HashMap};

/// Longest text kept in an indexed column, in bytes. PostgreSQL's B-trees take about 2,700.
const MAX_INDEXED: usize = 512;

/// The contents of one layer by one version of the inspector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerContents {
    /// Digest of the layer as stored.
    pub digest: Digest,
    /// Version of the inspector.
    pub inspector: String,
    /// The document, compressed by the caller.
    pub contents: Vec<u8>,
    /// Everything was read.
    pub complete: bool,
}

/// The merged contents of an ordered list of layers by one version of the inspector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageContents {
    /// Number.
    pub id: i64,
    /// Digest over the ordered layers.
    pub chain: Digest,
    /// Version of the inspector.
    pub inspector: String,
    /// The document, compressed by the caller.
    pub contents: Vec<u8>,
    /// Everything was read.
    pub complete: bool,
    /// Number of components.
    pub components: u64,
}

/// Stores a layer's contents. False when they were stored before.
pub async fn put_layer(tx: &mut Tx, layer: &LayerContents) -> Result<bool> {
    let now = tx.now();
    let sql = "INSERT INTO layer_contents (digest, inspector, contents, complete, created_at) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest, inspector) DO NOTHING";
    let values =
        params![layer.digest, layer.inspector.as_str(), &layer.contents, layer.complete, now];
    Ok(tx.execute(sql, values).await? == 1)
}

/// The contents of those of these layers that this inspector has read.
pub async fn layers(
    tx: &mut Tx,
    digests: &[Digest],
    inspector: &str,
) -> Result<Vec<LayerContents>> {
    let sql = "SELECT * FROM layer_contents WHERE digest = ANY($1) AND inspector = $2 \
               ORDER BY digest";
    tx.list(sql, params![digests, inspector], |row| {
        Ok(LayerContents {
            digest: row.get("digest")?,
            inspector: row.get("inspector")?,
            contents: row.get("contents")?,
            complete: row.get("complete")?,
        })
    })
    .await
}

/// Which of these layers this inspector has read, without the documents.
pub async fn layers_known(tx: &mut Tx, digests: &[Digest], inspector: &str) -> Result<Vec<Digest>> {
    let sql = "SELECT digest FROM layer_contents WHERE digest = ANY($1) AND inspector = $2";
    tx.list(sql, params![digests, inspector], |row| row.get("digest")).await
}

fn read_image(row: &Row) -> Result<ImageContents> {
    Ok(ImageContents {
        id: row.get("id")?,
        chain: row.get("chain")?,
        inspector: row.get("inspector")?,
        contents: row.get("contents")?,
        complete: row.get("complete")?,
        components: row.get("components")?,
    })
}

/// The contents of a chain of layers by this inspector.
pub async fn find_image(
    tx: &mut Tx,
    chain: &Digest,
    inspector: &str,
) -> Result<Option<ImageContents>> {
    let sql = "SELECT * FROM image_contents WHERE chain = $1 AND inspector = $2";
    tx.find(sql, params![chain, inspector], read_image).await
}

/// As [`find_image`], locked against collection until the transaction has given it to a manifest.
pub async fn lock_image(
    tx: &mut Tx,
    chain: &Digest,
    inspector: &str,
) -> Result<Option<ImageContents>> {
    let sql = "SELECT * FROM image_contents WHERE chain = $1 AND inspector = $2 \
               /*pg: FOR KEY SHARE */";
    tx.find(sql, params![chain, inspector], read_image).await
}

/// Contents by number, as manifests name them.
pub async fn images(tx: &mut Tx, ids: &[i64]) -> Result<Vec<ImageContents>> {
    let sql = "SELECT * FROM image_contents WHERE id = ANY($1) ORDER BY id";
    tx.list(sql, params![ids], read_image).await
}

/// Stores the merged contents of a chain of layers with its components. The number, and whether it
/// is new. A number of statements that grows with the components by 1 for each 400.
pub async fn put_image(
    tx: &mut Tx,
    chain: &Digest,
    inspector: &str,
    document: &[u8],
    complete: bool,
    components: &[Component],
) -> Result<(i64, bool)> {
    let now = tx.now();
    let review = tx.review_time().await?;
    let sql = "INSERT INTO image_contents (chain, inspector, contents, complete, components, \
               created_at, review_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
               ON CONFLICT (chain, inspector) DO NOTHING RETURNING id";
    let values = params![chain, inspector, document, complete, components.len(), now, review];
    let Some(id) = tx.find(sql, values, |row| row.get::<i64>("id")).await? else {
        let present = find_image(tx, chain, inspector).await?.ok_or(crate::Error::Retry)?;
        return Ok((present.id, false));
    };
    let numbers = ensure_components(tx, components).await?;
    let rows = components.iter().enumerate().filter_map(|(position, component)| {
        let number = *numbers.get(&identity(component))?;
        Some(params![id, position, number, component.path.as_str(), component.layer])
    });
    let head = "INSERT INTO image_components (contents_id, position, component_id, path, layer)";
    tx.insert_many(head, rows.collect(), "").await?;
    // What another inspector has read is of no use once the manifests have this.
    let sql = "SELECT id FROM image_contents WHERE chain = $1 AND id <> $2";
    let others: Vec<i64> = tx.list(sql, params![chain, id], |row| row.get("id")).await?;
    queue(tx, &others).await?;
    Ok((id, true))
}

/// Queues the review of the contents of manifests that are being deleted.
pub(crate) async fn queue_of_manifests(tx: &mut Tx, manifest_ids: &[i64]) -> Result<()> {
    let sql = "SELECT DISTINCT contents_id AS id FROM manifests WHERE id = ANY($1) \
               AND contents_id IS NOT NULL";
    let ids: Vec<i64> = tx.list(sql, params![manifest_ids], |row| row.get("id")).await?;
    queue(tx, &ids).await
}

/// Queues the review of contents. Locked in order, so that two deletions cannot deadlock.
async fn queue(tx: &mut Tx, ids: &[i64]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let review = tx.review_time().await?;
    let sql = "SELECT id FROM image_contents WHERE id = ANY($1) ORDER BY id \
               /*pg: FOR NO KEY UPDATE */";
    tx.query(sql, params![ids]).await?;
    let sql = "UPDATE image_contents SET review_at = CASE WHEN review_at > $2 THEN review_at \
               ELSE $2 END WHERE id = ANY($1)";
    tx.execute(sql, params![ids, review]).await?;
    Ok(())
}

/// Makes the components that are not there yet, in a transaction of its own if there are many: they
/// belong to no image before [`put_image`], and others can write in between.
pub async fn make_components(tx: &mut Tx, components: &[Component]) -> Result<()> {
    ensure_components(tx, components).await.map(|_| ())
}

/// The numbers of components by identity; new ones are made.
async fn ensure_components(tx: &mut Tx, components: &[Component]) -> Result<HashMap<String, i64>> {
    // In order of identity, so that two transactions that make the same ones cannot deadlock.
    let distinct: BTreeMap<String, &Component> =
        components.iter().map(|component| (identity(component), component)).collect();
    let mut rows = Vec::with_capacity(distinct.len());
    for (identity, component) in &distinct {
        let key = component.match_key.as_ref();
        let kind = serde_json::to_value(component.kind)?;
        rows.push(params![
            identity.as_str(),
            kind.as_str().unwrap_or_default(),
            component.name.as_str(),
            component.version.as_str(),
            component.purl.as_str(),
            indexed(purl_name(&component.purl)),
            key.map(|k| k.ecosystem.as_str()),
            key.map(|k| k.name.as_str()),
            key.map(|k| k.version.as_str()),
            key.map(|k| package(&k.ecosystem, &k.name))
        ]);
    }
    let head = "INSERT INTO components (identity, kind, name, version, purl, purl_name, \
                ecosystem, match_name, match_version, package)";
    tx.insert_many(head, rows, "ON CONFLICT (identity) DO NOTHING").await?;
    let identities: Vec<String> = distinct.into_keys().collect();
    let sql = "SELECT id, identity FROM components WHERE identity = ANY($1)";
    let found = tx.query(sql, params![&identities]).await?;
    found.iter().map(|row| Ok((row.get("identity")?, row.get("id")?))).collect()
}

/// A hash of all that tells two components apart.
fn identity(component: &Component) -> String {
    let key = component.match_key.as_ref();
    let parts = [
        component.name.as_str(),
        component.version.as_str(),
        component.purl.as_str(),
        key.map_or("", |k| k.ecosystem.as_str()),
        key.map_or("", |k| k.name.as_str()),
        key.map_or("", |k| k.version.as_str()),
    ];
    let mut text = format!("{:?}", component.kind);
    for part in parts {
        // The length before each part keeps ("ab", "c") and ("a", "bc") apart.
        text.push_str(&format!(":{}:{part}", part.len()));
    }
    Digest::sha256(text.as_bytes()).hex()
}

/// A purl without version, qualifiers and subpath.
pub fn purl_name(purl: &str) -> &str {
    let end = purl.find(['?', '#']).unwrap_or(purl.len());
    let bare = &purl[..end];
    let name_at = bare.rfind('/').map_or(0, |slash| slash + 1);
    bare[name_at..].rfind('@').map_or(bare, |at| &bare[..name_at + at])
}

/// Ecosystem and name of an advisory key as one indexed text.
pub(crate) fn package(ecosystem: &str, name: &str) -> String {
    indexed(&format!("{ecosystem}|{name}"))
}

/// Text that fits an index: a longer one ends in its own hash.
pub(crate) fn indexed(text: &str) -> String {
    if text.len() <= MAX_INDEXED {
        return text.to_owned();
    }
    let hash = Digest::sha256(text.as_bytes()).hex();
    let cut = text.floor_char_boundary(MAX_INDEXED - hash.len() - 1);
    format!("{}~{hash}", &text[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purls_lose_their_version() {
        for (purl, name) in [
            ("pkg:deb/debian/openssl@3.0.1?arch=amd64&distro=debian-12", "pkg:deb/debian/openssl"),
            ("pkg:npm/%40angular/core@1.2.3", "pkg:npm/%40angular/core"),
            ("pkg:npm/@angular/core", "pkg:npm/@angular/core"),
            ("pkg:pypi/requests#x@y", "pkg:pypi/requests"),
        ] {
            assert_eq!(purl_name(purl), name);
        }
    }

    #[test]
    fn long_text_fits_an_index_and_stays_distinct() {
        let (a, b) = ("é".repeat(9_000), "é".repeat(9_001));
        assert!(indexed(&a).len() <= MAX_INDEXED);
        assert_ne!(indexed(&a), indexed(&b));
        assert_eq!(indexed("short"), "short");
    }
}
