//! Robots: credentials of pipelines, of a project or of the whole system, and what each may do.

use crate::{
    Result, Row, Tx, Value,
    listing::{self, Field, Holds, Listed, Source, Wanted},
    params,
};
use jiff::Timestamp;
use std::collections::HashMap;

/// What a list of robots may be asked for. The name is as Harbor keeps it, `PROJECT+NAME` for one
/// of a project, without the prefix of all robots.
pub const FIELDS: &[Field] = &[
    Field::new("id", "r.id", Holds::Int),
    Field::new("name", "coalesce(p.name || '+' || r.name, r.name)", Holds::Text),
    Field::new("description", "r.description", Holds::Text),
    Field::new("disable", "r.disabled", Holds::Bool),
    Field::new("disabled", "r.disabled", Holds::Bool),
    Field::new("duration", "r.duration", Holds::Int),
    Field::new("expires_at", "coalesce(r.expires_at / 1000000, -1)", Holds::Int),
    Field::new("creation_time", "r.created_at", Holds::Time),
    Field::new("update_time", "r.updated_at", Holds::Time),
];

/// A robot. The secret's hash is read apart, by [`credentials`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Robot {
    /// Number.
    pub id: i64,
    /// Its project; none for one of the whole system.
    pub project_id: Option<i64>,
    /// The project's name.
    pub project: Option<String>,
    /// Name within the project or the system.
    pub name: String,
    /// For people.
    pub description: String,
    /// May not log in.
    pub disabled: bool,
    /// Days from its beginning to its end, -1 without one.
    pub duration: i64,
    /// When it stops; never for none.
    pub expires_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// `local` for a user, `robot` for a robot.
    pub creator_kind: String,
    /// Number of who made it.
    pub creator_id: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// What it may do.
    pub grants: Vec<Grant>,
}

/// Permissions in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// In this project.
    pub project_id: Option<i64>,
    /// The project's name.
    pub project: Option<String>,
    /// In every project. Where it is neither, in the system as a whole.
    pub every_project: bool,
    /// Pattern of the names of repositories within the project; nothing for all.
    pub repositories: String,
    /// Words: `repository:pull`.
    pub permissions: Vec<String>,
}

/// Permissions to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// In this project.
    pub project_id: Option<i64>,
    /// In every project.
    pub every_project: bool,
    /// Pattern of the names of repositories; nothing for all.
    pub repositories: String,
    /// Words: `repository:pull`.
    pub permissions: Vec<String>,
}

/// What a robot's login needs.
#[derive(Clone)]
pub struct Credentials {
    /// The robot.
    pub robot: Robot,
    /// SHA-256 of the secret, or the hash of one that somebody chose, as of a password.
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
    /// Its project; none for one of the whole system.
    pub project_id: Option<i64>,
    /// Name within the project or the system.
    pub name: &'a str,
    /// For people.
    pub description: &'a str,
    /// The hash of its secret.
    pub secret_hash: &'a [u8],
    /// May not log in.
    pub disabled: bool,
    /// Days until it stops, -1 for never.
    pub duration: i64,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// Who makes it.
    pub created_by: &'a str,
    /// `local` or `robot`, and the number.
    pub creator: (&'a str, i64),
    /// What it may do.
    pub grants: &'a [NewGrant],
}

/// What changes about a robot.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// For people.
    pub description: &'a str,
    /// May not log in.
    pub disabled: bool,
    /// Days from its beginning to its end, -1 without one.
    pub duration: i64,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// What it may do.
    pub grants: &'a [NewGrant],
}

fn read(row: &Row) -> Result<Robot> {
    Ok(Robot {
        id: row.get("id")?,
        project_id: row.opt("project_id")?,
        project: row.opt("project")?,
        name: row.get("name")?,
        description: row.get("description")?,
        disabled: row.get("disabled")?,
        duration: row.get("duration")?,
        expires_at: row.opt("expires_at")?,
        created_by: row.get("created_by")?,
        creator_kind: row.get("creator_kind")?,
        creator_id: row.get("creator_id")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        grants: Vec::new(),
    })
}

/// Begins a statement about robots with their projects' names.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT r.*, p.name AS project FROM robots r LEFT JOIN projects p \
             ON p.id = r.project_id ",
            $rest
        )
    };
}

/// Makes a robot; its number. `None` when the project or the system has one of this name.
pub async fn create(tx: &mut Tx, new: &NewRobot<'_>) -> Result<Option<i64>> {
    let now = tx.now();
    let made = tx
        .find(
            "INSERT INTO robots (project_id, name, description, secret_hash, disabled, duration, \
             expires_at, created_by, creator_kind, creator_id, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) \
             ON CONFLICT DO NOTHING RETURNING id",
            params![
                new.project_id,
                new.name,
                new.description,
                new.secret_hash,
                new.disabled,
                new.duration,
                new.expires_at,
                new.created_by,
                new.creator.0,
                new.creator.1,
                now
            ],
            |row| row.get("id"),
        )
        .await?;
    if let Some(id) = made {
        give(tx, id, new.grants).await?;
    }
    Ok(made)
}

async fn give(tx: &mut Tx, id: i64, grants: &[NewGrant]) -> Result<()> {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for grant in grants {
        let permissions = serde_json::to_string(&grant.permissions)?;
        let NewGrant { project_id, every_project, repositories, .. } = grant;
        rows.push(params![id, *project_id, *every_project, repositories, permissions]);
    }
    let head = "INSERT INTO robot_grants (robot_id, project_id, every_project, repositories, \
                permissions)";
    tx.insert_many(head, rows, "").await?;
    Ok(())
}

/// Adds what each robot may do: one statement for however many.
async fn granted(tx: &mut Tx, robots: &mut [Robot]) -> Result<()> {
    let ids: Vec<i64> = robots.iter().map(|robot| robot.id).collect();
    let sql = "SELECT g.*, p.name AS project FROM robot_grants g LEFT JOIN projects p \
               ON p.id = g.project_id WHERE g.robot_id = ANY($1) ORDER BY g.id";
    let read = |row: &Row| {
        let grant = Grant {
            project_id: row.opt("project_id")?,
            project: row.opt("project")?,
            every_project: row.get("every_project")?,
            repositories: row.get("repositories")?,
            permissions: row.json("permissions")?,
        };
        Ok((row.get("robot_id")?, grant))
    };
    let mut all: HashMap<i64, Vec<Grant>> = HashMap::new();
    for (robot, grant) in tx.list(sql, params![&ids], read).await? {
        all.entry(robot).or_default().push(grant);
    }
    for robot in robots {
        robot.grants = all.remove(&robot.id).unwrap_or_default();
    }
    Ok(())
}

async fn whole(tx: &mut Tx, found: Option<Credentials>) -> Result<Option<Credentials>> {
    let Some(mut found) = found else { return Ok(None) };
    granted(tx, std::slice::from_mut(&mut found.robot)).await?;
    Ok(Some(found))
}

fn with_secret(row: &Row) -> Result<Credentials> {
    Ok(Credentials { robot: read(row)?, secret_hash: row.get("secret_hash")? })
}

/// A robot by the name of its project, or none, and its own name, with the secret's hash.
pub async fn credentials(
    tx: &mut Tx,
    project: Option<&str>,
    name: &str,
) -> Result<Option<Credentials>> {
    let found = match project {
        Some(project) => {
            let sql = select!("WHERE p.name = $1 AND r.name = $2");
            tx.find(sql, params![project, name], with_secret).await?
        }
        None => {
            let sql = select!("WHERE r.project_id IS NULL AND r.name = $1");
            tx.find(sql, params![name], with_secret).await?
        }
    };
    whole(tx, found).await
}

/// A robot of a project, or of the system, with the secret's hash.
pub async fn credentials_of(
    tx: &mut Tx,
    project_id: Option<i64>,
    id: i64,
) -> Result<Option<Credentials>> {
    let sql = select!("WHERE r.id = $2 AND coalesce(r.project_id, 0) = coalesce($1, 0)");
    let found = tx.find(sql, params![project_id, id], with_secret).await?;
    whole(tx, found).await
}

/// A robot by number. It may be of any project: whoever asks checks that of the answer, and says
/// the same where there is none.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Robot>> {
    let found = tx.find(select!("WHERE r.id = $1"), params![id], with_secret).await?;
    Ok(whole(tx, found).await?.map(|found| found.robot))
}

/// Robots of a project by number, after `after`.
pub async fn list(tx: &mut Tx, project_id: i64, after: i64, limit: u32) -> Result<Vec<Robot>> {
    let sql = select!("WHERE r.project_id = $1 AND r.id > $2 ORDER BY r.id LIMIT $3");
    let mut robots = tx.list(sql, params![project_id, after, limit], read).await?;
    granted(tx, &mut robots).await?;
    Ok(robots)
}

/// Robots of a project, or of the system, by conditions and in an order: three statements.
pub async fn page(tx: &mut Tx, project_id: Option<i64>, wanted: &Wanted) -> Result<Listed<Robot>> {
    let (select, count) = match project_id {
        Some(_) => (
            select!("WHERE r.project_id = $1"),
            "SELECT count(*) AS total FROM robots r LEFT JOIN projects p ON p.id = r.project_id \
             WHERE r.project_id = $1",
        ),
        None => (
            select!("WHERE r.project_id IS NULL AND $1 IS NULL"),
            "SELECT count(*) AS total FROM robots r LEFT JOIN projects p ON p.id = r.project_id \
             WHERE r.project_id IS NULL AND $1 IS NULL",
        ),
    };
    let values = params![project_id];
    let source = Source { select, whole: None, count, values, fields: FIELDS, order: "r.id" };
    let mut listed = listing::page(tx, source, wanted, read).await?;
    granted(tx, &mut listed.items).await?;
    Ok(listed)
}

/// Changes a robot and what it may do. False when there is none.
pub async fn update(
    tx: &mut Tx,
    project_id: Option<i64>,
    id: i64,
    change: &Change<'_>,
) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE robots SET description = $3, disabled = $4, duration = $5, expires_at = $6, \
               updated_at = $7 WHERE id = $2 AND coalesce(project_id, 0) = coalesce($1, 0)";
    let Change { description, disabled, duration, expires_at, grants } = change;
    let values = params![project_id, id, *description, *disabled, *duration, *expires_at, now];
    if tx.execute(sql, values).await? != 1 {
        return Ok(false);
    }
    tx.execute("DELETE FROM robot_grants WHERE robot_id = $1", params![id]).await?;
    give(tx, id, grants).await?;
    Ok(true)
}

/// Gives a robot a new secret.
pub async fn set_secret(
    tx: &mut Tx,
    project_id: Option<i64>,
    id: i64,
    hash: &[u8],
) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE robots SET secret_hash = $3, updated_at = $4 \
               WHERE id = $2 AND coalesce(project_id, 0) = coalesce($1, 0)";
    Ok(tx.execute(sql, params![project_id, id, hash, now]).await? == 1)
}

/// Removes a robot.
pub async fn delete(tx: &mut Tx, project_id: Option<i64>, id: i64) -> Result<bool> {
    let sql = "DELETE FROM robots WHERE id = $2 AND coalesce(project_id, 0) = coalesce($1, 0)";
    Ok(tx.execute(sql, params![project_id, id]).await? == 1)
}
