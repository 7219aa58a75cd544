//! Decisions of the admit door on their way to the database.
//!
//! Each answer waits until its record is durable, but not each for a commit of its own: what
//! arrives while one commit is under way goes into the next together.

use crate::{Error, Result, audit::Event};
use sealock_facts::{Door, Verdict};
use sealock_metadata::{self as metadata, Database, Tx, decisions::NewDecision};
use sealock_oci::Digest;
use tokio::sync::{mpsc, oneshot};

/// Most answers that wait to be recorded; beyond it, who asks waits in line.
const WAITING: usize = 4_096;
/// Most records in one transaction.
const AT_ONCE: usize = 500;

/// What is kept of one answer.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// None for an image that was not judged, being from elsewhere or unknown.
    pub(crate) decision: Option<Decision>,
    pub(crate) event: Event,
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
}

type Waiting = (Record, oneshot::Sender<Result<Option<i64>>>);

/// Takes records and writes them.
pub(crate) struct AdmissionLog {
    sender: mpsc::Sender<Waiting>,
}

impl AdmissionLog {
    /// Starts the writer; it ends when the log is dropped, after writing what it holds.
    pub(crate) fn start(database: Database) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(write_all(database, receiver));
        Self { sender }
    }

    /// Writes a record. When this returns, it is durable. The number of the decision, if there is
    /// one.
    pub(crate) async fn write(&self, record: Record) -> Result<Option<i64>> {
        let gone = || Error::internal("the writer of admissions has ended");
        let (done, written) = oneshot::channel();
        self.sender.send((record, done)).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }
}

async fn write_all(database: Database, mut receiver: mpsc::Receiver<Waiting>) {
    let mut batch: Vec<Waiting> = Vec::new();
    while receiver.recv_many(&mut batch, AT_ONCE).await > 0 {
        let (records, waiting): (Vec<Record>, Vec<_>) = batch.drain(..).unzip();
        match write_batch(&database, &records).await {
            Ok(ids) => {
                for (done, id) in waiting.into_iter().zip(ids) {
                    let _ = done.send(Ok(id));
                }
            }
            // One bad record must not take the others with it.
            Err(_) => {
                for (record, done) in records.iter().zip(waiting) {
                    let written = write_batch(&database, std::slice::from_ref(record)).await;
                    let _ = done.send(written.map(|ids| ids.into_iter().next().flatten()));
                }
            }
        }
    }
}

async fn write_batch(database: &Database, records: &[Record]) -> Result<Vec<Option<i64>>> {
    let mut tx = database.write().await?;
    let mut ids = Vec::with_capacity(records.len());
    for record in records {
        ids.push(write_one(&mut tx, record).await?);
    }
    tx.commit().await?;
    Ok(ids)
}

async fn write_one(tx: &mut Tx, record: &Record) -> Result<Option<i64>> {
    let Some(decision) = &record.decision else {
        record.event.record(tx).await?;
        return Ok(None);
    };
    let row = NewDecision {
        door: Door::Admit,
        project_id: Some(decision.project_id),
        repository: &decision.repository,
        digest: &decision.digest,
        verdict: &decision.verdict,
        input_digest: &decision.input.0,
        input: decision.input.1.as_deref(),
        actor: &decision.actor,
        address: &decision.address,
        context: &decision.context,
    };
    let id = metadata::decisions::record(tx, &row).await?;
    record.event.clone().detail("decision", id).record(tx).await?;
    Ok(Some(id))
}
