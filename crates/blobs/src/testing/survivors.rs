//! What a power loss may leave of recorded changes: all of it, not a selection.
//!
//! # What is legal
//! The model is what POSIX promises and nothing more, so it is harsher than real file systems.
//!
//! - A flush of a **file** makes its bytes and its length durable, as they are at that moment, and
//!   none of its names.
//! - A flush of a **directory** makes the names in it durable, and neither the bytes behind them
//!   nor the directory's own name in its parent.
//! - Whatever is not flushed is kept or lost **on its own**: no order holds between two changes,
//!   not within a file, not within a directory, not between them. A move is two changes, one of
//!   each name; either may be lost, so a moved file may have both names, or none.
//! - A **write** that was not flushed is kept, lost, turned to zeros (the length reached the
//!   device, the bytes did not), or torn: only its first or only its second half is there. By
//!   chance ([`Survivors::by_chance`]) it is torn at any byte.
//! - A name whose directory has lost its own name is lost with it.
//! - The **database** beside is a sequence of transactions, each there or not there as a whole.
//!   Those before the last flush of its log are there; of the others, the last ones are lost,
//!   however many: its log is read up to the first record that is not whole.
//!
//! Changes that are kept are kept in their order: a page of a file, or a name, that was changed
//! twice holds the first state, one between, or the last, and never an older one over a newer one.

use super::{
    Chance,
    journal::{Contents, Event, FileId, Log, Model, Node, Survival, apply_bytes},
};
use sealock_oci::Digest;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// What the disk may hold when the power goes at one moment.
#[derive(Debug)]
pub struct Survivors {
    root: PathBuf,
    log: Log,
    /// Each name below the root with what it may be; the first is what is durable, the last what
    /// the program saw.
    names: Vec<(PathBuf, Vec<Option<Node>>)>,
    files: HashMap<FileId, Contents>,
}

/// One disk that a power loss may leave: what stands below the root, by relative path. Two are
/// equal when a program that starts on them sees the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SurvivingDisk {
    entries: BTreeMap<PathBuf, Entry>,
}

#[derive(Debug, Clone)]
enum Entry {
    Directory,
    File { id: FileId, content: Content },
}

/// Bytes that are compared by their digest.
#[derive(Debug, Clone)]
struct Content {
    digest: Digest,
    bytes: bytes::Bytes,
}

impl Content {
    fn new(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::sha256(&bytes), bytes: bytes.into() }
    }
}

impl Entry {
    fn same_as(&self) -> Option<(FileId, Digest)> {
        match self {
            Self::Directory => None,
            Self::File { id, content } => Some((*id, content.digest)),
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.same_as() == other.same_as()
    }
}

impl Eq for Entry {}

impl std::hash::Hash for Entry {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.same_as().hash(state);
    }
}

impl Survivors {
    pub(super) fn new(root: PathBuf, model: Model) -> Self {
        let names = model
            .names
            .into_iter()
            .filter(|(path, _)| path.strip_prefix(&root).is_ok_and(|path| path != Path::new("")))
            .map(|(path, name)| {
                let mut outcomes = vec![name.durable];
                for node in name.pending {
                    // The last state stays last, also where it is an earlier one again.
                    outcomes.retain(|outcome| *outcome != node || *outcome == name.durable);
                    outcomes.push(node);
                }
                (path, outcomes)
            })
            .collect();
        Self { root, log: model.log, names, files: model.files }
    }

    /// How many transactions of the database beside may have survived.
    pub fn commits(&self) -> RangeInclusive<u64> {
        self.log.synced..=self.log.written
    }

    /// Every disk that may be left, each once. `None` when there may be more than `limit`
    /// combinations: then nothing was tried.
    pub fn all(&self, limit: u64) -> Option<Vec<SurvivingDisk>> {
        let choices = self.names.iter().map(|(_, outcomes)| outcomes.len());
        let bound = choices.clone().try_fold(1_u64, |n, m| n.checked_mul(m as u64))?;
        if bound > limit {
            return None;
        }
        let contents: HashMap<FileId, Vec<Content>> =
            self.files.iter().map(|(id, file)| (*id, outcomes(file))).collect();
        let mut trees = HashSet::new();
        let mut found: HashSet<SurvivingDisk> = HashSet::new();
        for choice in combinations(choices.collect()) {
            let tree = self.tree(&choice);
            if !trees.insert(tree.clone()) {
                continue;
            }
            let files: BTreeSet<FileId> = tree.values().filter_map(Node::file).collect();
            let counts: Vec<usize> = files.iter().map(|id| contents[id].len()).collect();
            for choice in combinations(counts) {
                let chosen: HashMap<FileId, &Content> =
                    files.iter().zip(&choice).map(|(id, at)| (*id, &contents[id][*at])).collect();
                found.insert(disk(&tree, |id| chosen[&id].clone()));
                if found.len() as u64 > limit {
                    return None;
                }
            }
        }
        Some(found.into_iter().collect())
    }

    /// One disk that may be left, chosen by a seed; writes are torn anywhere.
    pub fn by_chance(&self, seed: u64) -> SurvivingDisk {
        self.like(Survival::Chance(seed))
    }

    /// The disk that is left in one of the ways that have a name.
    pub fn like(&self, survival: Survival) -> SurvivingDisk {
        let mut chance = Chance::new(match survival {
            Survival::Chance(seed) => seed,
            _ => 0,
        });
        let choice: Vec<usize> = self
            .names
            .iter()
            .map(|(_, outcomes)| match survival {
                Survival::Nothing | Survival::Bytes => 0,
                Survival::Chance(_) => chance.below(outcomes.len()),
                _ => outcomes.len() - 1,
            })
            .collect();
        let tree = self.tree(&choice);
        let mut ids: Vec<FileId> = self.files.keys().copied().collect();
        ids.sort_unstable();
        let contents: HashMap<FileId, Content> = ids
            .into_iter()
            .map(|id| {
                let file = &self.files[&id];
                let mut bytes = file.durable.clone();
                for change in &file.pending {
                    let mut change = change.clone();
                    if survives(&mut change, survival, &mut chance) {
                        apply_bytes(&mut bytes, &change);
                    }
                }
                (id, Content::new(bytes))
            })
            .collect();
        disk(&tree, |id| contents[&id].clone())
    }

    /// The names that are there by this choice, below the root and relative to it. A name whose
    /// directory is gone is gone.
    fn tree(&self, choice: &[usize]) -> BTreeMap<PathBuf, Node> {
        let mut tree = BTreeMap::new();
        // Sorted by path, so a directory comes before what is in it.
        for ((path, outcomes), at) in self.names.iter().zip(choice) {
            let (Some(node), Ok(relative)) = (outcomes[*at], path.strip_prefix(&self.root)) else {
                continue;
            };
            let parent = relative.parent().unwrap_or(Path::new(""));
            if parent == Path::new("") || tree.get(parent) == Some(&Node::Directory) {
                tree.insert(relative.to_owned(), node);
            }
        }
        tree
    }
}

impl Node {
    fn file(&self) -> Option<FileId> {
        match self {
            Self::File(id) => Some(*id),
            Self::Directory => None,
        }
    }
}

fn disk(tree: &BTreeMap<PathBuf, Node>, content: impl Fn(FileId) -> Content) -> SurvivingDisk {
    let entries = tree
        .iter()
        .map(|(path, node)| {
            let entry = match node {
                Node::File(id) => Entry::File { id: *id, content: content(*id) },
                Node::Directory => Entry::Directory,
            };
            (path.clone(), entry)
        })
        .collect();
    SurvivingDisk { entries }
}

impl SurvivingDisk {
    /// Writes it into the empty directory `target`. A file that has two names has them there, too.
    pub fn write(&self, target: &Path) -> io::Result<()> {
        let mut written: HashMap<FileId, PathBuf> = HashMap::new();
        for (path, entry) in &self.entries {
            let path = target.join(path);
            match entry {
                Entry::Directory => fs::create_dir(&path)?,
                Entry::File { id, content } => match written.get(id) {
                    Some(first) => fs::hard_link(first, &path)?,
                    None => {
                        fs::write(&path, &content.bytes)?;
                        written.insert(*id, path);
                    }
                },
            }
        }
        Ok(())
    }

    /// Those of its files that `named` names, without the directories.
    pub fn only(&self, named: impl Fn(&Path) -> bool) -> Self {
        let files = self
            .entries
            .iter()
            .filter(|(path, entry)| matches!(entry, Entry::File { .. }) && named(path));
        Self { entries: files.map(|(path, entry)| (path.clone(), entry.clone())).collect() }
    }

    /// The names of its files with their lengths, for a message.
    pub fn list(&self) -> Vec<String> {
        self.entries
            .iter()
            .filter_map(|(path, entry)| match entry {
                Entry::File { content, .. } => {
                    Some(format!("{} ({} bytes)", path.display(), content.bytes.len()))
                }
                Entry::Directory => None,
            })
            .collect()
    }
}

/// Every state that a file's bytes may have, each once.
fn outcomes(file: &Contents) -> Vec<Content> {
    let mut found = vec![file.durable.clone()];
    for change in &file.pending {
        let mut next = found.clone();
        for fate in fates(change) {
            for before in &found {
                let mut bytes = before.clone();
                apply_bytes(&mut bytes, &fate);
                next.push(bytes);
            }
        }
        next.sort();
        next.dedup();
        found = next;
    }
    found.into_iter().map(Content::new).collect()
}

/// What an unflushed change may become, apart from nothing.
fn fates(change: &Event) -> Vec<Event> {
    let Event::Write { id, offset, bytes } = change else { return vec![change.clone()] };
    let half = bytes.len() / 2;
    let write = |offset: u64, bytes: bytes::Bytes| Event::Write { id: *id, offset, bytes };
    vec![
        change.clone(),
        write(*offset, vec![0; bytes.len()].into()),
        write(*offset, bytes.slice(..half)),
        write(*offset + half as u64, bytes.slice(half..)),
    ]
}

/// Whether an unflushed change of bytes is kept, perhaps torn or as zeros.
fn survives(change: &mut Event, survival: Survival, chance: &mut Chance) -> bool {
    match (survival, change) {
        (Survival::Nothing | Survival::Names, _) => false,
        (Survival::NamesAndZeros, Event::Write { bytes, .. }) => {
            *bytes = vec![0; bytes.len()].into();
            true
        }
        (Survival::Chance(_), Event::Write { bytes, offset, .. }) => match chance.below(5) {
            0 => false,
            1 => {
                bytes.truncate(chance.below(bytes.len() + 1));
                true
            }
            2 => {
                let lost = chance.below(bytes.len() + 1);
                *bytes = bytes.slice(lost..);
                *offset += lost as u64;
                true
            }
            3 => {
                *bytes = vec![0; bytes.len()].into();
                true
            }
            _ => true,
        },
        (Survival::Chance(_), _) => chance.below(2) == 0,
        _ => true,
    }
}

/// Every way to choose one of `counts[0]`, one of `counts[1]` and so on.
fn combinations(counts: Vec<usize>) -> impl Iterator<Item = Vec<usize>> {
    let mut next = Some(vec![0; counts.len()]);
    std::iter::from_fn(move || {
        let current = next.clone()?;
        let mut following = current.clone();
        next = counts.iter().enumerate().find_map(|(at, count)| {
            following[at] += 1;
            if following[at] < *count {
                return Some(following.clone());
            }
            following[at] = 0;
            None
        });
        Some(current)
    })
}
