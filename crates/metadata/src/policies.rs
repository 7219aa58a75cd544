//! Policy documents, every version kept.

use crate::{Result, Row, Tx, engine::words, params, projects, settings};
use jiff::Timestamp;
use std::collections::BTreeMap;

words! {
    /// What a policy stands over.
    pub enum PolicyScope {
        /// Everything.
        Floor = "floor",
        /// A tier, by its word.
        Tier = "tier",
        /// A project, by its number.
        Project = "project",
        /// A namespace of a cluster, as the cluster's number, `/` and the namespace.
        Cluster = "cluster",
    }
}

/// One version of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Number.
    pub id: i64,
    /// Scope.
    pub scope: PolicyScope,
    /// Which tier, project or cluster's namespace; empty for the floor.
    pub target: String,
    /// Counts from 1 within scope and target.
    pub version: i64,
    /// The text as it was written; none when this version removes the policy.
    pub document: Option<String>,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub created_at: Timestamp,
}

fn read(row: &Row) -> Result<Policy> {
    Ok(Policy {
        id: row.get("id")?,
        scope: row.get("scope")?,
        target: row.get("target")?,
        version: row.get("version")?,
        document: row.opt("document")?,
        author: row.get("author")?,
        created_at: row.get("created_at")?,
    })
}

/// Writes the next version; `None` as document removes the policy. It counts in the project's
/// policy revision, or in the system's for every other scope.
pub async fn put(
    tx: &mut Tx,
    scope: PolicyScope,
    target: &str,
    document: Option<&str>,
    author: &str,
) -> Result<Policy> {
    let now = tx.now();
    let sql = "INSERT INTO policies (scope, target, version, document, author, created_at) \
               SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5 FROM policies \
               WHERE scope = $1 AND target = $2 RETURNING *";
    // Two writers of one policy at once meet at UNIQUE (scope, target, version): one gets Conflict.
    let row = tx.find(sql, params![scope, target, document, author, now], read).await?;
    match (scope, target.parse()) {
        (PolicyScope::Project, Ok(id)) => projects::bump_policy_rev(tx, id).await?,
        _ => Some(settings::bump_system_rev(tx).await?),
    };
    row.ok_or(crate::Error::Retry)
}

/// The version in force.
pub async fn current(tx: &mut Tx, scope: PolicyScope, target: &str) -> Result<Option<Policy>> {
    let sql = "SELECT * FROM policies WHERE scope = $1 AND target = $2 \
               ORDER BY version DESC LIMIT 1";
    let newest = tx.find(sql, params![scope, target], read).await?;
    Ok(newest.filter(|policy| policy.document.is_some()))
}

/// The documents in force of these projects, by the project's number.
pub async fn of_projects(tx: &mut Tx, projects: &[i64]) -> Result<BTreeMap<i64, String>> {
    let targets: Vec<String> = projects.iter().map(i64::to_string).collect();
    let sql = "SELECT p.target AS target, p.document AS document FROM policies p \
               WHERE p.scope = 'project' AND p.target = ANY($1) AND p.document IS NOT NULL \
               AND p.version = (SELECT max(n.version) FROM policies n \
               WHERE n.scope = p.scope AND n.target = p.target)";
    let rows = tx.query(sql, params![&targets]).await?;
    let read = |row: &Row| -> Result<Option<(i64, String)>> {
        let target: String = row.get("target")?;
        Ok(target.parse().ok().zip(Some(row.get("document")?)))
    };
    rows.iter().filter_map(|row| read(row).transpose()).collect()
}

/// One version.
pub async fn version(
    tx: &mut Tx,
    scope: PolicyScope,
    target: &str,
    version: i64,
) -> Result<Option<Policy>> {
    let sql = "SELECT * FROM policies WHERE scope = $1 AND target = $2 AND version = $3";
    tx.find(sql, params![scope, target, version], read).await
}

/// The documents in force for a project at a door: floor, its tier, itself and, for admission, the
/// cluster's namespace, named by the policy's target. One query.
pub async fn applicable(
    tx: &mut Tx,
    tier: sealock_facts::Tier,
    project_id: i64,
    cluster: Option<&str>,
) -> Result<Vec<Policy>> {
    let sql = "SELECT p.* FROM policies p WHERE p.document IS NOT NULL AND (\
               (p.scope = 'floor' AND p.target = '') OR (p.scope = 'tier' AND p.target = $1) \
               OR (p.scope = 'project' AND p.target = $2) \
               OR (p.scope = 'cluster' AND p.target = $3)) \
               AND p.version = (SELECT max(n.version) FROM policies n \
               WHERE n.scope = p.scope AND n.target = p.target) ORDER BY p.scope, p.target";
    tx.list(sql, params![tier, project_id.to_string(), cluster], read).await
}

/// Policies in force of the floor, the tiers and the projects whose text has this in it, in either
/// case, after the one of this number. Text is what it is: whether it means something is seen when
/// it is read.
pub async fn with_text(tx: &mut Tx, text: &str, after: i64, limit: u32) -> Result<Vec<Policy>> {
    let sql = "SELECT p.* FROM policies p WHERE p.id > $2 \
               AND lower(p.document) LIKE '%' || lower($1) || '%' \
               AND (p.scope IN ('floor', 'tier') OR (p.scope = 'project' \
               AND EXISTS (SELECT 1 FROM projects o WHERE CAST(o.id AS TEXT) = p.target))) \
               AND p.version = (SELECT max(n.version) FROM policies n \
               WHERE n.scope = p.scope AND n.target = p.target) ORDER BY p.id LIMIT $3";
    tx.list(sql, params![text, after, limit], read).await
}

/// Versions of a policy, newest first, before version `before`.
pub async fn history(
    tx: &mut Tx,
    scope: PolicyScope,
    target: &str,
    before: i64,
    limit: u32,
) -> Result<Vec<Policy>> {
    let sql = "SELECT * FROM policies WHERE scope = $1 AND target = $2 AND version < $3 \
               ORDER BY version DESC LIMIT $4";
    tx.list(sql, params![scope, target, before, limit], read).await
}
