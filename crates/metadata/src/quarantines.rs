//! Quarantines: banned digests, everywhere. Every change counts in the system's revision.

use crate::{Result, Row, Tx, params, settings};
use jiff::Timestamp;
use sealock_facts::{Quarantine, QuarantineTarget};
use sealock_oci::Digest;

/// A quarantine with what only records need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRow {
    /// Number.
    pub id: i64,
    /// The quarantine.
    pub quarantine: Quarantine,
    /// Who lifted it.
    pub lifted_by: Option<String>,
    /// When.
    pub lifted_at: Option<Timestamp>,
}

const fn word(target: QuarantineTarget) -> &'static str {
    match target {
        QuarantineTarget::Manifest => "manifest",
        QuarantineTarget::Blob => "blob",
    }
}

fn read(row: &Row) -> Result<QuarantineRow> {
    let target: String = row.get("target")?;
    Ok(QuarantineRow {
        id: row.get("id")?,
        quarantine: Quarantine {
            digest: row.get("digest")?,
            target: serde_json::from_value(serde_json::Value::String(target))?,
            reason: row.get("reason")?,
            by: row.get("created_by")?,
            since: row.get("created_at")?,
        },
        lifted_by: row.opt("lifted_by")?,
        lifted_at: row.opt("lifted_at")?,
    })
}

/// Bans a digest, whether or not it exists here. False when it is banned already.
pub async fn add(
    tx: &mut Tx,
    digest: &Digest,
    target: QuarantineTarget,
    reason: &str,
    by: &str,
) -> Result<bool> {
    let now = tx.now();
    let sql = "INSERT INTO quarantines (digest, target, reason, created_by, created_at) \
               VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (digest, target) WHERE lifted_at IS NULL DO NOTHING";
    let added = tx.execute(sql, params![digest, word(target), reason, by, now]).await? == 1;
    if added {
        settings::bump_system_rev(tx).await?;
    }
    Ok(added)
}

/// Lifts a ban; the record stays.
pub async fn lift(
    tx: &mut Tx,
    digest: &Digest,
    target: QuarantineTarget,
    by: &str,
) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE quarantines SET lifted_by = $3, lifted_at = $4 \
               WHERE digest = $1 AND target = $2 AND lifted_at IS NULL";
    let lifted = tx.execute(sql, params![digest, word(target), by, now]).await? == 1;
    if lifted {
        settings::bump_system_rev(tx).await?;
    }
    Ok(lifted)
}

/// The bans in force on any of these digests.
pub async fn in_force(tx: &mut Tx, digests: &[Digest]) -> Result<Vec<Quarantine>> {
    let sql = "SELECT * FROM quarantines WHERE lifted_at IS NULL AND digest = ANY($1) ORDER BY id";
    tx.list(sql, params![digests], |row| Ok(read(row)?.quarantine)).await
}

/// The digest that is banned for exactly this reason, if one is.
pub async fn for_reason(
    tx: &mut Tx,
    target: QuarantineTarget,
    reason: &str,
) -> Result<Option<Digest>> {
    let sql = "SELECT digest FROM quarantines WHERE lifted_at IS NULL AND target = $1 \
               AND reason = $2 ORDER BY id LIMIT 1";
    tx.find(sql, params![word(target), reason], |row| row.get("digest")).await
}

/// The bans in force on these manifests of a repository, on a blob that they name, on a child that
/// they list and on a blob of such a child: one query. For the way down from a banned index, the
/// caller passes the parents too (decision D9).
pub async fn touching(
    tx: &mut Tx,
    repository_id: i64,
    manifest_ids: &[i64],
) -> Result<Vec<Quarantine>> {
    let sql = "WITH named (id, digest) AS (\
               SELECT id, digest FROM manifests WHERE +repository_id = $1 AND id = ANY($2) \
               UNION SELECT m.id, c.digest FROM manifest_children c \
               LEFT JOIN manifests m ON m.repository_id = $1 AND m.digest = c.digest \
               WHERE +c.repository_id = $1 AND c.parent_id = ANY($2)) \
               SELECT q.* FROM quarantines q WHERE q.lifted_at IS NULL AND (\
               (q.target = 'manifest' AND q.digest IN (SELECT digest FROM named)) \
               OR (q.target = 'blob' AND q.digest IN (SELECT b.digest FROM manifest_blobs b \
               JOIN named n ON n.id = b.manifest_id))) ORDER BY q.id";
    let values = params![repository_id, manifest_ids];
    tx.list(sql, values, |row| Ok(read(row)?.quarantine)).await
}

/// Quarantines, newest first, with a number below `before`; lifted ones only when asked for.
pub async fn list(
    tx: &mut Tx,
    with_lifted: bool,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<QuarantineRow>> {
    let sql = "SELECT * FROM quarantines WHERE id < $1 AND ($2 = 1 OR lifted_at IS NULL) \
               ORDER BY id DESC LIMIT $3";
    tx.list(sql, params![before.unwrap_or(i64::MAX), with_lifted, limit], read).await
}
