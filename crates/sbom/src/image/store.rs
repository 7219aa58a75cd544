use super::InspectError;
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Most members of an image archive.
const MAX_MEMBERS: usize = 100_000;
/// Most links followed to one member.
const MAX_LINKS: usize = 8;

/// Where a layout's files are.
pub(super) enum Store {
    Folder(PathBuf),
    Archive { path: PathBuf, members: HashMap<String, Member> },
}

#[derive(Debug, Clone)]
pub(super) enum Member {
    File { offset: u64, size: u64 },
    Link(String),
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, InspectError> {
        let unreadable = |source| InspectError::Unreadable { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let members = members(File::open(path).map_err(unreadable)?).map_err(|e| {
            InspectError::NotALayout {
                path: path.to_owned(),
                detail: format!("it is no folder and no plain tar archive ({e})"),
            }
        })?;
        Ok(Self::Archive { path: path.to_owned(), members })
    }

    /// Opens a file of the layout by its path in it.
    pub(super) fn file(&self, name: &str) -> io::Result<Box<dyn Read>> {
        match self {
            Self::Folder(root) => Ok(Box::new(File::open(root.join(name))?)),
            Self::Archive { path, members } => {
                let mut name = crate::path::normalise("", name.as_bytes()).path;
                for _ in 0..MAX_LINKS {
                    match members.get(&name) {
                        Some(Member::File { offset, size }) => {
                            let mut file = File::open(path)?;
                            file.seek(SeekFrom::Start(*offset))?;
                            return Ok(Box::new(file.take(*size)));
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

fn members(file: File) -> io::Result<HashMap<String, Member>> {
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
