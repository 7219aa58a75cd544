//! What has to hold at every moment, written once: for the model of the protocol, for the tests of
//! the running server, for a check of a store, and for the collector itself in debug builds.
//!
//! They speak of a [`View`], whatever it was made from: the model's state, or a database and a
//! disk. Repositories and digests are names of any kind.

use sealock_metadata::{self as metadata, Tx, reviews::Condemned};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// A name of a repository or of bytes.
pub trait Name: Ord + Clone + Debug {}

impl<T: Ord + Clone + Debug> Name for T {}

/// A stored file: bytes and generation.
pub type File<D> = (D, i64);

/// The row of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which file it names.
    pub generation: i64,
    /// Its review is queued.
    pub queued: bool,
}

/// Everything that the invariants look at, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View<R: Name, D: Name> {
    /// Bytes that acknowledged manifests of a repository name.
    pub named: BTreeSet<(R, D)>,
    /// Links of repositories to bytes, and whether their review is queued.
    pub links: BTreeMap<(R, D), bool>,
    /// Rows of blobs.
    pub rows: BTreeMap<D, Row>,
    /// Files whose row went and that are to be removed.
    pub dying: BTreeSet<File<D>>,
    /// Files that are there.
    pub files: BTreeSet<File<D>>,
    /// Files that somebody is writing, or will remove by itself at once.
    pub writing: BTreeSet<File<D>>,
    /// Leases that hold: a client was told that the bytes are there, and may count on it.
    pub promised: BTreeSet<(R, D)>,
}

impl<R: Name, D: Name> Default for View<R, D> {
    fn default() -> Self {
        Self {
            named: BTreeSet::new(),
            links: BTreeMap::new(),
            rows: BTreeMap::new(),
            dying: BTreeSet::new(),
            files: BTreeSet::new(),
            writing: BTreeSet::new(),
            promised: BTreeSet::new(),
        }
    }
}

/// What does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation<R: Name, D: Name> {
    /// An acknowledged manifest names bytes that its repository does not hold, or that have no
    /// file.
    Lost(R, D),
    /// A lease holds on bytes that are not there.
    Broken(R, D),
    /// A link leads to no row.
    Dangling(R, D),
    /// A link that no manifest names is not queued: it would stay for ever.
    ForgottenLink(R, D),
    /// A row without links is not queued: it would stay for ever.
    ForgottenRow(D),
    /// A file that is neither referred to, nor dying, nor being written.
    ForgottenFile(D, i64),
    /// A file that a row names is to be removed.
    Doomed(D, i64),
}

/// Whether a repository can serve these bytes: link, row and file are there.
fn is_served<R: Name, D: Name>(view: &View<R, D>, repository: &R, digest: &D) -> bool {
    view.links.contains_key(&(repository.clone(), digest.clone()))
        && view
            .rows
            .get(digest)
            .is_some_and(|row| view.files.contains(&(digest.clone(), row.generation)))
}

/// No acknowledged reference is without an active file, and a lease is honoured.
pub fn lost<R: Name, D: Name>(view: &View<R, D>) -> Vec<Violation<R, D>> {
    let named = view
        .named
        .iter()
        .filter(|(r, d)| !is_served(view, r, d))
        .map(|(r, d)| Violation::Lost(r.clone(), d.clone()));
    let promised = view
        .promised
        .iter()
        .filter(|(r, d)| !is_served(view, r, d))
        .map(|(r, d)| Violation::Broken(r.clone(), d.clone()));
    let dangling = view
        .links
        .keys()
        .filter(|(_, d)| !view.rows.contains_key(d))
        .map(|(r, d)| Violation::Dangling(r.clone(), d.clone()));
    let doomed = view
        .rows
        .iter()
        .map(|(d, row)| (d.clone(), row.generation))
        .filter(|file| view.dying.contains(file))
        .map(|(d, generation)| Violation::Doomed(d, generation));
    named.chain(promised).chain(dangling).chain(doomed).collect()
}

/// Every file is referred to, queued or being written, and so is every row and link.
pub fn forgotten<R: Name, D: Name>(view: &View<R, D>) -> Vec<Violation<R, D>> {
    let links = view
        .links
        .iter()
        .filter(|(link, queued)| !**queued && !view.named.contains(link))
        .map(|((r, d), _)| Violation::ForgottenLink(r.clone(), d.clone()));
    let linked: BTreeSet<&D> = view.links.keys().map(|(_, d)| d).collect();
    let rows = view
        .rows
        .iter()
        .filter(|(d, row)| !row.queued && !linked.contains(d))
        .map(|(d, _)| Violation::ForgottenRow(d.clone()));
    let files = view
        .files
        .iter()
        .filter(|file| !is_accounted(view, file))
        .map(|(d, generation)| Violation::ForgottenFile(d.clone(), *generation));
    links.chain(rows).chain(files).collect()
}

fn is_accounted<R: Name, D: Name>(view: &View<R, D>, file: &File<D>) -> bool {
    let (digest, generation) = file;
    view.rows.get(digest).is_some_and(|row| row.generation == *generation)
        || view.dying.contains(file)
        || view.writing.contains(file)
}

/// Everything that does not hold.
pub fn violations<R: Name, D: Name>(view: &View<R, D>) -> Vec<Violation<R, D>> {
    let mut all = lost(view);
    all.extend(forgotten(view));
    all
}

/// What is still there although nothing refers to it. Empty when the collector has done its work
/// after every lease has ended: garbage is freed in the end.
pub fn garbage<R: Name, D: Name>(view: &View<R, D>) -> BTreeSet<File<D>> {
    let named: BTreeSet<&D> = view.named.iter().map(|(_, d)| d).collect();
    view.files
        .iter()
        .filter(|(digest, generation)| {
            let current = view.rows.get(digest).is_some_and(|row| row.generation == *generation);
            !(current && named.contains(digest))
        })
        .cloned()
        .collect()
}

/// In debug builds: nothing refers to what this transaction condemned. Release builds rely on the
/// statement that condemns and on the foreign key.
pub(crate) async fn assert_nobody_refers(
    tx: &mut Tx,
    condemned: &[Condemned],
) -> metadata::Result<()> {
    let digests: Vec<_> = condemned.iter().map(|blob| blob.digest).collect();
    let linked = metadata::reviews::linked(tx, &digests).await?;
    debug_assert!(linked.is_empty(), "condemned, and repositories hold it: {linked:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> View<u8, u8> {
        View {
            named: [(1, 7)].into(),
            links: [((1, 7), false), ((2, 7), true)].into(),
            rows: [(7, Row { generation: 3, queued: false })].into(),
            dying: [(7, 2)].into(),
            files: [(7, 3), (7, 2), (8, 1)].into(),
            writing: [(8, 1)].into(),
            promised: [(2, 7)].into(),
        }
    }

    /// Each violation is a sound view with one thing changed.
    #[test]
    fn one_thing_changed_is_seen() {
        assert_eq!(violations(&sound()), []);
        type Change = fn(&mut View<u8, u8>);
        let changes: [(Change, Violation<u8, u8>); 8] = [
            (|v| assert!(v.files.remove(&(7, 3))), Violation::Lost(1, 7)),
            (|v| assert!(v.links.remove(&(2, 7)).is_some()), Violation::Broken(2, 7)),
            (|v| assert!(v.links.insert((1, 9), true).is_none()), Violation::Dangling(1, 9)),
            (|v| assert!(v.links.insert((2, 7), false).is_some()), Violation::ForgottenLink(2, 7)),
            (
                |v| assert!(v.rows.insert(9, Row { generation: 1, queued: false }).is_none()),
                Violation::ForgottenRow(9),
            ),
            (|v| assert!(v.dying.remove(&(7, 2))), Violation::ForgottenFile(7, 2)),
            (|v| assert!(v.writing.remove(&(8, 1))), Violation::ForgottenFile(8, 1)),
            (|v| assert!(v.dying.insert((7, 3))), Violation::Doomed(7, 3)),
        ];
        for (change, expected) in changes {
            let mut view = sound();
            change(&mut view);
            assert!(violations(&view).contains(&expected), "{expected:?}");
        }
    }

    #[test]
    fn garbage_is_what_no_manifest_names() {
        assert_eq!(garbage(&sound()), [(7, 2), (8, 1)].into());
    }
}
