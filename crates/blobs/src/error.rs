use crate::BlobKey;
use sealock_oci::Digest;
use std::{io, path::PathBuf};
use uuid::Uuid;

/// Why an operation on the blob store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There is no file under this key.
    #[error("no stored file for {0:?}")]
    NotFound(BlobKey),
    /// There is no unfinished upload of this id: it was finished, discarded, or its file did not
    /// survive a crash.
    #[error("no unfinished upload {0}")]
    UploadUnknown(Uuid),
    /// Another request is writing to this upload.
    #[error("upload {0} is being written by another request")]
    UploadBusy(Uuid),
    /// The file holds fewer bytes than were acknowledged; the upload must start again.
    #[error("upload {id} holds {found} bytes where {expected} were acknowledged")]
    UploadDamaged {
        /// The upload.
        id: Uuid,
        /// Bytes acknowledged, from the upload's state.
        expected: u64,
        /// Bytes in the file.
        found: u64,
    },
    /// The kept state of an upload cannot be read; the upload must start again.
    #[error("the state of upload {0} is not readable")]
    UploadStateInvalid(Uuid),
    /// An earlier write or flush of this upload failed, or it was cancelled while one was under
    /// way.
    #[error("upload {0} failed before and cannot go on")]
    UploadFailed(Uuid),
    /// The bytes received have another digest than the client said. Nothing was kept.
    #[error("the content's digest is {}, not {}", .0.actual, .0.expected)]
    DigestMismatch(Box<DigestMismatch>),
    /// The blob is larger than the caller's limit for reading it into memory.
    #[error("the blob has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Size of the blob in bytes.
        size: u64,
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// The range does not lie within the blob.
    #[error("the range {start}..{end} does not lie within {size} bytes")]
    RangeInvalid {
        /// First byte asked for.
        start: u64,
        /// One after the last byte asked for.
        end: u64,
        /// Size of the blob in bytes.
        size: u64,
    },
    /// The file ends before its recorded size: the disk lost bytes.
    #[error("the file of {key:?} ends at {found} bytes instead of {expected}")]
    Truncated {
        /// The blob.
        key: BlobKey,
        /// Size when it was opened, in bytes.
        expected: u64,
        /// Where it ended, in bytes.
        found: u64,
    },
    /// The disk or the quota of the file system is full.
    #[error("no space left on the disk: {operation} {}", path.display())]
    DiskFull {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// The operating system refused an operation.
    #[error("{operation} {} failed: {source}", path.display())]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A blocking task ended without an answer: it panicked or the runtime is shutting down.
    #[error("a disk task ended without an answer")]
    TaskLost,
}

/// Two digests that should be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestMismatch {
    /// What the client said.
    pub expected: Digest,
    /// What arrived.
    pub actual: Digest,
}

impl BlobError {
    /// Whether the cause is a full disk or an exhausted disk quota.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }

    /// Whether the upload cannot go on and its client must begin again.
    pub fn upload_is_lost(&self) -> bool {
        !matches!(self, Self::UploadBusy(_))
    }
}

/// Names the operation and the file in an error of the operating system.
pub(crate) fn at(
    operation: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(io::Error) -> BlobError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            BlobError::DiskFull { operation, path }
        }
        _ => BlobError::Disk { operation, path, source },
    }
}
