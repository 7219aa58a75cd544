//! Memory for bodies that are read as a whole: there is so much for all of them together, beyond a
//! little for each. Who finds none waits for a moment and is then told to come again.

use crate::{HttpError, Result};
use bytes::Bytes;
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// Bytes of bodies that are held as a whole at once, beyond the first [`SMALL_BODY_BYTES`] of each.
const MAX_HELD_BYTES: usize = 128 * 1024 * 1024;
/// Bytes of a body that always find room: nearly every manifest is smaller.
const SMALL_BODY_BYTES: usize = 64 * 1024;
/// Bytes for which room is taken at a time.
const STEP_BYTES: usize = 64 * 1024;
/// Longest wait for room.
const WAIT: Duration = Duration::from_secs(5);
/// Seconds that the sender of a body with more than [`SMALL_BODY_BYTES`] has for the rest of it.
const MAX_LARGE_BODY_SECONDS: u64 = 60;

/// The room of this process.
pub(crate) static ROOM: LazyLock<Room> = LazyLock::new(|| Room::of(MAX_HELD_BYTES));

/// So many bytes.
pub(crate) struct Room {
    steps: Arc<Semaphore>,
}

/// What one body has of it, until it is dropped.
pub(crate) struct Held<'a> {
    room: &'a Room,
    steps: usize,
    permit: Option<OwnedSemaphorePermit>,
    ends: Option<Instant>,
}

/// Bytes with the room that they take.
struct Kept {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Room {
    pub(crate) fn of(bytes: usize) -> Self {
        Self { steps: Arc::new(Semaphore::new(bytes / STEP_BYTES)) }
    }

    pub(crate) fn enter(&self) -> Held<'_> {
        Held { room: self, steps: 0, permit: None, ends: None }
    }
}

impl Held<'_> {
    /// Takes room for so many bytes in all.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<()> {
        let wanted = bytes.saturating_sub(SMALL_BODY_BYTES).div_ceil(STEP_BYTES);
        let more = wanted.saturating_sub(self.steps);
        if more == 0 {
            return Ok(());
        }
        let more_permits = u32::try_from(more).unwrap_or(u32::MAX);
        let free = self.room.steps.clone().acquire_many_owned(more_permits);
        let Ok(Ok(permit)) = timeout(WAIT, free).await else {
            let message = "too many large bodies are being received at once; send it again later";
            return Err(HttpError::too_many(message, WAIT));
        };
        match &mut self.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        self.steps = wanted;
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
        match self.permit {
            Some(permit) => Bytes::from_owner(Kept { bytes, _permit: permit }),
            None => bytes,
        }
    }
}
