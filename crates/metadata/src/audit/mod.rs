//! Audit events: what was done, by whom, from where.

mod search;

pub use search::{FIELDS, Reach, page};

use crate::{Result, Row, Tx, params, projects::Visible};
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
    let Some(span) = Span::of(tx, filter.since, filter.until).await? else {
        return Ok(Vec::new());
    };
    let span = Span { end: span.end.min(before.unwrap_or(i64::MAX)), ..span };
    // Of one digest there are few; of anything else there may be millions.
    let Some(digest) = filter.digest else {
        return search::newest(tx, filter, span, limit).await;
    };
    let (all, ids) = filter.visible.params();
    let common = params![
        span.end,
        all,
        ids,
        filter.actions.is_empty(),
        &filter.actions,
        filter.actor.as_deref(),
        filter.project_id,
        limit,
        digest,
        span.begin,
        filter.since,
        filter.until,
    ];
    let sql = "SELECT * FROM audit_events WHERE digest = $9 AND id < $1 AND id >= $10 \
               AND ($2 = 1 OR project_id = ANY($3)) AND ($4 = 1 OR action = ANY($5)) \
               AND ($6 IS NULL OR actor = $6) AND ($7 IS NULL OR project_id = $7) \
               AND ($11 IS NULL OR happened_at >= $11) AND ($12 IS NULL OR happened_at < $12) \
               ORDER BY id DESC LIMIT $8";
    tx.list(sql, common, read).await
}

/// Numbers that the events of some time have, so that a search in time reads no more of the log
/// than that time; with some before and after it.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// The first one.
    begin: i64,
    /// The one after the last.
    end: i64,
}

impl Span {
    /// None where nothing happened since.
    async fn of(
        tx: &mut Tx,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Option<Self>> {
        let mut span = Self { begin: 0, end: i64::MAX };
        if let Some(since) = since {
            let since = since.checked_sub(DISORDER).unwrap_or(Timestamp::MIN);
            match first_after(tx, since).await? {
                Some(id) => span.begin = id,
                None => return Ok(None),
            }
        }
        if let Some(until) = until {
            let until = until.checked_add(DISORDER).unwrap_or(Timestamp::MAX);
            span.end = first_after(tx, until).await?.unwrap_or(i64::MAX);
        }
        Ok(Some(span))
    }
}

/// The number of the first event at or after a moment.
async fn first_after(tx: &mut Tx, moment: Timestamp) -> Result<Option<i64>> {
    let sql =
        "SELECT id FROM audit_events WHERE happened_at >= $1 ORDER BY happened_at, id LIMIT 1";
    tx.query_one(sql, params![moment]).await?.map(|row| row.get("id")).transpose()
}
