//! Clusters that ask for admission (decision D11). Every change counts in the system's revision.

use crate::{Result, Row, Tx, params, settings};
use jiff::Timestamp;
use sealock_facts::Tier;
use std::collections::BTreeMap;

/// What a cluster asks of the images in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NamespacePolicy {
    /// The lowest tier that images may come from.
    pub minimum_tier: Tier,
    /// Refuse as the verdict says; otherwise only warn.
    pub enforce: bool,
}

/// A registered cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Number.
    pub id: i64,
    /// Name, unique.
    pub name: String,
    /// Host names under which it knows this registry.
    pub hosts: Vec<String>,
    /// Per namespace, `*` for every other one. A namespace without an entry is denied.
    pub namespaces: BTreeMap<String, NamespacePolicy>,
    /// Patterns of images from elsewhere that it may run.
    pub unlisted_images: Vec<String>,
    /// Gets no answer.
    pub disabled: bool,
    /// The client certificate with which it may ask: SHA-256 of its DER, in hex.
    pub certificate: Option<String>,
    /// Who registered it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A cluster to be registered, or what is to be changed.
#[derive(Debug, Clone)]
pub struct ClusterSettings<'a> {
    /// Host names under which it knows this registry.
    pub hosts: &'a [String],
    /// Per namespace, `*` for every other one.
    pub namespaces: &'a BTreeMap<String, NamespacePolicy>,
    /// Patterns of images from elsewhere that it may run.
    pub unlisted_images: &'a [String],
    /// Gets no answer.
    pub disabled: bool,
    /// The client certificate with which it may ask: SHA-256 of its DER, in hex.
    pub certificate: Option<&'a str>,
}

fn read(row: &Row) -> Result<Cluster> {
    Ok(Cluster {
        id: row.get("id")?,
        name: row.get("name")?,
        hosts: row.json("hosts")?,
        namespaces: row.json("namespaces")?,
        unlisted_images: row.json("unlisted_images")?,
        disabled: row.get("disabled")?,
        certificate: row.opt("certificate")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Registers a cluster with the SHA-256 of its token. `None` when the name or the certificate is
/// taken.
pub async fn create(
    tx: &mut Tx,
    name: &str,
    token_hash: &[u8],
    settings: &ClusterSettings<'_>,
    created_by: &str,
) -> Result<Option<Cluster>> {
    let now = tx.now();
    let sql = "INSERT INTO clusters (name, token_hash, hosts, namespaces, unlisted_images, \
               disabled, created_by, created_at, updated_at, certificate) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9) \
               ON CONFLICT DO NOTHING RETURNING *";
    let values = params![
        name,
        token_hash,
        serde_json::to_string(settings.hosts)?,
        serde_json::to_string(settings.namespaces)?,
        serde_json::to_string(settings.unlisted_images)?,
        settings.disabled,
        created_by,
        now,
        settings.certificate
    ];
    tx.find(sql, values, read).await
}

/// The cluster with this token, unless it is disabled. The hash of a random token is the key, so
/// the look-up tells nothing about the token by its time.
pub async fn by_token_hash(tx: &mut Tx, token_hash: &[u8]) -> Result<Option<Cluster>> {
    let sql = "SELECT * FROM clusters WHERE token_hash = $1 AND disabled = 0";
    tx.find(sql, params![token_hash], read).await
}

/// The cluster with this client certificate, by the SHA-256 of its DER in hex, unless it is
/// disabled.
pub async fn by_certificate(tx: &mut Tx, fingerprint: &str) -> Result<Option<Cluster>> {
    let sql = "SELECT * FROM clusters WHERE certificate = $1 AND disabled = 0";
    tx.find(sql, params![fingerprint], read).await
}

/// A cluster by name.
pub async fn find(tx: &mut Tx, name: &str) -> Result<Option<Cluster>> {
    tx.find("SELECT * FROM clusters WHERE name = $1", params![name], read).await
}

/// Clusters by name, after `after`.
pub async fn list(tx: &mut Tx, after: &str, limit: u32) -> Result<Vec<Cluster>> {
    let sql = "SELECT * FROM clusters WHERE name > $1 ORDER BY name LIMIT $2";
    tx.list(sql, params![after, limit], read).await
}

/// Changes a cluster. A certificate that another cluster has is a conflict.
pub async fn update(
    tx: &mut Tx,
    name: &str,
    change: &ClusterSettings<'_>,
) -> Result<Option<Cluster>> {
    let now = tx.now();
    let sql = "UPDATE clusters SET hosts = $2, namespaces = $3, unlisted_images = $4, \
               disabled = $5, updated_at = $6, certificate = $7 WHERE name = $1 RETURNING *";
    let values = params![
        name,
        serde_json::to_string(change.hosts)?,
        serde_json::to_string(change.namespaces)?,
        serde_json::to_string(change.unlisted_images)?,
        change.disabled,
        now,
        change.certificate
    ];
    let changed = tx.find(sql, values, read).await?;
    if changed.is_some() {
        settings::bump_system_rev(tx).await?;
    }
    Ok(changed)
}

/// Gives a cluster a new token.
pub async fn set_token(tx: &mut Tx, name: &str, token_hash: &[u8]) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE clusters SET token_hash = $2, updated_at = $3 WHERE name = $1";
    Ok(tx.execute(sql, params![name, token_hash, now]).await? == 1)
}

/// Removes a cluster.
pub async fn delete(tx: &mut Tx, name: &str) -> Result<bool> {
    let deleted = tx.execute("DELETE FROM clusters WHERE name = $1", params![name]).await? == 1;
    if deleted {
        settings::bump_system_rev(tx).await?;
    }
    Ok(deleted)
}
