//! The loops: closed (ask again when answered) and open (ask when it is due).

use anyhow::Result;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How much, how fast, for how long.
pub(super) struct Limits {
    /// Workers.
    pub(super) clients: u32,
    /// Operations per second of an open loop; none means a closed one.
    pub(super) rate: Option<f64>,
    /// When no more operations begin.
    pub(super) time: Duration,
    /// How many operations at most.
    pub(super) count: u64,
}

/// What a worker does again and again.
pub(super) trait Work: Send + 'static {
    /// One operation; gives the number of requests that it took.
    fn once(&mut self, number: u64) -> impl Future<Output = Result<u64>> + Send;
}

/// What came of it.
#[derive(Default)]
pub(super) struct Outcome {
    /// Latencies of the operations that succeeded.
    pub(super) times: Vec<Duration>,
    /// Requests of these.
    pub(super) requests: u64,
    /// Operations that failed.
    pub(super) errors: u64,
    /// What the first of these said.
    pub(super) first_error: Option<String>,
    /// From the first operation's begin to the last one's end.
    pub(super) took: Duration,
}

/// Runs workers until time or count is used up.
pub(super) async fn drive<W: Work>(limits: &Limits, worker: impl Fn(u32) -> W) -> Outcome {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for number in 0..limits.clients.max(1) {
        let schedule = Schedule {
            next: next.clone(),
            started,
            end: started + limits.time,
            count: limits.count,
            rate: limits.rate,
        };
        workers.spawn(run(worker(number), schedule));
    }
    let mut all = Outcome::default();
    while let Some(done) = workers.join_next().await {
        let part = match done {
            Ok(part) => part,
            Err(error) => {
                Outcome { errors: 1, first_error: Some(error.to_string()), ..Outcome::default() }
            }
        };
        all.times.extend(part.times);
        all.requests += part.requests;
        all.errors += part.errors;
        all.first_error = all.first_error.or(part.first_error);
    }
    all.took = started.elapsed();
    all
}

/// Hands out the operations of all workers.
struct Schedule {
    next: Arc<AtomicU64>,
    started: Instant,
    end: Instant,
    count: u64,
    rate: Option<f64>,
}

impl Schedule {
    /// The number of the next operation and the moment from which its latency counts.
    ///
    /// In an open loop that is the moment when it was due, if every worker was busy then: what
    /// waits in the load waits because of the server. A worker that sat waiting for the moment
    /// counts from when its timer woke it, which may be a millisecond late and is no fault of the
    /// server's.
    async fn take(&self) -> Option<(u64, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let due = match self.rate {
            None => now,
            Some(rate) => self.started + Duration::from_secs_f64(number as f64 / rate),
        };
        if number >= self.count || due >= self.end {
            return None;
        }
        if due <= now {
            return Some((number, due));
        }
        tokio::time::sleep_until(due.into()).await;
        Some((number, Instant::now()))
    }
}

async fn run<W: Work>(mut worker: W, schedule: Schedule) -> Outcome {
    let mut outcome = Outcome::default();
    while let Some((number, begun)) = schedule.take().await {
        match worker.once(number).await {
            Ok(requests) => {
                outcome.times.push(begun.elapsed());
                outcome.requests += requests;
            }
            Err(error) => {
                outcome.errors += 1;
                outcome.first_error.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Slow(Duration);

    impl Work for Slow {
        async fn once(&mut self, _: u64) -> Result<u64> {
            tokio::time::sleep(self.0).await;
            Ok(1)
        }
    }

    #[tokio::test]
    async fn an_open_loop_counts_the_time_that_an_operation_waits_to_be_sent() {
        // One client that needs 20 ms for each of ten operations that are due within 10 ms.
        let limits =
            Limits { clients: 1, rate: Some(1000.0), time: Duration::from_secs(10), count: 10 };
        let outcome = drive(&limits, |_| Slow(Duration::from_millis(20))).await;
        assert_eq!((outcome.times.len(), outcome.requests, outcome.errors), (10, 10, 0));
        let longest = outcome.times.iter().max().copied().unwrap_or_default();
        assert!(longest >= Duration::from_millis(150), "{longest:?}");
    }
}
