//! The changes that a disk was asked for, in their order.

use super::survivors::{SurvivingDisk, Survivors};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
};

/// A file, whatever names it has.
pub(super) type FileId = u64;

#[derive(Debug, Clone)]
pub(super) enum Event {
    Create { path: PathBuf, id: FileId },
    Write { id: FileId, offset: u64, bytes: Bytes },
    SetLen { id: FileId, length: u64 },
    SyncData { id: FileId },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    CreateDir { path: PathBuf },
    SyncDir { path: PathBuf },
    Commit,
    SyncLog { synced: u64 },
}

/// One recorded change, for tests that plant a fault in a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// A new file under this name.
    Create(&'a Path),
    /// Bytes of a file.
    Write,
    /// A cut of a file.
    SetLen,
    /// A flush of a file's bytes and length.
    SyncData,
    /// A file's new name.
    Rename(&'a Path),
    /// A name taken away.
    Remove(&'a Path),
    /// A new directory.
    CreateDir(&'a Path),
    /// A flush of a directory's names.
    SyncDir(&'a Path),
    /// A transaction of the database beside became part of its log.
    Commit,
    /// The log of the database beside was flushed, as far as it had come when the flush began.
    SyncLog,
}

/// How far the log of a database beside the disk has come, counted in transactions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Log {
    /// Transactions whose commit stands in the log.
    pub written: u64,
    /// Those of them that a flush of the log has made durable.
    pub synced: u64,
}

/// What happens to changes that were not flushed when the power goes: a few that are easy to name.
/// [`Survivors`] knows them all.
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

/// The changes to the files below a root, and the commits of a database beside it, in their order.
#[derive(Debug, Clone)]
pub struct Journal {
    root: PathBuf,
    events: Vec<Event>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Node {
    File(FileId),
    Directory,
}

/// A name of a directory: what the last flush made of it, and what it became since.
#[derive(Debug, Default)]
pub(super) struct Name {
    pub(super) durable: Option<Node>,
    pub(super) pending: Vec<Option<Node>>,
}

#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Event>,
}

/// What is on the device for certain, and what is under way to it.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) names: BTreeMap<PathBuf, Name>,
    pub(super) files: HashMap<FileId, Contents>,
    pub(super) log: Log,
}

impl Journal {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), events: Vec::new() }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Notes how far the log beside the disk has come.
    pub(super) fn note(&mut self, before: &mut Log, now: Log) {
        self.events.extend((before.written..now.written).map(|_| Event::Commit));
        if now.synced > before.synced {
            self.events.push(Event::SyncLog { synced: now.synced });
        }
        *before = now;
    }

    /// How many changes are recorded.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Every change, in its order.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.events.iter().map(|event| match event {
            Event::Create { path, .. } => Change::Create(path),
            Event::Write { .. } => Change::Write,
            Event::SetLen { .. } => Change::SetLen,
            Event::SyncData { .. } => Change::SyncData,
            Event::Rename { to, .. } => Change::Rename(to),
            Event::Remove { path } => Change::Remove(path),
            Event::CreateDir { path } => Change::CreateDir(path),
            Event::SyncDir { path } => Change::SyncDir(path),
            Event::Commit => Change::Commit,
            Event::SyncLog { .. } => Change::SyncLog,
        })
    }

    /// The same changes with the one at `from` made where `to` was: a program that does its work in
    /// another order.
    pub fn moved(&self, from: usize, to: usize) -> Self {
        let mut journal = self.clone();
        let event = journal.events.remove(from);
        journal.events.insert(to, event);
        journal
    }

    /// Only the first `count` changes.
    pub fn first(&self, count: usize) -> Self {
        let events = self.events[..count.min(self.events.len())].to_vec();
        Self { root: self.root.clone(), events }
    }

    /// What the disk may hold when the power goes after the first `count` changes.
    pub fn survivors(&self, count: usize) -> Survivors {
        let mut model = Model::default();
        for event in &self.events[..count.min(self.events.len())] {
            model.apply(event);
        }
        Survivors::new(self.root.clone(), model)
    }

    /// Writes into the empty directory `target` what is left of the root when the power goes after
    /// the first `count` changes.
    pub fn rebuild(&self, count: usize, survival: Survival, target: &Path) -> io::Result<()> {
        self.survive(count, survival).write(target)
    }

    /// What is left of the root when the power goes after the first `count` changes.
    pub fn survive(&self, count: usize, survival: Survival) -> SurvivingDisk {
        self.survivors(count).like(survival)
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
                let node = self.names.get(from).and_then(Name::now);
                self.name(to, node);
                self.name(from, None);
            }
            Event::Remove { path } => self.name(path, None),
            Event::CreateDir { path } => self.name(path, Some(Node::Directory)),
            Event::SyncDir { path } => {
                for (name, state) in &mut self.names {
                    if name.parent() == Some(path) {
                        state.durable = state.now();
                        state.pending.clear();
                    }
                }
            }
            Event::Commit => self.log.written += 1,
            Event::SyncLog { synced } => self.log.synced = *synced,
        }
    }

    fn name(&mut self, path: &Path, node: Option<Node>) {
        self.names.entry(path.to_owned()).or_default().pending.push(node);
    }
}

impl Name {
    /// What a running program sees.
    pub(super) fn now(&self) -> Option<Node> {
        self.pending.last().copied().unwrap_or(self.durable)
    }
}

pub(super) fn apply_bytes(contents: &mut Vec<u8>, change: &Event) {
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
