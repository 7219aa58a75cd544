//! Who did what, to which digest, when, from where.
//!
//! An action writes its event in its own transaction. Allowed pulls are the exception: they are
//! gathered and written together, and a crash may lose the last second of them (decision D16).

use crate::{Error, Page, PageRequest, Registry, Result, access::Need};
use jiff::Timestamp;
use sealock_auth::{Caller, Principal, Right};
use sealock_metadata::{
    self as metadata, Database, Tx,
    audit::{Event as EventRow, Filter, NewEvent},
    projects::{Project, Visible},
};
use sealock_oci::Digest;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// Who acts when nobody asked.
const SYSTEM: &str = "sealock";
/// Most pulls that wait to be written.
const WAITING_PULLS: usize = 8_192;
/// Most pulls written in one transaction.
const PULLS_AT_ONCE: usize = 2_000;
/// How long a pull waits to be written.
const PULL_DELAY: Duration = Duration::from_millis(800);
/// How often it is looked meanwhile what has come: no more than may wait comes in between.
const PULL_LOOK: Duration = Duration::from_millis(50);
/// How long a batch waits for a database that does not answer, until it is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a flush waits at most, and between two looks.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);
const FLUSH_PAUSE: Duration = Duration::from_millis(10);

/// An event that takes shape.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    action: &'static str,
    result: &'static str,
    actor: String,
    address: String,
    user_agent: String,
    request_id: String,
    project: Option<(i64, String)>,
    repository: Option<String>,
    digest: Option<Digest>,
    tag: Option<String>,
    detail: Map<String, Value>,
    /// When, if it waits to be written.
    at: Option<Timestamp>,
    /// Numbers of the manifest that was pulled and of its repository.
    pulled: Option<(i64, i64)>,
    /// Written into the log; else it is only remembered when the manifest was pulled.
    recorded: bool,
}

impl Event {
    /// Something that was done.
    pub(crate) fn new(caller: &Caller, action: &'static str) -> Self {
        Self {
            action,
            result: "allowed",
            actor: caller.principal.to_string(),
            address: caller.address.to_string(),
            user_agent: caller.user_agent.clone(),
            request_id: caller.request_id.clone(),
            project: None,
            repository: None,
            digest: None,
            tag: None,
            detail: token_of(&caller.principal),
            at: None,
            pulled: None,
            recorded: true,
        }
    }

    /// Something that happened without anybody asking.
    pub(crate) fn by_system(action: &'static str) -> Self {
        Self {
            action,
            result: "allowed",
            actor: SYSTEM.to_owned(),
            address: String::new(),
            user_agent: String::new(),
            request_id: String::new(),
            project: None,
            repository: None,
            digest: None,
            tag: None,
            detail: Map::new(),
            at: None,
            pulled: None,
            recorded: true,
        }
    }

    /// Where it happened, by number and names.
    pub(crate) fn place(mut self, project_id: i64, project: &str, repository: &str) -> Self {
        self.project = Some((project_id, project.to_owned()));
        self.repository = Some(repository.to_owned());
        self
    }

    /// Something that was refused.
    pub(crate) fn denied(mut self) -> Self {
        self.result = "denied";
        self
    }

    /// By somebody who is no principal, such as a cluster.
    pub(crate) fn by(mut self, actor: String) -> Self {
        self.actor = actor;
        self
    }

    pub(crate) fn project(mut self, project: &Project) -> Self {
        self.project = Some((project.id, project.name.clone()));
        self
    }

    pub(crate) fn at(mut self, (project, repository): (&Project, &str)) -> Self {
        self.repository = Some(repository.to_owned());
        self.project(project)
    }

    /// Something that waits to be written, and happened now.
    pub(crate) fn happened(mut self, at: Timestamp) -> Self {
        self.at = Some(at);
        self
    }

    /// Whether it is written into the log.
    pub(crate) fn recorded(mut self, recorded: bool) -> Self {
        self.recorded = recorded;
        self
    }

    /// The manifest that was pulled, and its repository, by their numbers: it is remembered when,
    /// and how often.
    pub(crate) fn pulled(mut self, manifest: i64, repository: i64) -> Self {
        self.pulled = Some((manifest, repository));
        self
    }

    pub(crate) fn digest(mut self, digest: &Digest) -> Self {
        self.digest = Some(*digest);
        self
    }

    pub(crate) fn tag(mut self, tag: &str) -> Self {
        self.tag = Some(tag.to_owned());
        self
    }

    /// Adds a detail; nothing for null.
    pub(crate) fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.detail.insert(key.to_owned(), value);
        }
        self
    }

    fn row(&self) -> NewEvent<'_> {
        NewEvent {
            action: self.action,
            result: self.result,
            actor: &self.actor,
            address: &self.address,
            user_agent: &self.user_agent,
            request_id: &self.request_id,
            project_id: self.project.as_ref().map(|(id, _)| *id),
            project: self.project.as_ref().map(|(_, name)| name.as_str()),
            repository: self.repository.as_deref(),
            digest: self.digest.as_ref(),
            tag: self.tag.as_deref(),
            detail: Value::Object(self.detail.clone()),
            at: self.at,
        }
    }

    /// Writes the event in the transaction of its action.
    pub(crate) async fn record(&self, tx: &mut Tx) -> Result<()> {
        Ok(metadata::audit::record(tx, &self.row()).await?)
    }

    /// Writes events together.
    pub(crate) async fn record_all(tx: &mut Tx, events: &[Self]) -> Result<()> {
        let rows: Vec<_> = events.iter().map(Self::row).collect();
        Ok(metadata::audit::record_all(tx, &rows).await?)
    }
}

/// Whose token it was is the actor; which one, the detail.
fn token_of(principal: &Principal) -> Map<String, Value> {
    match principal {
        Principal::Token { title, .. } => Map::from_iter([("token".to_owned(), json!(title))]),
        _ => Map::new(),
    }
}

/// Allowed pulls on their way to the database.
pub(crate) struct PullLog {
    sender: mpsc::Sender<Event>,
    database: Database,
    /// Pulls that were taken and are not written yet.
    waiting: Arc<AtomicUsize>,
}

impl PullLog {
    /// Starts the writer; it ends when the log is dropped, after writing what it holds.
    pub(crate) fn start(database: Database) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_PULLS);
        let waiting = Arc::new(AtomicUsize::new(0));
        tokio::spawn(write_pulls(database.clone(), receiver, waiting.clone()));
        Self { sender, database, waiting }
    }

    /// Waits until the pulls taken so far are written, for a bounded time.
    pub(crate) async fn flush(&self) {
        let deadline = tokio::time::Instant::now() + FLUSH_LIMIT;
        while self.waiting.load(Ordering::Acquire) > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(FLUSH_PAUSE).await;
        }
    }

    /// Takes a pull. Waits for the database only when thousands wait already.
    pub(crate) async fn take(&self, event: Event) -> Result<()> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if let Err(
            mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event),
        ) = self.sender.try_send(event)
        {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            write_rows(&self.database, &[event]).await?;
        }
        Ok(())
    }
}

async fn write_pulls(
    database: Database,
    mut receiver: mpsc::Receiver<Event>,
    waiting: Arc<AtomicUsize>,
) {
    let mut batch: Vec<Event> = Vec::new();
    while receiver.recv_many(&mut batch, PULLS_AT_ONCE).await > 0 {
        let written_by = tokio::time::Instant::now() + PULL_DELAY;
        while batch.len() < PULLS_AT_ONCE && tokio::time::Instant::now() < written_by {
            tokio::time::sleep(PULL_LOOK).await;
            while batch.len() < PULLS_AT_ONCE {
                let Ok(event) = receiver.try_recv() else { break };
                batch.push(event);
            }
        }
        write_batch(&database, &batch).await;
        waiting.fetch_sub(batch.len(), Ordering::AcqRel);
        batch.clear();
    }
}

/// Writes a batch, however long the database takes: what arrives meanwhile waits, and when too
/// much waits, pulls are refused rather than forgotten.
async fn write_batch(database: &Database, batch: &[Event]) {
    loop {
        let Err(error) = write_rows(database, batch).await else { return };
        if error.may_pass() {
            let pulls = batch.len();
            tracing::error!(%error, pulls, "pulls wait to be written to the audit log");
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        // One bad row must not take the others with it.
        for event in batch {
            if let Err(error) = write_rows(database, std::slice::from_ref(event)).await {
                tracing::error!(%error, ?event, "a pull could not be written to the audit log");
            }
        }
        return;
    }
}

/// Writes pulls to the log, when each artifact and tag was pulled last, and how often something was
/// pulled from each repository.
async fn write_rows(database: &Database, batch: &[Event]) -> metadata::Result<()> {
    let recorded = batch.iter().filter(|event| event.recorded);
    let rows: Vec<NewEvent<'_>> = recorded.map(Event::row).collect();
    let mut last: BTreeMap<(i64, &str), Timestamp> = BTreeMap::new();
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for event in batch {
        let (Some((id, repository)), Some(at)) = (event.pulled, event.at) else { continue };
        *counts.entry(repository).or_default() += 1;
        let tag = event.tag.as_deref();
        for tag in [Some(""), tag].into_iter().flatten() {
            let seen = last.entry((id, tag)).or_insert(at);
            *seen = at.max(*seen);
        }
    }
    let counts: Vec<_> = counts.into_iter().collect();
    let last: Vec<_> = last.into_iter().map(|((id, tag), at)| (id, tag, at)).collect();
    let mut tx = database.write().await?;
    if !rows.is_empty() {
        metadata::audit::record_all(&mut tx, &rows).await?;
    }
    metadata::artifacts::pull(&mut tx, &last).await?;
    metadata::repositories::count_pulls(&mut tx, &counts).await?;
    tx.commit().await
}

/// Which events are asked for. Every given part must match.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// In this project.
    pub project: Option<String>,
    /// About this digest.
    pub digest: Option<Digest>,
    /// One of these actions.
    pub actions: Vec<String>,
    /// By this user or robot.
    pub actor: Option<String>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

impl Registry {
    /// Audit events, newest first: of projects that the caller administers; of everything for
    /// administrators of the system and security officers.
    pub async fn audit_events(
        &self,
        caller: &Caller,
        query: &AuditQuery,
        page: &PageRequest,
    ) -> Result<Page<EventRow>> {
        let mut tx = self.database().read().await?;
        let visible = self.auditable(&mut tx, caller, query.project.as_deref()).await?;
        let project_id = match &query.project {
            Some(name) => {
                let need = Need::Has(Right::ReadAudit);
                Some(self.project_scope(&mut tx, caller, name, need).await?.0.id)
            }
            None => None,
        };
        let filter = Filter {
            visible,
            digest: query.digest,
            actions: query.actions.clone(),
            actor: query.actor.clone(),
            project_id,
            since: query.since,
            until: query.until,
        };
        let limit = page.limit();
        let rows = metadata::audit::list(&mut tx, &filter, page.after_id(), limit + 1).await?;
        Ok(Page::cut(rows, limit, |event| event.id.to_string()))
    }

    /// The projects whose events a caller may read.
    async fn auditable(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: Option<&str>,
    ) -> Result<Visible> {
        let principal = &caller.principal;
        if principal.is_sysadmin() || principal.is_security_officer() {
            return Ok(Visible::All);
        }
        let Some(project) = project else {
            return Err(Error::forbidden(
                "name a project; only system administrators and security officers read all events",
            ));
        };
        let need = Need::Has(Right::ReadAudit);
        let (project, _) = self.project_scope(tx, caller, project, need).await?;
        Ok(Visible::Only(vec![project.id]))
    }

    /// Takes an allowed pull into the log.
    pub(crate) async fn log_pull(&self, event: Event) -> Result<()> {
        self.pulls().take(event.happened(self.now())).await
    }

    /// Writes an event that has no other transaction, such as a refusal.
    pub(crate) async fn record_now(&self, event: &Event) -> Result<()> {
        let mut tx = self.database().write().await?;
        event.record(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

/// The log is shared by all clones of a registry.
pub(crate) type SharedPullLog = Arc<PullLog>;
