//! Who belongs to a project, in which role.

use crate::{Result, Row, Tx, params};
use jiff::Timestamp;

/// A membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Number.
    pub id: i64,
    /// The project.
    pub project_id: i64,
    /// The user.
    pub user_id: i64,
    /// The user's name.
    pub user_name: String,
    /// Harbor's role number, 1 to 5.
    pub role: i64,
    /// Since when.
    pub created_at: Timestamp,
}

fn read(row: &Row) -> Result<Member> {
    Ok(Member {
        id: row.get("id")?,
        project_id: row.get("project_id")?,
        user_id: row.get("user_id")?,
        user_name: row.get("user_name")?,
        role: row.get("role")?,
        created_at: row.get("created_at")?,
    })
}

/// Adds a member or changes the role.
pub async fn put(tx: &mut Tx, project_id: i64, user_id: i64, role: i64) -> Result<i64> {
    let now = tx.now();
    let sql = "INSERT INTO members (project_id, user_id, role, created_at) \
               VALUES ($1, $2, $3, $4) \
               ON CONFLICT (project_id, user_id) DO UPDATE SET role = excluded.role RETURNING id";
    let id = tx.find(sql, params![project_id, user_id, role, now], |row| row.get("id")).await?;
    Ok(id.unwrap_or_default())
}

/// Takes a member out.
pub async fn remove(tx: &mut Tx, project_id: i64, user_id: i64) -> Result<bool> {
    let sql = "DELETE FROM members WHERE project_id = $1 AND user_id = $2";
    Ok(tx.execute(sql, params![project_id, user_id]).await? == 1)
}

/// The role of a user in a project.
pub async fn role(tx: &mut Tx, project_id: i64, user_id: i64) -> Result<Option<i64>> {
    let sql = "SELECT role FROM members WHERE project_id = $1 AND user_id = $2";
    tx.find(sql, params![project_id, user_id], |row| row.get("role")).await
}

/// Members of a project by number, after `after`.
pub async fn list(tx: &mut Tx, project_id: i64, after: i64, limit: u32) -> Result<Vec<Member>> {
    let sql = "SELECT m.*, u.name AS user_name FROM members m JOIN users u ON u.id = m.user_id \
               WHERE m.project_id = $1 AND m.id > $2 ORDER BY m.id LIMIT $3";
    tx.list(sql, params![project_id, after, limit], read).await
}
