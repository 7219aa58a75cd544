//! Tags that name what they must not.

use crate::{Result, Tx, params};

/// A tag whose manifest is gone or belongs to another repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongTag {
    /// Number.
    pub id: i64,
    /// Its text.
    pub name: String,
    /// Full name of its repository.
    pub repository: String,
    /// Digest of the manifest that it names; none when that is gone.
    pub digest: Option<String>,
    /// Full name of the repository of that manifest.
    pub elsewhere: Option<String>,
    /// Number of the manifest of the same digest in the tag's own repository.
    pub own: Option<i64>,
}

/// Wrong tags by number, after `after`.
pub async fn wrong(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<WrongTag>> {
    let sql = "SELECT t.id AS id, t.name AS name, coalesce(r.name, '') AS repository, \
               m.digest AS digest, o.name AS elsewhere, own.id AS own FROM tags t \
               LEFT JOIN repositories r ON r.id = t.repository_id \
               LEFT JOIN manifests m ON m.id = t.manifest_id \
               LEFT JOIN repositories o ON o.id = m.repository_id \
               LEFT JOIN manifests own ON own.repository_id = t.repository_id \
               AND own.digest = m.digest \
               WHERE t.id > $1 AND (m.id IS NULL OR m.repository_id <> t.repository_id) \
               ORDER BY t.id LIMIT $2";
    tx.list(sql, params![after, limit], |row| {
        Ok(WrongTag {
            id: row.get("id")?,
            name: row.get("name")?,
            repository: row.get("repository")?,
            digest: row.opt("digest")?,
            elsewhere: row.opt("elsewhere")?,
            own: row.opt("own")?,
        })
    })
    .await
}

/// Lets a tag name a manifest of its own repository.
pub async fn retarget(tx: &mut Tx, id: i64, manifest_id: i64) -> Result<bool> {
    let sql = "UPDATE tags SET manifest_id = $2 WHERE id = $1 AND EXISTS (SELECT 1 FROM manifests m \
               WHERE m.id = $2 AND m.repository_id = tags.repository_id)";
    Ok(tx.execute(sql, params![id, manifest_id]).await? == 1)
}

/// Removes a tag that names nothing of its repository, immutable or not.
pub async fn remove_wrong(tx: &mut Tx, id: i64) -> Result<bool> {
    let sql = "DELETE FROM tags WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM manifests m \
               WHERE m.id = tags.manifest_id AND m.repository_id = tags.repository_id)";
    Ok(tx.execute(sql, params![id]).await? == 1)
}
