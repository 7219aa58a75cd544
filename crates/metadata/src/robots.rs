//! Robots: credentials of pipelines, each of one project.

use crate::{Result, Row, Tx, params};
use jiff::Timestamp;

/// A robot. The secret's hash is read apart, by [`credentials`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Robot {
    /// Number.
    pub id: i64,
    /// Its project.
    pub project_id: i64,
    /// The project's name.
    pub project: String,
    /// Name within the project.
    pub name: String,
    /// For people.
    pub description: String,
    /// Words of its rights.
    pub rights: Vec<String>,
    /// May not log in.
    pub disabled: bool,
    /// When it stops; never for none.
    pub expires_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a robot's login needs.
#[derive(Clone)]
pub struct Credentials {
    /// The robot.
    pub robot: Robot,
    /// SHA-256 of the secret.
    pub secret_hash: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("robot", &self.robot).finish_non_exhaustive()
    }
}

/// A robot to be made.
#[derive(Debug, Clone)]
pub struct NewRobot<'a> {
    /// Its project.
    pub project_id: i64,
    /// Name within the project.
    pub name: &'a str,
    /// For people.
    pub description: &'a str,
    /// SHA-256 of the secret.
    pub secret_hash: &'a [u8],
    /// Words of its rights.
    pub rights: &'a [String],
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// Who makes it.
    pub created_by: &'a str,
}

fn read(row: &Row) -> Result<Robot> {
    Ok(Robot {
        id: row.get("id")?,
        project_id: row.get("project_id")?,
        project: row.get("project")?,
        name: row.get("name")?,
        description: row.get("description")?,
        rights: row.json("rights")?,
        disabled: row.get("disabled")?,
        expires_at: row.opt("expires_at")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
    })
}

/// Makes a robot; its number. `None` when the project has one of this name.
pub async fn create(tx: &mut Tx, new: &NewRobot<'_>) -> Result<Option<i64>> {
    let (now, rights) = (tx.now(), serde_json::to_string(new.rights)?);
    tx.find(
        "INSERT INTO robots (project_id, name, description, secret_hash, rights, disabled, \
         expires_at, created_by, created_at) VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8) \
         ON CONFLICT (project_id, name) DO NOTHING RETURNING id",
        params![
            new.project_id,
            new.name,
            new.description,
            new.secret_hash,
            rights,
            new.expires_at,
            new.created_by,
            now
        ],
        |row| row.get("id"),
    )
    .await
}

fn with_secret(row: &Row) -> Result<Credentials> {
    Ok(Credentials { robot: read(row)?, secret_hash: row.get("secret_hash")? })
}

/// A robot by project name and its own name, with the secret's hash.
pub async fn credentials(tx: &mut Tx, project: &str, name: &str) -> Result<Option<Credentials>> {
    let sql = "SELECT r.*, p.name AS project FROM robots r JOIN projects p ON p.id = r.project_id \
               WHERE p.name = $1 AND r.name = $2";
    tx.find(sql, params![project, name], with_secret).await
}

/// A robot of a project, with the secret's hash.
pub async fn credentials_of(tx: &mut Tx, project_id: i64, id: i64) -> Result<Option<Credentials>> {
    let sql = "SELECT r.*, p.name AS project FROM robots r JOIN projects p ON p.id = r.project_id \
               WHERE r.project_id = $1 AND r.id = $2";
    tx.find(sql, params![project_id, id], with_secret).await
}

/// A robot of a project.
pub async fn get(tx: &mut Tx, project_id: i64, id: i64) -> Result<Option<Robot>> {
    Ok(credentials_of(tx, project_id, id).await?.map(|found| found.robot))
}

/// Robots of a project by number, after `after`.
pub async fn list(tx: &mut Tx, project_id: i64, after: i64, limit: u32) -> Result<Vec<Robot>> {
    let sql = "SELECT r.*, p.name AS project FROM robots r JOIN projects p ON p.id = r.project_id \
               WHERE r.project_id = $1 AND r.id > $2 ORDER BY r.id LIMIT $3";
    tx.list(sql, params![project_id, after, limit], read).await
}

/// Closes or opens a robot.
pub async fn set_disabled(tx: &mut Tx, project_id: i64, id: i64, disabled: bool) -> Result<bool> {
    let sql = "UPDATE robots SET disabled = $3 WHERE project_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![project_id, id, disabled]).await? == 1)
}

/// Gives a robot a new secret.
pub async fn set_secret(tx: &mut Tx, project_id: i64, id: i64, hash: &[u8]) -> Result<bool> {
    let sql = "UPDATE robots SET secret_hash = $3 WHERE project_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![project_id, id, hash]).await? == 1)
}

/// Removes a robot.
pub async fn delete(tx: &mut Tx, project_id: i64, id: i64) -> Result<bool> {
    let sql = "DELETE FROM robots WHERE project_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![project_id, id]).await? == 1)
}
