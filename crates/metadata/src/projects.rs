//! Projects: the unit of rights, policy and tier.

use crate::{
    Result, Row, Tx, cve_allowlists, former_names,
    former_names::Named,
    listing::{self, Field, Holds, Listed, Source, Wanted},
    params, quotas,
};
use jiff::Timestamp;
use sealock_facts::Tier;

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Number.
    pub id: i64,
    /// First part of its repositories' names, unique.
    pub name: String,
    /// Anyone may pull.
    pub public: bool,
    /// Its tier.
    pub tier: Tier,
    /// Counts changes of policy, keys and waivers (decision D4).
    pub policy_rev: i64,
    /// Who made it.
    pub owner_id: Option<i64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Which projects a list may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    /// Every project.
    All,
    /// These, by number.
    Only(Vec<i64>),
    /// Some as a whole, and of others some repositories only, all by number.
    Parts {
        /// Whole projects.
        projects: Vec<i64>,
        /// Projects of which some repositories are seen.
        partly: Vec<i64>,
        /// These repositories.
        repositories: Vec<i64>,
    },
}

impl Visible {
    /// As two parameters: 1 for every project, and the list of those that are seen as a whole. For
    /// what does not stand in a repository.
    pub(crate) fn params(&self) -> (bool, &[i64]) {
        match self {
            Self::All => (true, &[]),
            Self::Only(ids) => (false, ids),
            Self::Parts { projects, .. } => (false, projects),
        }
    }

    /// As three parameters: 1 for every project, the list of those that are seen as a whole, and
    /// repositories of others.
    pub(crate) fn repositories(&self) -> (bool, &[i64], &[i64]) {
        let (all, projects) = self.params();
        match self {
            Self::All | Self::Only(_) => (all, projects, &[]),
            Self::Parts { repositories, .. } => (all, projects, repositories),
        }
    }

    /// As two parameters: 1 for every project, and the list of those of which something is seen.
    pub(crate) fn projects(&self) -> (bool, Vec<i64>) {
        let (all, projects) = self.params();
        match self {
            Self::All | Self::Only(_) => (all, projects.to_vec()),
            Self::Parts { partly, .. } => (all, [projects, partly].concat()),
        }
    }

    /// Whether something of this project is among them.
    pub fn contains(&self, project: i64) -> bool {
        let (all, ids) = self.projects();
        all || ids.contains(&project)
    }
}

/// Why somebody may read a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable {
    /// The project.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Their role there; none where anybody may.
    pub role: Option<i64>,
    /// Pattern of the repositories to which the role is limited; nothing for all.
    pub repositories: String,
}

pub(crate) fn read(row: &Row) -> Result<Project> {
    Ok(Project {
        id: row.get("id")?,
        name: row.get("name")?,
        public: row.get("public")?,
        tier: row.get("tier")?,
        policy_rev: row.get("policy_rev")?,
        owner_id: row.opt("owner_id")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Makes a project. `None` when the name is taken.
pub async fn create(
    tx: &mut Tx,
    name: &str,
    public: bool,
    tier: Tier,
    owner_id: Option<i64>,
) -> Result<Option<Project>> {
    let now = tx.now();
    let made = tx.find(
        "INSERT INTO projects (name, public, tier, policy_rev, owner_id, created_at, updated_at) \
         VALUES ($1, $2, $3, 1, $4, $5, $5) ON CONFLICT (name) DO NOTHING RETURNING *",
        params![name, public, tier, owner_id, now],
        read,
    )
    .await?;
    if let Some(project) = &made {
        quotas::begin(tx, project.id).await?;
    }
    Ok(made)
}

/// A project by number.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Project>> {
    tx.find("SELECT * FROM projects WHERE id = $1", params![id], read).await
}

/// A project by name.
pub async fn find(tx: &mut Tx, name: &str) -> Result<Option<Project>> {
    tx.find("SELECT * FROM projects WHERE name = $1", params![name], read).await
}

/// Projects by name, after `after`, among those the caller may see.
pub async fn list(tx: &mut Tx, visible: &Visible, after: &str, limit: u32) -> Result<Vec<Project>> {
    let (all, ids) = visible.projects();
    let sql = "SELECT * FROM projects WHERE name > $1 AND ($2 = 1 OR id = ANY($3)) \
               ORDER BY name LIMIT $4";
    tx.list(sql, params![after, all, &ids, limit], read).await
}

/// The projects that a user may read: public ones, and those of which they are a member; public
/// ones only for `None`. One that is both comes twice.
pub async fn readable(tx: &mut Tx, user_id: Option<i64>) -> Result<Vec<Readable>> {
    let sql = "SELECT p.id AS id, p.name AS name, 0 AS role, '' AS repositories FROM projects p \
               WHERE p.public = 1 UNION ALL SELECT p.id AS id, p.name AS name, m.role AS role, \
               m.repositories AS repositories FROM members m JOIN projects p \
               ON p.id = m.project_id WHERE m.user_id = $1";
    tx.list(sql, params![user_id], |row| {
        let role: i64 = row.get("role")?;
        Ok(Readable {
            id: row.get("id")?,
            name: row.get("name")?,
            role: (role != 0).then_some(role),
            repositories: row.get("repositories")?,
        })
    })
    .await
}

/// The numbers of all projects.
pub async fn ids(tx: &mut Tx) -> Result<Vec<i64>> {
    tx.list("SELECT id FROM projects ORDER BY id", params![], |row| row.get("id")).await
}

/// The names of projects, by number.
pub async fn names(tx: &mut Tx, ids: &[i64]) -> Result<Vec<(i64, String)>> {
    let sql = "SELECT id, name FROM projects WHERE id = ANY($1)";
    tx.list(sql, params![ids], |row| Ok((row.get("id")?, row.get("name")?))).await
}

/// Changes visibility and tier, and the policy revision with them.
pub async fn update(tx: &mut Tx, id: i64, public: bool, tier: Tier) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE projects SET public = $2, tier = $3, policy_rev = policy_rev + 1, \
               updated_at = $4 WHERE id = $1";
    Ok(tx.execute(sql, params![id, public, tier, now]).await? == 1)
}

/// Gives a project another name, and its repositories with it; numbers stay. False when it is not
/// called `from` any more, or the name is taken.
pub async fn rename(tx: &mut Tx, id: i64, from: &str, to: &str) -> Result<bool> {
    let now = tx.now();
    // Policies name projects, so verdicts are found anew.
    let sql = "UPDATE projects SET name = $3, policy_rev = policy_rev + 1, updated_at = $4 \
               WHERE id = $1 AND name = $2 \
               AND NOT EXISTS (SELECT 1 FROM projects p WHERE p.name = $3)";
    if tx.execute(sql, params![id, from, to, now]).await? != 1 {
        return Ok(false);
    }
    former_names::leave(tx, Named::Project, from, id).await?;
    // From the slash on. A name has ASCII characters only.
    let rest = i64::try_from(from.len()).unwrap_or(i64::MAX).saturating_add(1);
    let sql = "UPDATE repositories SET name = CAST($2 AS TEXT) || substr(name, CAST($3 AS INTEGER)) \
               WHERE project_id = $1";
    tx.execute(sql, params![id, to, rest]).await?;
    Ok(true)
}

/// Counts a change of policy, keys or waivers. The new revision, `None` without such a project.
pub async fn bump_policy_rev(tx: &mut Tx, id: i64) -> Result<Option<i64>> {
    let sql = "UPDATE projects SET policy_rev = policy_rev + 1 WHERE id = $1 RETURNING policy_rev";
    tx.find(sql, params![id], |row| row.get("policy_rev")).await
}

/// The policy revision now, locked until the transaction ends, so that a promotion can compare it
/// and commit before it changes.
pub async fn lock_policy_rev(tx: &mut Tx, id: i64) -> Result<Option<i64>> {
    let sql = "SELECT policy_rev FROM projects WHERE id = $1 /*pg: FOR SHARE */";
    tx.find(sql, params![id], |row| row.get("policy_rev")).await
}

/// Removes an empty project with its members, robots, keys and waivers. False when it does not
/// exist or still has repositories.
pub async fn delete(tx: &mut Tx, id: i64) -> Result<bool> {
    let sql = "DELETE FROM projects WHERE id = $1 \
               AND NOT EXISTS (SELECT 1 FROM repositories r WHERE r.project_id = $1) \
               RETURNING name";
    let gone = tx.find(sql, params![id], |row| row.get::<String>("name")).await?;
    if let Some(name) = &gone {
        former_names::leave(tx, Named::Project, name, id).await?;
        quotas::end(tx, id).await?;
        cve_allowlists::end(tx, id).await?;
    }
    Ok(gone.is_some())
}

/// What a list of projects may be asked for.
pub const FIELDS: &[Field] = &[
    Field::new("project_id", "p.id", Holds::Int),
    Field::new("name", "p.name", Holds::Text),
    Field::new("public", "p.public", Holds::Bool),
    Field::new("owner", OWNER, Holds::Text),
    Field::new("owner_name", OWNER, Holds::Text),
    Field::new("owner_id", "p.owner_id", Holds::Int),
    Field::new("creation_time", "p.created_at", Holds::Time),
    Field::new("update_time", "p.updated_at", Holds::Time),
];

/// The name of a project's owner; nothing where they are gone.
const OWNER: &str = "coalesce(CASE WHEN u.deleted_at IS NULL THEN u.name END, '')";

/// A project with what lists show beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The project.
    pub project: Project,
    /// Its owner's name; nothing where they are gone.
    pub owner_name: String,
    /// Its repositories.
    pub repositories: u64,
}

fn read_described(row: &Row) -> Result<Described> {
    Ok(Described {
        project: read(row)?,
        owner_name: row.get("owner_name")?,
        repositories: row.get("repositories")?,
    })
}

/// Projects among those that the caller may see, by conditions and in an order.
pub async fn page(tx: &mut Tx, visible: &Visible, wanted: &Wanted) -> Result<Listed<Described>> {
    let (all, ids) = visible.projects();
    let (_, whole, repositories) = visible.repositories();
    let source = Source {
        select: "SELECT p.id AS id FROM projects p LEFT JOIN users u ON u.id = p.owner_id \
                 WHERE ($1 = 1 OR p.id = ANY($2))",
        whole: Some(
            "SELECT p.*, \
             coalesce(CASE WHEN u.deleted_at IS NULL THEN u.name END, '') AS owner_name, \
             (SELECT count(*) FROM repositories r WHERE r.project_id = p.id \
             AND ($1 = 1 OR p.id = ANY($3) OR r.id = ANY($4))) AS repositories \
             FROM projects p LEFT JOIN users u ON u.id = p.owner_id WHERE p.id",
        ),
        count: "SELECT count(*) AS total FROM projects p LEFT JOIN users u ON u.id = p.owner_id \
                WHERE ($1 = 1 OR p.id = ANY($2)) AND ($3 IS NOT NULL OR $4 IS NULL)",
        values: params![all, &ids, whole, repositories],
        fields: FIELDS,
        order: "p.name",
    };
    listing::page(tx, source, wanted, read_described).await
}

/// Sets who may read a project, without a change of its policy.
pub async fn set_public(tx: &mut Tx, id: i64, public: bool) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE projects SET public = $2, updated_at = $3 WHERE id = $1";
    Ok(tx.execute(sql, params![id, public, now]).await? == 1)
}

/// How many projects and repositories there are among those that the caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Projects that anybody may read.
    pub public_projects: u64,
    /// Projects that members may read.
    pub private_projects: u64,
    /// Repositories that anybody may read.
    pub public_repositories: u64,
    /// Repositories that members may read.
    pub private_repositories: u64,
}

/// Counts what the caller may see: one statement.
pub async fn count(tx: &mut Tx, visible: &Visible) -> Result<Counts> {
    let (all, ids) = visible.projects();
    let (_, whole, some) = visible.repositories();
    let sql = "SELECT p.public AS public, count(*) AS projects, CAST(sum(\
               (SELECT count(*) FROM repositories r WHERE r.project_id = p.id \
               AND ($1 = 1 OR p.id = ANY($3) OR r.id = ANY($4)))) AS BIGINT) AS repositories \
               FROM projects p WHERE ($1 = 1 OR p.id = ANY($2)) GROUP BY p.public";
    let read = |row: &Row| -> Result<(bool, u64, u64)> {
        Ok((row.get("public")?, row.get("projects")?, row.get("repositories")?))
    };
    let mut counts = Counts::default();
    for (public, projects, repositories) in
        tx.list(sql, params![all, &ids, whole, some], read).await?
    {
        if public {
            (counts.public_projects, counts.public_repositories) = (projects, repositories);
        } else {
            (counts.private_projects, counts.private_repositories) = (projects, repositories);
        }
    }
    Ok(counts)
}
