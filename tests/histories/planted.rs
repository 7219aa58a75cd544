//! The product with one step left out or done too early: each must be noticed.

use std::path::Path;

use sealock_blobs::testing::{Change, FaultyDisk, Operation};
use sealock_metadata::reviews::Due;

use crate::{
    check::Inspector,
    client::{Client, Image},
    exhaustive::{collections, first_fault, first_fault_of, is_stored, push_and_delete},
    recording::{History, Recording},
};

/// A short push on a disk that answers some operations without doing them.
async fn push_without(forgotten: fn(Operation, &Path) -> bool) -> History {
    let recording = Recording::start_on(|disk| disk.forget(forgotten)).await;
    let ann = Client::new(&recording, "ann");
    ann.push("team/app", "v1", &Image::new(1, 600)).await.unwrap();
    recording.end().await
}

async fn noticed(history: &History, word: &str) {
    noticed_as(history, &[word]).await;
}

/// Noticed in one of these words: which of two faults of the same disk is met first depends on the
/// names that its files were given.
async fn noticed_as(history: &History, words: &[&str]) {
    match first_fault(history).await {
        Ok(extent) => panic!("not noticed: {extent:?}"),
        Err(fault) => {
            assert!(words.iter().any(|word| fault.contains(word)), "noticed otherwise: {fault}");
        }
    }
}

fn is_in(path: &Path, directory: &str) -> bool {
    path.parent().is_some_and(|parent| parent.ends_with(directory))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_push_with_nothing_left_out_is_whole() {
    let history = push_without(|_, _| false).await;
    // Every disk, also with every combination of files that no row names.
    let mut inspector = Inspector::new(&history);
    inspector.leaks = true;
    let extent = first_fault_of(&history, inspector).await.unwrap();
    assert!(extent.opened > 40, "{extent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_not_flushed() {
    let history = push_without(|operation, _| operation == Operation::SyncData).await;
    noticed_as(&history, &["has other bytes", "is there and not readable"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_entry_that_is_not_flushed() {
    let history =
        push_without(|operation, path| operation == Operation::SyncDir && is_in(path, "sha256"))
            .await;
    noticed(&history, "is there and not readable").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_directory_whose_own_name_is_not_flushed() {
    for directory in ["blobs/sha256", "disk/blobs", "blobs/blobs"] {
        let history = push_without(match directory {
            "blobs/sha256" => |op, path| op == Operation::SyncDir && path.ends_with("blobs/sha256"),
            "disk/blobs" => |op, path| op == Operation::SyncDir && path.ends_with("disk/blobs"),
            _ => |op, path| op == Operation::SyncDir && path.ends_with("blobs/blobs"),
        })
        .await;
        noticed(&history, "is there and not readable").await;
    }
}

/// The history with the change at `from` made where `to` was.
fn reordered(history: History, from: usize, to: usize) -> History {
    History { journal: history.journal.moved(from, to), ..history }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_before_its_bytes() {
    let history = push_without(|_, _| false).await;
    let changes: Vec<_> = history.journal.changes().collect();
    let published = |change: &Change<'_>| matches!(change, Change::Rename(_));
    let rename = changes.iter().position(published).unwrap();
    let commit = changes[rename..].iter().position(|change| *change == Change::Commit).unwrap();
    assert!(commit > 1, "{changes:?}");
    let history = reordered(history, rename + commit, rename);
    noticed(&history, "is there and not readable").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_before_the_log_is_flushed() {
    let history = push_and_delete().await;
    let mut journal = history.journal.clone();
    // Each flush of the log comes when the next transaction is written.
    let changes: Vec<_> = history.journal.changes().collect();
    let syncs: Vec<usize> = changes
        .iter()
        .enumerate()
        .filter_map(|(at, change)| (*change == Change::SyncLog).then_some(at))
        .collect();
    assert!(syncs.len() > 5, "{changes:?}");
    for pair in syncs.windows(2) {
        journal = journal.moved(pair[0], pair[1] - 2);
    }
    noticed(&History { journal, ..history }, "may be").await;
}

/// What the collector does to stored files, by number.
fn removals(history: &History) -> Vec<usize> {
    let changes = history.journal.changes().enumerate();
    changes
        .filter(|(_, change)| matches!(change, Change::Remove(path) if is_stored(path)))
        .map(|(at, _)| at)
        .collect()
}

/// Out: row, then bytes. The other way round, a crash between the two leaves a row without bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_removed_before_the_log_with_its_row_is_flushed() {
    let recording = Recording::start().await;
    let ann = Client::new(&recording, "ann");
    ann.push_blob("team/app", b"nobody names it").await.unwrap();
    recording.leases_end();
    assert_eq!(recording.collect().await.freed.files, 1);
    let history = recording.end().await;
    first_fault(&history).await.unwrap();
    let removal = removals(&history)[0];
    // The transaction that frees it, and the one that claims the file.
    let changes: Vec<_> = history.journal.changes().collect();
    let syncs = changes[..removal].iter().enumerate().rev();
    let syncs: Vec<usize> =
        syncs.filter(|(_, change)| **change == Change::SyncLog).map(|(at, _)| at).collect();
    let freed = syncs[1];
    let between: Vec<_> = changes[freed - 1..removal].iter().collect();
    assert_eq!(
        between,
        [&Change::Commit, &Change::SyncLog, &Change::Commit, &Change::SyncLog],
        "{changes:?}"
    );
    noticed(&reordered(history, removal, freed), "is there and not readable").await;
}

/// The removal of a former file hits the file that a later push of the same bytes has brought.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_ignores_the_generation() {
    let recording = Recording::start_on(|disk| {
        disk.mistake(|_, path| {
            let stem = path.file_stem().filter(|_| is_stored(path))?.to_owned();
            let files = std::fs::read_dir(path.parent()?).ok()?;
            let mut files = files.filter_map(|file| Some(file.ok()?.path()));
            files.find(|other| other != path && other.file_stem() == Some(&stem))
        });
    })
    .await;
    collections(&recording, Due::Ended).await;
    noticed(&recording.end().await, "is there and not readable").await;
}

/// A client that was told that a blob is there is not given the time to name it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_that_heeds_no_lease() {
    let recording = Recording::start().await;
    let ann = Client::new(&recording, "ann");
    ann.push_blob("team/app", b"to be named").await.unwrap();
    recording.collect_due(Due::All).await;
    noticed(&recording.end().await, "is Absent, may be {Present}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_not_flushed() {
    let recording = Recording::start_on(|disk| {
        disk.forget(|operation, path| operation == Operation::SyncData && is_in(path, "uploads"));
    })
    .await;
    let ann = Client::new(&recording, "ann");
    let whole = crate::client::bytes(3, 1200);
    let id = ann.begin("team/app", &whole).await.unwrap();
    ann.append("team/app", id, &whole[..500]).await.unwrap();
    noticed(&recording.end().await, "ended with other bytes").await;
}

/// What came after the last acknowledged byte must be cut off before an upload goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_is_not_cut_off() {
    let recording = Recording::start().await;
    let ann = Client::new(&recording, "ann");
    let whole = crate::client::bytes(3, 1000);
    let id = ann.begin("team/app", &whole).await.unwrap();
    ann.append("team/app", id, &whole[..500]).await.unwrap();
    ann.append_broken("team/app", id, &crate::client::bytes(4, 2000)).await;
    let history = recording.end().await;
    // The power goes when the last bytes are on the disk and no row says so.
    let changes: Vec<_> = history.journal.changes().collect();
    let last = changes.iter().rposition(|change| *change == Change::SyncData).unwrap();
    let journal = history.journal.first(last + 1);
    let history = History { journal, ..history };
    first_fault(&history).await.unwrap();
    let disk = FaultyDisk::new();
    disk.forget(|operation, _| operation == Operation::SetLen);
    let fault = first_fault_of(&history, Inspector::on(&history, disk)).await;
    let fault = fault.expect_err("not noticed");
    let noticed = fault.contains("ended with other bytes") || fault.contains("lost or damaged");
    assert!(noticed, "noticed otherwise: {fault}");
}
