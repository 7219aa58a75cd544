//! Memory for bodies that are read as a whole: there is so much for all of them together, beyond a
//! little for each, and of it so much for the bodies of one address and of one account. Who finds
//! none waits for a moment and is then told to come again.

use crate::{
    HttpError, Result,
    sender::{Holder, holders},
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Bytes of bodies that are held as a whole at once, beyond the first [`SMALL_BODY_BYTES`] of each.
const MAX_HELD_BYTES: usize = 128 * 1024 * 1024;
/// Bytes of it that one address (IPv6: one /64), or one account, holds at once: room for several of
/// the largest bodies that there are.
const MAX_HELD_BYTES_OF_ONE: usize = 16 * 1024 * 1024;
/// Bytes of a body that always find room: nearly every manifest is smaller.
const SMALL_BODY_BYTES: usize = 64 * 1024;
/// Bytes for which room is taken at a time.
const STEP_BYTES: usize = 64 * 1024;
/// Longest wait for room.
const WAIT: Duration = Duration::from_secs(5);
/// Seconds that the sender of a body with more than [`SMALL_BODY_BYTES`] has for the rest of it.
const MAX_LARGE_BODY_SECONDS: u64 = 60;

/// The room of this process.
pub(crate) static ROOM: LazyLock<Room> =
    LazyLock::new(|| Room::of(MAX_HELD_BYTES, MAX_HELD_BYTES_OF_ONE));

/// So many bytes, and so many of them for one.
pub(crate) struct Room {
    steps: Arc<Semaphore>,
    shares: Arc<Shares>,
}

/// What is left of the share of each who holds something, and how many bodies count to it.
struct Shares {
    steps_of_one: usize,
    left: Mutex<HashMap<Holder, (Arc<Semaphore>, usize)>>,
}

/// One body's part in its holder's share, until it is dropped.
struct Share {
    shares: Arc<Shares>,
    holder: Holder,
    left: Arc<Semaphore>,
}

/// Steps that a body holds, of the room and of the shares that it counts to.
#[derive(Default)]
struct Steps {
    /// Of each share and of the room, in this order; given back before the shares are.
    permits: Vec<OwnedSemaphorePermit>,
    shares: Vec<Share>,
}

/// What one body has of the room, until it is dropped.
pub(crate) struct Held<'a> {
    room: &'a Room,
    count: usize,
    steps: Option<Steps>,
    ends: Option<Instant>,
}

/// Bytes with the room that they take.
struct Kept {
    bytes: Bytes,
    _steps: Steps,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Room {
    pub(crate) fn of(bytes: usize, bytes_of_one: usize) -> Self {
        let (steps_of_one, left) = (bytes_of_one / STEP_BYTES, Mutex::default());
        Self {
            steps: Arc::new(Semaphore::new(bytes / STEP_BYTES)),
            shares: Arc::new(Shares { steps_of_one, left }),
        }
    }

    pub(crate) fn enter(&self) -> Held<'_> {
        Held { room: self, count: 0, steps: None, ends: None }
    }

    /// How many hold something.
    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        self.shares.lock().len()
    }
}

impl Shares {
    fn enter(self: &Arc<Self>, holder: Holder) -> Share {
        let full = || (Arc::new(Semaphore::new(self.steps_of_one)), 0);
        let mut all = self.lock();
        let (left, bodies) = all.entry(holder).or_insert_with(full);
        *bodies += 1;
        Share { shares: self.clone(), holder, left: left.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Holder, (Arc<Semaphore>, usize)>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.shares.lock();
        if let Some((_, bodies)) = all.get_mut(&self.holder) {
            *bodies -= 1;
            if *bodies == 0 {
                all.remove(&self.holder);
            }
        }
    }
}

impl Steps {
    /// Takes so many more; the error names whose share was full, `None` the room itself.
    async fn grow(&mut self, more: u32, room: &Room) -> std::result::Result<(), Option<Holder>> {
        let end = Instant::now() + WAIT;
        let of_shares = self.shares.iter().map(|share| (Some(share.holder), &share.left));
        for (at, (whose, steps)) in of_shares.chain([(None, &room.steps)]).enumerate() {
            let free = steps.clone().acquire_many_owned(more);
            let Ok(Ok(permit)) = timeout_at(end, free).await else { return Err(whose) };
            match self.permits.get_mut(at) {
                Some(held) => held.merge(permit),
                None => self.permits.push(permit),
            }
        }
        Ok(())
    }
}

impl Held<'_> {
    /// Takes room for so many bytes in all.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<()> {
        let wanted = bytes.saturating_sub(SMALL_BODY_BYTES).div_ceil(STEP_BYTES);
        let more = wanted.saturating_sub(self.count);
        if more == 0 {
            return Ok(());
        }
        let room = self.room;
        let steps = self.steps.get_or_insert_with(|| {
            let shares = holders().into_iter().map(|holder| room.shares.enter(holder));
            Steps { permits: Vec::new(), shares: shares.collect() }
        });
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        steps.grow(more, room).await.map_err(|whose| {
            let whose = whose.map(|holder| format!(" {}", holder.named())).unwrap_or_default();
            HttpError::too_many(
                format!(
                    "too many large bodies{whose} are being received at once; send it again later"
                ),
                WAIT,
            )
        })?;
        self.count = wanted;
        let time = Duration::from_secs(MAX_LARGE_BODY_SECONDS);
        self.ends.get_or_insert_with(|| Instant::now() + time);
        Ok(())
    }

    /// Until when all of the body must have come; none while it is small.
    pub(crate) const fn ends(&self) -> Option<Instant> {
        self.ends
    }

    /// The whole, which gives its room back when it is dropped.
    pub(crate) fn keep(self, bytes: Bytes) -> Bytes {
        match self.steps {
            Some(steps) => Bytes::from_owner(Kept { bytes, _steps: steps }),
            None => bytes,
        }
    }
}
