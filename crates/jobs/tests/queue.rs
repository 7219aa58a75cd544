//! The queue on both engines.
#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::SignedDuration;
use sealock_jobs::{Handler, Job, JobError, Jobs, Limits, RunOutcome, enqueue};
use sealock_metadata::{Database, both_engines, jobs, testing::TestDatabase};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

#[derive(Default)]
struct Counting {
    runs: AtomicUsize,
    fail_first: usize,
    permanent: bool,
    panics: bool,
    pause: Duration,
}

#[async_trait::async_trait]
impl Handler for Counting {
    async fn run(&self, _: &Job) -> Result<(), JobError> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.pause).await;
        assert!(!(self.panics && run == 0), "on purpose");
        match (run < self.fail_first, self.permanent) {
            (true, true) => Err(JobError::permanent("never")),
            (true, false) => Err(JobError::retry("not yet")),
            _ => Ok(()),
        }
    }
}

fn queue(db: &Database, handler: Counting) -> (Jobs, Arc<Counting>) {
    let (jobs, handler) = (Jobs::new(db.clone()), Arc::new(handler));
    jobs.register("kind", Limits { attempts: 3, ..Limits::default() }, handler.clone());
    (jobs, handler)
}

async fn put(db: &Database, key: &str) {
    let mut tx = db.write().await.unwrap();
    enqueue(&mut tx, "kind", key, &1).await.unwrap();
    tx.commit().await.unwrap();
}

async fn open(db: &Database, key: &str) -> usize {
    let mut tx = db.read().await.unwrap();
    jobs::open(&mut tx, "kind", key).await.unwrap().len()
}

both_engines!(
    a_job_lives_and_dies_with_its_transaction,
    failures_pause_longer_each_time_and_end_among_the_dead,
    a_permanent_failure_is_dead_at_once_and_a_panic_is_retried,
    many_doors_cause_one_execution,
    a_door_waits_no_longer_than_its_limit,
    a_lost_lease_is_another_workers_and_the_late_one_is_fenced_off,
    workers_start_at_once_and_stop,
    a_clock_that_jumps_stops_no_job,
);

async fn a_job_lives_and_dies_with_its_transaction(t: &mut TestDatabase) {
    let (jobs, handler) = queue(&t.db, Counting::default());
    let mut tx = t.db.write().await.unwrap();
    enqueue(&mut tx, "kind", "a", &1).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(jobs.drain().await.unwrap(), 0);
    put(&t.db, "a").await;
    put(&t.db, "a").await;
    assert_eq!(open(&t.db, "a").await, 1);
    assert_eq!(jobs.drain().await.unwrap(), 1);
    assert_eq!((handler.runs.load(Ordering::SeqCst), open(&t.db, "a").await), (1, 0));
}

async fn failures_pause_longer_each_time_and_end_among_the_dead(t: &mut TestDatabase) {
    let (jobs, handler) = queue(&t.db, Counting { fail_first: 9, ..Counting::default() });
    put(&t.db, "a").await;
    assert_eq!(jobs.drain().await.unwrap(), 1);
    assert_eq!(jobs.drain().await.unwrap(), 0, "it pauses");
    t.clock.advance(SignedDuration::from_secs(2));
    assert_eq!(jobs.drain().await.unwrap(), 1);
    t.clock.advance(SignedDuration::from_millis(1_900));
    assert_eq!(jobs.drain().await.unwrap(), 0, "the second pause is longer");
    t.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(jobs.drain().await.unwrap(), 1);
    t.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(jobs.drain().await.unwrap(), 0);
    assert_eq!(handler.runs.load(Ordering::SeqCst), 3);
    let mut tx = t.db.write().await.unwrap();
    let dead = jobs::dead(&mut tx, 0, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].last_error.as_deref()), (1, Some("not yet")));
    assert!(jobs::bury(&mut tx, dead[0].id).await.unwrap());
    tx.commit().await.unwrap();
}

async fn a_permanent_failure_is_dead_at_once_and_a_panic_is_retried(t: &mut TestDatabase) {
    let failing = Counting { fail_first: 9, permanent: true, ..Counting::default() };
    let (jobs, _) = queue(&t.db, failing);
    put(&t.db, "a").await;
    assert_eq!(jobs.drain().await.unwrap(), 1);
    let mut tx = t.db.read().await.unwrap();
    assert_eq!(jobs::dead(&mut tx, 0, 10).await.unwrap().len(), 1);
    drop(tx);
    let (jobs, handler) = queue(&t.db, Counting { panics: true, ..Counting::default() });
    put(&t.db, "b").await;
    assert_eq!(jobs.drain().await.unwrap(), 1);
    t.clock.advance(SignedDuration::from_secs(5));
    assert_eq!(jobs.drain().await.unwrap(), 1);
    assert_eq!((handler.runs.load(Ordering::SeqCst), open(&t.db, "b").await), (2, 0));
}

async fn many_doors_cause_one_execution(t: &mut TestDatabase) {
    let pause = Duration::from_millis(150);
    let (jobs, handler) = queue(&t.db, Counting { pause, ..Counting::default() });
    let other = Jobs::new(t.db.clone());
    other.register("kind", Limits::default(), handler.clone());
    put(&t.db, "a").await;
    let mut doors = tokio::task::JoinSet::new();
    for number in 0..8 {
        let jobs = if number % 2 == 0 { jobs.clone() } else { other.clone() };
        doors.spawn(async move { jobs.run_now("kind", "a", Duration::from_secs(10)).await });
    }
    for outcome in doors.join_all().await {
        assert_eq!(outcome.unwrap(), RunOutcome::Done);
    }
    assert_eq!(handler.runs.load(Ordering::SeqCst), 1);
}

async fn a_door_waits_no_longer_than_its_limit(t: &mut TestDatabase) {
    let pause = Duration::from_millis(600);
    let (jobs, handler) = queue(&t.db, Counting { pause, ..Counting::default() });
    put(&t.db, "a").await;
    let outcome = jobs.run_now("kind", "a", Duration::from_millis(50)).await.unwrap();
    assert_eq!(outcome, RunOutcome::TimedOut);
    let outcome = jobs.run_now("kind", "a", Duration::from_secs(10)).await.unwrap();
    assert_eq!(outcome, RunOutcome::Done);
    assert_eq!(handler.runs.load(Ordering::SeqCst), 1, "the execution went on");
    let (jobs, _) = queue(&t.db, Counting { fail_first: 1, ..Counting::default() });
    put(&t.db, "b").await;
    let outcome = jobs.run_now("kind", "b", Duration::from_secs(10)).await.unwrap();
    assert_eq!(outcome, RunOutcome::Failed("not yet".to_owned()));
    assert_eq!(jobs.run_now("kind", "none", pause).await.unwrap(), RunOutcome::Done);
}

async fn a_lost_lease_is_another_workers_and_the_late_one_is_fenced_off(t: &mut TestDatabase) {
    put(&t.db, "a").await;
    let mut tx = t.db.write().await.unwrap();
    let span = SignedDuration::from_secs(30);
    let first = jobs::claim(&mut tx, &["kind"], span).await.unwrap().unwrap();
    assert_eq!(jobs::claim(&mut tx, &["kind"], span).await.unwrap(), None);
    tx.commit().await.unwrap();
    // Queued again while it runs: that one waits for the first to end.
    put(&t.db, "a").await;
    let mut tx = t.db.write().await.unwrap();
    assert_eq!(jobs::claim(&mut tx, &["kind"], span).await.unwrap(), None);
    tx.commit().await.unwrap();
    t.clock.advance(SignedDuration::from_secs(31));
    let mut tx = t.db.write().await.unwrap();
    let second = jobs::claim(&mut tx, &["kind"], span).await.unwrap().unwrap();
    assert_eq!((second.id, second.lease), (first.id, first.lease + 1));
    assert!(!jobs::extend(&mut tx, first.id, first.lease, span).await.unwrap());
    assert!(!jobs::complete(&mut tx, first.id, first.lease).await.unwrap());
    assert!(jobs::complete(&mut tx, second.id, second.lease).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(open(&t.db, "a").await, 1);
}

async fn workers_start_at_once_and_stop(t: &mut TestDatabase) {
    let (jobs, handler) = queue(&t.db, Counting::default());
    let workers = jobs.start(3).await.unwrap();
    for key in 0..20 {
        put(&t.db, &key.to_string()).await;
    }
    jobs.wake();
    for _ in 0..100 {
        if handler.runs.load(Ordering::SeqCst) == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(handler.runs.load(Ordering::SeqCst), 20);
    workers.stop(Duration::from_secs(5)).await;
    put(&t.db, "late").await;
    jobs.wake();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(handler.runs.load(Ordering::SeqCst), 20);
}

/// A clock that ran ahead for a while leaves leases and due times in the future behind.
async fn a_clock_that_jumps_stops_no_job(t: &mut TestDatabase) {
    let (jobs, handler) = queue(&t.db, Counting { fail_first: 1, ..Counting::default() });
    let right = t.db.clock().now();
    t.clock.advance(SignedDuration::from_hours(24 * 365));
    put(&t.db, "leased").await;
    let mut tx = t.db.write().await.unwrap();
    let span = SignedDuration::from_secs(30);
    let leased = jobs::claim(&mut tx, &["kind"], span).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    put(&t.db, "fails").await;
    put(&t.db, "waits").await;
    assert_eq!(jobs.drain().await.unwrap(), 2, "one of them fails and pauses");
    put(&t.db, "late").await;
    t.clock.set(right);
    assert_eq!(jobs.drain().await.unwrap(), 3, "the lease, the pause and the time are over");
    assert_eq!(handler.runs.load(Ordering::SeqCst), 5);
    for key in ["leased", "fails", "waits", "late"] {
        assert_eq!(open(&t.db, key).await, 0, "{key}");
    }
    let mut tx = t.db.write().await.unwrap();
    assert!(!jobs::complete(&mut tx, leased.id, leased.lease).await.unwrap(), "fenced off");
}
