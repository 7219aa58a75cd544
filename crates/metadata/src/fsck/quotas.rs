//! What projects hold, as it is counted and as it is.

use crate::{Result, Tx, params};

/// A project whose count is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miscount {
    /// Number of the project.
    pub project_id: i64,
    /// Its name; none when it is gone.
    pub project: Option<String>,
    /// Blobs and manifests that are counted wrongly, are not counted, or are counted and gone.
    pub entries: i64,
    /// Bytes as they are counted.
    pub counted: i64,
    /// Bytes as they should be counted.
    pub actual: i64,
    /// It has no limit, not even the one that is none.
    pub limitless: bool,
}

/// What the manifests of the project `$1` name, with sizes and how many name it.
macro_rules! expected {
    ($head:literal, $tail:literal) => {
        concat!(
            $head,
            "SELECT n.digest AS digest, CAST(max(n.size) AS BIGINT) AS size, count(*) AS refs ",
            "FROM (SELECT m.digest AS digest, m.size AS size FROM manifests m ",
            "JOIN repositories r ON r.id = m.repository_id WHERE r.project_id = $1 ",
            "UNION ALL SELECT b.digest AS digest, max(coalesce(x.size, 0)) AS size ",
            "FROM repositories r JOIN manifests m ON m.repository_id = r.id ",
            "JOIN manifest_blobs b ON b.manifest_id = m.id ",
            "LEFT JOIN repository_blobs l ON l.repository_id = r.id AND l.digest = b.digest ",
            "LEFT JOIN blobs x ON x.digest = l.digest WHERE r.project_id = $1 ",
            "GROUP BY b.digest, b.manifest_id) n GROUP BY n.digest",
            $tail
        )
    };
}

/// Projects, and numbers under which something is counted without one, after `after`.
pub async fn projects(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM (SELECT id FROM projects UNION SELECT project_id AS id \
               FROM project_blobs UNION SELECT project_id AS id FROM project_usage) x \
               WHERE id > $1 ORDER BY id LIMIT $2";
    tx.list(sql, params![after, limit], |row| row.get("id")).await
}

/// What is wrong with a project's count; `None` for nothing.
///
/// A foreign layer that came after the manifest that names it is counted by the next review of its
/// link: until then it may stand as absent.
pub async fn miscount(tx: &mut Tx, project_id: i64) -> Result<Option<Miscount>> {
    let sql = expected!(
        "WITH expected AS (",
        ") SELECT (SELECT count(*) FROM expected e LEFT JOIN project_blobs q \
         ON q.project_id = $1 AND q.digest = e.digest WHERE q.digest IS NULL \
         OR q.refs <> e.refs OR (q.size <> e.size AND NOT (q.size = 0 AND EXISTS (\
         SELECT 1 FROM repositories r JOIN repository_blobs l ON l.repository_id = r.id \
         WHERE r.project_id = $1 AND l.digest = e.digest AND l.review_at IS NOT NULL)))) \
         + (SELECT count(*) FROM project_blobs q WHERE q.project_id = $1 \
         AND NOT EXISTS (SELECT 1 FROM expected e WHERE e.digest = q.digest)) AS entries, \
         (SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM expected) AS actual, \
         (SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM project_blobs \
         WHERE project_id = $1) AS listed, \
         (SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM project_usage \
         WHERE project_id = $1) AS counted, \
         (SELECT min(name) FROM projects WHERE id = $1) AS project, \
         (SELECT count(*) FROM project_quotas WHERE project_id = $1) AS quotas"
    );
    let found = tx
        .find(sql, params![project_id], |row| {
            let listed: i64 = row.get("listed")?;
            let quotas: i64 = row.get("quotas")?;
            let project: Option<String> = row.opt("project")?;
            let found = Miscount {
                project_id,
                limitless: project.is_some() && quotas == 0,
                project,
                entries: row.get("entries")?,
                counted: row.get("counted")?,
                actual: row.get("actual")?,
            };
            let wrong = found.entries > 0 || found.counted != listed || found.limitless;
            Ok(wrong.then_some(found))
        })
        .await?;
    Ok(found.flatten())
}

/// Counts a project anew.
pub async fn recount(tx: &mut Tx, project_id: i64) -> Result<()> {
    crate::quotas::end(tx, project_id).await?;
    let sql = expected!(
        "INSERT INTO project_blobs (project_id, digest, size, refs) SELECT $1, e.digest, e.size, \
         e.refs FROM (",
        ") e"
    );
    tx.execute(sql, params![project_id]).await?;
    let sql = "INSERT INTO project_usage (project_id, bytes) SELECT project_id, \
               CAST(sum(size) AS BIGINT) FROM project_blobs WHERE project_id = $1 \
               GROUP BY project_id";
    tx.execute(sql, params![project_id]).await?;
    let now = tx.now();
    let sql = "INSERT INTO project_quotas (project_id, hard, created_at, updated_at) \
               SELECT id, -1, created_at, $2 FROM projects WHERE id = $1 \
               ON CONFLICT (project_id) DO NOTHING";
    tx.execute(sql, params![project_id, now]).await?;
    Ok(())
}
