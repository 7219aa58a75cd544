//! Small histories: every moment, every disk and every log that may be left.

use std::{io::ErrorKind, path::Path};

use futures_util::future::{join, join3};
use jiff::SignedDuration;
use sealock_blobs::testing::{Change, Operation};
use sealock_metadata::reviews::Due;
use sealock_registry::Kind;

use crate::{
    check::{Ending, Inspector},
    client::{Client, Image, bytes, note},
    recording::{History, Recording},
};

/// Combinations at one moment; a history that has more is not small.
const LIMIT: u64 = 100_000;

/// How much was looked at.
#[derive(Debug)]
pub(crate) struct Extent {
    /// Disks with transactions, at all moments together.
    pub(crate) endings: usize,
    /// Those of them that were opened: the others differ from one that was by leaks only, or are
    /// the same at another moment.
    pub(crate) opened: usize,
}

/// Judges every ending of a history. What is wrong with the first one that is not as it may be.
pub(crate) async fn first_fault(history: &History) -> Result<Extent, String> {
    first_fault_of(history, Inspector::new(history)).await
}

/// The same, by an inspector that was prepared.
pub(crate) async fn first_fault_of(
    history: &History,
    mut inspector: Inspector<'_>,
) -> Result<Extent, String> {
    let mut endings = 0;
    for cut in 0..=history.journal.len() {
        let survivors = history.journal.survivors(cut);
        let disks = survivors.all(LIMIT).expect("the history is small");
        for commits in survivors.commits() {
            for disk in &disks {
                endings += 1;
                let ending = Ending { disk: disk.clone(), commits };
                let faults = inspector.judge(ending, cut).await;
                if !faults.is_empty() {
                    let last: Vec<_> = history.journal.changes().take(cut).collect();
                    return Err(format!(
                        "after {cut} changes, the last being {:?}, with {commits} transactions: \
                         {faults:#?}\non the disk: {:#?}",
                        &last[cut.saturating_sub(5)..],
                        disk.list()
                    ));
                }
            }
        }
    }
    Ok(Extent { endings, opened: inspector.opened() })
}

async fn all_endings_are_good(history: &History, least: usize) {
    let begin = std::time::Instant::now();
    match Box::pin(first_fault(history)).await {
        Ok(extent) => {
            let changes = history.journal.len();
            println!("{changes} changes, {extent:?}, in {:?}", begin.elapsed());
            assert!(extent.endings >= least, "{extent:?}: the history saw too little");
            assert!(extent.opened >= 5, "{extent:?}: the history saw too little");
        }
        Err(fault) => panic!("{fault}"),
    }
}

pub(crate) async fn push_and_delete() -> History {
    let recording = Recording::start().await;
    let ann = Client::new(&recording, "ann");
    let (first, second) = (Image::new(1, 600), Image::new(2, 0));
    ann.push("team/app", "v1", &first).await.unwrap();
    ann.push("team/app", "v1", &second).await.unwrap();
    ann.untag("team/app", "v1").await.unwrap();
    ann.delete("team/app", &first.digest()).await.unwrap();
    ann.delete_blob("team/app", &first.layer).await.unwrap();
    // The same bytes again: a new file, and one of the two is taken away.
    ann.push_blob("team/app", &second.config).await.unwrap();
    ann.push_blob("team/app", &first.layer).await.unwrap();
    recording.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_and_deletes() {
    all_endings_are_good(&push_and_delete().await, 100).await;
}

/// Chunks, one of them broken, and an upload that is cancelled.
pub(crate) async fn chunks() -> History {
    let recording = Recording::start().await;
    let ann = Client::new(&recording, "ann");
    let whole = bytes(7, 2500);
    let id = ann.begin("team/app", &whole).await.unwrap();
    ann.append("team/app", id, &whole[..1000]).await.unwrap();
    let wrong = bytes(8, 700);
    ann.append_broken("team/app", id, &whole[1000..1200]).await;
    assert_eq!(ann.append("team/app", id, &whole[1200..2000]).await.unwrap(), 2000);
    ann.finish("team/app", id, &whole[2000..]).await.unwrap();
    let other = ann.begin("team/app", &wrong).await.unwrap();
    ann.append("team/app", other, &wrong).await.unwrap();
    ann.cancel("team/app", other).await.unwrap();
    recording.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_and_cancelled_uploads() {
    all_endings_are_good(&chunks().await, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_push_the_same_at_once_and_mount() {
    let recording = Recording::start().await;
    let (ann, ben) = (Client::new(&recording, "ann"), Client::new(&recording, "ben"));
    let (one, two) = (Image::new(1, 300), Image::new(2, 300));
    let (a, b) = join(
        Box::pin(ann.push("team/app", "v1", &one)),
        Box::pin(ben.push_blob("other/app", &one.layer)),
    )
    .await;
    a.unwrap();
    b.unwrap();
    let (a, b) = join(
        Box::pin(ann.mount("other/copy", "team/app", &one.config)),
        Box::pin(ben.push("team/app", "v1", &two)),
    )
    .await;
    assert!(a.unwrap());
    b.unwrap();
    let remark = note(&one.manifest, &one.config);
    ann.put("team/app", "", &remark).await.unwrap();
    let (deleted, ()) = join(
        Box::pin(ann.delete("team/app", &one.digest())),
        ben.push_wrong("other/app", b"something", &sealock_oci::Digest::sha256(b"else")),
    )
    .await;
    deleted.unwrap();
    all_endings_are_good(&recording.end().await, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotions() {
    let recording = Recording::start().await;
    let ann = Client::new(&recording, "ann");
    let image = Image::new(1, 500);
    ann.push("team/app", "v1", &image).await.unwrap();
    recording.settle().await;
    ann.promote("team/app", &image, "built/app").await.unwrap();
    ann.delete("team/app", &image.digest()).await.unwrap();
    all_endings_are_good(&recording.end().await, 100).await;
}

/// A collection between pushes and deletions, and one that is cut off and gone on with.
pub(crate) async fn collections(recording: &Recording, due: Due) {
    let ann = Client::new(recording, "ann");
    let (first, second) = (Image::new(1, 600), Image::new(2, 0));
    ann.push("team/app", "v1", &first).await.unwrap();
    ann.push_blob("team/app", &second.layer).await.unwrap();
    // Nobody names the second's layer, and it is not due yet.
    recording.collect_due(due).await;
    ann.delete("team/app", &first.digest()).await.unwrap();
    recording.leases_end();
    recording.disk.fail_once(Operation::Remove, 0, ErrorKind::Interrupted);
    let report = recording.collect_due(due).await;
    assert_eq!(report.failures, 1, "{report:?}");
    // The same bytes again, while a file that held them before is still to be removed.
    ann.push("team/app", "v2", &first).await.unwrap();
    recording.clock.advance(SignedDuration::from_mins(2));
    recording.collect_due(due).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_between_pushes_and_deletes() {
    let recording = Recording::start().await;
    collections(&recording, Due::Ended).await;
    let history = recording.end().await;
    let removed = |change: &Change<'_>| matches!(change, Change::Remove(path) if is_stored(path));
    assert_eq!(history.journal.changes().filter(removed).count(), 3);
    all_endings_are_good(&history, 100).await;
}

/// Whether a path is a stored blob's.
pub(crate) fn is_stored(path: &Path) -> bool {
    path.ancestors().nth(2).is_some_and(|shards| shards.ends_with("blobs/sha256"))
}

/// Collections while others push, mount and delete what is due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_beside_pushes_and_deletes() {
    let recording = Recording::start().await;
    let (ann, ben) = (Client::new(&recording, "ann"), Client::new(&recording, "ben"));
    let image = Image::new(1, 300);
    ann.push("team/app", "v1", &image).await.unwrap();
    ann.push_blob("other/app", &image.layer).await.unwrap();
    ann.delete("team/app", &image.digest()).await.unwrap();
    recording.leases_end();
    let (_, again, deleted) = join3(
        Box::pin(recording.collect()),
        Box::pin(ben.push("team/app", "v2", &image)),
        Box::pin(ann.delete_blob("other/app", &image.layer)),
    )
    .await;
    // Whoever comes late is told that something is gone.
    for outcome in [again, deleted] {
        assert!(outcome.is_ok() || outcome.is_err_and(|error| error.kind() == Kind::NotFound));
    }
    recording.leases_end();
    let (_, mounted) =
        join(recording.collect(), ben.mount("other/copy", "team/app", &image.config)).await;
    assert!(mounted.is_ok());
    all_endings_are_good(&recording.end().await, 100).await;
}

/// The log of the database ends wherever the power chose.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_log_ends_with_its_last_whole_transaction() {
    let history = push_and_delete().await;
    let inspector = Inspector::new(&history);
    let mut before = inspector.torn(0, 0).await;
    for commits in 1..=history.ends.len() as u64 {
        let begin = usize::try_from(commits - 1).unwrap();
        let begin = if begin == 0 { 0 } else { history.ends[begin - 1] };
        let length = usize::try_from(history.ends[usize::try_from(commits - 1).unwrap()] - begin);
        let length = length.unwrap();
        for torn in [1, 31, 100, length / 2, length - 1] {
            assert_eq!(inspector.torn(commits - 1, torn).await, before, "{commits} {torn}");
        }
        before = inspector.torn(commits, 0).await;
    }
    assert!(before > 10, "{before}");
}
