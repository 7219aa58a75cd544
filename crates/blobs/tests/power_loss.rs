//! Records the disk operations of real uploads and rebuilds, for every prefix of them and several
//! ways to lose what was not flushed, the disk that would be left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use sealock_blobs::{
    BlobError, BlobStore, RealDisk, StoredBlob, UploadState,
    testing::{FaultyDisk, Journal, Survival},
};
use sealock_oci::{Algorithm, Digest};
use std::{path::Path, sync::Arc};

const SURVIVALS: [Survival; 8] = [
    Survival::Nothing,
    Survival::Everything,
    Survival::Names,
    Survival::NamesAndZeros,
    Survival::Bytes,
    Survival::Chance(1),
    Survival::Chance(2),
    Survival::Chance(3),
];

fn content(seed: u8, length: usize) -> Bytes {
    (0..length).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

/// What the caller was told, and after how many disk operations.
enum Told {
    Stored { at: usize, blob: StoredBlob, content: Bytes },
    Suspended { at: usize, state: UploadState, content: Bytes },
}

async fn record(root: &Path) -> (Journal, Vec<Told>) {
    let disk = FaultyDisk::recording(root);
    let store = BlobStore::open(root, Arc::new(disk.clone())).unwrap();
    let mut told = Vec::new();
    // Small, empty, several batches, sha512, and the same bytes twice.
    for (seed, length, algorithm) in [
        (1, 700, Algorithm::Sha256),
        (2, 0, Algorithm::Sha256),
        (3, 1_300_000, Algorithm::Sha256),
        (4, 10_000, Algorithm::Sha512),
        (1, 700, Algorithm::Sha256),
    ] {
        let content = content(seed, length);
        let mut writer = store.begin(algorithm).unwrap();
        for chunk in content.chunks(100_000) {
            writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        let blob = writer.finish(&Digest::of(algorithm, &content)).await.unwrap();
        told.push(Told::Stored { at: disk.journal().len(), blob, content });
    }
    // In chunks, with a longer tail lost between them and one upload cancelled beside it.
    let content = content(9, 30_000);
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    let mut other = store.begin(Algorithm::Sha256).unwrap();
    other.write(Bytes::from(vec![5; 600_000])).await.unwrap();
    let mut from = 0;
    for to in [0, 10_000, 20_000] {
        writer.write(content.slice(from..to)).await.unwrap();
        from = to;
        let state = writer.suspend().await.unwrap();
        let at = disk.journal().len();
        told.push(Told::Suspended { at, state: state.clone(), content: content.clone() });
        let mut lost = store.resume(state.clone()).await.unwrap();
        lost.write(Bytes::from(vec![7; 600_000])).await.unwrap();
        drop(lost);
        writer = loop {
            match store.resume(state.clone()).await {
                Ok(writer) => break writer,
                Err(BlobError::UploadBusy(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
    }
    other.abort().await.unwrap();
    // The last request brings no bytes, only the digest; the cut before it must be durable all the
    // same.
    let content = content.slice(..from);
    let blob = writer.finish(&Digest::sha256(&content)).await.unwrap();
    told.push(Told::Stored { at: disk.journal().len(), blob, content });
    (disk.journal(), told)
}

#[tokio::test]
async fn what_was_acknowledged_survives_and_nothing_half_is_visible() {
    let recorded = tempfile::tempdir().unwrap();
    let (journal, told) = record(recorded.path()).await;
    assert!(journal.len() > 40, "{}", journal.len());
    for count in 0..=journal.len() {
        for survival in SURVIVALS {
            let root = tempfile::tempdir().unwrap();
            journal.rebuild(count, survival, root.path()).unwrap();
            no_half_blob(root.path(), count, survival);
            // Flushes are left out here; the rebuilt disk loses no power.
            let store = BlobStore::open(root.path(), Arc::new(FaultyDisk::new())).unwrap();
            let happened: Vec<&Told> = told.iter().filter(|told| told.at() <= count).collect();
            for told in &happened {
                check_stored(&store, told, count, survival).await;
            }
            // Of the upload in chunks only the newest state counts, as in the metadata.
            if let Some(told) = happened.iter().rev().find(|told| told.is_suspended()) {
                check_suspended(&store, told, count, survival).await;
            }
        }
    }
}

impl Told {
    fn at(&self) -> usize {
        match self {
            Self::Stored { at, .. } | Self::Suspended { at, .. } => *at,
        }
    }

    fn is_suspended(&self) -> bool {
        matches!(self, Self::Suspended { .. })
    }
}

async fn check_stored(store: &BlobStore, told: &Told, count: usize, survival: Survival) {
    let Told::Stored { blob, content, .. } = told else { return };
    let reader = store.open_blob(&blob.key).await.unwrap_or_else(|error| {
        panic!("acknowledged blob lost after {count} operations, {survival:?}: {error}")
    });
    let bytes = reader.read_all(blob.size).await.unwrap();
    assert_eq!(&bytes, content, "after {count} operations, {survival:?}");
}

async fn check_suspended(store: &BlobStore, told: &Told, count: usize, survival: Survival) {
    let Told::Suspended { state, content, .. } = told else { return };
    match store.resume(state.clone()).await {
        Ok(mut writer) => {
            let rest = content.slice(usize::try_from(state.offset).unwrap()..);
            writer.write(rest).await.unwrap();
            let blob = writer.finish(&Digest::sha256(content)).await.unwrap();
            let reader = store.open_blob(&blob.key).await.unwrap();
            let bytes = reader.read_all(u64::MAX).await.unwrap();
            assert_eq!(&bytes, content, "resumed after {count}, {survival:?}");
        }
        // Its name was not flushed, or it went on and was published: the client begins again.
        Err(BlobError::UploadUnknown(_) | BlobError::UploadDamaged { .. }) => {}
        Err(error) => panic!("after {count} operations, {survival:?}: {error}"),
    }
}

/// Every file under a digest's name has that digest, whether acknowledged or not.
fn no_half_blob(root: &Path, count: usize, survival: Survival) {
    let mut open = vec![root.join("blobs")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap();
            let hex = name.split('.').next().unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let algorithm = if hex.len() == 64 { Algorithm::Sha256 } else { Algorithm::Sha512 };
            let actual = Digest::of(algorithm, &bytes).hex();
            assert_eq!(actual, hex, "half blob after {count} operations, {survival:?}");
        }
    }
}

/// The model itself must be able to find fault: without flushes a rebuilt disk is not whole.
#[tokio::test]
async fn the_model_loses_what_was_not_flushed() {
    let recorded = tempfile::tempdir().unwrap();
    let root = recorded.path().join("store");
    let disk = FaultyDisk::recording(recorded.path());
    let store = BlobStore::open(&root, Arc::new(disk.clone())).unwrap();
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(content(1, 600_000)).await.unwrap();
    // Abandoned in the middle: its bytes were written, never flushed.
    drop(writer);
    let journal = disk.journal();
    let rebuilt = tempfile::tempdir().unwrap();
    journal.rebuild(journal.len(), Survival::Nothing, rebuilt.path()).unwrap();
    let uploads = rebuilt.path().join("store/uploads");
    assert!(uploads.is_dir(), "created directories are flushed");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
}

#[tokio::test]
async fn a_restart_resumes_where_it_stopped() {
    let root = tempfile::tempdir().unwrap();
    let content = content(3, 900_000);
    let store = BlobStore::open(root.path(), Arc::new(RealDisk)).unwrap();
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(content.slice(..777_777)).await.unwrap();
    let kept = serde_json::to_string(&writer.suspend().await.unwrap()).unwrap();
    drop(store);
    let store = BlobStore::open(root.path(), Arc::new(RealDisk)).unwrap();
    let mut writer = store.resume(serde_json::from_str(&kept).unwrap()).await.unwrap();
    assert_eq!(writer.received(), 777_777);
    writer.write(content.slice(777_777..)).await.unwrap();
    let blob = writer.finish(&Digest::sha256(&content)).await.unwrap();
    assert_eq!(blob.size, 900_000);
    assert_eq!(
        store.open_blob(&blob.key).await.unwrap().read_all(u64::MAX).await.unwrap(),
        content
    );
}
