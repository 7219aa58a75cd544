//! The bytes of a request on their way to the disk.

use crate::Result;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sealock_blobs::UploadWriter;
use std::{io, pin::Pin, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long bytes of an upload wait in memory for a full batch of them
/// ([`sealock_blobs::BATCH_BYTES`]): thousands who send slowly would else hold one each.
const LONGEST_HELD: Duration = Duration::from_secs(1);

/// Fewer bytes than these wait for more, however long that takes: a write for every few of them
/// would cost more than they do. In bytes.
const WORTH_WRITING: usize = 32 * 1024;

/// A request's body as it arrives.
pub struct Body<'a> {
    stream: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + 'a>>,
    length: Option<u64>,
    /// Since when the writer holds so many bytes of it that they are worth a write.
    held: Option<Instant>,
}

impl<'a> Body<'a> {
    /// A body whose length is told by its end only.
    pub fn new(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'a) -> Self {
        Self { stream: Box::pin(stream), length: None, held: None }
    }

    /// A body that says beforehand how many bytes it has (`Content-Length`): what has no room is
    /// refused before it is sent.
    #[must_use]
    pub fn with_length(mut self, length: Option<u64>) -> Self {
        self.length = length;
        self
    }

    /// How many bytes it says that it has.
    pub(crate) const fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next part. What came before does not wait for it in the writer's memory for longer than
    /// [`LONGEST_HELD`], if it is [`WORTH_WRITING`].
    pub(crate) async fn next_part(
        &mut self,
        writer: &mut UploadWriter,
    ) -> Result<Option<io::Result<Bytes>>> {
        if writer.held_bytes() < WORTH_WRITING {
            self.held = None;
            return Ok(self.stream.next().await);
        }
        let since = *self.held.get_or_insert_with(Instant::now);
        if let Ok(part) = timeout_at(since + LONGEST_HELD, self.stream.next()).await {
            return Ok(part);
        }
        writer.pass_on().await?;
        self.held = None;
        Ok(self.stream.next().await)
    }
}

impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("length", &self.length).finish_non_exhaustive()
    }
}
