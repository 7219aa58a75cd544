//! Storage quotas: what the manifests of each project hold, and how much that may be.
//!
//! A blob or manifest counts once in a project, however many of the project's manifests name it:
//! one row for each, with the number of those that do (decision D15). Every call of
//! [`crate::manifests`] that stores or removes a manifest counts it here in the same transaction;
//! blob uploads touch nothing. Who adds asks [`settle`] before the commit.
//!
//! What makes it exact under READ COMMITTED: rows of blobs are locked in the order of digests, and
//! whether one is new is told by the upsert itself. The sum is no hot row: each writer adds to a
//! row of the project that nobody else holds. Only in a project with a limit, and only for what
//! adds to it, do writers stand in line: they lock the limit, then read the sum, then commit.

use crate::{
    Engine, Result, Row, Tx,
    listing::{self, Field, Holds, Listed, Source, Wanted},
    manifests::ManifestBlob,
    params,
};
use jiff::Timestamp;
use sealock_oci::{Digest, media_type::is_foreign_layer};
use std::collections::BTreeMap;

/// The limit that is none.
pub const UNLIMITED: i64 = -1;
/// Setting: the limit that new projects get.
pub const DEFAULT_SETTING: &str = "storage_per_project";

/// A project's limit and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Number, which is the project's.
    pub id: i64,
    /// The project's name.
    pub project: String,
    /// Login name of the project's owner; nothing where they are gone.
    pub owner: String,
    /// Most bytes, or [`UNLIMITED`].
    pub hard: i64,
    /// Bytes now.
    pub used: i64,
    /// When the project was made.
    pub created_at: Timestamp,
    /// When the limit was last set.
    pub updated_at: Timestamp,
}

/// What a list of quotas may be asked for. Ordered by its limit, a project without one is last.
pub const FIELDS: &[Field] = &[
    Field::new("id", "x.project_id", Holds::Int),
    Field::new("reference_id", "x.project_id", Holds::Int),
    Field::new(
        "hard.storage",
        "CASE WHEN x.hard < 0 THEN 9223372036854775807 ELSE x.hard END",
        Holds::Int,
    ),
    Field::new("used.storage", "x.used", Holds::Int),
    Field::new("creation_time", "x.created_at", Holds::Time),
    Field::new("update_time", "x.updated_at", Holds::Time),
];

/// What a transaction adds to a project with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Bytes that it adds.
    pub added: i64,
    /// Bytes with it.
    pub used: i64,
    /// The limit in bytes.
    pub hard: i64,
}

/// What a project with a limit holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Bytes.
    pub used: i64,
    /// The limit in bytes.
    pub hard: i64,
}

/// What one transaction has added to one project so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Charge {
    added: i64,
    limited: bool,
}

fn read(row: &Row) -> Result<Quota> {
    Ok(Quota {
        id: row.get("project_id")?,
        project: row.get("project")?,
        owner: row.get("owner")?,
        hard: row.get("hard")?,
        used: row.get::<i64>("used")?.max(0),
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Counts what a manifest that is new in its project's repository names, and the manifest itself if
/// it is given. The blobs are present in the repository, or foreign.
pub(crate) async fn charge(
    tx: &mut Tx,
    (project_id, repository_id): (i64, i64),
    manifest: Option<(&Digest, u64)>,
    blobs: &[ManifestBlob],
) -> Result<()> {
    let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
    let mut foreign: Vec<Digest> = Vec::new();
    for blob in blobs {
        // A foreign layer's descriptor is not compared with anything.
        if is_foreign_layer(&blob.media_type) {
            foreign.push(blob.digest);
        } else {
            sizes.insert(blob.digest, blob.size);
        }
    }
    foreign.retain(|digest| !sizes.contains_key(digest));
    if !foreign.is_empty() {
        let held = crate::blobs::held(tx, repository_id, &foreign).await?;
        sizes.extend(foreign.into_iter().map(|digest| (digest, 0)));
        sizes.extend(held.into_iter().map(|blob| (blob.digest, blob.size)));
    }
    sizes.extend(manifest.map(|(digest, size)| (*digest, size)));
    if sizes.is_empty() {
        return Ok(());
    }
    let rows = sizes.iter().map(|(digest, size)| params![project_id, digest, *size, 1]).collect();
    let head = "INSERT INTO project_blobs (project_id, digest, size, refs)";
    let tail = "ON CONFLICT (project_id, digest) DO UPDATE SET refs = project_blobs.refs + 1 \
                RETURNING digest, size, refs";
    let mut added = 0;
    for row in tx.insert_many(head, rows, tail).await? {
        let (digest, size, refs): (Digest, i64, i64) =
            (row.get("digest")?, row.get("size")?, row.get("refs")?);
        if refs == 1 {
            added += size;
        } else if size == 0 && sizes.get(&digest).is_some_and(|size| *size > 0) {
            // Named before it was here.
            let here = sizes.get(&digest).copied().unwrap_or_default();
            let sql = "UPDATE project_blobs SET size = $3 \
                       WHERE project_id = $1 AND digest = $2 AND size = 0 RETURNING size";
            added += tx
                .find(sql, params![project_id, digest, here], |row| row.get("size"))
                .await?
                .unwrap_or(0);
        }
    }
    add(tx, project_id, added).await
}

/// Takes back what these manifests of a repository named, before their rows go; and the manifests
/// themselves, if their digests are given.
pub(crate) async fn discharge(
    tx: &mut Tx,
    project_id: i64,
    manifest_ids: &[i64],
    manifests: &[Digest],
) -> Result<()> {
    let sql = "SELECT digest, count(DISTINCT manifest_id) AS n FROM manifest_blobs \
               WHERE manifest_id = ANY($1) GROUP BY digest";
    let named =
        tx.list(sql, params![manifest_ids], |row| Ok((row.get("digest")?, row.get("n")?))).await?;
    let mut refs: BTreeMap<Digest, i64> = named.into_iter().collect();
    for digest in manifests {
        *refs.entry(*digest).or_default() += 1;
    }
    let digests: Vec<Digest> = refs.keys().copied().collect();
    if tx.engine() == Engine::Postgres {
        let sql = "SELECT digest FROM project_blobs WHERE project_id = $1 AND digest = ANY($2) \
                   ORDER BY digest /*pg: FOR UPDATE */";
        tx.query(sql, params![project_id, &digests]).await?;
    }
    let mut alike: BTreeMap<i64, Vec<Digest>> = BTreeMap::new();
    for (digest, n) in refs {
        alike.entry(n).or_default().push(digest);
    }
    for (n, digests) in alike {
        let sql = "UPDATE project_blobs SET refs = refs - $2 \
                   WHERE project_id = $1 AND digest = ANY($3)";
        tx.execute(sql, params![project_id, n, &digests]).await?;
    }
    let sql = "DELETE FROM project_blobs WHERE project_id = $1 AND digest = ANY($2) \
               AND refs <= 0 RETURNING size";
    let gone: Vec<i64> = tx.list(sql, params![project_id, &digests], |row| row.get("size")).await?;
    add(tx, project_id, -gone.iter().sum::<i64>()).await
}

/// Counts foreign layers that came after the manifests that name them, once a review of their links
/// has found that they stay.
pub(crate) async fn arrived(tx: &mut Tx, digests: &[Digest]) -> Result<()> {
    let sql = "UPDATE project_blobs SET size = \
               (SELECT b.size FROM blobs b WHERE b.digest = project_blobs.digest) \
               WHERE size = 0 AND digest = ANY($1) \
               AND EXISTS (SELECT 1 FROM blobs b WHERE b.digest = project_blobs.digest \
               AND b.size > 0) \
               AND EXISTS (SELECT 1 FROM repository_blobs l JOIN repositories r \
               ON r.id = l.repository_id WHERE l.digest = project_blobs.digest \
               AND r.project_id = project_blobs.project_id AND l.review_at IS NULL) \
               RETURNING project_id, size";
    let found: Vec<(i64, i64)> = tx
        .list(sql, params![digests], |row| Ok((row.get("project_id")?, row.get("size")?)))
        .await?;
    for (project_id, size) in found {
        add(tx, project_id, size).await?;
    }
    Ok(())
}

/// Adds to a project's sum, in a row that no other transaction holds.
async fn add(tx: &mut Tx, project_id: i64, bytes: i64) -> Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let sql = "UPDATE project_usage SET bytes = bytes + $2 WHERE id = (\
               SELECT id FROM project_usage WHERE project_id = $1 ORDER BY id LIMIT 1 \
               /*pg: FOR UPDATE SKIP LOCKED */) \
               RETURNING (SELECT hard FROM project_quotas WHERE project_id = $1) AS hard";
    let mut hard = tx.find(sql, params![project_id, bytes], |row| row.opt("hard")).await?;
    if hard.is_none() {
        let sql = "INSERT INTO project_usage (project_id, bytes) VALUES ($1, $2) \
                   RETURNING (SELECT hard FROM project_quotas WHERE project_id = $1) AS hard";
        hard = tx.find(sql, params![project_id, bytes], |row| row.opt("hard")).await?;
    }
    let charge = tx.charges().entry(project_id).or_default();
    charge.added += bytes;
    charge.limited |= hard.flatten().unwrap_or(UNLIMITED) != UNLIMITED;
    Ok(())
}

/// What this transaction adds to a project with a limit; `None` when there is no limit or it adds
/// nothing. To be asked last before the commit: from here on others that add to the project wait,
/// so that two which fit one by one and not together are not both let in.
pub async fn settle(tx: &mut Tx, project_id: i64) -> Result<Option<Settled>> {
    let charge = *tx.charges().entry(project_id).or_default();
    if charge.added <= 0 || !charge.limited {
        return Ok(None);
    }
    let sql = "SELECT hard FROM project_quotas WHERE project_id = $1 /*pg: FOR UPDATE */";
    let hard = tx.find(sql, params![project_id], |row| row.get("hard")).await?;
    let Some(hard) = hard.filter(|hard| *hard != UNLIMITED) else { return Ok(None) };
    Ok(Some(Settled { added: charge.added, used: used(tx, project_id).await?, hard }))
}

/// Bytes that a project's manifests hold.
pub async fn used(tx: &mut Tx, project_id: i64) -> Result<i64> {
    let sql = "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS used FROM project_usage \
               WHERE project_id = $1";
    Ok(tx.find(sql, params![project_id], |row| row.get("used")).await?.unwrap_or(0))
}

/// What a project with a limit holds now; `None` when it has none. One look for a project without.
pub async fn standing(tx: &mut Tx, project_id: i64) -> Result<Option<Standing>> {
    let sql = "SELECT hard FROM project_quotas WHERE project_id = $1 AND hard >= 0";
    let hard: Option<i64> = tx.find(sql, params![project_id], |row| row.get("hard")).await?;
    let Some(hard) = hard else { return Ok(None) };
    Ok(Some(Standing { used: used(tx, project_id).await?, hard }))
}

/// Whether a blob is counted in a project already.
pub async fn counts(tx: &mut Tx, project_id: i64, digest: &Digest) -> Result<bool> {
    let sql = "SELECT 1 AS one FROM project_blobs \
               WHERE project_id = $1 AND digest = $2 AND size > 0";
    Ok(tx.query_one(sql, params![project_id, digest]).await?.is_some())
}

/// Bytes that a project's repositories hold and none of its manifests named yet: uploads and
/// mounts under way or left lying, until the collector takes them. What a deleted manifest left
/// behind was counted, and is not here.
pub async fn unnamed(tx: &mut Tx, project_id: i64) -> Result<i64> {
    let sql = "SELECT CAST(coalesce(sum(b.size), 0) AS BIGINT) AS bytes FROM blobs b \
               WHERE b.digest IN (SELECT l.digest FROM repositories r \
               JOIN repository_blobs l ON l.repository_id = r.id WHERE r.project_id = $1 \
               AND (l.review_reason = 'unnamed' OR l.review_at IS NULL)) \
               AND NOT EXISTS (SELECT 1 FROM project_blobs q WHERE q.project_id = $1 \
               AND q.digest = b.digest AND q.size > 0)";
    Ok(tx.find(sql, params![project_id], |row| row.get("bytes")).await?.unwrap_or(0))
}

/// Gives a new project the limit that new projects get.
pub(crate) async fn begin(tx: &mut Tx, project_id: i64) -> Result<()> {
    let now = tx.now();
    let sql = "INSERT INTO project_quotas (project_id, hard, created_at, updated_at) \
               VALUES ($1, coalesce((SELECT CAST(value AS BIGINT) FROM settings \
               WHERE key = 'storage_per_project'), -1), $2, $2)";
    tx.execute(sql, params![project_id, now]).await?;
    Ok(())
}

/// Removes what is counted of a project that goes.
pub(crate) async fn end(tx: &mut Tx, project_id: i64) -> Result<()> {
    tx.execute("DELETE FROM project_blobs WHERE project_id = $1", params![project_id]).await?;
    tx.execute("DELETE FROM project_usage WHERE project_id = $1", params![project_id]).await?;
    Ok(())
}

/// Sets a project's limit: bytes, or [`UNLIMITED`]. It may be less than the project holds: then
/// nothing more comes in. The limit before; `None` without such a project.
pub async fn set(tx: &mut Tx, project_id: i64, hard: i64) -> Result<Option<i64>> {
    let sql = "SELECT hard FROM project_quotas WHERE project_id = $1 /*pg: FOR UPDATE */";
    let before = tx.find(sql, params![project_id], |row| row.get("hard")).await?;
    let now = tx.now();
    let sql = "UPDATE project_quotas SET hard = $2, updated_at = $3 WHERE project_id = $1";
    tx.execute(sql, params![project_id, hard, now]).await?;
    Ok(before)
}

/// Begins a statement about quotas with their use.
macro_rules! quotas {
    ($before:literal, $rest:literal) => {
        concat!(
            $before,
            " FROM (SELECT q.*, p.name AS project, ",
            "coalesce(CASE WHEN u.deleted_at IS NULL THEN u.name END, '') AS owner, ",
            "(SELECT CAST(coalesce(sum(s.bytes), 0) AS BIGINT) FROM project_usage s ",
            "WHERE s.project_id = q.project_id) AS used FROM project_quotas q ",
            "JOIN projects p ON p.id = q.project_id LEFT JOIN users u ON u.id = p.owner_id) x ",
            $rest
        )
    };
}

/// A project's quota.
pub async fn get(tx: &mut Tx, project_id: i64) -> Result<Option<Quota>> {
    tx.find(quotas!("SELECT x.*", "WHERE x.project_id = $1"), params![project_id], read).await
}

/// Quotas, by conditions and in an order; the newest first where none is asked for. For system
/// administrators.
pub async fn page(tx: &mut Tx, wanted: &Wanted) -> Result<Listed<Quota>> {
    let source = Source {
        select: quotas!("SELECT x.project_id AS id", "WHERE 1 = 1"),
        whole: Some(quotas!("SELECT x.*", "WHERE x.project_id")),
        count: quotas!("SELECT count(*) AS total", "WHERE 1 = 1"),
        values: Vec::new(),
        fields: FIELDS,
        // Numbers grow with time, and are an index.
        order: "x.project_id DESC",
    };
    listing::page(tx, source, wanted, read).await
}

/// Bytes that all projects hold by their quotas: what is in two of them counts in both.
pub async fn used_by_all(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS used FROM project_usage";
    Ok(tx.find(sql, params![], |row| row.get("used")).await?.unwrap_or(0))
}
