use super::InspectError;
use crate::{
    Compression, Limits,
    compression::{Expanded, StreamFault},
};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Most members of an image archive.
const MAX_MEMBERS: usize = 100_000;
/// Most links followed to one member.
const MAX_LINKS: usize = 8;

/// Where a layout's files are.
pub(super) enum Store {
    Folder(PathBuf),
    Archive { file: Arc<File>, members: HashMap<String, Member> },
}

#[derive(Debug, Clone)]
pub(super) enum Member {
    File { offset: u64, size: u64 },
    Link(String),
}

impl Store {
    /// Opens a folder or a tar archive. One that is compressed (`docker save | gzip`) is expanded
    /// into a temporary file without a name, for its members lie in any order.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, InspectError> {
        let unreadable = |source| InspectError::Unreadable { path: path.to_owned(), source };
        let wrong = |detail| InspectError::NotALayout { path: path.to_owned(), detail };
        if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let expanded = Expanded::new(&file, limits).map_err(|fault| wrong(fault.detail))?;
        match expanded.compression() {
            Compression::None => {}
            Compression::Unsupported => {
                let what = "its compression is not read; give a plain, gzip or zstd archive";
                return Err(wrong(what.to_owned()));
            }
            Compression::Gzip | Compression::Zstd => {
                let plain = tempfile::tempfile().map_err(unreadable)?;
                file = expand(expanded, plain).map_err(|fault| wrong(fault.detail))?;
            }
        }
        file.rewind().map_err(unreadable)?;
        let members = members(&file).map_err(|e| {
            wrong(format!("it is no folder and no tar archive, plain or compressed ({e})"))
        })?;
        Ok(Self::Archive { file: Arc::new(file), members })
    }

    /// Opens a file of the layout by its path in it.
    pub(super) fn file(&self, name: &str) -> io::Result<Box<dyn Read>> {
        match self {
            // A Docker archive names its files itself: never one outside.
            Self::Folder(root) => {
                let name = crate::path::normalise("", name.as_bytes()).path;
                Ok(Box::new(File::open(root.join(name))?))
            }
            Self::Archive { file, members } => {
                let mut name = crate::path::normalise("", name.as_bytes()).path;
                for _ in 0..MAX_LINKS {
                    match members.get(&name) {
                        Some(Member::File { offset, size }) => {
                            let (file, at) = (file.clone(), *offset);
                            return Ok(Box::new(MemberReader { file, at, left: *size }));
                        }
                        Some(Member::Link(target)) => name.clone_from(target),
                        None => break,
                    }
                }
                Err(io::Error::new(io::ErrorKind::NotFound, "no such member"))
            }
        }
    }

    /// A small file as a whole.
    pub(super) fn small(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(name)?.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than is read"));
        }
        Ok(bytes)
    }
}

/// The bytes of one member.
struct MemberReader {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for MemberReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Writes the expanded archive, within the limits of a layer.
fn expand(mut from: Expanded<&File>, mut to: File) -> Result<File, StreamFault> {
    let mut block = vec![0; 256 << 10];
    loop {
        let count = from.read(&mut block)?;
        if count == 0 {
            return Ok(to);
        }
        to.write_all(&block[..count]).map_err(|e| StreamFault {
            code: crate::code::READ_ERROR,
            detail: format!("it cannot be expanded into a temporary file: {e}"),
        })?;
    }
}

fn members(file: &File) -> io::Result<HashMap<String, Member>> {
    use crate::path::{normalise, split};
    let mut archive = tar::Archive::new(file);
    let mut members = HashMap::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        if members.len() >= MAX_MEMBERS {
            return Err(io::Error::other("too many members"));
        }
        let name = normalise("", &entry.path_bytes()).path;
        let kind = entry.header().entry_type();
        let member = match entry.link_name_bytes() {
            Some(link) if kind.is_symlink() => Member::Link(normalise(split(&name).0, &link).path),
            Some(link) if kind.is_hard_link() => Member::Link(normalise("", &link).path),
            _ if kind.is_file() => {
                Member::File { offset: entry.raw_file_position(), size: entry.size() }
            }
            _ => continue,
        };
        members.insert(name, member);
    }
    Ok(members)
}
