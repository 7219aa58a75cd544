//! Defects of files.

use crate::{
    store::{Store, counts, told},
    zoo::Case,
};
use sealock_blobs::testing::{FaultyDisk, Operation};
use sealock_lifecycle::fsck::{Depth, Kind, Severity};
use sealock_metadata::{Access, dying_files};
use sealock_oci::Digest;
use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn damage(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The name of a file with another generation.
fn other_generation(path: &Path) -> PathBuf {
    path.with_extension("7")
}

/// Where the bytes of a digest that nobody knows would lie.
fn unknown(store: &Store, bytes: &[u8]) -> PathBuf {
    let hex = Digest::sha256(bytes).hex();
    let shard = store.path(&format!("blobs/blobs/sha256/{}", &hex[..2]));
    fs::create_dir_all(&shard).unwrap();
    shard.join(format!("{hex}.1"))
}

macro_rules! case {
    ($name:literal, $touches:literal, [$(($kind:ident, $count:literal)),*] =>
     [$(($rest:ident, $left:literal)),*], |$store:ident| $plant:block) => {
        Case {
            name: $name,
            plant: |$store| Box::pin(async move $plant),
            found: &[$((Kind::$kind, $count)),*],
            rest: &[$((Kind::$rest, $left)),*],
            touches: $touches,
            rows: false,
        }
    };
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = damaged();
    cases.extend(misplaced());
    cases.extend(beside());
    cases
}

fn damaged() -> Vec<Case> {
    vec![
        case!("no file", "layer a", [(BlobMissing, 1)] => [(BlobIsolated, 1)], |store| {
            fs::remove_file(store.file(&store.known.a.layer)).unwrap();
        }),
        case!("no file under sha512", "long", [(BlobMissing, 1)] => [(BlobIsolated, 1)], |store| {
            fs::remove_file(store.file(&store.known.long)).unwrap();
        }),
        case!("cut off", "layer a", [(BlobSize, 1)] => [(BlobIsolated, 1)], |store| {
            damage(&store.file(&store.known.a.layer), |bytes| bytes.truncate(9));
        }),
        case!("grown", "layer b", [(BlobSize, 1)] => [(BlobIsolated, 1)], |store| {
            damage(&store.file(&store.known.b.layer), |bytes| bytes.push(0));
        }),
        case!("one bit", "layer a", [(BlobCorrupt, 1)] => [(BlobIsolated, 1)], |store| {
            damage(&store.file(&store.known.a.layer), |bytes| bytes[11] ^= 1);
        }),
        case!("two bits in two files", "layer b", [(BlobCorrupt, 2)] => [(BlobIsolated, 2)], |store| {
            damage(&store.file(&store.known.b.layer), |bytes| bytes[11] ^= 1);
            damage(&store.file(&store.known.a.layer), |bytes| bytes[0] ^= 0x80);
        }),
        case!("a link", "layer a", [(BlobNotAFile, 1)] => [(BlobIsolated, 1), (FileForeign, 1)], |store| {
            let file = store.file(&store.known.a.layer);
            fs::rename(&file, store.path("elsewhere")).unwrap();
            symlink(store.path("elsewhere"), file).unwrap();
        }),
        case!("a directory", "layer b", [(BlobNotAFile, 1)] => [(BlobIsolated, 1), (FileForeign, 1)], |store| {
            let file = store.file(&store.known.b.layer);
            fs::remove_file(&file).unwrap();
            fs::create_dir(file).unwrap();
        }),
        case!("another generation", "layer a", [(BlobGeneration, 1)] => [], |store| {
            let file = store.file(&store.known.a.layer);
            fs::rename(&file, other_generation(&file)).unwrap();
        }),
        case!("damaged beside a good copy", "layer b", [(BlobGeneration, 1)] => [], |store| {
            let file = store.file(&store.known.b.layer);
            fs::copy(&file, other_generation(&file)).unwrap();
            damage(&file, |bytes| bytes[11] ^= 1);
        }),
        case!("isolated, no file", "layer a", [(BlobIsolated, 1)] => [(BlobIsolated, 1)], |store| {
            let layer = store.known.a.layer;
            fs::remove_file(store.file(&layer)).unwrap();
            store.sql(&format!("UPDATE blobs SET state = 'isolated' WHERE digest = '{layer}'")).await;
        }),
        case!("a row lost with its bits", "long", [(BlobCorrupt, 1)] => [(BlobIsolated, 1)], |store| {
            let long = store.known.long;
            damage(&store.file(&long), |bytes| bytes[0] ^= 1);
            store.sql(&format!("DELETE FROM blobs WHERE digest = '{long}'")).await;
        }),
    ]
}

fn misplaced() -> Vec<Case> {
    vec![
        case!("wrong shard", "layer a", [(FileMisplaced, 1)] => [], |store| {
            let file = store.file(&store.known.a.layer);
            let name = file.file_name().unwrap();
            let shard = file.parent().unwrap();
            let other = if shard.ends_with("00") { "01" } else { "00" };
            let other = shard.with_file_name(other);
            fs::create_dir_all(&other).unwrap();
            fs::rename(&file, other.join(name)).unwrap();
        }),
        case!("above the shards, and nobody's", "", [(FileMisplaced, 1)] => [], |store| {
            let hex = Digest::sha256(b"nobody's").hex();
            let path = store.path(&format!("blobs/blobs/sha256/{hex}.5"));
            fs::write(path, b"nobody's").unwrap();
        }),
        case!("wrong name", "layer b", [(BlobMissing, 1), (FileLeaked, 1)] => [(BlobIsolated, 1)], |store| {
            let file = store.file(&store.known.b.layer);
            fs::rename(file, unknown(store, b"another")).unwrap();
        }),
        case!("leaked", "", [(FileLeaked, 2)] => [], |store| {
            for bytes in [b"leak one", b"leak two"] {
                fs::write(unknown(store, bytes), bytes).unwrap();
            }
        }),
        case!("stale", "layer b", [(FileStale, 1)] => [], |store| {
            let file = store.file(&store.known.b.layer);
            fs::copy(&file, other_generation(&file)).unwrap();
        }),
    ]
}

fn beside() -> Vec<Case> {
    vec![
        case!("foreign", "", [(FileForeign, 4)] => [(FileForeign, 4)], |store| {
            fs::write(store.path("blobs/blobs/sha256/README"), "?").unwrap();
            fs::write(store.path("blobs/uploads/part.1"), "?").unwrap();
            fs::create_dir(store.path("blobs/blobs/md5")).unwrap();
            fs::write(store.path("blobs/.hidden"), "?").unwrap();
        }),
        case!("rights", "keys", [(Exposed, 3)] => [], |store| {
            mode(&store.path("keys/master.key"), 0o640);
            mode(&store.path("keys"), 0o755);
            mode(&store.file(&Digest::sha256(b"{}")), 0o622);
        }),
        case!("the directory itself", "home", [(Exposed, 1)] => [], |store| {
            mode(store.folder.path(), 0o755);
        }),
        case!("an upload's bytes", "", [(UploadLeaked, 1)] => [], |store| {
            fs::write(store.path("blobs/uploads").join(NOBODY), "123").unwrap();
        }),
        case!("an upload without bytes", "upload", [(UploadMissing, 1)] => [], |store| {
            fs::remove_file(store.upload()).unwrap();
        }),
        case!("an upload cut off", "upload", [(UploadShort, 1)] => [], |store| {
            damage(&store.upload(), |bytes| bytes.truncate(4));
        }),
        case!("advisories", "advisories", [(AdvisoriesDamaged, 1)] => [(AdvisoriesDamaged, 1)], |store| {
            let snapshots = fs::read_dir(store.path("advisories/snapshots")).unwrap();
            let mut names = snapshots.map(|entry| entry.unwrap().path());
            let index = names.find(|path| path.extension().unwrap() == "idx").unwrap();
            damage(&index, |bytes| bytes[100] ^= 1);
        }),
        case!("no master key", "keys", [(KeySealed, 2)] => [(KeySealed, 2)], |store| {
            fs::remove_file(store.path("keys/master.key")).unwrap();
        }),
        case!("a row against a constraint", "engine", [(DatabaseDamaged, 1)] => [(DatabaseDamaged, 1)], |store| {
            store.sql(
                "PRAGMA ignore_check_constraints = 1; INSERT INTO examiners (project_id, granted_by, \
                 created_at) VALUES (1, 'x', 0)",
            ).await;
        }),
    ]
}

/// A crash may take it: its client is told that it is unknown, and begins again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_lost_its_bytes_is_no_defect() {
    let healthy = Store::new().await;
    for (kind, left) in [(Kind::UploadMissing, None), (Kind::UploadShort, Some(4))] {
        let store = healthy.copy();
        match left {
            None => fs::remove_file(store.upload()).unwrap(),
            Some(left) => damage(&store.upload(), |bytes| bytes.truncate(left)),
        }
        let report = store.check(false).await;
        assert_eq!(told(&report), counts(&[(kind, 1)]));
        assert_eq!((report.is_healthy(), report.count(), report.left()), (true, 0, 0));
        assert_eq!(report.worst(), Some(Severity::Expected));
        // Beside a defect, it is still none.
        fs::remove_file(store.file(&store.known.long)).unwrap();
        let report = store.check(false).await;
        assert_eq!(told(&report), counts(&[(kind, 1), (Kind::BlobMissing, 1)]));
        assert_eq!((report.is_healthy(), report.count(), report.left()), (false, 1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_not_taken_for_damaged() {
    let store = Store::new().await;
    let disk = FaultyDisk::new();
    disk.fail_once(Operation::OpenRead, 0, ErrorKind::PermissionDenied);
    let report = store.check_with(Depth::Bytes, true, Arc::new(disk.clone())).await;
    assert_eq!(told(&report), counts(&[(Kind::BlobUnreadable, 1)]));
    assert_eq!(report.left(), 1, "nothing was done about it");
    assert!(store.check(false).await.is_healthy());
    // A directory that cannot be listed is no word about what it holds.
    disk.heal();
    disk.fail_always(Operation::List, 5, ErrorKind::Other);
    let report = store.check_with(Depth::Normal, true, Arc::new(disk)).await;
    assert!(!report.unchecked.is_empty());
    assert!(!report.is_healthy() && report.findings.is_empty(), "{:#?}", report.findings);
    assert!(store.check(false).await.is_healthy());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_volume_is_not_repaired() {
    let store = Store::new().await;
    let blobs = store.path("blobs/blobs");
    fs::rename(&blobs, store.path("kept")).unwrap();
    fs::create_dir_all(blobs.join("sha256")).unwrap();
    fs::create_dir_all(blobs.join("sha512")).unwrap();
    let report = store.check(true).await;
    let missing = &report.findings[&Kind::BlobMissing];
    assert!(missing.count > 5 && missing.repaired == 0, "{missing:?}");
    assert!(format!("{:?}", missing.examples).contains("mount its volume"), "{missing:?}");
    fs::remove_dir_all(&blobs).unwrap();
    fs::rename(store.path("kept"), &blobs).unwrap();
    assert!(store.check(false).await.is_healthy());
    // A database that knows nothing is another store's.
    for table in ["tags", "manifests", "repository_blobs", "blobs", "uploads"] {
        store.sql(&format!("DELETE FROM {table}")).await;
    }
    let report = store.check(true).await;
    let leaked = &report.findings[&Kind::FileLeaked];
    assert!(leaked.count > 5 && leaked.repaired == 0, "{leaked:?}");
    let said = format!("{:?}", leaked.examples);
    for what in ["restore its backup", "--database-url", "would remove", "move blobs/blobs away"] {
        assert!(said.contains(what), "{what}: {said}");
    }
    assert!(store.upload().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quick_looks_at_names_and_lengths_only() {
    let store = Store::new().await;
    damage(&store.file(&store.known.a.layer), |bytes| bytes[11] ^= 1);
    damage(&store.file(&store.known.b.layer), |bytes| bytes.truncate(9));
    for (depth, hashed) in [(Depth::Quick, 9), (Depth::Normal, 9)] {
        let report = store.check_with(depth, false, Arc::new(sealock_blobs::RealDisk)).await;
        assert_eq!(told(&report), counts(&[(Kind::BlobSize, 1)]), "{depth:?}");
        assert_eq!(report.checked.hashed_bytes, hashed, "only what looks wrong is read");
    }
    let report = store.check(false).await;
    assert_eq!(told(&report), counts(&[(Kind::BlobSize, 1), (Kind::BlobCorrupt, 1)]));
}

/// The file of a blob as the list of files to be removed names it, and its path.
async fn to_be_removed(store: &Store, digest: &Digest, path: &Path) {
    let generation = path.extension().unwrap().to_str().unwrap();
    store
        .sql(&format!(
            "INSERT INTO dying_files (digest, generation, size, reason, attempts, lease, \
             run_after, created_at) VALUES ('{digest}', {generation}, 9, 'unnamed', 0, 0, 0, 0)"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_collector_is_to_remove_is_left_to_it() {
    let store = Store::new().await;
    let free = unknown(&store, b"nobody's");
    let older = other_generation(&store.file(&store.known.b.layer));
    let upload = store.path("blobs/uploads").join(NOBODY);
    for path in [&free, &older, &upload] {
        fs::write(path, b"nobody's").unwrap();
    }
    let found = counts(&[(Kind::FileLeaked, 1), (Kind::FileStale, 1), (Kind::UploadLeaked, 1)]);
    assert_eq!(told(&store.check(false).await), found, "nobody is to remove them");
    to_be_removed(&store, &Digest::sha256(b"nobody's"), &free).await;
    to_be_removed(&store, &store.known.b.layer, &older).await;
    store
        .sql(&format!(
            "INSERT INTO dying_files (upload, size, reason, attempts, lease, run_after, \
             created_at) VALUES ('{NOBODY}', 8, 'upload-abandoned', 0, 0, 0, 0)"
        ))
        .await;
    let report = store.check(true).await;
    assert!(report.is_healthy(), "{:#?}", report.findings);
    assert_eq!(report.checked.queued_files, 3);
    assert!(free.exists() && older.exists() && upload.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_row_names_again_is_not_removed_later() {
    let store = Store::new().await;
    let (long, layer) = (store.known.long, store.known.b.layer);
    let file = store.file(&long);
    to_be_removed(&store, &long, &file).await;
    store.sql(&format!("DELETE FROM blobs WHERE digest = '{long}'")).await;
    let own = store.file(&layer);
    let older = other_generation(&own);
    to_be_removed(&store, &layer, &older).await;
    fs::rename(&own, &older).unwrap();
    let report = store.check(true).await;
    let found = counts(&[(Kind::BlobRowMissing, 1), (Kind::BlobGeneration, 1)]);
    assert_eq!((told(&report), report.left()), (found, 0));
    assert!(store.check(false).await.is_healthy());
    let database = store.open(Access::Read).await;
    let mut tx = database.read().await.unwrap();
    assert_eq!(dying_files::list(&mut tx, 0, 9).await.unwrap(), []);
    drop(tx);
    database.close().await;
    assert!(file.exists() && older.exists());
}
