use crate::{BlobError, BlobKey, Result, sink::Sink};
use bytes::{Bytes, BytesMut};
use sealock_oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Size of the writes to disk, in bytes. An upload holds at most two such batches in memory, one
/// being written and one being received, and one received buffer more.
pub const BATCH_BYTES: usize = 512 * 1024;

/// Received buffers below this size are copied together, in bytes: each buffer kept costs
/// bookkeeping and may hold on to a larger allocation.
const COALESCE_BYTES: usize = 4 * 1024;

/// An upload that waits for more bytes. Everything up to `offset` is durable.
///
/// Keep it as a whole: it names the file and carries the state of the hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadState {
    /// The upload's id, which the file carries as its name.
    pub id: Uuid,
    /// The algorithm that the bytes are hashed with.
    #[serde(with = "algorithm_name")]
    pub algorithm: Algorithm,
    /// Bytes received and durable.
    pub offset: u64,
    /// State of the hash after `offset` bytes.
    #[serde(with = "hex::serde")]
    pub(crate) hash: Vec<u8>,
}

impl UploadState {
    /// Whether the state of the hash can be gone on from.
    pub fn is_whole(&self) -> bool {
        crate::hash::Hasher::restore(self.algorithm, &self.hash).is_some()
    }
}

impl std::fmt::Debug for UploadState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "upload {} ({}, {} bytes)", self.id, self.algorithm.name(), self.offset)
    }
}

/// A blob that is durable on disk under its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlob {
    /// Names the file; keep it.
    pub key: BlobKey,
    /// Size in bytes.
    pub size: u64,
}

/// Receives the bytes of one upload.
///
/// Dropped without [`suspend`](Self::suspend), [`finish`](Self::finish) or [`abort`](Self::abort),
/// the file of a new upload is removed, and that of a resumed one stays as its last [`UploadState`]
/// says.
pub struct UploadWriter {
    id: Uuid,
    algorithm: Algorithm,
    received: u64,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    small: BytesMut,
    /// Present while no task works on it.
    sink: Option<Box<Sink>>,
    task: Option<JoinHandle<(Box<Sink>, Result<()>)>>,
}

impl UploadWriter {
    pub(crate) fn new(id: Uuid, algorithm: Algorithm, offset: u64, sink: Sink) -> Self {
        Self {
            id,
            algorithm,
            received: offset,
            pending: Vec::new(),
            pending_bytes: 0,
            small: BytesMut::new(),
            sink: Some(Box::new(sink)),
            task: None,
        }
    }

    /// The upload's id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The algorithm that the bytes are hashed with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Bytes received so far, with those of earlier requests.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Takes bytes; waits while the disk is behind. An error is final for the upload and may belong
    /// to bytes taken earlier.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.received += bytes.len() as u64;
        self.pending_bytes += bytes.len();
        if bytes.len() < COALESCE_BYTES {
            if self.small.capacity() == 0 {
                self.small.reserve(COALESCE_BYTES * 16);
            }
            self.small.extend_from_slice(&bytes);
            if self.small.len() >= COALESCE_BYTES * 15 {
                self.close_small();
            }
        } else {
            self.close_small();
            self.pending.push(bytes);
        }
        if self.pending_bytes >= BATCH_BYTES { self.pass_on().await } else { Ok(()) }
    }

    /// How many bytes are in memory that no write to the disk has begun for.
    pub fn held_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Begins to write what is held, though it is no full batch; waits while the disk is behind.
    /// Errors are as those of [`write`](Self::write).
    pub async fn pass_on(&mut self) -> Result<()> {
        let mut sink = self.settled().await?;
        let batch = self.take_pending();
        self.task = Some(tokio::task::spawn_blocking(move || {
            let outcome = sink.append(&batch);
            (sink, outcome)
        }));
        Ok(())
    }

    /// Makes all bytes durable and returns the state from which [`crate::BlobStore::resume`] goes
    /// on.
    pub async fn suspend(mut self) -> Result<UploadState> {
        let mut sink = self.settled().await?;
        let batch = self.take_pending();
        if batch.is_empty() && !sink.is_dirty() {
            // Nothing to write or flush, and so no reason to change threads.
            return sink.suspend(&batch);
        }
        blocking(move || sink.suspend(&batch)).await
    }

    /// Compares the digest and makes the blob durable under it. When the digest is another one, or
    /// anything fails, nothing of the upload remains.
    ///
    /// Where the digest is of another algorithm than the upload was begun with, the stored bytes
    /// are read and hashed once more, for [`crate::MAX_REHASHES`] uploads at a time.
    ///
    /// Once started, the work runs to its end even if the caller stops waiting.
    pub async fn finish(mut self, expected: &Digest) -> Result<StoredBlob> {
        let mut sink = self.settled().await?;
        let batch = self.take_pending();
        let expected = *expected;
        let place = match expected.algorithm() == self.algorithm {
            true => None,
            false => sink.rehash_places().acquire_owned().await.ok(),
        };
        blocking(move || {
            let _place = place;
            sink.finish(&batch, &expected)
        })
        .await
    }

    /// Lets go of the upload and leaves it as its last state says: when this returns it can be
    /// resumed. A writer that is dropped does the same a moment later.
    pub async fn leave(mut self) -> Result<()> {
        let sink = self.reclaim().await?.0;
        blocking(move || {
            drop(sink);
            Ok(())
        })
        .await
    }

    /// Drops the upload and its file.
    pub async fn abort(mut self) -> Result<()> {
        let mut sink = self.reclaim().await?.0;
        blocking(move || {
            sink.remove();
            Ok(())
        })
        .await
    }

    fn close_small(&mut self) {
        if !self.small.is_empty() {
            self.pending.push(self.small.split().freeze());
        }
    }

    fn take_pending(&mut self) -> Vec<Bytes> {
        self.close_small();
        self.pending_bytes = 0;
        std::mem::take(&mut self.pending)
    }

    /// The sink, after the write under way has succeeded.
    async fn settled(&mut self) -> Result<Box<Sink>> {
        let (sink, outcome) = self.reclaim().await?;
        match outcome {
            Ok(()) => Ok(sink),
            Err(error) => {
                // Kept, so that later calls say that the upload has failed.
                self.sink = Some(sink);
                Err(error)
            }
        }
    }

    async fn reclaim(&mut self) -> Result<(Box<Sink>, Result<()>)> {
        if let Some(task) = &mut self.task {
            // Awaited in place: when this future is dropped, the task is still ours.
            let outcome = task.await;
            self.task = None;
            return outcome.map_err(|_| BlobError::TaskLost);
        }
        match self.sink.take() {
            Some(sink) => Ok((sink, Ok(()))),
            None => Err(BlobError::UploadFailed(self.id)),
        }
    }
}

impl Drop for UploadWriter {
    fn drop(&mut self) {
        // Removing a large file takes a while; a write under way drops the sink on its own thread.
        if let Some(sink) = self.sink.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(sink));
        }
    }
}

/// Runs blocking work on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BlobError::TaskLost)?
}

mod algorithm_name {
    use sealock_oci::Algorithm;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        algorithm: &Algorithm,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(algorithm.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Algorithm, D::Error> {
        match std::borrow::Cow::<str>::deserialize(deserializer)?.as_ref() {
            "sha256" => Ok(Algorithm::Sha256),
            "sha512" => Ok(Algorithm::Sha512),
            other => Err(D::Error::custom(format!("unknown digest algorithm {other:?}"))),
        }
    }
}
