use crate::{
    BlobError, BlobKey, BlobReader, Disk, Result, SyncReader, UploadState, UploadWriter,
    error::at,
    key::{ALGORITHMS, algorithm_dir, blob_file, blobs, shard_dir, upload_file, uploads},
    sink::Sink,
    upload::blocking,
};
use moka::sync::Cache;
use sealock_oci::{Algorithm, Digest};
use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Most uploads whose stored bytes are hashed again at the same time, because the digest that ends
/// them is of another algorithm than the one announced. Others wait: each costs a whole reading.
pub const MAX_REHASHES: usize = 2;
/// Blobs that are kept open for the next reader.
const OPEN_BLOBS: u64 = 128;
/// For how long without a reader.
const KEPT_OPEN: Duration = Duration::from_secs(60);

/// The store below one root directory. Clones share it.
#[derive(Clone)]
pub struct BlobStore {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    /// Uploads that somebody writes to. Two writers on one file could leave bytes that are not the
    /// ones that were hashed.
    active: Arc<Mutex<HashSet<Uuid>>>,
    /// Places for hashing stored bytes again.
    pub(crate) rehash_places: Arc<Semaphore>,
    /// Shard directories whose own name this process has flushed.
    durable_shards: Mutex<HashSet<PathBuf>>,
    /// Blobs that were read a moment ago, open: their bytes never change.
    open: Cache<BlobKey, BlobReader>,
}

/// The right to write to an upload, until dropped.
#[derive(Debug)]
pub(crate) struct Active {
    id: Uuid,
    set: Arc<Mutex<HashSet<Uuid>>>,
}

impl Active {
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl BlobStore {
    /// Opens the store below `root`, creating its few directories when they are missing. Blocks for
    /// a few directory flushes; scans nothing.
    pub fn open(root: &Path, disk: Arc<dyn Disk>) -> Result<Self> {
        let inner = Inner {
            root: root.to_owned(),
            disk,
            active: Arc::default(),
            rehash_places: Arc::new(Semaphore::new(MAX_REHASHES)),
            durable_shards: Mutex::default(),
            open: Cache::builder().max_capacity(OPEN_BLOBS).time_to_idle(KEPT_OPEN).build(),
        };
        inner.create_root(root)?;
        for directory in [uploads(root), blobs(root)] {
            inner.create(&directory)?;
        }
        for algorithm in ALGORITHMS {
            inner.create(&algorithm_dir(root, algorithm))?;
        }
        for directory in [root, &blobs(root)] {
            inner.disk.sync_dir(directory).map_err(at("flush directory", directory))?;
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Begins an upload whose bytes are hashed with `algorithm`. No file exists before its first
    /// byte.
    pub fn begin(&self, algorithm: Algorithm) -> Result<UploadWriter> {
        Ok(self.begin_held(&self.hold(Uuid::new_v4())?, algorithm))
    }

    /// Takes hold of an upload, so that nobody else writes to it. Whoever keeps its state elsewhere
    /// holds it before they read the state and until the next one is kept: a writer that resumed
    /// from the state before would cut off what was acknowledged since.
    pub fn hold(&self, id: Uuid) -> Result<UploadHold> {
        Ok(UploadHold(self.inner.activate(id)?))
    }

    /// Begins an upload that is held.
    pub fn begin_held(&self, hold: &UploadHold, algorithm: Algorithm) -> UploadWriter {
        let sink = Sink::new(self.inner.clone(), hold.0.clone(), algorithm);
        UploadWriter::new(hold.0.id(), algorithm, 0, sink)
    }

    /// Goes on with a suspended upload, also in another process than the one that suspended it.
    /// Bytes that arrived after the state was taken are cut off.
    pub async fn resume(&self, state: UploadState) -> Result<UploadWriter> {
        self.resume_held(&self.hold(state.id)?, state).await
    }

    /// Goes on with a suspended upload that is held; see [`BlobStore::resume`].
    pub async fn resume_held(&self, hold: &UploadHold, state: UploadState) -> Result<UploadWriter> {
        let inner = self.inner.clone();
        let active = hold.0.clone();
        let untouched = state.offset == 0;
        let resume = move || {
            let sink = Sink::resume(inner, active, &state)?;
            Ok(UploadWriter::new(state.id, state.algorithm, state.offset, sink))
        };
        // Without a byte there is no file to open, and no reason to change threads.
        if untouched { resume() } else { blocking(resume).await }
    }

    /// Removes what a suspended upload has stored. Discarding twice is no error.
    pub async fn discard(&self, state: UploadState) -> Result<()> {
        let inner = self.inner.clone();
        blocking(move || inner.discard(state.id).map(|_existed| ())).await
    }

    /// Opens a blob for reading.
    pub async fn open_blob(&self, key: &BlobKey) -> Result<BlobReader> {
        if let Some(reader) = self.inner.open.get(key) {
            return Ok(reader);
        }
        let (inner, key) = (self.inner.clone(), *key);
        blocking(move || {
            let reader = inner.open(key)?;
            inner.open.insert(key, reader.clone());
            Ok(reader)
        })
        .await
    }

    /// How many bytes its disk holds in all, and how many may still be written to it.
    pub fn space(&self) -> std::io::Result<(u64, u64)> {
        let disk = rustix::fs::statvfs(&self.inner.root)?;
        Ok((
            disk.f_blocks.saturating_mul(disk.f_frsize),
            disk.f_bavail.saturating_mul(disk.f_frsize),
        ))
    }

    /// Whether the folder is there: a disk that was taken away has none.
    pub fn is_reachable(&self) -> bool {
        self.inner.root.is_dir()
    }

    /// Opens a blob for sequential reading on a thread that may block.
    pub fn open_sync(&self, key: &BlobKey) -> Result<SyncReader> {
        self.inner.open(*key).map(SyncReader::new)
    }

    /// Removes a file whose record is already gone. Removing twice is no error. The removal itself
    /// is not flushed: after power loss the bytes may be there again, as a leak.
    pub async fn remove(&self, key: &BlobKey) -> Result<()> {
        let (inner, key) = (self.inner.clone(), *key);
        blocking(move || {
            let removed = inner.remove(&blob_file(&inner.root, &key)).map(|_existed| ());
            // The disk has its bytes back when the last reader is gone.
            inner.open.invalidate(&key);
            removed
        })
        .await
    }
}

/// A hold on an upload. While it or a writer that was made with it lives, the upload is busy for
/// everybody else.
#[derive(Debug)]
pub struct UploadHold(Arc<Active>);

/// A file of the store, to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreFile {
    /// A published blob.
    Blob(BlobKey),
    /// What an upload has received.
    Upload(Uuid),
}

impl BlobStore {
    /// Removes files whose records are already gone, then flushes their directories: what this
    /// answers with success stays away, also after power loss. Removing twice is no error. The
    /// answers stand in the order of `files`.
    pub async fn remove_for_good(&self, files: Vec<StoreFile>) -> Result<Vec<Result<()>>> {
        let inner = self.inner.clone();
        blocking(move || Ok(inner.remove_for_good(&files))).await
    }
}

impl Inner {
    fn remove_for_good(&self, files: &[StoreFile]) -> Vec<Result<()>> {
        let mut directories: HashMap<PathBuf, io::Result<()>> = HashMap::new();
        let removed: Vec<Result<PathBuf>> = files
            .iter()
            .map(|file| match file {
                StoreFile::Blob(key) => {
                    self.remove(&blob_file(&self.root, key))?;
                    Ok(shard_dir(&self.root, &key.digest))
                }
                StoreFile::Upload(id) => {
                    self.discard(*id)?;
                    Ok(uploads(&self.root))
                }
            })
            .collect();
        for directory in removed.iter().flatten() {
            if !directories.contains_key(directory) {
                directories.insert(directory.clone(), self.flush_if_there(directory));
            }
        }
        let flushed = |directory: PathBuf| match directories.get(&directory) {
            Some(Err(error)) => {
                let error = io::Error::new(error.kind(), error.to_string());
                Err(at("flush directory", &directory)(error))
            }
            _ => Ok(()),
        };
        removed.into_iter().map(|outcome| outcome.and_then(flushed)).collect()
    }

    /// A directory that does not exist holds nothing that could come back.
    fn flush_if_there(&self, directory: &Path) -> io::Result<()> {
        match self.disk.sync_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Removes what an upload has stored, unless somebody writes to it.
    fn discard(&self, id: Uuid) -> Result<bool> {
        let _active = self.activate(id)?;
        self.remove(&upload_file(&self.root, id))
    }

    fn activate(&self, id: Uuid) -> Result<Arc<Active>> {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if !active.insert(id) {
            return Err(BlobError::UploadBusy(id));
        }
        Ok(Arc::new(Active { id, set: self.active.clone() }))
    }

    fn open(&self, key: BlobKey) -> Result<BlobReader> {
        let path = blob_file(&self.root, &key);
        let file = self.disk.open_read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BlobError::NotFound(key),
            _ => at("open", &path)(error),
        })?;
        let size = file.len().map_err(at("stat", &path))?;
        Ok(BlobReader::new(key, path, file.into(), size))
    }

    /// The directory that the digest belongs into, there and durable.
    pub(crate) fn durable_shard(&self, digest: &Digest) -> Result<PathBuf> {
        let shard = shard_dir(&self.root, digest);
        let known = |set: &Mutex<HashSet<PathBuf>>| {
            set.lock().unwrap_or_else(PoisonError::into_inner).contains(&shard)
        };
        if !known(&self.durable_shards) {
            self.create(&shard)?;
            // Also when it was there already: who made it may have died before this flush.
            let parent = algorithm_dir(&self.root, digest.algorithm());
            self.disk.sync_dir(&parent).map_err(at("flush directory", &parent))?;
            let mut set = self.durable_shards.lock().unwrap_or_else(PoisonError::into_inner);
            set.insert(shard.clone());
        }
        Ok(shard)
    }

    /// Creates the root and its missing parents, each with its entry flushed.
    fn create_root(&self, path: &Path) -> Result<()> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        match self.disk.create_dir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && parent.is_some() => {
                if let Some(parent) = parent {
                    self.create_root(parent)?;
                }
                self.create(path)?;
            }
            Err(error) => return Err(at("create directory", path)(error)),
        }
        let parent = parent.unwrap_or(Path::new("."));
        self.disk.sync_dir(parent).map_err(at("flush directory", parent))
    }

    fn create(&self, path: &Path) -> Result<()> {
        match self.disk.create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(at("create directory", path)(error))
            }
            _ => Ok(()),
        }
    }

    fn remove(&self, path: &Path) -> Result<bool> {
        match self.disk.remove(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(at("remove", path)(error)),
        }
    }
}
