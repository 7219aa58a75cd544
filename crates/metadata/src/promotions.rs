//! Promotions: what entered a tier, from where, by which decision.

use crate::{Result, Row, Tx, params, projects::Visible};
use jiff::Timestamp;
use sealock_oci::Digest;

/// A promotion to be recorded.
#[derive(Debug, Clone)]
pub struct NewPromotion<'a> {
    /// What was promoted.
    pub digest: &'a Digest,
    /// Project and repository it came from.
    pub source: (i64, &'a str),
    /// Project and repository it went to.
    pub target: (i64, &'a str),
    /// The tag it got.
    pub target_tag: Option<&'a str>,
    /// The decision.
    pub decision_id: i64,
    /// Digest of the signed summary's manifest.
    pub summary: Option<&'a Digest>,
    /// Accessories that were not verified and stayed behind.
    pub left_behind: &'a [Digest],
    /// Who.
    pub actor: &'a str,
}

/// A recorded promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// Number.
    pub id: i64,
    /// What was promoted.
    pub digest: Digest,
    /// Project it came from.
    pub source_project_id: i64,
    /// Repository it came from.
    pub source_repository: String,
    /// Project it went to.
    pub target_project_id: i64,
    /// Repository it went to.
    pub target_repository: String,
    /// The tag it got.
    pub target_tag: Option<String>,
    /// The decision.
    pub decision_id: i64,
    /// Digest of the signed summary's manifest.
    pub summary: Option<Digest>,
    /// Accessories that stayed behind.
    pub left_behind: Vec<Digest>,
    /// Who.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

fn read(row: &Row) -> Result<Promotion> {
    Ok(Promotion {
        id: row.get("id")?,
        digest: row.get("digest")?,
        source_project_id: row.get("source_project_id")?,
        source_repository: row.get("source_repository")?,
        target_project_id: row.get("target_project_id")?,
        target_repository: row.get("target_repository")?,
        target_tag: row.opt("target_tag")?,
        decision_id: row.get("decision_id")?,
        summary: row.opt("summary_digest")?,
        left_behind: row.json("left_behind")?,
        actor: row.get("actor")?,
        at: row.get("promoted_at")?,
    })
}

/// Records a promotion, in the transaction that links it. Its number.
pub async fn record(tx: &mut Tx, new: &NewPromotion<'_>) -> Result<i64> {
    let now = tx.now();
    let sql = "INSERT INTO promotions (digest, source_project_id, source_repository, \
               target_project_id, target_repository, target_tag, decision_id, summary_digest, \
               left_behind, actor, promoted_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id";
    let values = params![
        new.digest,
        new.source.0,
        new.source.1,
        new.target.0,
        new.target.1,
        new.target_tag,
        new.decision_id,
        new.summary,
        serde_json::to_string(new.left_behind)?,
        new.actor,
        now
    ];
    tx.find(sql, values, |row| row.get("id")).await?.ok_or(crate::Error::Retry)
}

/// Promotions into projects that the caller may read, newest first, with a number below `before`,
/// of one digest or any.
pub async fn list(
    tx: &mut Tx,
    visible: &Visible,
    digest: Option<&Digest>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Promotion>> {
    let (all, ids) = visible.params();
    let sql = "SELECT * FROM promotions WHERE id < $1 AND ($2 = 1 OR target_project_id = ANY($3)) \
               AND ($4 IS NULL OR digest = $4) ORDER BY id DESC LIMIT $5";
    tx.list(sql, params![before.unwrap_or(i64::MAX), all, ids, digest, limit], read).await
}

/// Whether this digest was promoted into this project: findings that are new since then warn at
/// pull and admit (decision D2). The newest promotion.
pub async fn into_project(
    tx: &mut Tx,
    target_project_id: i64,
    digest: &Digest,
) -> Result<Option<Promotion>> {
    let sql = "SELECT * FROM promotions WHERE digest = $1 AND target_project_id = $2 \
               ORDER BY id DESC LIMIT 1";
    tx.find(sql, params![digest, target_project_id], read).await
}
