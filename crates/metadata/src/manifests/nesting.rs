use crate::{Result, Tx, engine::Value, params};
use sealock_oci::Digest;

/// How many indexes stand above one another along the longest way through an index with this digest
/// and these children, itself included, as far as they are in the repository. Ways are followed for
/// at most `most` steps up and down, so that a number above it says "more".
pub async fn nesting(
    tx: &mut Tx,
    repository_id: i64,
    digest: &Digest,
    children: &[Digest],
    most: i64,
) -> Result<i64> {
    let sql = "WITH RECURSIVE x (id, depth) AS (\
               SELECT m.id, 1 FROM manifests m WHERE m.repository_id = $1 \
               AND m.digest = ANY($2) AND m.kind = 'index' \
               UNION SELECT m.id, x.depth + 1 FROM x \
               JOIN manifest_children c ON c.parent_id = x.id \
               JOIN manifests m ON m.repository_id = $1 AND m.digest = c.digest \
               AND m.kind = 'index' WHERE x.depth < $3) SELECT CAST(COALESCE(MAX(depth), 0) AS BIGINT) AS depth FROM x";
    let below = deepest(tx, sql, params![repository_id, children, most]).await?;
    let sql = "WITH RECURSIVE x (id, repository_id, digest, depth) AS (\
               SELECT p.id, p.repository_id, p.digest, 1 FROM manifest_children c \
               JOIN manifests p ON p.id = c.parent_id \
               WHERE c.repository_id = $1 AND c.digest = $2 \
               UNION SELECT p.id, p.repository_id, p.digest, x.depth + 1 FROM x \
               JOIN manifest_children c ON c.repository_id = x.repository_id \
               AND c.digest = x.digest \
               JOIN manifests p ON p.id = c.parent_id WHERE x.depth < $3) \
               SELECT CAST(COALESCE(MAX(depth), 0) AS BIGINT) AS depth FROM x";
    let above = deepest(tx, sql, params![repository_id, digest, most]).await?;
    Ok(below + 1 + above)
}

async fn deepest(tx: &mut Tx, sql: &'static str, values: Vec<Value>) -> Result<i64> {
    let depth = tx.find(sql, values, |row| row.get("depth")).await?;
    Ok(depth.unwrap_or_default())
}

/// Tags of the indexes above a digest in its repository, at whatever height: their names, and
/// whether they are immutable by themselves. With `fixed` only those that are.
pub async fn tags_above(
    tx: &mut Tx,
    repository_id: i64,
    digest: &Digest,
    fixed: bool,
) -> Result<Vec<(String, bool)>> {
    let sql = "WITH RECURSIVE x (id, repository_id, digest) AS (\
               SELECT p.id, p.repository_id, p.digest FROM manifest_children c \
               JOIN manifests p ON p.id = c.parent_id \
               WHERE c.repository_id = $1 AND c.digest = $2 \
               UNION SELECT p.id, p.repository_id, p.digest FROM x \
               JOIN manifest_children c ON c.repository_id = x.repository_id \
               AND c.digest = x.digest \
               JOIN manifests p ON p.id = c.parent_id) \
               SELECT t.name AS name, t.immutable AS immutable FROM x \
               JOIN tags t ON +t.repository_id = $1 AND t.manifest_id = x.id \
               WHERE $3 = 0 OR t.immutable = 1 ORDER BY t.name";
    let values = params![repository_id, digest, fixed];
    tx.list(sql, values, |row| Ok((row.get("name")?, row.get("immutable")?))).await
}

/// Whether an index of the repository lists this digest.
pub async fn is_listed(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<bool> {
    let sql = "SELECT 1 AS one FROM manifest_children \
               WHERE repository_id = $1 AND digest = $2 LIMIT 1";
    Ok(tx.query_one(sql, params![repository_id, digest]).await?.is_some())
}
