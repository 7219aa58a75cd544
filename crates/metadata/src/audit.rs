//! Audit events: what was done, by whom, from where.

use crate::{
    Result, Row, Tx,
    listing::{self, Field, Holds, Listed, Source, Wanted},
    params,
    projects::Visible,
};
use jiff::{SignedDuration, Timestamp};
use sealock_oci::Digest;

/// An event to be written, in the transaction of its action.
#[derive(Debug, Clone)]
pub struct NewEvent<'a> {
    /// What was done, such as `artifact.push`.
    pub action: &'a str,
    /// `allowed`, `denied` or `failed`.
    pub result: &'a str,
    /// Who.
    pub actor: &'a str,
    /// From which address.
    pub address: &'a str,
    /// With which client.
    pub user_agent: &'a str,
    /// In which request.
    pub request_id: &'a str,
    /// The project.
    pub project_id: Option<i64>,
    /// The project's name then.
    pub project: Option<&'a str>,
    /// The repository's full name.
    pub repository: Option<&'a str>,
    /// The digest.
    pub digest: Option<&'a Digest>,
    /// The tag.
    pub tag: Option<&'a str>,
    /// More, as JSON.
    pub detail: serde_json::Value,
    /// When, if it happened before it is written; none for now.
    pub at: Option<Timestamp>,
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// Number; not the order of events, which is `sequence`.
    pub id: i64,
    /// Place in the chain, once given.
    pub sequence: Option<i64>,
    /// What was done.
    pub action: String,
    /// How it ended.
    pub result: String,
    /// Who.
    pub actor: String,
    /// From which address.
    pub address: String,
    /// With which client.
    pub user_agent: String,
    /// In which request.
    pub request_id: String,
    /// The project.
    pub project_id: Option<i64>,
    /// The project's name then.
    pub project: Option<String>,
    /// The repository's full name.
    pub repository: Option<String>,
    /// The digest.
    pub digest: Option<Digest>,
    /// The tag.
    pub tag: Option<String>,
    /// More.
    pub detail: serde_json::Value,
    /// When.
    pub at: Timestamp,
}

/// Which events to list. Every given part must match.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Projects that the caller may audit. Events without a project show only under `All`.
    pub visible: Visible,
    /// About this digest.
    pub digest: Option<Digest>,
    /// One of these actions; any when empty.
    pub actions: Vec<String>,
    /// By this actor.
    pub actor: Option<String>,
    /// In this project.
    pub project_id: Option<i64>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

impl Default for Filter {
    /// Shows nothing until `visible` is set.
    fn default() -> Self {
        Self {
            visible: Visible::Only(Vec::new()),
            digest: None,
            actions: Vec::new(),
            actor: None,
            project_id: None,
            since: None,
            until: None,
        }
    }
}

/// Most by which the order of numbers may differ from that of moments: events of one moment are
/// numbered when their transactions write, and allowed pulls wait to be written together.
const DISORDER: SignedDuration = SignedDuration::from_mins(1);

fn read(row: &Row) -> Result<Event> {
    Ok(Event {
        id: row.get("id")?,
        sequence: row.opt("sequence")?,
        action: row.get("action")?,
        result: row.get("result")?,
        actor: row.get("actor")?,
        address: row.get("address")?,
        user_agent: row.get("user_agent")?,
        request_id: row.get("request_id")?,
        project_id: row.opt("project_id")?,
        project: row.opt("project")?,
        repository: row.opt("repository")?,
        digest: row.opt("digest")?,
        tag: row.opt("tag")?,
        detail: row.json("detail")?,
        at: row.get("happened_at")?,
    })
}

/// Writes an event.
pub async fn record(tx: &mut Tx, event: &NewEvent<'_>) -> Result<()> {
    record_all(tx, std::slice::from_ref(event)).await
}

/// Writes events together (allowed pulls wait for one another, decision D16).
pub async fn record_all(tx: &mut Tx, events: &[NewEvent<'_>]) -> Result<()> {
    let now = tx.now();
    let row = |event: &NewEvent<'_>| {
        params![
            event.action,
            event.result,
            event.actor,
            event.address,
            event.user_agent,
            event.request_id,
            event.project_id,
            event.project,
            event.repository,
            event.digest,
            event.tag,
            event.detail.to_string(),
            event.at.unwrap_or(now)
        ]
    };
    let head = "INSERT INTO audit_events (action, result, actor, address, user_agent, request_id, \
                project_id, project, repository, digest, tag, detail, happened_at)";
    tx.insert_many(head, events.iter().map(row).collect(), "").await?;
    Ok(())
}

/// Events, newest first, with a number below `before`.
pub async fn list(
    tx: &mut Tx,
    filter: &Filter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Event>> {
    let (all, ids) = filter.visible.params();
    // Bounds on the number, so that a search in time reads no more of the table than that time.
    let lowest = match filter.since {
        Some(since) => {
            match first_after(tx, since.checked_sub(DISORDER).unwrap_or(Timestamp::MIN)).await? {
                Some(id) => id,
                None => return Ok(Vec::new()),
            }
        }
        None => 0,
    };
    let highest = match filter.until {
        Some(until) => {
            first_after(tx, until.checked_add(DISORDER).unwrap_or(Timestamp::MAX)).await?
        }
        None => None,
    };
    let bound = before.unwrap_or(i64::MAX).min(highest.unwrap_or(i64::MAX));
    let common = params![
        bound,
        all,
        ids,
        filter.actions.is_empty(),
        &filter.actions,
        filter.actor.as_deref(),
        filter.project_id,
        limit,
        filter.digest,
        lowest,
        filter.since,
        filter.until,
    ];
    // Apart, so that either engine walks the index on the digest when one is asked for.
    let sql = if filter.digest.is_some() {
        "SELECT * FROM audit_events WHERE digest = $9 AND id < $1 AND id >= $10 \
         AND ($2 = 1 OR project_id = ANY($3)) AND ($4 = 1 OR action = ANY($5)) \
         AND ($6 IS NULL OR actor = $6) AND ($7 IS NULL OR project_id = $7) \
         AND ($11 IS NULL OR happened_at >= $11) AND ($12 IS NULL OR happened_at < $12) \
         ORDER BY id DESC LIMIT $8"
    } else {
        "SELECT * FROM audit_events WHERE $9 IS NULL AND id < $1 AND id >= $10 \
         AND ($2 = 1 OR project_id = ANY($3)) AND ($4 = 1 OR action = ANY($5)) \
         AND ($6 IS NULL OR actor = $6) AND ($7 IS NULL OR project_id = $7) \
         AND ($11 IS NULL OR happened_at >= $11) AND ($12 IS NULL OR happened_at < $12) \
         ORDER BY id DESC LIMIT $8"
    };
    tx.list(sql, common, read).await
}

/// The number of the first event at or after a moment.
async fn first_after(tx: &mut Tx, moment: Timestamp) -> Result<Option<i64>> {
    let sql =
        "SELECT id FROM audit_events WHERE happened_at >= $1 ORDER BY happened_at, id LIMIT 1";
    tx.query_one(sql, params![moment]).await?.map(|row| row.get("id")).transpose()
}

/// What pages of events may be asked for.
pub const FIELDS: &[Field] = &[
    Field::new("id", "id", Holds::Int),
    Field::new("username", "actor", Holds::Text),
    Field::new("resource", RESOURCE, Holds::Text),
    Field::new("action", "action", Holds::Text),
    Field::new("op_time", "happened_at", Holds::Time),
];

/// What an event is about: a tag, a digest, a repository or a project.
const RESOURCE: &str =
    "coalesce(repository || coalesce(':' || tag, '@' || digest, ''), project, '')";

/// Events in pages by number, newest first where no other order is asked for; the first `most` of
/// them. With `done` only what was not refused.
pub async fn page(
    tx: &mut Tx,
    visible: &Visible,
    done: bool,
    wanted: &Wanted,
    most: u32,
) -> Result<Listed<Event>> {
    let (all, ids) = visible.params();
    let source = Source {
        select: "SELECT * FROM audit_events WHERE ($1 = 1 OR project_id = ANY($2)) \
                 AND ($3 = 0 OR result = 'allowed')",
        count: "SELECT 1 AS one FROM audit_events WHERE ($1 = 1 OR project_id = ANY($2)) \
                AND ($3 = 0 OR result = 'allowed')",
        values: params![all, ids, done],
        fields: FIELDS,
        order: "id DESC",
    };
    listing::page_up_to(tx, source, wanted, Some(most), read).await
}
