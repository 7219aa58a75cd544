//! From the bytes of a layer to a fact about it, once for all images that have the layer.

use crate::{Error, Registry, Result, pace::Pace, ride::Ride};
use bytes::Bytes;
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, Shared},
};
use sealock_blobs::{BlobKey, BlobReader, BlobStore, StoredBlob};
use sealock_metadata as metadata;
use sealock_oci::Digest;
use sealock_sbom::{INSPECTOR_VERSION, LayerContents, Limits, code, inspect_layer};
use std::{
    collections::HashMap,
    io::{self, Read},
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Most uploads between two requests whose inspector is kept waiting.
const MAX_KEPT_RIDES: usize = 256;
/// Compression level of stored facts: fast, for they are written once and read a few times.
const LEVEL: i32 = 3;
/// Largest stored fact, expanded, in bytes; the inspector's own limits keep it far below.
const MAX_FACT_BYTES: u64 = 512 * 1024 * 1024;

/// An inspection that others can wait for. An error is told to all of them in words.
type Running = Shared<BoxFuture<'static, Result<Arc<LayerContents>, String>>>;

/// Inspections under way.
pub(crate) struct Inspections {
    /// Of inspectors that ride along with uploads: slow clients hold these.
    riding: Arc<Semaphore>,
    /// Of those that read stored files, which nobody outside can slow down.
    reading: Arc<Semaphore>,
    rides: Mutex<HashMap<Uuid, Ride<LayerContents>>>,
    running: Mutex<HashMap<Digest, Running>>,
    pace: Arc<Pace>,
}

impl Inspections {
    /// At most `places` layers are read at a time while they arrive, and as many from the disk.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            riding: Arc::new(Semaphore::new(places)),
            reading: Arc::new(Semaphore::new(places)),
            rides: Mutex::default(),
            running: Mutex::default(),
            pace: Arc::new(Pace::new(available_threads())),
        }
    }

    /// When inspectors give way to pushes.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The places of those that ride along.
    pub(crate) fn places(&self) -> &Arc<Semaphore> {
        &self.riding
    }

    /// The inspector that has seen an upload up to `received`, to ride on.
    pub(crate) fn take(&self, upload: Uuid, received: u64) -> Option<Ride<LayerContents>> {
        let mut ride = lock(&self.rides).remove(&upload)?;
        if ride.fed() != received {
            ride.stop_feeding();
        }
        Some(ride)
    }

    /// Keeps an inspector until the upload's next request.
    pub(crate) fn keep(&self, upload: Uuid, ride: Ride<LayerContents>) {
        let mut rides = lock(&self.rides);
        if rides.len() >= MAX_KEPT_RIDES {
            rides.retain(|_, ride| !ride.is_over());
        }
        if rides.len() < MAX_KEPT_RIDES {
            rides.insert(upload, ride);
        }
    }

    /// Drops an inspector whose upload ended without a blob.
    pub(crate) fn forget(&self, upload: Uuid) {
        lock(&self.rides).remove(&upload);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Reads a layer to its end, and gives way to pushes meanwhile.
    pub(crate) fn layer_inspector(
        &self,
    ) -> impl FnOnce(&mut dyn Read) -> LayerContents + Send + 'static {
        let pace = self.inspections().pace.clone();
        move |reader| inspect_layer(Paced { reader, pace }, &Limits::default())
    }

    /// Lets an inspector that rode along finish, and stores what it found. Nobody waits for it
    /// here.
    pub(crate) fn follow_ride(&self, ride: Ride<LayerContents>, stored: &StoredBlob) {
        let (blobs, key) = (self.blobs().clone(), stored.key);
        let result = ride.finish(stored.size, Box::new(move |offset| reopen(&blobs, &key, offset)));
        let registry = self.clone();
        let digest = stored.key.digest;
        let work = async move {
            let contents = result.await.ok_or("the inspector gave up")?;
            registry.store_layer(&digest, contents).await
        };
        drop(self.run_inspection(digest, work.boxed()));
    }

    /// Registers an inspection under its digest and sees that it runs.
    fn run_inspection(
        &self,
        digest: Digest,
        work: BoxFuture<'static, Result<Arc<LayerContents>, String>>,
    ) -> Running {
        let shared = {
            let mut running = lock(&self.inspections().running);
            if let Some(shared) = running.get(&digest) {
                return shared.clone();
            }
            let shared = work.shared();
            running.insert(digest, shared.clone());
            shared
        };
        let (registry, task) = (self.clone(), shared.clone());
        tokio::spawn(async move {
            if let Err(error) = task.await {
                tracing::debug!(%digest, error, "an inspection ended without a fact");
            }
            lock(&registry.inspections().running).remove(&digest);
        });
        shared
    }

    async fn store_layer(
        &self,
        digest: &Digest,
        contents: LayerContents,
    ) -> Result<Arc<LayerContents>, String> {
        // A failing disk says nothing about the layer.
        if contents.reasons.iter().any(|reason| reason.code == code::READ_ERROR) {
            return Err("the layer could not be read now".to_owned());
        }
        let contents = Arc::new(contents);
        let (fact, complete) = (contents.clone(), contents.is_complete());
        let bytes = blocking(move || pack(&*fact)).await.map_err(|e| log_text(&e))?;
        let row = metadata::contents::LayerContents {
            digest: *digest,
            inspector: INSPECTOR_VERSION.to_owned(),
            contents: bytes,
            complete,
        };
        let store = async {
            let mut tx = self.database().write().await?;
            metadata::contents::put_layer(&mut tx, &row).await?;
            // Who lost it reads the layer again; a decision that rests on it is flushed after it.
            tx.commit_soon().await
        };
        store.await.map_err(|error| error.to_string())?;
        Ok(contents)
    }

    /// The fact about a layer: stored, being made, or made now. Single-flight per digest.
    pub(crate) async fn layer_contents(&self, digest: &Digest) -> Result<Arc<LayerContents>> {
        let running = lock(&self.inspections().running).get(digest).cloned();
        if let Some(running) = running
            && let Ok(contents) = running.await
        {
            return Ok(contents);
        }
        let mut tx = self.database().read().await?;
        let stored = metadata::contents::layers(&mut tx, &[*digest], INSPECTOR_VERSION).await?;
        if let Some(stored) = stored.into_iter().next() {
            drop(tx);
            let contents = blocking(move || unpack(&stored.contents)).await?;
            return Ok(Arc::new(contents));
        }
        let blob = metadata::blobs::get(&mut tx, digest).await?;
        drop(tx);
        let Some(blob) = blob else {
            return Ok(Arc::new(absent_layer()));
        };
        let (registry, digest) = (self.clone(), *digest);
        let key = BlobKey { digest, generation: blob.generation };
        let work = async move {
            let place = registry.inspections().reading.clone();
            let _place = place.acquire_owned().await.map_err(|error| error.to_string())?;
            let (store, inspect) = (registry.blobs().clone(), registry.layer_inspector());
            let read = move || Ok(inspect(&mut store.open_sync(&key)?));
            let read = crate::background::spawn(read).map_err(|error| error.to_string())?;
            let contents: Result<LayerContents> =
                read.await.map_err(|_| "the inspector ended early")?;
            let contents = contents.map_err(|error| log_text(&error))?;
            registry.store_layer(&digest, contents).await
        };
        self.run_inspection(digest, work.boxed()).await.map_err(Error::internal)
    }

    /// Whether any of these blobs of a repository is an archive that could run as a layer. What
    /// cannot be told counts as one.
    pub(crate) async fn any_runnable(
        &self,
        repository_id: i64,
        digests: &[Digest],
    ) -> Result<bool> {
        let mut suspects = Vec::new();
        for digest in digests {
            let mut tx = self.database().read().await?;
            let Some(blob) = metadata::blobs::find(&mut tx, repository_id, digest).await? else {
                continue;
            };
            drop(tx);
            let key = BlobKey { digest: *digest, generation: blob.generation };
            let reader = self.blobs().open_blob(&key).await?;
            if crate::ride::may_be_layer(&read_head(&reader).await?) {
                suspects.push(*digest);
            }
        }
        let _waiting = self.inspections().pace().door();
        for digest in suspects {
            if is_runnable(&*self.layer_contents(&digest).await?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The bytes of a layer as fast as pushes leave room for reading them.
struct Paced<'a> {
    reader: &'a mut dyn Read,
    pace: Arc<Pace>,
}

impl Read for Paced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pace.give_way();
        self.reader.read(buffer)
    }
}

/// Hardware threads that this process may use.
fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

async fn read_head(reader: &BlobReader) -> Result<Bytes> {
    let end = reader.size().min(crate::ride::HEAD_BYTES as u64);
    let mut stream = Box::pin(reader.stream(0..end)?);
    Ok(stream.next().await.transpose()?.unwrap_or_default())
}

/// Whether a layer is, or may be, one that could run: all but bytes that were read as far as it
/// takes to see that they are no archive.
pub(crate) fn is_runnable(contents: &LayerContents) -> bool {
    let [reason] = contents.reasons.as_slice() else { return true };
    reason.code != code::NOT_A_TAR
}

/// The fact about a layer whose bytes are elsewhere (a non-distributable one).
fn absent_layer() -> LayerContents {
    struct Elsewhere;
    impl Read for Elsewhere {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::NotFound, "the layer is not stored in this registry"))
        }
    }
    inspect_layer(Elsewhere, &Limits::default())
}

fn reopen(blobs: &BlobStore, key: &BlobKey, offset: u64) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = blobs.open_sync(key).map_err(io::Error::other)?;
    reader.skip_to(offset);
    Ok(Box::new(reader))
}

fn log_text(error: &Error) -> String {
    error.log().unwrap_or(error.message()).to_owned()
}

/// Runs work that may block on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

/// A fact as it is stored: compressed JSON.
pub(crate) fn pack<T: serde::Serialize>(fact: &T) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(fact).map_err(Error::internal)?;
    zstd::bulk::compress(&json, LEVEL).map_err(Error::internal)
}

/// A kind of stored fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// What one layer holds.
    Layer,
    /// What an image holds.
    Image,
}

impl Fact {
    /// Whether these stored bytes are such a fact. Blocks.
    pub fn is_readable(self, bytes: &[u8]) -> bool {
        match self {
            Self::Layer => unpack::<LayerContents>(bytes).is_ok(),
            Self::Image => unpack::<crate::contents::StoredContents>(bytes).is_ok(),
        }
    }
}

/// A stored fact.
pub(crate) fn unpack<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let reader = zstd::Decoder::new(bytes).map_err(Error::internal)?;
    let mut json = Vec::new();
    reader.take(MAX_FACT_BYTES).read_to_end(&mut json).map_err(Error::internal)?;
    serde_json::from_slice(&json).map_err(Error::internal)
}
