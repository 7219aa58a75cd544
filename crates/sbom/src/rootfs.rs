use crate::{
    InspectError, Limits,
    archive::{Entry, Kind},
    collect::{Collector, Want},
    merge,
    reasons::code,
};
use sealock_facts::ImageContents;
use sealock_oci::Digest;
use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::Path,
};

/// Kernel file systems; what lies there is no content.
const KERNEL: [&[u8]; 3] = [b"proc", b"sys", b"dev"];
/// Bytes that [`Collector::sniff`] looks at.
const HEAD: usize = 512;
/// Deepest directory; `PATH_MAX` allows no more.
const MAX_DEPTH: usize = 2048;

/// Reads an unpacked root filesystem. Links are never followed out of `root`, nor anywhere by the
/// system: they are read as text and resolved below `root`. `proc`, `sys` and `dev` are left out.
///
/// The layer that components name is the digest of what was found, since there is no blob.
///
/// # Errors
/// Only when `root` itself is no readable directory; what cannot be read below it is a reason.
pub fn inspect_root_filesystem(
    root: &Path,
    limits: &Limits,
) -> Result<ImageContents, InspectError> {
    let unreadable = |source| InspectError::Unreadable { path: root.to_owned(), source };
    let top = fs::read_dir(root).map_err(unreadable)?;
    let mut walk = Walk { limits, collector: Collector::new(limits), entries: 0 };
    walk.directory(top, &mut Vec::new(), 0);
    let mut contents = walk.collector.finish();
    contents.entries = walk.entries;
    let written = serde_json::to_vec(&contents).map_err(|e| unreadable(io::Error::other(e)))?;
    Ok(merge(&[(Digest::sha256(&written), contents)], None))
}

struct Walk<'a> {
    limits: &'a Limits,
    collector: Collector<'a>,
    entries: u64,
}

impl Walk<'_> {
    /// Reads a directory in the order of its names. `prefix` is its path below the root.
    fn directory(&mut self, entries: fs::ReadDir, prefix: &mut Vec<u8>, depth: usize) {
        let mut listed = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) if self.entries < self.limits.max_entries => {
                    self.entries += 1;
                    listed.push((entry.file_name(), entry.path()));
                }
                Ok(_) => {
                    self.collector.reasons.add(code::TOO_MANY_ENTRIES, || {
                        format!("more than {} entries", self.limits.max_entries)
                    });
                    break;
                }
                Err(e) => self.unreadable(prefix, &e),
            }
        }
        listed.sort_unstable();
        for (name, path) in listed {
            if depth == 0 && KERNEL.contains(&name.as_bytes()) {
                continue;
            }
            let length = prefix.len();
            if length > 0 {
                prefix.push(b'/');
            }
            prefix.extend_from_slice(name.as_bytes());
            match fs::symlink_metadata(&path) {
                Ok(metadata) => self.entry(&path, &metadata, prefix, depth),
                Err(e) => self.unreadable(prefix, &e),
            }
            prefix.truncate(length);
        }
    }

    fn unreadable(&mut self, path: &[u8], error: &io::Error) {
        self.collector
            .reasons
            .add(code::UNREADABLE_FILE, || format!("{}: {error}", String::from_utf8_lossy(path)));
    }

    fn entry(&mut self, path: &Path, metadata: &Metadata, name: &mut Vec<u8>, depth: usize) {
        let kind = metadata.file_type();
        let (what, link) = if kind.is_dir() {
            (Kind::Directory, Vec::new())
        } else if kind.is_symlink() {
            match fs::read_link(path) {
                Ok(target) => (Kind::SymbolicLink, target.as_os_str().as_bytes().to_vec()),
                Err(e) => return self.unreadable(name, &e),
            }
        } else if kind.is_file() {
            (Kind::File, Vec::new())
        } else {
            (Kind::Special, Vec::new())
        };
        let size = metadata.len();
        let entry = Entry { path: name, link: &link, kind: what, size, sparse: false };
        let want = self.collector.begin(&entry);
        if kind.is_dir() && depth < MAX_DEPTH {
            match fs::read_dir(path) {
                Ok(entries) => self.directory(entries, name, depth + 1),
                Err(e) => self.unreadable(name, &e),
            }
        } else if want != Want::Nothing
            && let Err(e) = self.body(path, size, want)
        {
            self.unreadable(name, &e);
        }
    }

    fn body(&mut self, path: &Path, size: u64, want: Want) -> io::Result<()> {
        // A name that became a link or a FIFO since it was looked at is refused by the system.
        let mut file: File = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let mut bytes = Vec::new();
        let cap = match want {
            Want::Nothing => return Ok(()),
            Want::Body { cap } => cap,
            Want::Sniff => {
                file.by_ref().take(HEAD as u64).read_to_end(&mut bytes)?;
                match self.collector.sniff(&bytes, size) {
                    Some(cap) => cap,
                    None => return Ok(()),
                }
            }
        };
        file.take((cap + 1).saturating_sub(bytes.len() as u64)).read_to_end(&mut bytes)?;
        let entire = bytes.len() as u64 <= cap;
        bytes.truncate(cap as usize);
        self.collector.body(&bytes, entire, true);
        Ok(())
    }
}
