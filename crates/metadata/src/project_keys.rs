//! Public keys that a project lists. Every change counts in the project's policy revision.

use crate::{Result, Row, Tx, params, projects};
use jiff::Timestamp;

/// A listed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectKey {
    /// Number.
    pub id: i64,
    /// The project.
    pub project_id: i64,
    /// Name, unique in the project.
    pub name: String,
    /// Lower-case hex of the SHA-256 of its SubjectPublicKeyInfo.
    pub key_id: String,
    /// PEM.
    pub pem: String,
    /// From when on its signatures do not count.
    pub compromised_at: Option<Timestamp>,
    /// Who listed it.
    pub added_by: String,
    /// When.
    pub created_at: Timestamp,
}

fn read(row: &Row) -> Result<ProjectKey> {
    Ok(ProjectKey {
        id: row.get("id")?,
        project_id: row.get("project_id")?,
        name: row.get("name")?,
        key_id: row.get("key_id")?,
        pem: row.get("pem")?,
        compromised_at: row.opt("compromised_at")?,
        added_by: row.get("added_by")?,
        created_at: row.get("created_at")?,
    })
}

/// Lists a key. `None` when the project lists this key, or another of this name.
pub async fn add(
    tx: &mut Tx,
    project_id: i64,
    name: &str,
    key_id: &str,
    pem: &str,
    added_by: &str,
) -> Result<Option<ProjectKey>> {
    let now = tx.now();
    let sql = "INSERT INTO project_keys (project_id, name, key_id, pem, added_by, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING *";
    let key = tx.find(sql, params![project_id, name, key_id, pem, added_by, now], read).await?;
    if key.is_some() {
        projects::bump_policy_rev(tx, project_id).await?;
    }
    Ok(key)
}

/// Keys of a project by number, after `after`.
pub async fn list(tx: &mut Tx, project_id: i64, after: i64, limit: u32) -> Result<Vec<ProjectKey>> {
    let sql = "SELECT * FROM project_keys WHERE project_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    tx.list(sql, params![project_id, after, limit], read).await
}

/// A key of a project by name.
pub async fn find(tx: &mut Tx, project_id: i64, name: &str) -> Result<Option<ProjectKey>> {
    let sql = "SELECT * FROM project_keys WHERE project_id = $1 AND name = $2";
    tx.find(sql, params![project_id, name], read).await
}

/// Marks a key as compromised since `at`, or as sound again.
pub async fn set_compromised(
    tx: &mut Tx,
    project_id: i64,
    name: &str,
    at: Option<Timestamp>,
) -> Result<bool> {
    let sql = "UPDATE project_keys SET compromised_at = $3 WHERE project_id = $1 AND name = $2";
    let changed = tx.execute(sql, params![project_id, name, at]).await? == 1;
    if changed {
        projects::bump_policy_rev(tx, project_id).await?;
    }
    Ok(changed)
}

/// Takes a key off the list.
pub async fn remove(tx: &mut Tx, project_id: i64, name: &str) -> Result<bool> {
    let sql = "DELETE FROM project_keys WHERE project_id = $1 AND name = $2";
    let changed = tx.execute(sql, params![project_id, name]).await? == 1;
    if changed {
        projects::bump_policy_rev(tx, project_id).await?;
    }
    Ok(changed)
}
