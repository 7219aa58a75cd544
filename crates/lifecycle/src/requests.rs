//! Runs that somebody asked for: who may, one at a time, on record.

use crate::{Collector, Limits, Report, collector::RUN_LEASE};
use jiff::Timestamp;
use sealock_auth::Caller;
use sealock_metadata::{
    audit::{self, NewEvent},
    collections::{self, Run, RunState},
    reviews::Due,
};
use sealock_oci::ErrorCode;
use sealock_registry::{Error, Page, PageRequest, Registry, Result};
use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectionOptions {
    /// Say what would be freed and kept, and change nothing.
    pub dry_run: bool,
    /// Heed no lease: **unsafe** while anybody pushes, for a push may have been told that a blob is
    /// there which is then freed.
    pub ignore_leases: bool,
}

/// A run on record.
#[derive(Debug, Clone, Serialize)]
pub struct CollectionRun {
    /// Number.
    pub id: i64,
    /// `running`, `finished` or `failed`.
    pub state: String,
    /// Who asked for it; `sealock` for the server itself.
    pub actor: String,
    /// Nothing was changed.
    pub dry_run: bool,
    /// No lease was heeded.
    pub ignore_leases: bool,
    /// What it has come to so far.
    pub report: Report,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl CollectionRun {
    fn read(row: Run) -> Result<Self> {
        let options: CollectionOptions =
            serde_json::from_str(&row.options).map_err(Error::internal)?;
        Ok(Self {
            id: row.id,
            state: row.state.to_string(),
            actor: row.actor,
            dry_run: options.dry_run,
            ignore_leases: options.ignore_leases,
            report: serde_json::from_str(&row.report).map_err(Error::internal)?,
            error: row.error,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}

impl Collector {
    /// Begins a run and answers at once; it goes on in the background of this process, and
    /// [`Collector::find_run`] says how far it is. For system administrators; one run at a time.
    pub async fn start(
        &self,
        registry: &Registry,
        caller: &Caller,
        options: CollectionOptions,
    ) -> Result<CollectionRun> {
        registry.require_admin(caller)?;
        let asked = serde_json::to_string(&options).map_err(Error::internal)?;
        let empty = serde_json::to_string(&Report::default()).map_err(Error::internal)?;
        let who = caller.principal.to_string();
        let mut tx = registry.database().write().await?;
        let Some(row) = collections::begin(&mut tx, &who, &asked, &empty, RUN_LEASE).await? else {
            return Err(Error::conflict(
                "a collection is under way; wait for it, or look at it with `sealock gc --list`",
            ));
        };
        let event = NewEvent {
            action: "collect",
            result: "allowed",
            actor: &who,
            address: &caller.address.to_string(),
            user_agent: &caller.user_agent,
            request_id: &caller.request_id,
            project_id: None,
            project: None,
            repository: None,
            digest: None,
            tag: None,
            detail: serde_json::to_value(options).map_err(Error::internal)?,
            at: None,
        };
        audit::record(&mut tx, &event).await?;
        tx.commit().await?;
        let (collector, registry, id) = (self.clone(), registry.clone(), row.id);
        tokio::spawn(async move {
            if let Err(error) = collector.work(&registry, id, options).await {
                tracing::error!(run = id, error = error.log(), "a collection's end has no record");
            }
        });
        CollectionRun::read(row)
    }

    async fn work(&self, registry: &Registry, id: i64, options: CollectionOptions) -> Result<()> {
        let due = if options.ignore_leases { Due::All } else { Due::Ended };
        let outcome = match options.dry_run {
            true => self.dry_run(registry, due).await,
            false => self.run(registry, Limits { due, ..Limits::default() }, Some(id)).await,
        };
        let mut tx = registry.database().write().await?;
        match outcome {
            Ok(report) => {
                let report = serde_json::to_string(&report).map_err(Error::internal)?;
                collections::end(&mut tx, id, &report, None).await?;
            }
            Err(error) => {
                tracing::warn!(run = id, error = error.log(), "a collection broke off");
                // What it had done by then is in the record.
                let row = collections::get(&mut tx, id).await?;
                let report = row.map(|row| row.report).unwrap_or_default();
                collections::end(&mut tx, id, &report, Some(&error.to_string())).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// A run. For system administrators.
    pub async fn find_run(
        &self,
        registry: &Registry,
        caller: &Caller,
        id: i64,
    ) -> Result<CollectionRun> {
        registry.require_admin(caller)?;
        let mut tx = registry.database().read().await?;
        let row = collections::get(&mut tx, id).await?.ok_or_else(|| {
            let what = format!("there is no collection {id}, or it is too long ago");
            Error::not_found(ErrorCode::Unknown, what)
        })?;
        CollectionRun::read(row)
    }

    /// Runs that were asked for or found something, newest first. For system administrators.
    pub async fn runs(
        &self,
        registry: &Registry,
        caller: &Caller,
        page: &PageRequest,
    ) -> Result<Page<CollectionRun>> {
        registry.require_admin(caller)?;
        let before = match &page.after {
            Some(cursor) => Some(cursor.parse().map_err(|_| {
                let what = "the cursor is not one that this list gave";
                Error::invalid(ErrorCode::Unsupported, what)
            })?),
            None => None,
        };
        let limit = page.limit.unwrap_or(sealock_registry::DEFAULT_PAGE_ITEMS);
        let mut tx = registry.database().read().await?;
        let mut rows = collections::list(&mut tx, before, limit + 1).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
        let items = rows.into_iter().map(CollectionRun::read).collect::<Result<_>>()?;
        Ok(Page { items, next })
    }
}

impl CollectionRun {
    /// Whether it is still under way.
    pub fn is_running(&self) -> bool {
        self.state == RunState::Running.as_str()
    }
}
