//! Bytes by digest on disk: resumable uploads, durability, the disk seam.
//!
//! # The way of an upload
//! [`BlobStore::begin`] gives an [`UploadWriter`]. Every byte is hashed and written once, on
//! blocking threads, in writes of [`BATCH_BYTES`]; at most two such batches are in memory.
//! [`UploadWriter::suspend`] makes the bytes durable and returns an [`UploadState`] that the caller
//! keeps beside its own records; [`BlobStore::resume`] goes on from it, also after a restart.
//! [`UploadWriter::finish`] compares the digest, flushes the bytes, publishes the file under its
//! digest and flushes the directory: when it returns, the blob survives power loss. After a failed
//! write or flush an upload is lost for good; it is never retried on the same file. Only a client
//! that ends an upload with a digest of another algorithm than it announced costs a second pass.
//!
//! # On disk
//! ```text
//! uploads/<upload id>                               bytes of an unfinished upload
//! blobs/<algorithm>/<2 hex digits>/<hex>.<generation>   published bytes, never changed again
//! ```
//! No request lists anything: who uses the store remembers the [`BlobKey`]s and [`UploadState`]s.
//! Only a check of the whole store does, through its [`Inventory`]. The generation is unique for
//! each stored file, so removing an old file can never hit a newer upload of the same bytes. One
//! process at a time may write below a root.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod buffers;
mod disk;
mod error;
mod hash;
mod inventory;
mod key;
mod read;
mod sink;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod upload;

pub use disk::{Disk, DiskFile, Entry, Form, RealDisk};
pub use error::{BlobError, DigestMismatch};
pub use inventory::{
    Inventory, MAX_SHARD_NAMES, Shard, ShardFiles, StoredFile, Stranger, UploadFile, UploadFiles,
};
pub use key::BlobKey;
pub use read::{BlobReader, READ_CHUNK_BYTES, SyncReader};
pub use store::{BlobStore, MAX_REHASHES, StoreFile, UploadHold};
pub use upload::{BATCH_BYTES, StoredBlob, UploadState, UploadWriter};

/// What the calls of this crate return.
pub type Result<T, E = BlobError> = std::result::Result<T, E>;
