//! The data directory: made private, used by one server at a time.

use anyhow::{Context, Result, bail};
use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Another process holds the lock.
#[derive(Debug)]
struct InUse(PathBuf);

impl std::fmt::Display for InUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.0.display();
        write!(f, "another sealock uses {path}; stop it or give another --data-dir")
    }
}

impl std::error::Error for InUse {}

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
        close_to_others(path)?;
        Self::locked(path)
    }

    fn locked(path: &Path) -> Result<Self> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .with_context(|| format!("cannot write in {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(InUse(path.to_owned()).into()),
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Locks the directory of a server that does not run, so that none starts meanwhile. Makes no
    /// directory.
    ///
    /// Files and rows change one after the other while a server runs: what it is just publishing
    /// would look like a leak, and what it is just collecting like a loss. So a running server's
    /// directory is refused, whichever database it uses.
    pub(crate) fn of_stopped_server(path: &Path) -> Result<Self> {
        let lock = path.join("lock");
        if !lock.exists() && !path.join("blobs").exists() {
            bail!("{} is not the data directory of a server; give its --data-dir", path.display());
        }
        match Self::locked(path) {
            Err(error) if error.downcast_ref::<InUse>().is_some() => bail!(
                "a server uses {}; stop it first: files and rows that it changes meanwhile would \
                 look like defects",
                path.display()
            ),
            other => other,
        }
    }

    /// A path inside.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether a server has stored anything here: blobs are made after the database.
    pub(crate) fn was_used(&self) -> bool {
        self.join("blobs").exists()
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

/// A directory that was there before, such as a new volume, is made private while it is empty. One
/// that is in use is its operator's, who is told.
fn close_to_others(path: &Path) -> Result<()> {
    let refused = || format!("cannot look into {}", path.display());
    let mode = std::fs::metadata(path).with_context(refused)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    if std::fs::read_dir(path).with_context(refused)?.next().is_none() {
        return std::fs::set_permissions(path, Permissions::from_mode(0o700))
            .with_context(|| format!("cannot make {} private", path.display()));
    }
    if mode & 0o007 != 0 {
        let path = path.display();
        tracing::warn!("every user of this machine may look into {path}; run chmod 700 {path}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_second_server_is_refused_and_secrets_are_private() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let home = Home::open(&dir.path().join("data")).expect("first");
        let second = Home::open(&dir.path().join("data")).map(|_| ()).expect_err("second");
        assert!(second.to_string().contains("another sealock uses"), "{second}");
        home.write_secret("keys/x", b"secret").expect("written");
        let mode =
            |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&home.join("keys/x")), 0o600);
        let volume = dir.path().join("volume");
        std::fs::create_dir(&volume).expect("made");
        std::fs::set_permissions(&volume, Permissions::from_mode(0o755)).expect("opened");
        Home::open(&volume).map(|_| ()).expect("an empty volume");
        assert_eq!(mode(&volume), 0o700);
        std::fs::set_permissions(&volume, Permissions::from_mode(0o750)).expect("opened");
        Home::open(&volume).map(|_| ()).expect("a volume in use");
        assert_eq!(mode(&volume), 0o750, "the operator's choice stays");
        assert_eq!(home.read_optional("keys/x").expect("read"), Some(b"secret".to_vec()));
        assert_eq!(home.read_optional("keys/y").expect("read"), None);
    }
}
