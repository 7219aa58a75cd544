use crate::{JobError, Jobs, handler::Registered};
use jiff::SignedDuration;
use sealock_metadata::{Engine, Result, jobs, jobs::Job};
use std::time::Duration;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

/// How long a worker may be silent before its job is another's.
pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// How often a lease is held longer.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a worker sleeps at most: jobs of other replicas make no noise here.
const POLL: Duration = Duration::from_secs(1);
/// First pause after a failure; it doubles with each one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// Longest pause after a failure.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(600);
/// Longest error text kept, in bytes.
const MAX_ERROR: usize = 2_000;

/// Running workers.
#[derive(Debug)]
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Lets running jobs end, for at most `grace`; what is not done by then is left to its lease.
    pub async fn stop(mut self, grace: Duration) {
        let _ = self.stop.send(true);
        let deadline = Instant::now() + grace;
        for task in &mut self.tasks {
            if tokio::time::timeout_at(deadline, &mut *task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

impl Jobs {
    /// Starts `count` workers. On SQLite, which one process uses, jobs of a former life are free at
    /// once; elsewhere their leases run out.
    pub async fn start(&self, count: usize) -> Result<Workers> {
        if self.inner.db.engine() == Engine::Sqlite {
            let mut tx = self.inner.db.write().await?;
            jobs::release_all(&mut tx).await?;
            tx.commit().await?;
        }
        let (stop, stopped) = watch::channel(false);
        let tasks = (0..count).map(|_| tokio::spawn(work(self.clone(), stopped.clone()))).collect();
        Ok(Workers { stop, tasks })
    }

    /// Runs due jobs until none is left; how many ran. For tools and tests that have no workers.
    pub async fn drain(&self) -> Result<usize> {
        let mut count = 0;
        while self.step().await? {
            count += 1;
        }
        Ok(count)
    }

    /// Claims and runs one job; false when none is due.
    async fn step(&self) -> Result<bool> {
        let kinds = self.free_kinds();
        if kinds.is_empty() {
            return Ok(false);
        }
        // A look without the write lock first: idle workers must not stand in the writers' queue.
        let mut tx = self.inner.db.read().await?;
        let due = jobs::any_due(&mut tx, &kinds).await?;
        tx.rollback().await?;
        if !due {
            return Ok(false);
        }
        let mut tx = self.inner.db.write().await?;
        let Some(job) = jobs::claim(&mut tx, &kinds, LEASE).await? else {
            return Ok(false);
        };
        // No step of the queue waits for the disk: a job that runs again does no harm, and its end
        // is never durable before its effects, which come earlier in the log.
        tx.commit_soon().await?;
        // There may be more: the next worker looks, and not all at once for every push.
        self.wake();
        // How the job ended stands in its row and in the log.
        let _ended: Result<(), JobError> = self.execute(job).await?;
        Ok(true)
    }

    /// Runs a claimed job and records how it ended. The inner error is the job's own.
    pub(crate) async fn execute(&self, job: Job) -> Result<Result<(), JobError>> {
        let Some(registered) = self.handler(&job.kind) else {
            let error = JobError::retry("no handler is registered for this kind");
            self.record(&job, i64::MAX, Err(&error)).await?;
            return Ok(Err(error));
        };
        let ended = self.attempt(&job, &registered).await;
        self.record(&job, registered.limits.attempts, ended.as_ref().map(|_| ())).await?;
        self.inner.ended.notify_waiters();
        Ok(ended)
    }

    /// One execution under heartbeat and time limit. A panic of the handler is a failure like any.
    async fn attempt(&self, job: &Job, registered: &Registered) -> Result<(), JobError> {
        let (handler, own) = (registered.handler.clone(), job.clone());
        let places = registered.places.clone();
        let mut task = tokio::spawn(async move {
            // Waits under the heartbeat, so that a full house loses no lease. Nothing closes the
            // semaphore.
            let _place = places.acquire_owned().await.ok();
            handler.run(&own).await
        });
        let deadline = Instant::now() + registered.limits.time;
        loop {
            let beat = tokio::time::timeout(HEARTBEAT, &mut task);
            let ended = match tokio::time::timeout_at(deadline, beat).await {
                Ok(Ok(ended)) => ended,
                Ok(Err(_)) if self.hold(job).await => continue,
                Ok(Err(_)) => {
                    task.abort();
                    return Err(JobError::retry("the lease was lost"));
                }
                Err(_) => {
                    task.abort();
                    let seconds = registered.limits.time.as_secs();
                    return Err(JobError::retry(format!("not done within {seconds} s")));
                }
            };
            return ended.unwrap_or_else(|error| {
                Err(JobError::retry(format!("the handler stopped: {error}")))
            });
        }
    }

    /// Holds the lease longer. True also when the database did not answer: the lease may yet last.
    async fn hold(&self, job: &Job) -> bool {
        let held = async {
            let mut tx = self.inner.db.write().await?;
            let held = jobs::extend(&mut tx, job.id, job.lease, LEASE).await?;
            tx.commit_soon().await?;
            Result::<bool>::Ok(held)
        };
        held.await.unwrap_or_else(|error| {
            tracing::warn!(job = job.id, %error, "a lease could not be extended");
            true
        })
    }

    async fn record(&self, job: &Job, attempts: i64, ended: Result<(), &JobError>) -> Result<()> {
        let mut tx = self.inner.db.write().await?;
        let kept = match ended {
            Ok(()) => jobs::complete(&mut tx, job.id, job.lease).await?,
            Err(error) => {
                let last = matches!(error, JobError::Permanent(_)) || job.attempts >= attempts;
                let retry = (!last).then(|| pause_after(job));
                let mut text = error.to_string();
                text.truncate(text.floor_char_boundary(MAX_ERROR));
                let (kind, key) = (&job.kind, &job.key);
                if last {
                    tracing::error!(%kind, %key, error = %text, "a job is dead");
                } else {
                    tracing::warn!(%kind, %key, error = %text, "a job failed and will be retried");
                }
                jobs::fail(&mut tx, job.id, job.lease, &text, retry).await?
            }
        };
        if !kept {
            tracing::warn!(job = job.id, kind = %job.kind, "a job lost its lease before it ended");
        }
        tx.commit_soon().await
    }
}

/// The pause before the next attempt: it doubles, and the job's number spreads those that failed
/// together.
fn pause_after(job: &Job) -> SignedDuration {
    let doublings = u32::try_from(job.attempts.clamp(1, 20) - 1).unwrap_or(0);
    let pause = FIRST_PAUSE.saturating_mul(1_i32 << doublings.min(20)).min(LONGEST_PAUSE);
    pause + pause / 4 * i32::try_from(job.id.rem_euclid(8)).unwrap_or(0) / 8
}

async fn work(jobs: Jobs, mut stopped: watch::Receiver<bool>) {
    loop {
        let arrived = jobs.inner.arrived.notified();
        if *stopped.borrow() {
            return;
        }
        match jobs.step().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, "the queue is busy");
            }
            Err(error) => tracing::error!(%error, "the queue cannot be read"),
        }
        tokio::select! {
            () = arrived => {}
            _ = stopped.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}
