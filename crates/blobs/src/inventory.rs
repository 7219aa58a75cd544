//! What lies in a store, for a check of the whole of it: every name is met once, in the order of
//! the digests, and one directory at a time is held in memory.

use crate::{
    BlobKey, Disk, Entry, Form, Result,
    error::at,
    hash::Hasher,
    key::{ALGORITHMS, algorithm_dir, blob_file, blobs, shard_dir, upload_file, uploads},
};
use sealock_oci::{Algorithm, Digest};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

/// Most names in one directory of a store. A store of a hundred million blobs has 400,000 in each;
/// two million take less than half a GiB of memory.
pub const MAX_SHARD_NAMES: usize = 2_000_000;

/// Size of the reads when a file is hashed, in bytes.
const HASH_CHUNK_BYTES: usize = 1024 * 1024;

/// Looks through the store below a root. It makes nothing, and changes only what it is told to.
#[derive(Clone)]
pub struct Inventory {
    root: PathBuf,
    disk: Arc<dyn Disk>,
}

/// A directory that holds blobs: those whose digest begins with its two hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// The algorithm of the digests in it.
    pub algorithm: Algorithm,
    /// The first two hex digits, or none for the directory that holds the shards.
    pub prefix: Option<String>,
}

/// A file with the name of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// What its name says.
    pub key: BlobKey,
    /// Below the store's root.
    pub path: PathBuf,
    /// What it is; only [`Form::File`] can be a blob.
    pub form: Form,
    /// Length in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// It lies in another directory than its digest belongs into.
    pub misplaced: bool,
}

/// The file of an unfinished upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadFile {
    /// The upload's id.
    pub id: Uuid,
    /// Below the store's root.
    pub path: PathBuf,
    /// What it is; only [`Form::File`] can be an upload.
    pub form: Form,
    /// Length in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
}

/// A name that the store never gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Below the store's root.
    pub path: PathBuf,
    /// What it is.
    pub form: Form,
    /// Length in bytes, of a file.
    pub size: u64,
}

/// What one shard holds.
#[derive(Debug, Default)]
pub struct ShardFiles {
    /// Files in the order of digest and generation.
    pub files: Vec<StoredFile>,
    /// Everything else.
    pub strangers: Vec<Stranger>,
}

/// Unfinished uploads on disk.
#[derive(Debug, Default)]
pub struct UploadFiles {
    /// Files in the order of their ids.
    pub files: Vec<UploadFile>,
    /// Everything else.
    pub strangers: Vec<Stranger>,
}

impl Inventory {
    /// Of the store below `root`.
    pub fn new(root: &Path, disk: Arc<dyn Disk>) -> Self {
        Self { root: root.to_owned(), disk }
    }

    /// Every directory that may hold blobs, in the order of the digests, and what else lies beside
    /// them. The directory above an algorithm's shards comes before these.
    pub fn shards(&self) -> Result<(Vec<Shard>, Vec<Stranger>)> {
        let (mut shards, mut strangers) = (Vec::new(), Vec::new());
        self.each(&self.root, |entry| {
            let expected = ["blobs", "uploads"].iter().any(|name| entry.name == *name);
            if !expected || entry.form != Form::Directory {
                strangers.push(self.stranger(&self.root, &entry));
            }
        })?;
        let above = blobs(&self.root);
        self.each(&above, |entry| {
            let algorithm = ALGORITHMS.iter().find(|algorithm| entry.name == algorithm.name());
            match (algorithm, entry.form) {
                (Some(&algorithm), Form::Directory) => {
                    shards.push(Shard { algorithm, prefix: None });
                }
                _ => strangers.push(self.stranger(&above, &entry)),
            }
        })?;
        for algorithm in shards.iter().map(|shard| shard.algorithm).collect::<Vec<_>>() {
            self.each(&algorithm_dir(&self.root, algorithm), |entry| {
                if entry.form == Form::Directory
                    && let Some(prefix) = entry.name.to_str().filter(|name| is_prefix(name))
                {
                    shards.push(Shard { algorithm, prefix: Some(prefix.to_owned()) });
                }
            })?;
        }
        shards.sort();
        Ok((shards, strangers))
    }

    /// What a shard holds.
    pub fn shard(&self, shard: &Shard) -> Result<ShardFiles> {
        let mut found = ShardFiles::default();
        let above = algorithm_dir(&self.root, shard.algorithm);
        let folder = shard.prefix.as_ref().map_or(above.clone(), |prefix| above.join(prefix));
        self.each(&folder, |entry| {
            let is_shard = shard.prefix.is_none()
                && entry.form == Form::Directory
                && entry.name.to_str().is_some_and(is_prefix);
            if is_shard {
                return;
            }
            let Some(key) = entry.name.to_str().and_then(|name| read_name(shard.algorithm, name))
            else {
                found.strangers.push(self.stranger(&folder, &entry));
                return;
            };
            found.files.push(StoredFile {
                misplaced: shard_dir(&self.root, &key.digest) != folder,
                path: self.below(&folder, &entry),
                key,
                form: entry.form,
                size: entry.size,
                mode: entry.mode,
            });
        })?;
        found.files.sort_by_key(|file| file.key);
        found.strangers.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// The files of unfinished uploads.
    pub fn uploads(&self) -> Result<UploadFiles> {
        let mut found = UploadFiles::default();
        let folder = uploads(&self.root);
        self.each(&folder, |entry| {
            let name = entry.name.to_str();
            // Only the one spelling that the store writes: a second one would be a second file.
            let id = name
                .and_then(|name| Uuid::parse_str(name).ok().filter(|id| id.to_string() == name));
            match id {
                Some(id) => found.files.push(UploadFile {
                    id,
                    path: self.below(&folder, &entry),
                    form: entry.form,
                    size: entry.size,
                    mode: entry.mode,
                }),
                None => found.strangers.push(self.stranger(&folder, &entry)),
            }
        })?;
        found.files.sort_by_key(|file| file.id);
        found.strangers.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Where the file of a key lies, below the root.
    pub fn path_of(&self, key: &BlobKey) -> PathBuf {
        self.relative(&blob_file(&self.root, key))
    }

    /// Where the file of an upload lies, below the root.
    pub fn path_of_upload(&self, id: Uuid) -> PathBuf {
        self.relative(&upload_file(&self.root, id))
    }

    /// What lies under a path below the root; `None` when there is nothing.
    pub fn look(&self, path: &Path) -> Result<Option<Entry>> {
        let path = self.root.join(path);
        match self.disk.look(&path) {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("look at", &path)(error)),
        }
    }

    /// The names in a directory, below the root and in order.
    pub fn names(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let mut names = Vec::new();
        self.each(&self.root.join(path), |entry| names.push(path.join(&entry.name)))?;
        names.sort();
        Ok(names)
    }

    /// Reads a file to its end and returns the digest of its bytes. `seen` hears how many bytes
    /// each read brought. Blocks.
    pub fn digest_of(
        &self,
        path: &Path,
        algorithm: Algorithm,
        mut seen: impl FnMut(u64),
    ) -> Result<Digest> {
        let path = self.root.join(path);
        let file = self.disk.open_read(&path).map_err(at("open", &path))?;
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; HASH_CHUNK_BYTES];
        let mut position = 0;
        loop {
            match file.read_at(&mut buffer, position) {
                Ok(0) => break,
                Ok(n) => {
                    hasher.update(&buffer[..n]);
                    position += n as u64;
                    seen(n as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(at("read", &path)(error)),
            }
        }
        hasher.digest().ok_or_else(|| at("hash", &path)(io::ErrorKind::InvalidData.into()))
    }

    /// Removes a file, and makes that durable. Removing twice is no error.
    pub fn remove(&self, path: &Path) -> Result<()> {
        let path = self.root.join(path);
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at("remove", &path)(error));
            }
            _ => {}
        }
        self.flush_parent(&path)
    }

    /// Moves a misplaced file to where its key belongs. Nothing is overwritten: false when a file
    /// is there.
    pub fn settle(&self, file: &StoredFile) -> Result<bool> {
        let (from, to) = (self.root.join(&file.path), blob_file(&self.root, &file.key));
        let shard = shard_dir(&self.root, &file.key.digest);
        match self.disk.create_dir(&shard) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(at("create directory", &shard)(error));
            }
            _ => {}
        }
        self.flush_parent(&shard)?;
        if self.look(&self.relative(&to))?.is_some() {
            return Ok(false);
        }
        self.disk.rename(&from, &to).map_err(at("rename", &from))?;
        self.flush_parent(&to)?;
        self.flush_parent(&from)?;
        Ok(true)
    }

    /// Takes every permission bit of a path that is not in `keep`.
    pub fn restrict(&self, path: &Path, keep: u32) -> Result<()> {
        let path = self.root.join(path);
        self.disk.restrict(&path, keep).map_err(at("restrict", &path))
    }

    /// A file's bytes, if it has at most `limit`. Blocks.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = self.root.join(path);
        let file = self.disk.open_read(&path).map_err(at("open", &path))?;
        let length = file.len().map_err(at("stat", &path))?;
        if length > limit {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(at("read", &path)(error)),
            }
        }
        bytes.truncate(filled);
        Ok(Some(bytes))
    }

    fn flush_parent(&self, path: &Path) -> Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        self.disk.sync_dir(parent).map_err(at("flush directory", parent))
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    fn below(&self, folder: &Path, entry: &Entry) -> PathBuf {
        self.relative(&folder.join(&entry.name))
    }

    fn stranger(&self, folder: &Path, entry: &Entry) -> Stranger {
        Stranger { path: self.below(folder, entry), form: entry.form, size: entry.size }
    }

    fn each(&self, folder: &Path, mut see: impl FnMut(Entry)) -> Result<()> {
        let mut count = 0;
        let listed = self.disk.list(folder, &mut |entry| {
            count += 1;
            if count > MAX_SHARD_NAMES {
                let limit = format!("it holds more than {MAX_SHARD_NAMES} names");
                return Err(io::Error::other(limit));
            }
            see(entry);
            Ok(())
        });
        listed.map_err(at("list", folder))
    }
}

fn is_prefix(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The key that a name says: `<hex>.<generation>`, in the one spelling that the store writes.
fn read_name(algorithm: Algorithm, name: &str) -> Option<BlobKey> {
    let (hex, generation) = name.split_once('.')?;
    let digest: Digest = format!("{}:{hex}", algorithm.name()).parse().ok()?;
    let number: i64 = generation.parse().ok().filter(|number| *number >= 0)?;
    let key = BlobKey { digest, generation: number };
    (format!("{}.{}", digest.hex(), number) == name).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BlobStore, RealDisk};

    #[test]
    fn a_name_has_one_spelling() {
        let hex = Digest::sha256(b"x").hex();
        let read = |name: &str| read_name(Algorithm::Sha256, name).is_some();
        assert!(read(&format!("{hex}.0")));
        assert!(read(&format!("{hex}.{}", i64::MAX)));
        for bad in [
            hex.clone(),
            format!("{hex}."),
            format!("{hex}.01"),
            format!("{hex}.+1"),
            format!("{hex}.-1"),
            format!("{hex}.1.new"),
            format!("{hex}.9223372036854775808"),
            format!("{}.1", hex.to_uppercase()),
            format!("{}.1", &hex[2..]),
        ] {
            assert!(!read(&bad), "{bad}");
        }
    }

    #[test]
    fn every_name_is_met_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        BlobStore::open(&root, Arc::new(RealDisk)).unwrap();
        let inventory = Inventory::new(&root, Arc::new(RealDisk));
        let mut expected = Vec::new();
        for number in 0..300_i64 {
            let digest = Digest::sha256(&number.to_le_bytes());
            let key = BlobKey { digest, generation: number };
            let path = root.join(inventory.path_of(&key));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, number.to_le_bytes()).unwrap();
            expected.push(key);
        }
        let odd = Digest::sha256(b"odd");
        let sha256 = root.join("blobs/sha256");
        std::fs::write(sha256.join(format!("{}.1", odd.hex())), b"odd").unwrap();
        std::fs::write(sha256.join("README"), b"?").unwrap();
        std::fs::create_dir(root.join("blobs/md5")).unwrap();
        std::os::unix::fs::symlink("/", root.join("blobs/sha512/aa")).unwrap();
        std::fs::write(root.join("uploads").join(Uuid::nil().to_string()), b"123").unwrap();
        std::fs::write(root.join("uploads/part"), b"1").unwrap();
        let (shards, strangers) = inventory.shards().unwrap();
        let mut files = Vec::new();
        let mut strange: Vec<PathBuf> = strangers.into_iter().map(|s| s.path).collect();
        for shard in &shards {
            let found = inventory.shard(shard).unwrap();
            files.extend(found.files);
            strange.extend(found.strangers.into_iter().map(|s| s.path));
        }
        let (misplaced, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|f| f.misplaced);
        expected.sort();
        assert_eq!(files.iter().map(|file| file.key).collect::<Vec<_>>(), expected);
        assert_eq!(misplaced.len(), 1);
        assert_eq!(misplaced[0].key.digest, odd);
        strange.sort();
        let names = ["blobs/md5", "blobs/sha256/README", "blobs/sha512/aa"].map(PathBuf::from);
        assert_eq!(strange, names);
        let uploads = inventory.uploads().unwrap();
        assert_eq!((uploads.files.len(), uploads.files[0].size), (1, 3));
        assert_eq!(uploads.strangers.len(), 1);
        assert!(inventory.settle(&misplaced[0]).unwrap());
        let settled = inventory.path_of(&misplaced[0].key);
        let mut bytes = 0;
        let digest = inventory.digest_of(&settled, Algorithm::Sha256, |n| bytes += n).unwrap();
        assert_eq!((digest, bytes), (odd, 3));
        inventory.remove(&settled).unwrap();
        inventory.remove(&settled).unwrap();
        assert_eq!(inventory.look(&settled).unwrap(), None);
    }

    #[test]
    fn what_others_may_reach_is_made_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"x").unwrap();
        let inventory = Inventory::new(folder.path(), Arc::new(RealDisk));
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&path, open).unwrap();
        assert_eq!(inventory.look(Path::new("file")).unwrap().unwrap().mode, 0o666);
        inventory.restrict(Path::new("file"), 0o7700).unwrap();
        assert_eq!(inventory.read(Path::new("file"), 1).unwrap().as_deref(), Some(&b"x"[..]));
        assert_eq!(inventory.read(Path::new("file"), 0).unwrap(), None);
        assert_eq!(inventory.look(Path::new("file")).unwrap().unwrap().mode & 0o077, 0);
    }
}
