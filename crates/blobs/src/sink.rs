//! The blocking half of an upload: hash, write, flush, publish.

use crate::{
    BlobError, BlobKey, DigestMismatch, Result, StoredBlob, UploadState,
    disk::DiskFile,
    error::at,
    hash::Hasher,
    key::{blob_file, generation_of, upload_file},
    store::{Active, Inner},
    upload::BATCH_BYTES,
};
use bytes::Bytes;
use sealock_oci::{Algorithm, Digest};
use std::{
    io::{self, IoSlice},
    path::PathBuf,
    sync::Arc,
};
use tokio::sync::Semaphore;

/// How far the file may run ahead of the device before it is asked to write, in bytes.
const WRITEBACK_BYTES: u64 = 8 * 1024 * 1024;

/// What happens to the file when the sink is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnDrop {
    /// It is removed: nobody holds a state from which it could be resumed.
    Remove,
    /// It stays: the caller holds a state, or the file has become a blob.
    Keep,
}

pub(crate) struct Sink {
    store: Arc<Inner>,
    active: Arc<Active>,
    path: PathBuf,
    algorithm: Algorithm,
    hasher: Hasher,
    /// Opened by the first write, so that an upload that never gets a byte costs no file operation.
    file: Option<Box<dyn DiskFile>>,
    /// Bytes hashed and written.
    offset: u64,
    /// How far writing to the device was asked for.
    writeback: u64,
    /// Whether bytes or length changed since the last flush.
    dirty: bool,
    failed: bool,
    on_drop: OnDrop,
}

impl Sink {
    pub(crate) fn new(store: Arc<Inner>, active: Arc<Active>, algorithm: Algorithm) -> Self {
        let path = upload_file(&store.root, active.id());
        Self {
            store,
            active,
            path,
            algorithm,
            hasher: Hasher::new(algorithm),
            file: None,
            offset: 0,
            writeback: 0,
            dirty: false,
            failed: false,
            on_drop: OnDrop::Remove,
        }
    }

    /// Opens the file of a suspended upload and cuts off what came after the acknowledged bytes.
    pub(crate) fn resume(
        store: Arc<Inner>,
        active: Arc<Active>,
        state: &UploadState,
    ) -> Result<Self> {
        let id = active.id();
        let mut sink = Self::new(store, active, state.algorithm);
        sink.on_drop = OnDrop::Keep;
        sink.hasher = Hasher::restore(state.algorithm, &state.hash)
            .ok_or(BlobError::UploadStateInvalid(id))?;
        if state.offset == 0 {
            return Ok(sink);
        }
        let file =
            sink.store.disk.open_write(&sink.path, false).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => BlobError::UploadUnknown(id),
                _ => at("open", &sink.path)(error),
            })?;
        let found = file.len().map_err(at("stat", &sink.path))?;
        if found < state.offset {
            return Err(BlobError::UploadDamaged { id, expected: state.offset, found });
        }
        if found > state.offset {
            file.set_len(state.offset).map_err(at("truncate", &sink.path))?;
            sink.dirty = true;
        }
        sink.offset = state.offset;
        sink.writeback = state.offset;
        sink.file = Some(file);
        Ok(sink)
    }

    /// Hashes and writes a batch. After an error the upload is lost.
    pub(crate) fn append(&mut self, batch: &[Bytes]) -> Result<()> {
        self.guarded(|sink| {
            sink.hash(batch);
            sink.write(batch)
        })
    }

    /// Whether anything waits for a flush.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Makes what was written durable and returns the state to go on from.
    pub(crate) fn suspend(&mut self, batch: &[Bytes]) -> Result<UploadState> {
        self.guarded(|sink| {
            sink.hash(batch);
            sink.write(batch)?;
            sink.flush()
        })?;
        self.on_drop = OnDrop::Keep;
        Ok(UploadState {
            id: self.active.id(),
            algorithm: self.algorithm,
            offset: self.offset,
            hash: self.hasher.save(),
        })
    }

    /// Compares the digest, then makes the bytes durable under their name. A digest of another
    /// algorithm than the upload was begun with costs one more reading of the stored bytes.
    pub(crate) fn finish(&mut self, batch: &[Bytes], expected: &Digest) -> Result<StoredBlob> {
        let announced = expected.algorithm() == self.algorithm;
        self.guarded(|sink| {
            sink.hash(batch);
            if announced {
                sink.require(&sink.hasher, expected)?;
            }
            sink.write(batch)?;
            if sink.offset == 0 {
                sink.open()?;
            }
            if !announced {
                sink.require(&sink.rehash(expected.algorithm())?, expected)?;
            }
            sink.flush()?;
            sink.publish(*expected)
        })
    }

    fn require(&self, hasher: &Hasher, expected: &Digest) -> Result<()> {
        let actual = hasher.digest().ok_or(BlobError::UploadStateInvalid(self.active.id()))?;
        if actual == *expected {
            return Ok(());
        }
        let mismatch = DigestMismatch { expected: *expected, actual };
        Err(BlobError::DigestMismatch(Box::new(mismatch)))
    }

    /// Hashes what was written from its first byte, for a client that names its algorithm only at
    /// the end (distribution-spec lets it).
    fn rehash(&self, algorithm: Algorithm) -> Result<Hasher> {
        let file = self.store.disk.open_read(&self.path).map_err(at("open", &self.path))?;
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; BATCH_BYTES];
        let mut done = 0;
        while done < self.offset {
            let rest = usize::try_from(self.offset - done).unwrap_or(BATCH_BYTES).min(BATCH_BYTES);
            match file.read_at(&mut buffer[..rest], done) {
                Ok(0) => {
                    let (id, expected) = (self.active.id(), self.offset);
                    return Err(BlobError::UploadDamaged { id, expected, found: done });
                }
                Ok(n) => {
                    hasher.update(&buffer[..n]);
                    done += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(at("read", &self.path)(error)),
            }
        }
        Ok(hasher)
    }

    /// Who hashes stored bytes again waits here for a place.
    pub(crate) fn rehash_places(&self) -> Arc<Semaphore> {
        self.store.rehash_places.clone()
    }

    /// Bytes first, then the name: only what was flushed is ever seen under a digest.
    fn publish(&mut self, digest: Digest) -> Result<StoredBlob> {
        let key = BlobKey { digest, generation: generation_of(self.active.id()) };
        let shard = self.store.durable_shard(&digest)?;
        let target = blob_file(&self.store.root, &key);
        self.file = None;
        self.store.disk.rename(&self.path, &target).map_err(at("rename", &self.path))?;
        self.path = target;
        self.store.disk.sync_dir(&shard).map_err(at("flush directory", &shard))?;
        self.on_drop = OnDrop::Keep;
        Ok(StoredBlob { key, size: self.offset })
    }

    fn hash(&mut self, batch: &[Bytes]) {
        for bytes in batch {
            self.hasher.update(bytes);
        }
    }

    fn write(&mut self, batch: &[Bytes]) -> Result<()> {
        let mut slices: Vec<IoSlice<'_>> = batch.iter().map(|b| IoSlice::new(b)).collect();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        if rest.is_empty() {
            return Ok(());
        }
        self.open()?;
        let Some(file) = &self.file else { return Err(BlobError::UploadFailed(self.active.id())) };
        self.dirty = true;
        while !rest.is_empty() {
            match file.write_at(&rest[..rest.len().min(MAX_SLICES)], self.offset) {
                Ok(0) => {
                    return Err(at("write", &self.path)(io::ErrorKind::WriteZero.into()));
                }
                Ok(n) => {
                    IoSlice::advance_slices(&mut rest, n);
                    self.offset += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(at("write", &self.path)(error)),
            }
        }
        if self.offset - self.writeback >= WRITEBACK_BYTES {
            file.start_writeback(self.writeback, self.offset - self.writeback);
            self.writeback = self.offset;
        }
        Ok(())
    }

    /// Opens the file at its first byte. What an earlier writer left there was never acknowledged.
    fn open(&mut self) -> Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let file =
            self.store.disk.open_write(&self.path, true).map_err(at("create", &self.path))?;
        if file.len().map_err(at("stat", &self.path))? > 0 {
            file.set_len(0).map_err(at("truncate", &self.path))?;
        }
        self.dirty = true;
        self.file = Some(file);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(file) = &self.file
            && self.dirty
        {
            file.sync_data().map_err(at("flush", &self.path))?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Runs one step; when it fails, the file goes and nothing is tried on it again.
    fn guarded<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.failed {
            return Err(BlobError::UploadFailed(self.active.id()));
        }
        // Set first, so that a panic inside the step leaves the upload failed as well.
        self.failed = true;
        let outcome = step(self);
        match outcome {
            Ok(value) => {
                self.failed = false;
                Ok(value)
            }
            Err(error) => {
                self.remove();
                Err(error)
            }
        }
    }

    /// Removes the file. What cannot be removed is a leak, not a danger: no record names it.
    pub(crate) fn remove(&mut self) {
        self.failed = true;
        self.on_drop = OnDrop::Keep;
        self.file = None;
        match self.store.disk.remove(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "an upload's file stays behind");
            }
        }
    }
}

/// Most buffers that one system call takes (IOV_MAX on Linux).
const MAX_SLICES: usize = 1024;

impl Drop for Sink {
    fn drop(&mut self) {
        if self.on_drop == OnDrop::Remove && self.offset > 0 {
            self.remove();
        }
    }
}
