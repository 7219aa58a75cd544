//! Uploads and reads as a caller sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use proptest::prelude::*;
use sealock_blobs::{
    BlobError, BlobKey, BlobStore, RealDisk,
    testing::{FaultyDisk, Operation},
};
use sealock_oci::{Algorithm, Digest};
use std::{io::Read as _, sync::Arc};
use tempfile::TempDir;

fn store() -> (TempDir, BlobStore) {
    let root = tempfile::tempdir().unwrap();
    let store = BlobStore::open(&root.path().join("a/b"), Arc::new(RealDisk)).unwrap();
    (root, store)
}

fn some_bytes(length: usize) -> Bytes {
    (0..length).map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

#[tokio::test]
async fn ranges_and_readers_agree() {
    let (_root, store) = store();
    let content = some_bytes(700_001);
    let mut writer = store.begin(Algorithm::Sha512).unwrap();
    writer.write(content.clone()).await.unwrap();
    let blob = writer.finish(&Digest::sha512(&content)).await.unwrap();
    let reader = store.open_blob(&blob.key).await.unwrap();
    for (start, end) in [(0, 700_001), (0, 0), (1, 2), (262_143, 262_145), (5, 699_999)] {
        let parts: Vec<Bytes> = reader.stream(start..end).unwrap().try_collect().await.unwrap();
        let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
        assert_eq!(parts.concat(), content[range]);
    }
    assert!(matches!(reader.stream(0..700_002), Err(BlobError::RangeInvalid { .. })));
    #[expect(clippy::reversed_empty_ranges, reason = "the case under test")]
    let reversed = reader.stream(5..4);
    assert!(matches!(reversed, Err(BlobError::RangeInvalid { .. })));
    assert!(matches!(reader.read_all(700_000).await, Err(BlobError::TooLarge { .. })));
    let mut bytes = Vec::new();
    store.open_sync(&blob.key).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, content);
}

#[tokio::test]
async fn a_wrong_digest_leaves_nothing() {
    let (root, store) = store();
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(some_bytes(600_000)).await.unwrap();
    let wrong = Digest::sha256(b"something else");
    match writer.finish(&wrong).await {
        Err(BlobError::DigestMismatch(mismatch)) => {
            assert_eq!(mismatch.expected, wrong);
            assert_eq!(mismatch.actual, Digest::sha256(&some_bytes(600_000)));
        }
        other => panic!("{other:?}"),
    }
    let uploads = root.path().join("a/b/uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
    let key = BlobKey { digest: wrong, generation: 1 };
    assert!(matches!(store.open_blob(&key).await, Err(BlobError::NotFound(_))));
}

#[tokio::test]
async fn same_bytes_twice_are_two_files_and_one_removal_spares_the_other() {
    let (_root, store) = store();
    let mut blobs = Vec::new();
    for _ in 0..2 {
        let mut writer = store.begin(Algorithm::Sha256).unwrap();
        writer.write(Bytes::from_static(b"same")).await.unwrap();
        blobs.push(writer.finish(&Digest::sha256(b"same")).await.unwrap());
    }
    assert_ne!(blobs[0].key, blobs[1].key);
    let open = store.open_blob(&blobs[0].key).await.unwrap();
    store.remove(&blobs[0].key).await.unwrap();
    store.remove(&blobs[0].key).await.expect("twice is no error");
    assert_eq!(open.read_all(4).await.unwrap(), "same", "an open reader goes on");
    assert!(matches!(store.open_blob(&blobs[0].key).await, Err(BlobError::NotFound(_))));
    assert_eq!(store.open_blob(&blobs[1].key).await.unwrap().read_all(4).await.unwrap(), "same");
}

#[tokio::test]
async fn two_writers_on_one_upload_are_refused() {
    let (_root, store) = store();
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(Bytes::from_static(b"one")).await.unwrap();
    let state = writer.suspend().await.unwrap();
    let first = store.resume(state.clone()).await.unwrap();
    assert!(matches!(store.resume(state.clone()).await, Err(BlobError::UploadBusy(_))));
    assert!(matches!(store.discard(state.clone()).await, Err(BlobError::UploadBusy(_))));
    let state = first.suspend().await.unwrap();
    store.discard(state.clone()).await.unwrap();
    store.discard(state.clone()).await.expect("twice is no error");
    assert!(matches!(store.resume(state).await, Err(BlobError::UploadUnknown(_))));
}

/// Between the state that was read and the one that is kept next, nobody else writes.
#[tokio::test]
async fn an_upload_is_held_from_one_state_to_the_next() {
    let (_root, store) = store();
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(Bytes::from_static(b"one")).await.unwrap();
    let state = writer.suspend().await.unwrap();
    let hold = store.hold(state.id).unwrap();
    let busy = |result| matches!(result, Err(BlobError::UploadBusy(_)));
    assert!(busy(store.hold(state.id).map(|_| ())));
    let mut writer = store.resume_held(&hold, state.clone()).await.unwrap();
    writer.write(Bytes::from_static(b" two")).await.unwrap();
    let next = writer.suspend().await.unwrap();
    assert!(busy(store.resume(state).await.map(|_| ())), "the state is not kept yet");
    assert!(busy(store.discard(next.clone()).await));
    drop(hold);
    let stored = store.resume(next).await.unwrap();
    stored.finish(&Digest::sha256(b"one two")).await.unwrap();
}

/// Whoever was told that a chunk was refused goes on at once.
#[tokio::test]
async fn who_leaves_an_upload_leaves_it_free() {
    let (_root, store) = store();
    let content = some_bytes(100_000);
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(content.clone()).await.unwrap();
    let mut state = writer.suspend().await.unwrap();
    for _ in 0..20 {
        let mut writer = store.resume(state.clone()).await.unwrap();
        writer.write(some_bytes(2_000_000)).await.unwrap();
        writer.leave().await.unwrap();
        state = store.resume(state).await.unwrap().suspend().await.unwrap();
        assert_eq!(state.offset, 100_000);
    }
    let writer = store.resume(state).await.unwrap();
    let blob = writer.finish(&Digest::sha256(&content)).await.unwrap();
    assert_eq!(blob.size, 100_000);
}

#[tokio::test]
async fn a_file_shorter_than_acknowledged_is_damage_and_a_longer_one_is_cut() {
    let (root, store) = store();
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(some_bytes(10_000)).await.unwrap();
    let state = writer.suspend().await.unwrap();
    let path = root.path().join("a/b/uploads").join(state.id.to_string());
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(9_999).unwrap();
    match store.resume(state.clone()).await {
        Err(BlobError::UploadDamaged { expected: 10_000, found: 9_999, .. }) => {}
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("resumed a damaged upload"),
    }
    std::os::unix::fs::FileExt::write_all_at(&file, &some_bytes(20_000), 0).unwrap();
    let writer = store.resume(state).await.unwrap();
    let blob = writer.finish(&Digest::sha256(&some_bytes(10_000))).await.unwrap();
    let read = store.open_blob(&blob.key).await.unwrap().read_all(u64::MAX).await.unwrap();
    assert_eq!(read, some_bytes(10_000));
}

#[tokio::test]
async fn bytes_are_read_again_only_for_a_digest_of_another_algorithm() {
    let root = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let store = BlobStore::open(root.path(), Arc::new(disk.clone())).unwrap();
    let content = some_bytes(1_300_000);
    let digests = [Digest::sha256(&content), Digest::sha512(&content)];
    for begun in [Algorithm::Sha256, Algorithm::Sha512] {
        for expected in digests {
            let before = disk.count(Operation::Read);
            let mut writer = store.begin(begun).unwrap();
            writer.write(content.slice(..700_000)).await.unwrap();
            let mut writer = store.resume(writer.suspend().await.unwrap()).await.unwrap();
            writer.write(content.slice(700_000..)).await.unwrap();
            let blob = writer.finish(&expected).await.unwrap();
            let again = disk.count(Operation::Read) - before;
            assert_eq!(again > 0, begun != expected.algorithm(), "{again} reads for {expected}");
            let read = store.open_blob(&blob.key).await.unwrap().read_all(u64::MAX).await.unwrap();
            assert_eq!((blob.key.digest, read), (expected, content.clone()));
        }
    }
}

#[tokio::test]
async fn a_digest_of_another_algorithm_is_compared_and_its_reading_may_fail() {
    let root = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let store = BlobStore::open(root.path(), Arc::new(disk.clone())).unwrap();
    let written = async || {
        let mut writer = store.begin(Algorithm::Sha256).unwrap();
        writer.write(some_bytes(10_000)).await.unwrap();
        writer
    };
    let mut other = some_bytes(10_000).to_vec();
    other[9_999] ^= 1;
    match written().await.finish(&Digest::sha512(&other)).await {
        Err(BlobError::DigestMismatch(found)) => {
            assert_eq!(found.actual, Digest::sha512(&some_bytes(10_000)));
        }
        other => panic!("{other:?}"),
    }
    for operation in [Operation::OpenRead, Operation::Read] {
        disk.fail_once(operation, 0, std::io::ErrorKind::Other);
        let outcome = written().await.finish(&Digest::sha512(&some_bytes(10_000))).await;
        assert!(matches!(outcome, Err(BlobError::Disk { .. })), "{operation:?}: {outcome:?}");
    }
    let left = std::fs::read_dir(root.path().join("uploads")).unwrap().count();
    assert_eq!(left, 0, "nothing of a failed upload remains");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_cutting_into_buffers_and_requests_stores_the_same_bytes(
        cuts in proptest::collection::vec((0usize..300_000, any::<bool>()), 1..12),
        tiny in 1usize..9000,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let root = tempfile::tempdir().unwrap();
            let store = BlobStore::open(root.path(), Arc::new(FaultyDisk::new())).unwrap();
            let content = some_bytes(cuts.iter().map(|(length, _)| length).sum());
            let mut writer = store.begin(Algorithm::Sha256).unwrap();
            let mut rest = content.clone();
            for (length, suspend) in cuts {
                for part in rest.split_to(length).chunks(tiny) {
                    writer.write(Bytes::copy_from_slice(part)).await.unwrap();
                }
                if suspend {
                    let state = writer.suspend().await.unwrap();
                    assert_eq!(state.offset + rest.len() as u64, content.len() as u64);
                    writer = store.resume(state).await.unwrap();
                }
            }
            let blob = writer.finish(&Digest::sha256(&content)).await.unwrap();
            let reader = store.open_blob(&blob.key).await.unwrap();
            assert_eq!(reader.read_all(u64::MAX).await.unwrap(), content);
        });
    }
}
