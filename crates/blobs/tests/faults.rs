//! A full disk, failing writes and failing flushes: a clear error, no second try, nothing half
//! visible.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use sealock_blobs::{
    BlobError, BlobStore, Result, StoredBlob,
    testing::{FaultyDisk, Operation},
};
use sealock_oci::{Algorithm, Digest};
use std::{io::ErrorKind, path::Path, sync::Arc};

const LENGTH: usize = 1_500_000;

async fn upload(store: &BlobStore, content: &Bytes) -> Result<StoredBlob> {
    let mut writer = store.begin(Algorithm::Sha256)?;
    for chunk in content.chunks(200_000) {
        writer.write(Bytes::copy_from_slice(chunk)).await?;
    }
    writer.finish(&Digest::sha256(content)).await
}

fn files(path: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn each_failing_operation_fails_the_upload_and_leaves_nothing() {
    let content = Bytes::from(vec![42; LENGTH]);
    for (operation, times) in [
        (Operation::OpenWrite, 1),
        (Operation::Write, 3),
        (Operation::SyncData, 1),
        (Operation::CreateDir, 1),
        (Operation::Rename, 1),
        (Operation::SyncDir, 2),
    ] {
        for after in 0..times {
            let root = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::new();
            let store = BlobStore::open(root.path(), Arc::new(disk.clone())).unwrap();
            let before = disk.count(operation);
            disk.fail_once(operation, after, ErrorKind::Other);
            let error = upload(&store, &content).await.expect_err("must fail");
            assert!(matches!(error, BlobError::Disk { .. }), "{operation:?} {after}: {error:?}");
            assert_eq!(
                disk.count(operation) - before,
                after + 1,
                "{operation:?} was tried again on the same file"
            );
            assert_eq!(
                files(root.path()),
                Vec::<std::path::PathBuf>::new(),
                "{operation:?} {after}"
            );
            // The next upload is not disturbed.
            let blob = upload(&store, &content).await.expect("healed");
            let read = store.open_blob(&blob.key).await.unwrap().read_all(u64::MAX).await.unwrap();
            assert_eq!(read, content);
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_named_as_such() {
    let content = Bytes::from(vec![42; LENGTH]);
    for room in [0, 1, 600_000, LENGTH as u64 - 1] {
        let root = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new();
        let store = BlobStore::open(root.path(), Arc::new(disk.clone())).unwrap();
        disk.full_after(room);
        let error = upload(&store, &content).await.expect_err("must fail");
        assert!(error.is_disk_full(), "{error:?}");
        assert_eq!(files(root.path()), Vec::<std::path::PathBuf>::new());
        disk.full_after(LENGTH as u64);
        assert!(upload(&store, &content).await.is_ok(), "exactly enough room");
    }
}

#[tokio::test]
async fn short_writes_lose_nothing() {
    let root = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let store = BlobStore::open(root.path(), Arc::new(disk.clone())).unwrap();
    disk.write_at_most(77_777);
    let content: Bytes = (0..LENGTH).map(|i| (i / 7) as u8).collect();
    let blob = upload(&store, &content).await.unwrap();
    let read = store.open_blob(&blob.key).await.unwrap().read_all(u64::MAX).await.unwrap();
    assert_eq!(read, content);
}

#[tokio::test]
async fn after_a_failure_the_upload_stays_failed() {
    let root = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let store = BlobStore::open(root.path(), Arc::new(disk.clone())).unwrap();
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    disk.fail_once(Operation::Write, 0, ErrorKind::Other);
    let batch = Bytes::from(vec![1; 600_000]);
    writer.write(batch.clone()).await.unwrap();
    let first = writer.write(batch.clone()).await.expect_err("the first batch failed");
    assert!(matches!(first, BlobError::Disk { .. }), "{first:?}");
    let second = loop {
        // The fault is over; only the writer's memory of it can fail this.
        if let Err(error) = writer.write(batch.clone()).await {
            break error;
        }
    };
    assert!(matches!(second, BlobError::UploadFailed(_)), "{second:?}");
    let third = writer.finish(&Digest::sha256(&batch)).await.expect_err("failed for good");
    assert!(matches!(third, BlobError::UploadFailed(_)), "{third:?}");
    assert_eq!(files(root.path()), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_failed_flush_of_a_suspended_upload_loses_the_upload() {
    let root = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let store = BlobStore::open(root.path(), Arc::new(disk.clone())).unwrap();
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(Bytes::from_static(b"one")).await.unwrap();
    let state = writer.suspend().await.unwrap();
    let mut writer = store.resume(state.clone()).await.unwrap();
    writer.write(Bytes::from_static(b"two")).await.unwrap();
    disk.fail_once(Operation::SyncData, 0, ErrorKind::Other);
    assert!(matches!(writer.suspend().await, Err(BlobError::Disk { .. })));
    // The old state must not be usable either: what the kernel kept of the file is unknown.
    assert!(matches!(store.resume(state).await, Err(BlobError::UploadUnknown(_))));
}

#[tokio::test]
async fn a_failing_read_is_an_error_not_an_end() {
    use futures_util::StreamExt as _;
    let root = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let store = BlobStore::open(root.path(), Arc::new(disk.clone())).unwrap();
    let content = Bytes::from(vec![42; LENGTH]);
    let blob = upload(&store, &content).await.unwrap();
    let reader = store.open_blob(&blob.key).await.unwrap();
    disk.fail_once(Operation::Read, 2, ErrorKind::Other);
    let read: Vec<_> = reader.stream(0..blob.size).unwrap().collect().await;
    // Two chunks are read at a time, so the third read of the disk is that of the third chunk or of
    // one beside it. What comes before it is whole, and nothing comes after it.
    let (last, before) = read.split_last().unwrap();
    assert!(matches!(last, Err(BlobError::Disk { .. })), "{last:?}");
    assert!((1..=3).contains(&before.len()), "{}", before.len());
    assert!(before.iter().all(|chunk| chunk.as_ref().is_ok_and(|c| c.len() == 256 * 1024)));
    // A file that the disk cut short.
    let path = files(&root.path().join("blobs")).remove(0);
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1_000_000).unwrap();
    let read: Vec<_> = reader.stream(0..blob.size).unwrap().collect().await;
    assert!(matches!(read.last(), Some(Err(BlobError::Truncated { .. }))), "{read:?}");
}
