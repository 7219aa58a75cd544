//! Repositories.

use crate::{Result, Row, Tx, params, projects::Visible};
use jiff::Timestamp;
use sealock_oci::RepositoryName;

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Number.
    pub id: i64,
    /// Its project.
    pub project_id: i64,
    /// Full name, the project's first.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

fn read(row: &Row) -> Result<Repository> {
    Ok(Repository {
        id: row.get("id")?,
        project_id: row.get("project_id")?,
        name: row.get("name")?,
        created_at: row.get("created_at")?,
    })
}

/// The repository of this name in this project, made if it does not exist.
///
/// The name's first part must be the project's name; the caller has resolved the project by it.
pub async fn ensure(tx: &mut Tx, project_id: i64, name: &RepositoryName) -> Result<Repository> {
    if let Some(found) = find(tx, project_id, name).await? {
        return Ok(found);
    }
    let now = tx.now();
    let sql = "INSERT INTO repositories (project_id, name, created_at) VALUES ($1, $2, $3) \
               ON CONFLICT (name) DO UPDATE SET name = excluded.name \
               WHERE repositories.project_id = excluded.project_id RETURNING *";
    tx.find(sql, params![project_id, name, now], read).await?.ok_or_else(|| {
        crate::Error::Conflict { constraint: "repository of another project".to_owned() }
    })
}

/// A repository by name, within its project.
pub async fn find(
    tx: &mut Tx,
    project_id: i64,
    name: &RepositoryName,
) -> Result<Option<Repository>> {
    let sql = "SELECT * FROM repositories WHERE project_id = $1 AND name = $2";
    tx.find(sql, params![project_id, name], read).await
}

/// Repositories by name, after `after`, in the projects that the caller may see.
pub async fn list(
    tx: &mut Tx,
    visible: &Visible,
    after: &str,
    limit: u32,
) -> Result<Vec<Repository>> {
    let (all, ids) = visible.params();
    let sql = "SELECT * FROM repositories WHERE name > $1 AND ($2 = 1 OR project_id = ANY($3)) \
               ORDER BY name LIMIT $4";
    tx.list(sql, params![after, all, &ids, limit], read).await
}

/// Removes a repository that holds no manifest. False when it does not exist or holds some.
pub async fn delete(tx: &mut Tx, project_id: i64, id: i64) -> Result<bool> {
    let sql = "DELETE FROM repositories WHERE project_id = $1 AND id = $2 \
               AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = $2)";
    Ok(tx.execute(sql, params![project_id, id]).await? == 1)
}
