//! Repositories.

use crate::{
    Result, Row, Tx, blobs,
    dying_files::{self, DyingFile, Reason},
    listing::{self, Field, Holds, Listed, Source, Wanted},
    params,
    projects::Visible,
};
use jiff::Timestamp;
use sealock_facts::Tier;
use sealock_oci::{Digest, RepositoryName};

macro_rules! names {
    ($before:literal) => {
        concat!($before, "SELECT name FROM repositories WHERE name > $1 ORDER BY name LIMIT $2")
    };
}

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
    let (all, ids, some) = visible.repositories();
    let sql = "SELECT * FROM repositories WHERE name > $1 \
               AND ($2 = 1 OR project_id = ANY($3) OR id = ANY($4)) ORDER BY name LIMIT $5";
    tx.list(sql, params![after, all, ids, some, limit], read).await
}

/// The names alone of what [`list`] gives.
pub async fn names(
    tx: &mut Tx,
    visible: &Visible,
    after: &str,
    limit: u32,
) -> Result<Vec<RepositoryName>> {
    let read = |row: &Row| row.get("name");
    match visible {
        // Two texts: all of this one stands in one index.
        Visible::All => tx.list(names!(""), params![after, limit], read).await,
        Visible::Only(ids) => {
            let sql = "SELECT name FROM repositories WHERE name > $1 AND project_id = ANY($2) \
                       ORDER BY name LIMIT $3";
            tx.list(sql, params![after, ids, limit], read).await
        }
        Visible::Parts { .. } => {
            let (_, ids, some) = visible.repositories();
            let sql = "SELECT name FROM repositories WHERE name > $1 \
                       AND (project_id = ANY($2) OR id = ANY($3)) ORDER BY name LIMIT $4";
            tx.list(sql, params![after, ids, some, limit], read).await
        }
    }
}

/// A repository by number: for what was found through a link, never for a caller's own number.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Repository>> {
    tx.find("SELECT * FROM repositories WHERE id = $1", params![id], read).await
}

/// Most repositories that somebody who is limited by patterns finds in lists.
pub const MAX_MATCHED: u32 = 100_000;

/// Numbers of the repositories of these projects whose names lie between two, both included, and
/// which `fits` takes, by project and full name. At most [`MAX_MATCHED`] are looked at.
pub async fn matching(
    tx: &mut Tx,
    projects: &[i64],
    (low, high): (&str, &str),
    fits: impl Fn(i64, &str) -> bool,
) -> Result<Vec<i64>> {
    let sql = "SELECT id, project_id, name FROM repositories WHERE name >= $2 AND name <= $3 \
               AND project_id = ANY($1) ORDER BY name LIMIT $4";
    let found = tx
        .list(sql, params![projects, low, high, MAX_MATCHED], |row| {
            let (project, name): (i64, String) = (row.get("project_id")?, row.get("name")?);
            Ok(fits(project, &name).then_some(row.get("id")?))
        })
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// Repositories of a project among those that are seen, by name, after `after`, each with its
/// number of manifests and of tags.
pub async fn with_counts(
    tx: &mut Tx,
    project_id: i64,
    visible: &Visible,
    after: &str,
    limit: u32,
) -> Result<Vec<(Repository, u64, u64)>> {
    let (all, ids, some) = visible.repositories();
    let sql = "SELECT r.*, \
               (SELECT count(*) FROM manifests m WHERE m.repository_id = r.id) AS manifests, \
               (SELECT count(*) FROM tags t WHERE t.repository_id = r.id) AS tags \
               FROM repositories r WHERE r.project_id = $1 AND r.name > $2 \
               AND ($3 = 1 OR r.project_id = ANY($4) OR r.id = ANY($5)) ORDER BY r.name LIMIT $6";
    tx.list(sql, params![project_id, after, all, ids, some, limit], |row| {
        Ok((read(row)?, row.get("manifests")?, row.get("tags")?))
    })
    .await
}

/// Gives a repository another name within its project; its number stays. False when it is not there
/// any more, or the name is taken.
pub async fn rename(tx: &mut Tx, project_id: i64, id: i64, to: &RepositoryName) -> Result<bool> {
    let sql = "UPDATE repositories SET name = $3 WHERE project_id = $1 AND id = $2 \
               AND NOT EXISTS (SELECT 1 FROM repositories r WHERE r.name = $3)";
    Ok(tx.execute(sql, params![project_id, id, to]).await? == 1)
}

/// Characters of the longest name of a project's repositories; 0 without any.
pub async fn longest_name(tx: &mut Tx, project_id: i64) -> Result<u64> {
    let sql = "SELECT coalesce(max(length(name)), 0) AS n FROM repositories WHERE project_id = $1";
    Ok(tx.find(sql, params![project_id], |row| row.get("n")).await?.unwrap_or(0))
}

/// Removes a repository that holds no manifest. False when it does not exist or holds some. The
/// blobs that it held are queued for review, and the bytes of its unfinished uploads are dying.
///
/// Safe under READ COMMITTED: the repository's row is locked, so nothing is linked, begun or stored
/// in it between the looks and the end.
pub async fn delete(tx: &mut Tx, project_id: i64, id: i64) -> Result<bool> {
    let sql = "SELECT id FROM repositories WHERE project_id = $1 AND id = $2 /*pg: FOR UPDATE */";
    let there = tx.query_one(sql, params![project_id, id]).await?;
    let sql = "SELECT 1 AS one FROM manifests WHERE repository_id = $1 LIMIT 1";
    if there.is_none() || tx.query_one(sql, params![id]).await?.is_some() {
        return Ok(false);
    }
    let sql = "SELECT digest FROM repository_blobs WHERE repository_id = $1 ORDER BY digest";
    let held: Vec<Digest> = tx.list(sql, params![id], |row| row.get("digest")).await?;
    blobs::queue(tx, &held, Reason::RepositoryDeleted).await?;
    let sql = "DELETE FROM uploads WHERE repository_id = $1 RETURNING id, received";
    let dying = tx
        .list(sql, params![id], |row| {
            let file = DyingFile::Upload { id: row.get("id")? };
            Ok((file, row.get("received")?, Reason::RepositoryDeleted))
        })
        .await?;
    dying_files::add(tx, &dying).await?;
    tx.execute("DELETE FROM repository_pulls WHERE repository_id = $1", params![id]).await?;
    let sql = "DELETE FROM repositories WHERE project_id = $1 AND id = $2 \
               AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = $2)";
    Ok(tx.execute(sql, params![project_id, id]).await? == 1)
}

/// Names of the visible repositories that hold a manifest, with the tiers of their projects: those
/// that had it first, at most `limit`.
pub async fn holders(
    tx: &mut Tx,
    visible: &Visible,
    digest: &Digest,
    limit: u32,
) -> Result<Vec<(String, Tier)>> {
    let (all, ids, some) = visible.repositories();
    let sql = "SELECT r.name AS name, p.tier AS tier FROM manifests m \
               JOIN repositories r ON r.id = m.repository_id JOIN projects p ON p.id = r.project_id \
               WHERE m.digest = $1 AND ($2 = 1 OR p.id = ANY($3) OR r.id = ANY($4)) \
               ORDER BY m.id LIMIT $5";
    let rows = tx.query(sql, params![digest, all, ids, some, limit]).await?;
    rows.iter().map(|row| Ok((row.get("name")?, row.get("tier")?))).collect()
}

/// What a list of repositories may be asked for.
pub const FIELDS: &[Field] = &[
    Field::new("id", "r.id", Holds::Int),
    Field::new("name", "r.name", Holds::Text),
    Field::new("project_id", "r.project_id", Holds::Int),
    Field::new("description", "r.description", Holds::Text),
    Field::new("creation_time", "r.created_at", Holds::Time),
    Field::new("update_time", "coalesce(r.updated_at, r.created_at)", Holds::Time),
    Field::new("pull_count", PULLS, Holds::Int),
];

const PULLS: &str =
    "coalesce((SELECT n.pulls FROM repository_pulls n WHERE n.repository_id = r.id), 0)";

/// A repository with what lists show beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The repository.
    pub repository: Repository,
    /// Text for people; may be empty.
    pub description: String,
    /// Its artifacts as lists show them: without accessories and what only an index names.
    pub artifacts: u64,
    /// How often a manifest of it was pulled.
    pub pulls: u64,
    /// When its description was changed last, or it was made.
    pub updated_at: Timestamp,
    /// Its project's name.
    pub project: String,
    /// Whether anybody may read its project.
    pub public: bool,
}

fn read_described(row: &Row) -> Result<Described> {
    Ok(Described {
        repository: read(row)?,
        description: row.get("description")?,
        artifacts: row.get("artifacts")?,
        pulls: row.get("pulls")?,
        updated_at: row.opt("updated_at")?.map_or_else(|| row.get("created_at"), Ok)?,
        project: row.get("project")?,
        public: row.get("public")?,
    })
}

/// Begins a statement about described repositories.
macro_rules! described {
    ($rest:literal) => {
        concat!(
            "SELECT r.*, p.name AS project, p.public AS public, (SELECT count(*) FROM manifests m \
             WHERE m.repository_id = r.id AND m.listed = 1) AS artifacts, \
             coalesce((SELECT n.pulls FROM repository_pulls n WHERE n.repository_id = r.id), 0) \
             AS pulls \
             FROM repositories r JOIN projects p ON p.id = r.project_id ",
            $rest
        )
    };
}

/// Repositories of the projects that the caller may see, by conditions and in an order.
pub async fn page(tx: &mut Tx, visible: &Visible, wanted: &Wanted) -> Result<Listed<Described>> {
    let (all, ids, some) = visible.repositories();
    let source = Source {
        select: "SELECT r.id AS id FROM repositories r \
                 WHERE ($1 = 1 OR r.project_id = ANY($2) OR r.id = ANY($3))",
        whole: Some(described!("WHERE r.id")),
        count: "SELECT count(*) AS total FROM repositories r \
                WHERE ($1 = 1 OR r.project_id = ANY($2) OR r.id = ANY($3))",
        values: params![all, ids, some],
        fields: FIELDS,
        order: "r.name",
    };
    listing::page(tx, source, wanted, read_described).await
}

/// A described repository by name, within its project.
pub async fn describe(
    tx: &mut Tx,
    project_id: i64,
    name: &RepositoryName,
) -> Result<Option<Described>> {
    let sql = described!("WHERE r.project_id = $1 AND r.name = $2");
    tx.find(sql, params![project_id, name], read_described).await
}

/// Counts pulls: repository, and how many more. Each repository once only.
pub async fn count_pulls(tx: &mut Tx, pulls: &[(i64, u64)]) -> Result<()> {
    let rows = pulls.iter().map(|(id, more)| params![*id, *more]).collect();
    let tail = "ON CONFLICT (repository_id) DO UPDATE \
                SET pulls = repository_pulls.pulls + excluded.pulls";
    let head = "INSERT INTO repository_pulls (repository_id, pulls)";
    tx.insert_many(head, rows, tail).await?;
    Ok(())
}

/// Sets the text for people.
pub async fn set_description(tx: &mut Tx, project_id: i64, id: i64, text: &str) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE repositories SET description = $3, updated_at = $4 \
               WHERE project_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![project_id, id, text, now]).await? == 1)
}

/// Digests in a repository that hold on to others: indexes first, so that nothing is removed under
/// one that still lists it. At most `limit`.
pub async fn digests(tx: &mut Tx, repository_id: i64, limit: u32) -> Result<Vec<Digest>> {
    let sql = "SELECT digest FROM manifests WHERE repository_id = $1 ORDER BY id DESC LIMIT $2";
    tx.list(sql, params![repository_id, limit], |row| row.get("digest")).await
}

#[cfg(test)]
mod tests {
    use crate::{params, plan};

    #[tokio::test]
    async fn names_are_read_from_an_index_alone() {
        let values = params!["", 10_i64];
        plan::assert_one_step(names!("EXPLAIN QUERY PLAN "), values, "USING COVERING INDEX").await;
    }
}
