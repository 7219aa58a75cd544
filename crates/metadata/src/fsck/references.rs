//! Links of blobs to repositories, and what manifests need of them.

use crate::{Result, Tx, params};

/// A link whose blob has no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    /// Number of the repository.
    pub repository_id: i64,
    /// Its full name.
    pub repository: String,
    /// What is linked.
    pub digest: String,
}

/// A blob that a manifest names and its repository does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlinked {
    /// The manifest, its place in the list and the blob's role: where the next page begins.
    pub at: (i64, String, i64),
    /// Number of the repository.
    pub repository_id: i64,
    /// Its full name.
    pub repository: String,
    /// Digest of the manifest.
    pub manifest: String,
    /// The blob.
    pub digest: String,
    /// Media type as the manifest declares it: foreign layers need not be here.
    pub media_type: String,
    /// Whether the blob has a row.
    pub stored: bool,
}

/// A descriptor with another size than the blob that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherSize {
    /// The manifest, the blob's role and its place: where the next page begins.
    pub at: (i64, String, i64),
    /// Full name of the repository.
    pub repository: String,
    /// Digest of the manifest.
    pub manifest: String,
    /// The blob.
    pub digest: String,
    /// Media type as the manifest declares it.
    pub media_type: String,
    /// Size in the manifest, in bytes.
    pub declared: i64,
    /// Size of the blob, in bytes.
    pub actual: i64,
}

/// Links without a blob, after a repository and digest.
pub async fn dangling(tx: &mut Tx, after: (i64, &str), limit: u32) -> Result<Vec<Dangling>> {
    let sql = "SELECT l.repository_id AS repository_id, r.name AS name, l.digest AS digest \
               FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id \
               WHERE (l.repository_id, l.digest) > ($1, $2) \
               AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = l.digest) \
               ORDER BY l.repository_id, l.digest LIMIT $3";
    tx.list(sql, params![after.0, after.1, limit], |row| {
        Ok(Dangling {
            repository_id: row.get("repository_id")?,
            repository: row.get("name")?,
            digest: row.get("digest")?,
        })
    })
    .await
}

/// Removes a link whose blob still has no row.
pub async fn remove_dangling(tx: &mut Tx, link: &Dangling) -> Result<bool> {
    let sql = "DELETE FROM repository_blobs WHERE repository_id = $1 AND digest = $2 \
               AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = $2)";
    Ok(tx.execute(sql, params![link.repository_id, link.digest.as_str()]).await? == 1)
}

/// Blobs that manifests name and their repositories do not hold, after a manifest, role and place.
pub async fn unlinked(
    tx: &mut Tx,
    after: &(i64, String, i64),
    limit: u32,
) -> Result<Vec<Unlinked>> {
    let sql = "SELECT b.manifest_id AS manifest_id, b.role AS role, b.position AS position, \
               m.repository_id AS repository_id, r.name AS name, m.digest AS manifest, \
               b.digest AS digest, b.media_type AS media_type, \
               (SELECT count(*) FROM blobs x WHERE x.digest = b.digest) AS stored \
               FROM manifest_blobs b JOIN manifests m ON m.id = b.manifest_id \
               JOIN repositories r ON r.id = m.repository_id \
               WHERE (b.manifest_id, b.role, b.position) > ($1, $2, $3) \
               AND NOT EXISTS (SELECT 1 FROM repository_blobs l \
               WHERE l.repository_id = m.repository_id AND l.digest = b.digest) \
               ORDER BY b.manifest_id, b.role, b.position LIMIT $4";
    tx.list(sql, params![after.0, after.1.as_str(), after.2, limit], |row| {
        Ok(Unlinked {
            at: (row.get("manifest_id")?, row.get("role")?, row.get("position")?),
            repository_id: row.get("repository_id")?,
            repository: row.get("name")?,
            manifest: row.get("manifest")?,
            digest: row.get("digest")?,
            media_type: row.get("media_type")?,
            stored: row.get("stored")?,
        })
    })
    .await
}

/// Links a blob that a manifest of the repository names.
pub async fn link_named(tx: &mut Tx, unlinked: &Unlinked) -> Result<bool> {
    let now = tx.now();
    let sql = "INSERT INTO repository_blobs (repository_id, digest, linked_at) \
               SELECT m.repository_id, b.digest, $3 FROM manifests m \
               JOIN manifest_blobs n ON n.manifest_id = m.id JOIN blobs b ON b.digest = n.digest \
               WHERE m.id = $1 AND b.digest = $2 GROUP BY m.repository_id, b.digest \
               ON CONFLICT (repository_id, digest) DO NOTHING";
    Ok(tx.execute(sql, params![unlinked.at.0, unlinked.digest.as_str(), now]).await? == 1)
}

/// Descriptors with another size than their blob, after a manifest, role and place.
pub async fn other_sizes(
    tx: &mut Tx,
    after: &(i64, String, i64),
    limit: u32,
) -> Result<Vec<OtherSize>> {
    let sql = "SELECT b.manifest_id AS manifest_id, b.role AS role, b.position AS position, \
               r.name AS name, m.digest AS manifest, b.digest AS digest, \
               b.media_type AS media_type, b.size AS declared, x.size AS actual \
               FROM manifest_blobs b JOIN blobs x ON x.digest = b.digest \
               JOIN manifests m ON m.id = b.manifest_id \
               JOIN repositories r ON r.id = m.repository_id \
               WHERE (b.manifest_id, b.role, b.position) > ($1, $2, $3) AND b.size <> x.size \
               ORDER BY b.manifest_id, b.role, b.position LIMIT $4";
    tx.list(sql, params![after.0, after.1.as_str(), after.2, limit], |row| {
        Ok(OtherSize {
            at: (row.get("manifest_id")?, row.get("role")?, row.get("position")?),
            repository: row.get("name")?,
            manifest: row.get("manifest")?,
            digest: row.get("digest")?,
            media_type: row.get("media_type")?,
            declared: row.get("declared")?,
            actual: row.get("actual")?,
        })
    })
    .await
}
