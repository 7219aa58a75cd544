//! How long a client is waited for: not for ever, and not byte by byte either.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// Time of waiting, in all, after which the rate is looked at.
pub(crate) const RATE_WINDOW: Duration = Duration::from_secs(30);

/// Watches one direction of a connection. Only time in which the client is waited for counts.
#[derive(Debug)]
pub(crate) struct Patience {
    /// Longest pause.
    idle: Duration,
    /// Bytes a second, on average over [`RATE_WINDOW`]; 0 for no limit.
    least_rate: u32,
    timer: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
    waited: Duration,
    moved: u64,
}

impl std::fmt::Display for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let idle = self.idle.as_secs_f64();
        write!(f, "no byte came for {idle} seconds, or fewer than {} a second", self.least_rate)
    }
}

/// The client was too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSlow;

impl Patience {
    pub(crate) fn new(idle: Duration, least_rate: u32) -> Self {
        let (waited, moved) = (Duration::ZERO, 0);
        Self { idle, least_rate, timer: None, since: None, waited, moved }
    }

    /// So many bytes came or went.
    pub(crate) fn moved(&mut self, bytes: usize) -> Result<(), TooSlow> {
        self.moved += bytes as u64;
        let Some(since) = self.since.take() else { return Ok(()) };
        self.timer = None;
        self.waited += since.elapsed();
        if self.waited < RATE_WINDOW {
            return Ok(());
        }
        let least = f64::from(self.least_rate) * self.waited.as_secs_f64();
        let slow = (self.moved as f64) < least;
        (self.waited, self.moved) = (Duration::ZERO, 0);
        if slow { Err(TooSlow) } else { Ok(()) }
    }

    /// The client is waited for; ready when it has paused for too long.
    pub(crate) fn wait(&mut self, context: &mut Context<'_>) -> Poll<TooSlow> {
        self.since.get_or_insert_with(Instant::now);
        let idle = self.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(TooSlow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    async fn pause(patience: &mut Patience, seconds: u64) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(patience.wait(&mut context).is_pending());
        advance(Duration::from_secs(seconds)).await;
        patience.wait(&mut context).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_too_slow_though_no_pause_is_long() {
        let mut patience = Patience::new(Duration::from_secs(60), 100);
        for _ in 0..2 {
            assert!(!pause(&mut patience, 10).await);
            patience.moved(1).unwrap();
        }
        assert!(!pause(&mut patience, 10).await);
        assert_eq!(patience.moved(1), Err(TooSlow));
        let mut unhurried = Patience::new(Duration::from_secs(60), 0);
        for _ in 0..100 {
            assert!(!pause(&mut unhurried, 59).await);
            unhurried.moved(1).unwrap();
        }
        assert!(pause(&mut unhurried, 60).await, "the pause counts all the same");
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_the_rate_is_waited_for() {
        let mut patience = Patience::new(Duration::from_secs(60), 100);
        for _ in 0..20 {
            assert!(!pause(&mut patience, 30).await);
            patience.moved(3_001).unwrap();
        }
        // A burst does not pay for what comes after its window.
        patience.moved(1_000_000).unwrap();
        assert!(!pause(&mut patience, 30).await);
        patience.moved(1).unwrap();
        assert!(!pause(&mut patience, 30).await);
        assert_eq!(patience.moved(1), Err(TooSlow));
        // What the server itself takes its time for is not the client's pause.
        advance(Duration::from_secs(600)).await;
        patience.moved(1).unwrap();
    }
}
