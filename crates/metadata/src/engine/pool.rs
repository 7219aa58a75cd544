//! The connections to a SQLite file, and the queues of those who wait for one.

use super::{
    error::{ACQUIRE_SECONDS, Error, Result},
    sqlite::{LOCK_WAIT, Lite, Opening},
    statement::aside,
};
use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};

/// Between two looks whether another process has let go of the lock.
const LOOK_AGAIN: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(50),
];

/// Connections of one kind, at most `size`. Who finds none free waits in a fair queue.
pub(super) struct Pool {
    opening: Opening,
    size: u32,
    permits: Arc<Semaphore>,
    /// Those that nobody uses; none stands in a transaction.
    idle: Mutex<Vec<Lite>>,
    closed: AtomicBool,
}

/// A connection in use. It goes back when this is dropped, and what it had begun is undone first.
pub(super) struct Held {
    lite: Option<Lite>,
    pool: Arc<Pool>,
    /// Released last.
    _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("opening", &self.opening).finish_non_exhaustive()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.pool).finish()
    }
}

impl Pool {
    /// Opens one; the others when they are needed.
    pub(super) fn open(opening: Opening, size: u32) -> Result<Arc<Self>> {
        let first = aside(|| opening.open())?;
        Ok(Arc::new(Self {
            opening,
            size,
            permits: Arc::new(Semaphore::new(size as usize)),
            idle: Mutex::new(vec![first]),
            closed: AtomicBool::new(false),
        }))
    }

    /// Begins a transaction that only reads. Its snapshot begins with its first statement.
    pub(super) async fn begin_reading(self: &Arc<Self>) -> Result<Held> {
        let mut held = self.take().await?;
        held.begin("BEGIN")?;
        Ok(held)
    }

    /// Begins a transaction that writes. While another process holds the lock it waits.
    pub(super) async fn begin_writing(self: &Arc<Self>) -> Result<Held> {
        let mut held = self.take().await?;
        let end = Instant::now() + LOCK_WAIT;
        let mut pauses = LOOK_AGAIN.iter();
        let mut pause = Duration::ZERO;
        loop {
            match held.begin("BEGIN IMMEDIATE") {
                Err(Error::Locked) if Instant::now() < end => {
                    pause = pauses.next().copied().unwrap_or(pause);
                    sleep(pause).await;
                }
                begun => return begun.map(|()| held),
            }
        }
    }

    async fn take(self: &Arc<Self>) -> Result<Held> {
        let closed = || Error::Unavailable { why: "it was closed".to_owned() };
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let wait = Duration::from_secs(ACQUIRE_SECONDS);
                let permit = timeout(wait, self.permits.clone().acquire_owned()).await;
                permit
                    .map_err(|_| Error::Busy { seconds: ACQUIRE_SECONDS })?
                    .map_err(|_| closed())?
            }
        };
        if self.closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        let rested = self.idle().pop();
        let lite = match rested {
            Some(lite) => lite,
            None => aside(|| self.opening.open())?,
        };
        Ok(Held { lite: Some(lite), pool: self.clone(), _permit: permit })
    }

    /// Closes all connections, when those in use have come back.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // The semaphore itself is never closed.
        let _all = self.permits.acquire_many(self.size).await;
        let idle = std::mem::take(&mut *self.idle());
        // The last connection to a file copies the log into it.
        let closing = tokio::task::spawn_blocking(move || drop(idle));
        // Without it they were closed all the same, when the program ended.
        let _ = closing.await;
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Lite>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Gives the connection back after a commit. A long log is copied into the file before, in
    /// another thread: nobody writes meanwhile, so that all of it can be, and nobody waits for it
    /// but who wants to write.
    pub(super) fn give_back(mut self) {
        if !self.log_is_long() {
            return;
        }
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || self.checkpoint())),
            Err(_) => self.checkpoint(),
        }
    }
}

impl Deref for Held {
    type Target = Lite;

    #[expect(clippy::expect_used, reason = "it is taken out only when this is dropped")]
    fn deref(&self) -> &Lite {
        self.lite.as_ref().expect("not dropped")
    }
}

impl DerefMut for Held {
    #[expect(clippy::expect_used, reason = "it is taken out only when this is dropped")]
    fn deref_mut(&mut self) -> &mut Lite {
        self.lite.as_mut().expect("not dropped")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(mut lite) = self.lite.take() else { return };
        match lite.rollback() {
            Ok(()) => self.pool.idle().push(lite),
            // Closed, which undoes everything; another one is opened when it is needed.
            Err(error) => tracing::warn!(%error, "a connection to the database is closed"),
        }
    }
}
