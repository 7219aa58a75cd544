//! What a power loss leaves of recorded changes.
//!
//! The model is harsher than real file systems: without a flush, each write and each change of a
//! name is kept, lost or torn on its own. What it promises is only what POSIX does: flushed bytes
//! and length of a file, flushed names of a directory.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

pub(super) type FileId = u64;

#[derive(Debug, Clone)]
pub(super) enum Event {
    Create { path: PathBuf, id: FileId },
    Write { id: FileId, offset: u64, bytes: Vec<u8> },
    SetLen { id: FileId, length: u64 },
    SyncData { id: FileId },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    CreateDir { path: PathBuf },
    SyncDir { path: PathBuf },
}

/// What happens to changes that were not flushed when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// All are lost.
    Nothing,
    /// All are kept, as after kill -9.
    Everything,
    /// Names are kept, bytes are lost.
    Names,
    /// Names and lengths are kept, bytes become zeros.
    NamesAndZeros,
    /// Bytes are kept, names are lost.
    Bytes,
    /// Each change is kept, lost or torn by chance, from this seed.
    Chance(u64),
}

/// The changes to the files below a root, in their order.
#[derive(Debug, Clone)]
pub struct Journal {
    root: PathBuf,
    events: Vec<Event>,
}

#[derive(Debug, Clone, Copy)]
enum Node {
    File(FileId),
    Directory,
}

#[derive(Default)]
struct Directory {
    durable: BTreeMap<PathBuf, Node>,
    /// Changes since the last flush: a name set to a node, or taken away.
    pending: Vec<(PathBuf, Option<Node>)>,
}

#[derive(Default)]
struct Contents {
    durable: Vec<u8>,
    pending: Vec<Event>,
}

#[derive(Default)]
struct Model {
    directories: HashMap<PathBuf, Directory>,
    files: HashMap<FileId, Contents>,
}

impl Journal {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), events: Vec::new() }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// How many changes are recorded.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Writes into the empty directory `target` what is left of the root when the power goes after
    /// the first `count` changes.
    pub fn rebuild(&self, count: usize, survival: Survival, target: &Path) -> io::Result<()> {
        let mut model = Model::default();
        for event in &self.events[..count.min(self.events.len())] {
            model.apply(event);
        }
        let mut chance = match survival {
            Survival::Chance(seed) => seed.wrapping_mul(2) | 1,
            _ => 1,
        };
        model.lose_power(survival, &mut chance);
        model.write(&self.root, target)
    }
}

impl Model {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Create { path, id } => {
                self.files.insert(*id, Contents::default());
                self.name(path, Some(Node::File(*id)));
            }
            Event::Write { id, .. } | Event::SetLen { id, .. } => {
                self.files.entry(*id).or_default().pending.push(event.clone());
            }
            Event::SyncData { id } => {
                let file = self.files.entry(*id).or_default();
                for change in std::mem::take(&mut file.pending) {
                    apply_bytes(&mut file.durable, &change);
                }
            }
            Event::Rename { from, to } => {
                let node = self.lookup(from);
                self.name(to, node);
                self.name(from, None);
            }
            Event::Remove { path } => self.name(path, None),
            Event::CreateDir { path } => self.name(path, Some(Node::Directory)),
            Event::SyncDir { path } => {
                let directory = self.directories.entry(path.clone()).or_default();
                let pending = std::mem::take(&mut directory.pending);
                directory.keep(pending);
            }
        }
    }

    fn name(&mut self, path: &Path, node: Option<Node>) {
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        self.directories.entry(parent).or_default().pending.push((path.to_owned(), node));
    }

    fn lookup(&self, path: &Path) -> Option<Node> {
        let directory = self.directories.get(path.parent()?)?;
        let pending = directory.pending.iter().rev().find(|(name, _)| name == path);
        pending.map_or_else(|| directory.durable.get(path).copied(), |(_, node)| *node)
    }

    fn lose_power(&mut self, survival: Survival, chance: &mut u64) {
        let mut paths: Vec<PathBuf> = self.directories.keys().cloned().collect();
        paths.sort();
        for path in paths {
            let Some(directory) = self.directories.get_mut(&path) else { continue };
            let mut pending = std::mem::take(&mut directory.pending);
            match survival {
                Survival::Nothing | Survival::Bytes => pending.clear(),
                Survival::Chance(_) => pending.retain(|_| next(chance).is_multiple_of(2)),
                _ => {}
            }
            directory.keep(pending);
        }
        let mut ids: Vec<FileId> = self.files.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(file) = self.files.get_mut(&id) else { continue };
            for mut change in std::mem::take(&mut file.pending) {
                if survives(&mut change, survival, chance) {
                    apply_bytes(&mut file.durable, &change);
                }
            }
        }
    }

    fn write(&self, from: &Path, to: &Path) -> io::Result<()> {
        let Some(directory) = self.directories.get(from) else { return Ok(()) };
        for (path, node) in &directory.durable {
            let target = to.join(path.file_name().unwrap_or_default());
            match node {
                Node::File(id) => {
                    fs::write(&target, self.files.get(id).map_or(&[][..], |file| &file.durable))?;
                }
                Node::Directory => {
                    fs::create_dir(&target)?;
                    self.write(path, &target)?;
                }
            }
        }
        Ok(())
    }
}

impl Directory {
    fn keep(&mut self, changes: Vec<(PathBuf, Option<Node>)>) {
        for (name, node) in changes {
            match node {
                Some(node) => self.durable.insert(name, node),
                None => self.durable.remove(&name),
            };
        }
    }
}

/// Whether an unflushed change of bytes is kept, perhaps torn or as zeros.
fn survives(change: &mut Event, survival: Survival, chance: &mut u64) -> bool {
    match (survival, change) {
        (Survival::Nothing | Survival::Names, _) => false,
        (Survival::NamesAndZeros, Event::Write { bytes, .. }) => {
            bytes.fill(0);
            true
        }
        (Survival::Chance(_), Event::Write { bytes, .. }) => match next(chance) % 4 {
            0 => false,
            1 => {
                let kept = usize::try_from(next(chance)).unwrap_or(0) % (bytes.len() + 1);
                bytes.truncate(kept);
                true
            }
            2 => {
                bytes.fill(0);
                true
            }
            _ => true,
        },
        (Survival::Chance(_), _) => next(chance).is_multiple_of(2),
        _ => true,
    }
}

fn apply_bytes(contents: &mut Vec<u8>, change: &Event) {
    match change {
        Event::Write { offset, bytes, .. } => {
            let start = usize::try_from(*offset).unwrap_or(usize::MAX);
            let end = start + bytes.len();
            if contents.len() < end {
                contents.resize(end, 0);
            }
            contents[start..end].copy_from_slice(bytes);
        }
        Event::SetLen { length, .. } => {
            contents.resize(usize::try_from(*length).unwrap_or(usize::MAX), 0);
        }
        _ => {}
    }
}

/// SplitMix64: tests must play the same again from their seed.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
