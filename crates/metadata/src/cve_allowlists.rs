//! Harbor's lists of vulnerabilities that are to count for nothing: each project's and the
//! system's.
//!
//! They are read as waivers ([`in_force`]), asked for by who wrote the list and granted by who
//! confirmed it. A list that nobody confirmed states its writer twice: what such a waiver is worth
//! is the gate's matter (decision D20).

use crate::{Result, Row, Tx, params};
use jiff::{SignedDuration, Timestamp};
use sealock_facts::{Waiver, WaiverScope, WaiverState};
use std::collections::BTreeMap;

/// The number under which the system's list stands.
pub const SYSTEM: i64 = 0;
/// How long a list without an end is believed after it was written or confirmed, in days.
pub const MAX_LIST_DAYS: i64 = 366;

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowlistRow {
    /// The project's number, or [`SYSTEM`].
    pub project_id: i64,
    /// Names of vulnerabilities, in order, each once.
    pub items: Vec<String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Whether the system's list counts in this project instead of it.
    pub reuse_system: bool,
    /// Who wrote it.
    pub written_by: String,
    /// Their number.
    pub writer_id: i64,
    /// Who let it count.
    pub granted_by: Option<String>,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it was last written or confirmed.
    pub updated_at: Timestamp,
}

fn read(row: &Row) -> Result<AllowlistRow> {
    Ok(AllowlistRow {
        project_id: row.get("project_id")?,
        items: row.json("items")?,
        expires_at: row.opt("expires_at")?,
        reuse_system: row.get("reuse_system")?,
        written_by: row.get("written_by")?,
        writer_id: row.get("writer_id")?,
        granted_by: row.opt("granted_by")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// A list, held still until the transaction ends.
pub async fn lock(tx: &mut Tx, project_id: i64) -> Result<Option<AllowlistRow>> {
    let sql = "SELECT * FROM cve_allowlists WHERE project_id = $1 /*pg: FOR UPDATE */";
    tx.find(sql, params![project_id], read).await
}

/// A list.
pub async fn get(tx: &mut Tx, project_id: i64) -> Result<Option<AllowlistRow>> {
    let sql = "SELECT * FROM cve_allowlists WHERE project_id = $1";
    tx.find(sql, params![project_id], read).await
}

/// The lists of these projects, by the project's number.
pub async fn of(tx: &mut Tx, projects: &[i64]) -> Result<BTreeMap<i64, AllowlistRow>> {
    let sql = "SELECT * FROM cve_allowlists WHERE project_id = ANY($1)";
    let rows = tx.list(sql, params![projects], read).await?;
    Ok(rows.into_iter().map(|row| (row.project_id, row)).collect())
}

/// Writes a list, as it is given, save when it was first written.
pub async fn put(tx: &mut Tx, list: &AllowlistRow) -> Result<()> {
    let sql = "INSERT INTO cve_allowlists (project_id, items, expires_at, reuse_system, \
               written_by, writer_id, granted_by, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
               ON CONFLICT (project_id) DO UPDATE SET items = excluded.items, \
               expires_at = excluded.expires_at, reuse_system = excluded.reuse_system, \
               written_by = excluded.written_by, writer_id = excluded.writer_id, \
               granted_by = excluded.granted_by, updated_at = excluded.updated_at";
    let items = serde_json::to_string(&list.items)?;
    let values = params![
        list.project_id,
        items.as_str(),
        list.expires_at,
        list.reuse_system,
        list.written_by.as_str(),
        list.writer_id,
        list.granted_by.as_deref(),
        list.created_at,
        list.updated_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Lets a list count, by another person than the one who wrote it: the condition stands in the
/// UPDATE. False when there is none, or the same person asks.
pub async fn grant(tx: &mut Tx, project_id: i64, id: i64, by: &str) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE cve_allowlists SET granted_by = $3, updated_at = $4 \
               WHERE project_id = $1 AND writer_id <> $2";
    Ok(tx.execute(sql, params![project_id, id, by, now]).await? == 1)
}

/// Removes the list of a project that goes.
pub(crate) async fn end(tx: &mut Tx, project_id: i64) -> Result<()> {
    let sql = "DELETE FROM cve_allowlists WHERE project_id = $1";
    tx.execute(sql, params![project_id]).await?;
    Ok(())
}

/// What the lists that count in a project excuse, as waivers with numbers below zero.
pub(crate) async fn in_force(tx: &mut Tx, project_id: i64) -> Result<Vec<Waiver>> {
    let sql = "SELECT * FROM cve_allowlists WHERE project_id = $1 OR project_id = 0 \
               ORDER BY project_id DESC";
    let lists = tx.list(sql, params![project_id], read).await?;
    let reuses = lists.iter().find(|list| list.project_id == project_id);
    let reuses = reuses.is_none_or(|list| list.reuse_system);
    let now = tx.now();
    let mut waivers = Vec::new();
    let mut id = 0;
    for list in lists {
        // One or the other, as in Harbor: where the system's counts, the project's does not.
        if (list.project_id == SYSTEM) != reuses {
            continue;
        }
        let days = SignedDuration::from_hours(24 * MAX_LIST_DAYS);
        let end = list.updated_at.saturating_add(days).unwrap_or(Timestamp::MAX);
        let end = list.expires_at.map_or(end, |stated| stated.min(end));
        let whose = if list.project_id == SYSTEM { "the system's" } else { "the project's" };
        for item in list.items.iter().filter(|_| end > now) {
            id -= 1;
            waivers.push(Waiver {
                id,
                scope: WaiverScope {
                    vulnerability: item.clone(),
                    component: None,
                    repository: None,
                    digest: None,
                },
                reason: format!("on {whose} CVE allowlist"),
                requested_by: list.written_by.clone(),
                requested_at: list.updated_at,
                state: WaiverState::Granted,
                decided_by: Some(
                    list.granted_by.clone().unwrap_or_else(|| list.written_by.clone()),
                ),
                expires_at: end,
            });
        }
    }
    Ok(waivers)
}
