use sealock_oci::{Algorithm, Digest};
use std::{
    fmt,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Names one stored file: the digest of its bytes and the generation that makes the file unique.
///
/// The same bytes stored twice have two keys. The store never looks for a key; who stores a blob
/// keeps its key (the metadata's blob row).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobKey {
    /// Digest of the bytes.
    pub digest: Digest,
    /// Unique per stored file; never negative.
    pub generation: i64,
}

impl fmt::Debug for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.digest, self.generation)
    }
}

/// The generation of the file that an upload becomes: the low 63 bits of its random id.
pub(crate) fn generation_of(upload: Uuid) -> i64 {
    i64::try_from(upload.as_u64_pair().1 & (u64::MAX >> 1)).unwrap_or(i64::MAX)
}

pub(crate) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

pub(crate) fn uploads(root: &Path) -> PathBuf {
    root.join("uploads")
}

pub(crate) fn upload_file(root: &Path, id: Uuid) -> PathBuf {
    uploads(root).join(id.to_string())
}

pub(crate) fn blobs(root: &Path) -> PathBuf {
    root.join("blobs")
}

pub(crate) fn algorithm_dir(root: &Path, algorithm: Algorithm) -> PathBuf {
    blobs(root).join(algorithm.name())
}

pub(crate) fn shard_dir(root: &Path, digest: &Digest) -> PathBuf {
    algorithm_dir(root, digest.algorithm()).join(&digest.hex()[..2])
}

pub(crate) fn blob_file(root: &Path, key: &BlobKey) -> PathBuf {
    shard_dir(root, &key.digest).join(format!("{}.{}", key.digest.hex(), key.generation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_of_hex_and_numbers_only() {
        let key = BlobKey { digest: Digest::sha256(b"x"), generation: 7 };
        assert_eq!(
            blob_file(Path::new("/r"), &key),
            Path::new(
                "/r/blobs/sha256/2d/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881.7"
            )
        );
        assert!(generation_of(Uuid::max()) > 0);
        assert_eq!(generation_of(Uuid::nil()), 0);
    }
}
