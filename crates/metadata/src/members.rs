//! Who belongs to a project, in which role.

use crate::{
    Result, Row, Tx,
    listing::{self, Field, Holds, Listed, Source, Wanted},
    params,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What a list of members may be asked for.
pub const FIELDS: &[Field] = &[
    Field::new("entity_name", "coalesce(u.name, g.name)", Holds::Text),
    Field::new("role_id", "m.role", Holds::Int),
];

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
    /// Pattern of the names of repositories within the project; nothing for all.
    pub repositories: String,
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
        repositories: row.get("repositories")?,
        created_at: row.get("created_at")?,
    })
}

/// Adds a member or changes the role; the limit of one that is there stays.
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

/// Members of a project by number, after `after`.
pub async fn list(tx: &mut Tx, project_id: i64, after: i64, limit: u32) -> Result<Vec<Member>> {
    let sql = "SELECT m.*, u.name AS user_name FROM members m JOIN users u ON u.id = m.user_id \
               WHERE m.project_id = $1 AND m.id > $2 ORDER BY m.id LIMIT $3";
    tx.list(sql, params![project_id, after, limit], read).await
}

/// A person or a group in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// Number of the membership.
    pub id: i64,
    /// The project.
    pub project_id: i64,
    /// The user, for a person.
    pub user_id: Option<i64>,
    /// The group, for a group.
    pub group_id: Option<i64>,
    /// The user's or the group's name.
    pub name: String,
    /// Harbor's role number, 1 to 5.
    pub role: i64,
    /// Pattern of the names of repositories within the project; nothing for all.
    pub repositories: String,
}

fn read_entity(row: &Row) -> Result<Entity> {
    Ok(Entity {
        id: row.get("id")?,
        project_id: row.get("project_id")?,
        user_id: row.opt("user_id")?,
        group_id: row.opt("group_id")?,
        name: row.get("entity_name")?,
        role: row.get("role")?,
        repositories: row.get("repositories")?,
    })
}

/// People and groups of a project.
pub async fn page(tx: &mut Tx, project_id: i64, wanted: &Wanted) -> Result<Listed<Entity>> {
    let source = Source {
        select: "SELECT m.*, coalesce(u.name, g.name) AS entity_name FROM members m \
                 LEFT JOIN users u ON u.id = m.user_id \
                 LEFT JOIN user_groups g ON g.id = m.group_id WHERE m.project_id = $1",
        whole: None,
        count: "SELECT count(*) AS total FROM members m LEFT JOIN users u ON u.id = m.user_id \
                LEFT JOIN user_groups g ON g.id = m.group_id WHERE m.project_id = $1",
        values: params![project_id],
        fields: FIELDS,
        order: "m.id",
    };
    listing::page(tx, source, wanted, read_entity).await
}

/// A membership by its number, within its project.
pub async fn get(tx: &mut Tx, project_id: i64, id: i64) -> Result<Option<Entity>> {
    let sql = "SELECT m.*, coalesce(u.name, g.name) AS entity_name FROM members m \
               LEFT JOIN users u ON u.id = m.user_id \
               LEFT JOIN user_groups g ON g.id = m.group_id \
               WHERE m.project_id = $1 AND m.id = $2";
    tx.find(sql, params![project_id, id], read_entity).await
}

/// Adds a person. `None` when they are a member already.
pub async fn add(tx: &mut Tx, project_id: i64, user_id: i64, role: i64) -> Result<Option<i64>> {
    let now = tx.now();
    let sql = "INSERT INTO members (project_id, user_id, role, created_at) \
               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id";
    tx.find(sql, params![project_id, user_id, role, now], |row| row.get("id")).await
}

/// Adds a group. `None` when it is a member already.
pub async fn add_group(
    tx: &mut Tx,
    project_id: i64,
    group_id: i64,
    role: i64,
) -> Result<Option<i64>> {
    let now = tx.now();
    let sql = "INSERT INTO members (project_id, group_id, role, created_at) \
               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id";
    tx.find(sql, params![project_id, group_id, role, now], |row| row.get("id")).await
}

/// Changes the role of a membership.
pub async fn set_role(tx: &mut Tx, project_id: i64, id: i64, role: i64) -> Result<bool> {
    let sql = "UPDATE members SET role = $3 WHERE project_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![project_id, id, role]).await? == 1)
}

/// Limits a membership to repositories; nothing is no limit.
pub async fn set_limit(tx: &mut Tx, project_id: i64, id: i64, repositories: &str) -> Result<bool> {
    let sql = "UPDATE members SET repositories = $3 WHERE project_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![project_id, id, repositories]).await? == 1)
}

/// Ends a membership.
pub async fn end(tx: &mut Tx, project_id: i64, id: i64) -> Result<bool> {
    let sql = "DELETE FROM members WHERE project_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![project_id, id]).await? == 1)
}

/// The roles of a user in a project, each with the pattern of repositories to which it is limited.
pub async fn roles(tx: &mut Tx, project_id: i64, user_id: i64) -> Result<Vec<(i64, String)>> {
    let sql = "SELECT role, repositories FROM members WHERE project_id = $1 AND user_id = $2";
    let read = |row: &Row| Ok((row.get("role")?, row.get("repositories")?));
    tx.list(sql, params![project_id, user_id], read).await
}

/// The roles of a user in each of these projects.
pub async fn roles_in(
    tx: &mut Tx,
    user_id: i64,
    projects: &[i64],
) -> Result<BTreeMap<i64, Vec<i64>>> {
    let sql = "SELECT project_id, role FROM members WHERE user_id = $1 AND project_id = ANY($2)";
    let read = |row: &Row| Ok((row.get::<i64>("project_id")?, row.get::<i64>("role")?));
    let mut all: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (project, role) in tx.list(sql, params![user_id, projects], read).await? {
        all.entry(project).or_default().push(role);
    }
    Ok(all)
}

/// How many members of a project have each role.
pub async fn count_by_role(tx: &mut Tx, project_id: i64) -> Result<BTreeMap<i64, u64>> {
    let sql = "SELECT role, count(*) AS members FROM members WHERE project_id = $1 GROUP BY role";
    let read = |row: &Row| Ok((row.get("role")?, row.get("members")?));
    Ok(tx.list(sql, params![project_id], read).await?.into_iter().collect())
}

/// The projects in which a user has this role.
pub async fn projects_with_role(tx: &mut Tx, user_id: i64, role: i64) -> Result<Vec<i64>> {
    let sql = "SELECT project_id FROM members WHERE user_id = $1 AND role = $2";
    tx.list(sql, params![user_id, role], |row| row.get("project_id")).await
}
