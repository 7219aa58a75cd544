//! Decisions of doors, each with its canonical input document (law 4 of the gate), and promotions.

use crate::{Result, Row, Tx, Value, params, projects::Visible};
use jiff::Timestamp;
use sealock_facts::{Action, Door, Verdict};
use sealock_oci::Digest;

/// A decision to be recorded.
#[derive(Debug, Clone)]
pub struct NewDecision<'a> {
    /// The door.
    pub door: Door,
    /// The project; none for an image that is not here.
    pub project_id: Option<i64>,
    /// Full name of the repository.
    pub repository: &'a str,
    /// What was decided about.
    pub digest: &'a Digest,
    /// The verdict.
    pub verdict: &'a Verdict,
    /// Digest of the canonical input document.
    pub input_digest: &'a Digest,
    /// The document; may be left out when it was stored with an earlier decision.
    pub input: Option<&'a [u8]>,
    /// Who asked.
    pub actor: &'a str,
    /// From which address.
    pub address: &'a str,
    /// More about the door: target of a promotion, cluster and namespace.
    pub context: &'a str,
    /// When, if it was made before it is written; none for now.
    pub at: Option<Timestamp>,
}

/// A recorded decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Number.
    pub id: i64,
    /// The door.
    pub door: Door,
    /// The project.
    pub project_id: Option<i64>,
    /// Full name of the repository.
    pub repository: String,
    /// What was decided about.
    pub digest: Digest,
    /// The verdict.
    pub verdict: Verdict,
    /// Digest of the canonical input document.
    pub input_digest: Digest,
    /// Who asked.
    pub actor: String,
    /// From which address.
    pub address: String,
    /// More about the door.
    pub context: String,
    /// When.
    pub at: Timestamp,
    /// How often the same was decided again and counted here.
    pub repeats: i64,
    /// When it was counted last.
    pub last_at: Option<Timestamp>,
}

/// Which decisions to list. Every given part must match.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Projects that the caller may read. Decisions without a project show only under `All`.
    pub visible: Visible,
    /// About this digest.
    pub digest: Option<Digest>,
    /// At this door.
    pub door: Option<Door>,
    /// In this project.
    pub project_id: Option<i64>,
}

const fn word(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Warn => "warn",
        Action::Hold => "hold",
        Action::Deny => "deny",
    }
}

fn read(row: &Row) -> Result<Decision> {
    Ok(Decision {
        id: row.get("id")?,
        door: row.get("door")?,
        project_id: row.opt("project_id")?,
        repository: row.get("repository")?,
        digest: row.get("digest")?,
        verdict: row.json("verdict")?,
        input_digest: row.get("input_digest")?,
        actor: row.get("actor")?,
        address: row.get("address")?,
        context: row.get("context")?,
        at: row.get("decided_at")?,
        repeats: row.get("repeats")?,
        last_at: row.opt("last_at")?,
    })
}

/// Records a decision. Its number. A document that is neither given nor stored is a conflict.
pub async fn record(tx: &mut Tx, new: &NewDecision<'_>) -> Result<i64> {
    if let Some(document) = new.input {
        let sql = "INSERT INTO decision_inputs (digest, document) VALUES ($1, $2) \
                   ON CONFLICT (digest) DO NOTHING";
        tx.execute(sql, params![new.input_digest, document]).await?;
    }
    let now = tx.now();
    let rows = tx.insert_many(INSERT, vec![values(new, now)?], "RETURNING id").await?;
    rows.first().ok_or(crate::Error::Retry)?.get("id")
}

/// Records decisions whose documents are stored already and whose numbers nobody needs.
pub async fn record_all(tx: &mut Tx, all: &[NewDecision<'_>]) -> Result<()> {
    let now = tx.now();
    let rows = all.iter().map(|new| values(new, now)).collect::<Result<_>>()?;
    tx.insert_many(INSERT, rows, "").await?;
    Ok(())
}

const INSERT: &str = "INSERT INTO decisions (door, project_id, repository, digest, action, \
                      verdict, input_digest, actor, address, context, decided_at)";

fn values(new: &NewDecision<'_>, now: Timestamp) -> Result<Vec<Value>> {
    Ok(params![
        new.door,
        new.project_id,
        new.repository,
        new.digest,
        word(new.verdict.action),
        serde_json::to_string(new.verdict)?,
        new.input_digest,
        new.actor,
        new.address,
        new.context,
        new.at.unwrap_or(now)
    ])
}

/// Counts a decision that was made again. How often by now; `None` when there is no such record.
pub async fn repeat(tx: &mut Tx, id: i64) -> Result<Option<i64>> {
    let now = tx.now();
    let sql = "UPDATE decisions SET repeats = repeats + 1, last_at = $2 WHERE id = $1 \
               RETURNING repeats";
    tx.find(sql, params![id, now], |row| row.get("repeats")).await
}

/// A decision with its input document, if the caller may read its project.
pub async fn get(tx: &mut Tx, visible: &Visible, id: i64) -> Result<Option<(Decision, Vec<u8>)>> {
    let (all, ids) = visible.params();
    let sql = "SELECT d.*, i.document AS document FROM decisions d \
               JOIN decision_inputs i ON i.digest = d.input_digest \
               WHERE d.id = $1 AND ($2 = 1 OR d.project_id = ANY($3))";
    let read_both = |row: &Row| Ok((read(row)?, row.get("document")?));
    tx.find(sql, params![id, all, ids], read_both).await
}

/// Decisions, newest first, with a number below `before`.
pub async fn list(
    tx: &mut Tx,
    filter: &Filter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Decision>> {
    let (all, ids) = filter.visible.params();
    let values = params![
        before.unwrap_or(i64::MAX),
        all,
        ids,
        filter.door,
        filter.project_id,
        limit,
        filter.digest
    ];
    let sql = if filter.digest.is_some() {
        "SELECT * FROM decisions WHERE digest = $7 AND id < $1 \
         AND ($2 = 1 OR project_id = ANY($3)) AND ($4 IS NULL OR door = $4) \
         AND ($5 IS NULL OR project_id = $5) ORDER BY id DESC LIMIT $6"
    } else {
        "SELECT * FROM decisions WHERE $7 IS NULL AND id < $1 \
         AND ($2 = 1 OR project_id = ANY($3)) AND ($4 IS NULL OR door = $4) \
         AND ($5 IS NULL OR project_id = $5) ORDER BY id DESC LIMIT $6"
    };
    tx.list(sql, values, read).await
}

/// Stores a canonical input document for decisions to come.
pub async fn put_document(tx: &mut Tx, digest: &Digest, document: &[u8]) -> Result<()> {
    let sql = "INSERT INTO decision_inputs (digest, document) VALUES ($1, $2) \
               ON CONFLICT (digest) DO NOTHING";
    tx.execute(sql, params![digest, document]).await?;
    Ok(())
}
