//! The collector: bounded batches, each a short transaction, with a rest after each.

use crate::{CollectionMetrics, Report, invariants};
use jiff::SignedDuration;
use sealock_blobs::{BlobKey, StoreFile};
use sealock_metadata::{
    Database, collections,
    dying_files::{self, Claimed, DyingFile},
    forecast,
    reviews::{self, Due},
};
use sealock_registry::{Error, Registry, Result, UPLOAD_REST};
use std::time::{Duration, Instant};

/// How long a replica may take to remove the files that it claimed, until another one may. Short,
/// for it is what the files of a process that was killed in between wait; who takes longer does the
/// work twice, and harms nothing.
const CLAIM: SignedDuration = SignedDuration::from_secs(30);
/// How long a run that was asked for holds its place after each word of it.
pub(crate) const RUN_LEASE: SignedDuration = SignedDuration::from_mins(2);
/// Pause until a failed removal is tried again: this, doubled each time.
const RETRY: SignedDuration = SignedDuration::from_secs(30);
/// Most doublings: 30 s become 8 hours.
const MOST_DOUBLINGS: u32 = 10;

/// How hard a run works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of one transaction and files of one removal.
    pub batch: u32,
    /// Rest after each batch, in percent of the time that it took: 100 leaves half of the time to
    /// others, 0 rests only to let others in.
    pub rest_percent: u32,
    /// Which entries of the queue count as due. [`Due::All`] is **unsafe** while anybody pushes.
    pub due: Due,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch: 200, rest_percent: 100, due: Due::Ended }
    }
}

/// Frees what nothing refers to any more. Clones share their metrics.
#[derive(Debug, Clone, Default)]
pub struct Collector {
    metrics: CollectionMetrics,
}

/// One run under way.
struct Run<'a> {
    registry: &'a Registry,
    limits: Limits,
    record: Option<i64>,
    report: Report,
    metrics: &'a CollectionMetrics,
    begun: Instant,
}

impl Collector {
    /// A collector that counts in these metrics.
    pub fn new(metrics: CollectionMetrics) -> Self {
        Self { metrics }
    }

    /// Collects all that is due now. A run that is dropped at any await goes on with the next one;
    /// any number of runs, in any number of replicas, share the work.
    pub async fn run_once(&self, registry: &Registry, limits: Limits) -> Result<Report> {
        self.run(registry, limits, None).await
    }

    /// As [`Collector::run_once`]; writes the report so far into the record with this number, and
    /// ends when the record has been given up.
    pub(crate) async fn run(
        &self,
        registry: &Registry,
        limits: Limits,
        record: Option<i64>,
    ) -> Result<Report> {
        let report = Report::default();
        let metrics = &self.metrics;
        let begun = Instant::now();
        let mut run = Run { registry, limits, record, report, metrics, begun };
        let outcome = run.all().await;
        run.report.milliseconds = milliseconds(run.begun);
        metrics.ran(&run.report, outcome.is_ok(), run.begun.elapsed());
        outcome.map(|()| run.report)
    }

    /// What a run would do now. Locks and changes nothing.
    pub async fn dry_run(&self, registry: &Registry, due: Due) -> Result<Report> {
        let begun = Instant::now();
        let mut tx = registry.database().read().await?;
        let rested = tx.shared_now().await? - UPLOAD_REST;
        let found = forecast::forecast(&mut tx, due, rested).await?;
        let mut report = Report::forecast(&found);
        report.milliseconds = milliseconds(begun);
        Ok(report)
    }

    /// Reads the queue's length into the metrics.
    pub async fn measure(&self, database: &Database) -> Result<()> {
        let mut tx = database.read().await?;
        self.metrics.queue(forecast::queue(&mut tx).await?);
        Ok(())
    }
}

/// The kinds of reviews, in the order in which garbage flows downhill.
#[derive(Debug, Clone, Copy)]
enum Step {
    Uploads,
    Links,
    Blobs,
    Contents,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<()> {
        // What an earlier run left: a crash between row and bytes is completed here.
        self.remove_dying().await?;
        for step in [Step::Uploads, Step::Links, Step::Blobs, Step::Contents] {
            loop {
                let begun = Instant::now();
                let more = self.review(step).await?;
                self.remove_dying().await?;
                if !more || !self.told().await? {
                    break;
                }
                self.rest(begun).await;
            }
        }
        Ok(())
    }

    /// One batch of reviews. Whether it got on: what others hold locked is left for the next run.
    async fn review(&mut self, step: Step) -> Result<bool> {
        let Limits { batch, due, .. } = self.limits;
        let mut tx = self.registry.database().write().await?;
        let got_on = match step {
            Step::Uploads => {
                let rested = tx.shared_now().await? - UPLOAD_REST;
                let dropped = reviews::uploads(&mut tx, rested, batch).await?;
                self.report.reviewed += dropped;
                dropped
            }
            Step::Links | Step::Blobs => {
                let done = match step {
                    Step::Links => reviews::links(&mut tx, due, batch).await?,
                    _ => reviews::blobs(&mut tx, due, batch).await?,
                };
                if cfg!(debug_assertions) {
                    invariants::assert_nobody_refers(&mut tx, &done.condemned).await?;
                }
                self.report.review(&done);
                match step {
                    Step::Links => done.kept_named + done.links_dropped,
                    _ => done.looked_at,
                }
            }
            Step::Contents => {
                let (looked_at, gone) = reviews::contents(&mut tx, due, batch).await?;
                self.report.reviewed += looked_at;
                self.report.contents_dropped += gone;
                looked_at
            }
        };
        tx.commit().await?;
        Ok(got_on > 0)
    }

    /// Removes what is dying, batch by batch: row first, bytes second, and only then the row that
    /// remembers the bytes.
    async fn remove_dying(&mut self) -> Result<()> {
        loop {
            let begun = Instant::now();
            let mut tx = self.registry.database().write().await?;
            let claimed = dying_files::claim(&mut tx, CLAIM, self.limits.batch).await?;
            tx.commit().await?;
            if claimed.is_empty() {
                return Ok(());
            }
            let (mut removed, mut failed) = (Vec::new(), Vec::new());
            let mut ours = Vec::new();
            for claimed in claimed {
                match file_of(&claimed) {
                    Some(file) => ours.push((claimed, file)),
                    // An upload's name that the store never gives has no file there.
                    None => removed.push(claimed),
                }
            }
            let files = ours.iter().map(|(_, file)| *file).collect();
            let outcomes = self.registry.blobs().remove_for_good(files).await?;
            for ((claimed, _), outcome) in ours.into_iter().zip(outcomes) {
                match outcome {
                    Ok(()) => removed.push(claimed),
                    Err(error) => {
                        tracing::warn!(file = ?claimed.file, %error, "bytes stay behind for now");
                        failed.push(claimed);
                    }
                }
            }
            self.finish(&removed, &failed).await?;
            if !self.told().await? {
                return Ok(());
            }
            self.rest(begun).await;
        }
    }

    async fn finish(&mut self, removed: &[Claimed], failed: &[Claimed]) -> Result<()> {
        let mut tx = self.registry.database().write().await?;
        let ended = dying_files::finish(&mut tx, removed).await?;
        for claimed in failed {
            dying_files::put_off(&mut tx, claimed, pause(claimed.attempts)).await?;
        }
        tx.commit().await?;
        // Counted by whoever ended the row, once.
        for file in &ended {
            self.report.free(file.reason, 1, file.size);
            self.metrics.freed(file.reason, file.size);
        }
        self.report.failures += failed.len() as u64;
        Ok(())
    }

    /// Says how far the run is. Whether it may go on.
    async fn told(&self) -> Result<bool> {
        let Some(id) = self.record else { return Ok(true) };
        let so_far = Report { milliseconds: milliseconds(self.begun), ..self.report.clone() };
        let mut tx = self.registry.database().write().await?;
        let text = serde_json::to_string(&so_far).map_err(Error::internal)?;
        let holds = collections::progress(&mut tx, id, &text, RUN_LEASE).await?;
        tx.commit().await?;
        Ok(holds)
    }

    async fn rest(&self, begun: Instant) {
        let rest = begun.elapsed().saturating_mul(self.limits.rest_percent) / 100;
        match rest < Duration::from_millis(1) {
            true => tokio::task::yield_now().await,
            false => tokio::time::sleep(rest).await,
        }
    }
}

fn file_of(claimed: &Claimed) -> Option<StoreFile> {
    match &claimed.file {
        DyingFile::Blob { digest, generation } => {
            Some(StoreFile::Blob(BlobKey { digest: *digest, generation: *generation }))
        }
        DyingFile::Upload { id } => id.parse().ok().map(StoreFile::Upload),
    }
}

fn pause(attempts: i64) -> SignedDuration {
    let doublings = u32::try_from(attempts).unwrap_or(0).min(MOST_DOUBLINGS);
    RETRY.saturating_mul(1 << doublings)
}

fn milliseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
