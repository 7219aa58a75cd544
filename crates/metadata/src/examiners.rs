//! Who may read what the pull door refuses, granted by name (decision D10).

use crate::{Result, Row, Tx, params};
use jiff::Timestamp;

/// A user or a robot, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Examiner {
    /// A user.
    User(i64),
    /// A robot of the project.
    Robot(i64),
}

impl Examiner {
    /// The columns `user_id` and `robot_id`.
    const fn columns(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::User(id) => (Some(id), None),
            Self::Robot(id) => (None, Some(id)),
        }
    }
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Number.
    pub id: i64,
    /// Name of the user; none for a robot.
    pub user: Option<String>,
    /// Name of the robot within its project; none for a user.
    pub robot: Option<String>,
    /// Who granted it.
    pub granted_by: String,
    /// When.
    pub created_at: Timestamp,
}

fn read(row: &Row) -> Result<Grant> {
    Ok(Grant {
        id: row.get("id")?,
        user: row.opt("user_name")?,
        robot: row.opt("robot_name")?,
        granted_by: row.get("granted_by")?,
        created_at: row.get("created_at")?,
    })
}

/// Grants it. `false` when it was granted before.
pub async fn grant(tx: &mut Tx, project_id: i64, who: Examiner, by: &str) -> Result<bool> {
    let now = tx.now();
    let (user, robot) = who.columns();
    let sql = "INSERT INTO examiners (project_id, user_id, robot_id, granted_by, created_at) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, params![project_id, user, robot, by, now]).await? == 1)
}

/// Takes it back. `false` when it was not granted.
pub async fn withdraw(tx: &mut Tx, project_id: i64, who: Examiner) -> Result<bool> {
    let (user, robot) = who.columns();
    let sql = "DELETE FROM examiners WHERE project_id = $1 AND (user_id = $2 OR robot_id = $3)";
    Ok(tx.execute(sql, params![project_id, user, robot]).await? == 1)
}

/// Whether it is granted.
pub async fn holds(tx: &mut Tx, project_id: i64, who: Examiner) -> Result<bool> {
    let (user, robot) = who.columns();
    let sql = "SELECT id FROM examiners WHERE project_id = $1 AND (user_id = $2 OR robot_id = $3)";
    let found: Option<i64> =
        tx.find(sql, params![project_id, user, robot], |row| row.get("id")).await?;
    Ok(found.is_some())
}

/// Grants in a project by number, after `after`.
pub async fn list(tx: &mut Tx, project_id: i64, after: i64, limit: u32) -> Result<Vec<Grant>> {
    let sql = "SELECT e.*, u.name AS user_name, r.name AS robot_name FROM examiners e \
               LEFT JOIN users u ON u.id = e.user_id LEFT JOIN robots r ON r.id = e.robot_id \
               WHERE e.project_id = $1 AND e.id > $2 ORDER BY e.id LIMIT $3";
    tx.list(sql, params![project_id, after, limit], read).await
}
