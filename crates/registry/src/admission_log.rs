//! Decisions of the admit door on their way to the database.
//!
//! A refusal, and the first permission that follows from an input document, wait until their record
//! is durable; what arrives while one commit is under way goes into the next together. The same
//! permission given again, as when a Deployment starts its tenth Pod, does not wait: it is written
//! within a second, and a crash may lose that second, as with allowed pulls (decision D16).

use crate::{Error, Result, audit::Event};
use jiff::Timestamp;
use moka::sync::Cache;
use sealock_facts::{Door, Verdict};
use sealock_metadata::{self as metadata, Database, Tx, decisions::NewDecision};
use sealock_oci::Digest;
use std::time::Duration;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

/// Most answers that wait to be recorded; beyond it, who asks waits in line.
const WAITING: usize = 4_096;
/// Most records in one transaction.
const AT_ONCE: usize = 500;
/// How long a record that nobody waits for is held back for others.
const DELAY: Duration = Duration::from_millis(500);
/// Permissions of which this process remembers that they are recorded.
const REMEMBERED: u64 = 20_000;

/// What is kept of one answer.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// None for an image that was not judged, being from elsewhere or unknown.
    pub(crate) decision: Option<Decision>,
    pub(crate) event: Event,
    /// Number of the decision that gave the same permission before; set here.
    pub(crate) first: Option<i64>,
}

/// A decision with all that its row needs.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) project_id: i64,
    pub(crate) repository: String,
    pub(crate) digest: Digest,
    pub(crate) verdict: Verdict,
    pub(crate) input: (Digest, Option<Vec<u8>>),
    pub(crate) actor: String,
    pub(crate) address: String,
    pub(crate) context: String,
    pub(crate) at: Timestamp,
}

impl Decision {
    fn row(&self) -> NewDecision<'_> {
        NewDecision {
            door: Door::Admit,
            project_id: Some(self.project_id),
            repository: &self.repository,
            digest: &self.digest,
            verdict: &self.verdict,
            input_digest: &self.input.0,
            input: self.input.1.as_deref(),
            actor: &self.actor,
            address: &self.address,
            context: &self.context,
            at: Some(self.at),
        }
    }
}

impl Record {
    /// What makes two permissions the same: the input document, and where it was asked.
    fn permission(&self) -> Option<(Digest, String)> {
        let decision = self.decision.as_ref().filter(|decision| decision.verdict.is_open())?;
        Some((decision.input.0, decision.context.clone()))
    }
}

/// A record, none to be told when everything before is written, and who waits for it.
type Waiting = (Option<Record>, Option<oneshot::Sender<Result<Option<i64>>>>);

/// Takes records and writes them.
pub(crate) struct AdmissionLog {
    sender: mpsc::Sender<Waiting>,
    /// Permissions that are durably recorded, with the number of the decision.
    recorded: Cache<(Digest, String), i64>,
}

impl AdmissionLog {
    /// Starts the writer; it ends when the log is dropped, after writing what it holds.
    pub(crate) fn start(database: Database) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(write_all(database, receiver));
        Self { sender, recorded: Cache::new(REMEMBERED) }
    }

    /// Takes a record. The number of the decision, if there is one; of a permission that is given
    /// again, the number under which it was recorded first.
    pub(crate) async fn write(&self, mut record: Record) -> Result<Option<i64>> {
        let permission = record.permission();
        if let Some(id) = permission.as_ref().and_then(|key| self.recorded.get(key)) {
            record.first = Some(id);
            self.send((Some(record), None)).await?;
            return Ok(Some(id));
        }
        let id = self.wait_for(Some(record)).await?;
        if let (Some(key), Some(id)) = (permission, id) {
            self.recorded.insert(key, id);
        }
        Ok(id)
    }

    /// Waits until everything that was taken before is written.
    pub(crate) async fn flush(&self) {
        if let Err(error) = self.wait_for(None).await {
            tracing::error!(error = error.log(), "admissions could not be written");
        }
    }

    async fn wait_for(&self, record: Option<Record>) -> Result<Option<i64>> {
        let (done, written) = oneshot::channel();
        self.send((record, Some(done))).await?;
        written.await.map_err(|_| ended())?
    }

    async fn send(&self, waiting: Waiting) -> Result<()> {
        self.sender.send(waiting).await.map_err(|_| ended())
    }
}

fn ended() -> Error {
    Error::internal("the writer of admissions has ended")
}

async fn write_all(database: Database, mut receiver: mpsc::Receiver<Waiting>) {
    let mut batch: Vec<Waiting> = Vec::new();
    while gather(&mut receiver, &mut batch).await {
        let (records, waiting): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let written = match write_batch(&database, &records).await {
            Ok(ids) => ids.into_iter().map(Ok).collect(),
            // One bad record must not take the others with it.
            Err(_) => {
                let mut written = Vec::with_capacity(records.len());
                for record in &records {
                    let one = write_batch(&database, std::slice::from_ref(record)).await;
                    written.push(one.map(|ids| ids.into_iter().next().flatten()));
                }
                written
            }
        };
        for (done, result) in waiting.into_iter().zip(written) {
            match (done, result) {
                (Some(done), result) => drop(done.send(result)),
                (None, Err(error)) => {
                    let error = error.log().unwrap_or(error.message());
                    tracing::error!(error, "an admission was not recorded");
                }
                (None, Ok(_)) => {}
            }
        }
    }
}

/// Fills a batch: at once when somebody waits for a record in it, else after a while. False at the
/// end.
async fn gather(receiver: &mut mpsc::Receiver<Waiting>, batch: &mut Vec<Waiting>) -> bool {
    if receiver.recv_many(batch, AT_ONCE).await == 0 {
        return false;
    }
    let deadline = Instant::now() + DELAY;
    while batch.len() < AT_ONCE && batch.iter().all(|(_, done)| done.is_none()) {
        match timeout_at(deadline, receiver.recv()).await {
            Ok(Some(waiting)) => batch.push(waiting),
            Ok(None) | Err(_) => break,
        }
    }
    true
}

async fn write_batch(database: &Database, records: &[Option<Record>]) -> Result<Vec<Option<i64>>> {
    if records.iter().all(Option::is_none) {
        return Ok(vec![None; records.len()]);
    }
    let mut tx = database.write().await?;
    let mut ids = Vec::with_capacity(records.len());
    let mut again = Vec::new();
    for record in records {
        ids.push(match record {
            Some(record) if record.first.is_some() => {
                again.push(record);
                record.first
            }
            Some(record) => write_one(&mut tx, record).await?,
            None => None,
        });
    }
    write_again(&mut tx, &again).await?;
    tx.commit().await?;
    Ok(ids)
}

async fn write_one(tx: &mut Tx, record: &Record) -> Result<Option<i64>> {
    let Some(decision) = &record.decision else {
        record.event.record(tx).await?;
        return Ok(None);
    };
    let row = decision.row();
    let id = metadata::decisions::record(tx, &row).await?;
    record.event.clone().detail("decision", id).record(tx).await?;
    Ok(Some(id))
}

/// Permissions that were given before, with a few statements for all of them: they are many.
async fn write_again(tx: &mut Tx, records: &[&Record]) -> Result<()> {
    let rows = records.iter().filter_map(|record| record.decision.as_ref()).map(Decision::row);
    metadata::decisions::record_all(tx, &rows.collect::<Vec<_>>()).await?;
    let events = records.iter().map(|record| {
        let event = record.event.clone();
        match record.first {
            Some(id) => event.detail("decision", id),
            None => event,
        }
    });
    Event::record_all(tx, &events.collect::<Vec<_>>()).await
}
