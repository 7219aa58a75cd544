//! The data directory: made private, used by one server at a time.

use anyhow::{Context, Result, bail};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// An opened and locked data directory.
pub(crate) struct Home {
    path: PathBuf,
    /// Held as long as the server runs; the kernel frees it even after SIGKILL.
    _lock: File,
}

impl Home {
    /// Makes the directory if need be, readable by its owner only, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        private_dir(path)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .with_context(|| format!("cannot write in {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                bail!("another sealock uses {}; stop it or give another --data-dir", path.display())
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// A path inside.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a small file, if it is there.
    pub(crate) fn read_optional(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.join(name);
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => crate::files::read(&path).map(Some),
        }
    }

    /// Writes a file that only the owner may read; whole and on disk, or not at all.
    pub(crate) fn write_secret(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.join(name);
        let parent = path.parent().unwrap_or(&self.path);
        private_dir(parent)?;
        let fresh = path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(content)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)?;
            File::open(parent)?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

fn private_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the directory {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_server_is_refused_and_secrets_are_private() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let home = Home::open(&dir.path().join("data")).expect("first");
        let second = Home::open(&dir.path().join("data")).map(|_| ()).expect_err("second");
        assert!(second.to_string().contains("another sealock uses"), "{second}");
        home.write_secret("keys/x", b"secret").expect("written");
        let mode = std::fs::metadata(home.join("keys/x")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(home.read_optional("keys/x").expect("read"), Some(b"secret".to_vec()));
        assert_eq!(home.read_optional("keys/y").expect("read"), None);
    }
}
