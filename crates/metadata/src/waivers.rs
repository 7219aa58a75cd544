//! Waivers: recorded exceptions (decision D20). Decisions count in the project's policy revision.

use crate::{Result, Row, Tx, params, projects};
use jiff::Timestamp;
use sealock_facts::{Waiver, WaiverScope, WaiverState};

/// A waiver with what only records need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaiverRow {
    /// The project.
    pub project_id: i64,
    /// Number of the user who asked.
    pub requester_id: i64,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// What the decider said.
    pub decision_reason: Option<String>,
    /// The waiver.
    pub waiver: Waiver,
}

/// What became of a decision about a waiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// Done.
    Done(Box<WaiverRow>),
    /// No such waiver in this project.
    NotFound,
    /// Who asked cannot grant: two persons are needed.
    SamePerson,
    /// It is not in a state from which this can be done.
    State(WaiverState),
    /// It has ended already.
    Expired,
}

const fn word(state: WaiverState) -> &'static str {
    match state {
        WaiverState::Requested => "requested",
        WaiverState::Granted => "granted",
        WaiverState::Refused => "refused",
        WaiverState::Revoked => "revoked",
    }
}

fn read(row: &Row) -> Result<WaiverRow> {
    let state: String = row.get("state")?;
    Ok(WaiverRow {
        project_id: row.get("project_id")?,
        requester_id: row.get("requester_id")?,
        decided_at: row.opt("decided_at")?,
        decision_reason: row.opt("decision_reason")?,
        waiver: Waiver {
            id: row.get("id")?,
            scope: WaiverScope {
                vulnerability: row.get("vulnerability")?,
                component: row.opt("component")?,
                repository: row.opt("repository")?,
                digest: row.opt("digest")?,
            },
            reason: row.get("reason")?,
            requested_by: row.get("requested_by")?,
            requested_at: row.get("requested_at")?,
            state: serde_json::from_value(serde_json::Value::String(state))?,
            decided_by: row.opt("decided_by")?,
            expires_at: row.get("expires_at")?,
        },
    })
}

/// Asks for a waiver.
pub async fn request(
    tx: &mut Tx,
    project_id: i64,
    scope: &WaiverScope,
    reason: &str,
    (requester_id, requested_by): (i64, &str),
    expires_at: Timestamp,
) -> Result<WaiverRow> {
    let now = tx.now();
    let sql = "INSERT INTO waivers (project_id, vulnerability, component, repository, digest, \
               reason, requested_by, requester_id, requested_at, state, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'requested', $10) RETURNING *";
    let values = params![
        project_id,
        scope.vulnerability.as_str(),
        scope.component.as_deref(),
        scope.repository.as_deref(),
        scope.digest,
        reason,
        requested_by,
        requester_id,
        now,
        expires_at
    ];
    tx.find(sql, values, read).await?.ok_or(crate::Error::Retry)
}

/// Grants or refuses a requested waiver, or revokes a granted one. Nobody grants their own request
/// (the condition stands in the UPDATE too); whoever asked may still have it refused or revoked.
pub async fn decide(
    tx: &mut Tx,
    project_id: i64,
    id: i64,
    to: WaiverState,
    (decider_id, decided_by): (i64, &str),
    reason: &str,
) -> Result<Decided> {
    let Some(row) = lock(tx, project_id, id).await? else {
        return Ok(Decided::NotFound);
    };
    let (now, state) = (tx.now(), row.waiver.state);
    let from = match to {
        WaiverState::Granted | WaiverState::Refused => WaiverState::Requested,
        WaiverState::Revoked => WaiverState::Granted,
        WaiverState::Requested => return Ok(Decided::State(state)),
    };
    if state != from {
        return Ok(Decided::State(state));
    }
    if to == WaiverState::Granted && row.requester_id == decider_id {
        return Ok(Decided::SamePerson);
    }
    if to == WaiverState::Granted && row.waiver.expires_at <= now {
        return Ok(Decided::Expired);
    }
    let sql = "UPDATE waivers SET state = $3, decided_by = $4, decided_at = $5, \
               decision_reason = $6 WHERE project_id = $1 AND id = $2 AND state = $7 \
               AND ($3 <> 'granted' OR requester_id <> $8) RETURNING *";
    let values = params![project_id, id, word(to), decided_by, now, reason, word(from), decider_id];
    let Some(row) = tx.find(sql, values, read).await? else {
        return Ok(Decided::State(state));
    };
    projects::bump_policy_rev(tx, project_id).await?;
    Ok(Decided::Done(Box::new(row)))
}

async fn lock(tx: &mut Tx, project_id: i64, id: i64) -> Result<Option<WaiverRow>> {
    let sql = "SELECT * FROM waivers WHERE project_id = $1 AND id = $2 /*pg: FOR UPDATE */";
    tx.find(sql, params![project_id, id], read).await
}

/// A waiver of a project.
pub async fn get(tx: &mut Tx, project_id: i64, id: i64) -> Result<Option<WaiverRow>> {
    let sql = "SELECT * FROM waivers WHERE project_id = $1 AND id = $2";
    tx.find(sql, params![project_id, id], read).await
}

/// Waivers in these projects, newest first, with a number below `before`, of one state or any.
pub async fn list(
    tx: &mut Tx,
    visible: &projects::Visible,
    state: Option<WaiverState>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<WaiverRow>> {
    let (all, ids) = visible.params();
    let sql = "SELECT * FROM waivers WHERE id < $1 AND ($2 = 1 OR project_id = ANY($3)) \
               AND ($4 IS NULL OR state = $4) ORDER BY id DESC LIMIT $5";
    let before = before.unwrap_or(i64::MAX);
    tx.list(sql, params![before, all, ids, state.map(word), limit], read).await
}

/// The granted waivers of a project that have not ended, and what its CVE allowlists excuse: what
/// the gate looks at.
pub async fn in_force(tx: &mut Tx, project_id: i64) -> Result<Vec<Waiver>> {
    let now = tx.now();
    let sql = "SELECT * FROM waivers WHERE project_id = $1 AND state = 'granted' \
               AND expires_at > $2 ORDER BY id";
    let mut waivers = tx.list(sql, params![project_id, now], |row| Ok(read(row)?.waiver)).await?;
    waivers.extend(crate::cve_allowlists::in_force(tx, project_id).await?);
    Ok(waivers)
}
