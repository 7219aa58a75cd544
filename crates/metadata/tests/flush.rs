//! Commits that share a flush: what is answered is durable, and a failed flush is never taken for
//! one that succeeded later.
#![expect(clippy::unwrap_used, reason = "tests")]

use sealock_metadata::{
    Database, DatabaseConfig, Error, SystemClock, both_engines, settings, testing::TestDatabase,
};
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

/// Large enough that the log begins anew several times in a test.
const VALUE_BYTES: usize = 100_000;

async fn put(db: &Database, key: &str) -> Result<(), Error> {
    let mut tx = db.write().await?;
    settings::put(&mut tx, key, &key.repeat(VALUE_BYTES / key.len())).await?;
    tx.commit().await
}

/// Database and log as they are on the disk at one moment, as files of another folder.
struct Image {
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Image {
    /// Taken again until nobody wrote meanwhile: those who wait for a flush do not.
    fn take(path: &Path) -> Self {
        let log_path = PathBuf::from(format!("{}-wal", path.display()));
        let read = |path: &Path| std::fs::read(path).unwrap();
        loop {
            let image = Self { database: read(path), log: read(&log_path) };
            if image.database == read(path) && image.log == read(&log_path) {
                return image;
            }
        }
    }

    async fn open(&self, folder: &Path) -> Database {
        let path = folder.join("sealock.db");
        std::fs::write(&path, &self.database).unwrap();
        std::fs::write(folder.join("sealock.db-wal"), &self.log).unwrap();
        let strict = DatabaseConfig::Sqlite { path, must_exist: true };
        Database::open(strict, Arc::new(SystemClock)).await.unwrap()
    }
}

/// The disk keeps what it held when the last flush began, and loses all that came after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_the_loss_of_all_that_was_not_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealock.db");
    let durable = Arc::new(Mutex::new(None));
    let flushes = Arc::new(AtomicUsize::new(0));
    let (kept, count, from) = (durable.clone(), flushes.clone(), path.clone());
    let flush = move |_: &File| {
        let image = Image::take(&from);
        // Whoever commits now is not in the image.
        std::thread::park_timeout(Duration::from_millis(5));
        *kept.lock().unwrap() = Some(image);
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let db = Database::open_flushed_by(DatabaseConfig::sqlite(&path), Arc::new(SystemClock), flush)
        .await
        .unwrap();
    let mut answered = Vec::new();
    for round in 0..8 {
        let mut writers = JoinSet::new();
        for writer in 0..16 {
            let (db, key) = (db.clone(), format!("{round}-{writer}"));
            writers.spawn(async move {
                put(&db, &key).await.unwrap();
                key
            });
        }
        while let Some(key) = writers.join_next().await {
            answered.push(key.unwrap());
        }
        let left = tempfile::tempdir().unwrap();
        let image = durable.lock().unwrap().take().unwrap();
        let again = image.open(left.path()).await;
        let mut tx = again.read().await.unwrap();
        for key in &answered {
            assert!(settings::get(&mut tx, key).await.unwrap().is_some(), "{key} was answered");
        }
        drop(tx);
        again.close().await;
    }
    assert_eq!(answered.len(), 128);
    let flushes = flushes.load(Ordering::Relaxed);
    assert!(flushes < 80, "128 transactions shared {flushes} flushes");
    db.close().await;
}

/// The same rows are written many times over, with about 25 pages each, and a reader comes and
/// goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_begins_anew_when_it_is_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealock.db");
    let db = Database::open(DatabaseConfig::sqlite(&path), Arc::new(SystemClock)).await.unwrap();
    let log = || std::fs::metadata(folder.path().join("sealock.db-wal")).unwrap().len();
    let pages = |count: u64| count * 4096;
    let write = async |round: usize| {
        let mut tx = db.write().await.unwrap();
        let value = format!("{round:06} ").repeat(VALUE_BYTES / 7);
        settings::put(&mut tx, &format!("key-{}", round % 4), &value).await.unwrap();
        tx.commit().await.unwrap();
    };
    for round in 0..600 {
        write(round).await;
    }
    // Of about 15,000 in all.
    let length = log();
    assert!((pages(3900)..pages(4300)).contains(&length), "{length}");
    let mut reader = db.read().await.unwrap();
    assert!(settings::get(&mut reader, "key-1").await.unwrap().is_some());
    for round in 600..850 {
        write(round).await;
    }
    assert!(log() > pages(5500), "a reader holds on to it");
    assert!(settings::get(&mut reader, "key-1").await.unwrap().is_some());
    drop(reader);
    // Which is noticed when some hundred pages more have come.
    for round in 900..920 {
        write(round).await;
    }
    let length = log();
    for round in 920..960 {
        write(round).await;
    }
    assert_eq!(log(), length, "it is written over from its begin");
    db.close().await;
    assert!(!folder.path().join("sealock.db-wal").exists(), "all of it is in the file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_need_not_be_durable_waits_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = DatabaseConfig::sqlite(folder.path().join("sealock.db"));
    let failing = Arc::new(AtomicBool::new(false));
    let fails = failing.clone();
    let flush = move |file: &File| match fails.load(Ordering::Relaxed) {
        true => Err(io::ErrorKind::Other.into()),
        false => file.sync_data(),
    };
    let db = Database::open_flushed_by(config, Arc::new(SystemClock), flush).await.unwrap();
    failing.store(true, Ordering::Relaxed);
    let mut tx = db.write().await.unwrap();
    settings::put(&mut tx, "soon", "1").await.unwrap();
    tx.commit_soon().await.unwrap();
    let error = put(&db, "durable").await.unwrap_err();
    assert!(matches!(error, Error::Disk { .. }), "{error}");
}

/// What a flush that failed saw, and what the one after it saw.
#[derive(Default)]
struct Calls {
    failing: AtomicBool,
    seen: Mutex<Vec<(bool, Vec<u8>, i128)>>,
}

impl Calls {
    fn flush(&self, file: &File) -> io::Result<()> {
        let failing = self.failing.load(Ordering::Relaxed);
        let data = file.metadata()?;
        let written = i128::from(data.mtime()) * 1_000_000_000 + i128::from(data.mtime_nsec());
        let mut bytes = Vec::new();
        let mut copy = File::open(format!("/proc/self/fd/{}", fd(file)))?;
        copy.read_to_end(&mut bytes)?;
        self.seen.lock().unwrap().push((failing, bytes, written));
        match failing {
            true => Err(io::Error::other("the disk is on fire")),
            false => Ok(()),
        }
    }
}

fn fd(file: &File) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_flush_the_log_is_written_again_before_anybody_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let config = DatabaseConfig::sqlite(folder.path().join("sealock.db"));
    let calls = Arc::new(Calls::default());
    let own = calls.clone();
    let flush = move |file: &File| own.flush(file);
    let db = Database::open_flushed_by(config, Arc::new(SystemClock), flush).await.unwrap();
    put(&db, "before").await.unwrap();
    calls.failing.store(true, Ordering::Relaxed);
    // All who share the failed flush hear of it.
    let (one, two) = tokio::join!(put(&db, "one"), put(&db, "two"));
    for error in [one.unwrap_err(), two.unwrap_err()] {
        assert!(matches!(error, Error::Disk { .. }), "{error}");
        assert!(error.to_string().contains("disk"), "{error}");
    }
    // While mending fails too, nobody may write, and everybody may read.
    let error = put(&db, "meanwhile").await.unwrap_err();
    assert!(matches!(error, Error::Disk { .. }), "{error}");
    let mut tx = db.read().await.unwrap();
    assert!(settings::get(&mut tx, "before").await.unwrap().is_some());
    drop(tx);
    tokio::time::sleep(Duration::from_millis(20)).await;
    calls.failing.store(false, Ordering::Relaxed);
    put(&db, "after").await.unwrap();
    let seen = std::mem::take(&mut *calls.seen.lock().unwrap());
    let last = seen.iter().rposition(|(failed, ..)| *failed).unwrap();
    let (failed, mended) = (&seen[last], &seen[last + 1]);
    assert_eq!(failed.1, mended.1, "the same bytes");
    assert!(mended.2 > failed.2, "were written again");
    assert_eq!(seen.len(), last + 3, "and then the new ones were flushed");
    db.close().await;
}

async fn soon_is_seen_at_once_and_durable_with_the_next(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    settings::put(&mut tx, "soon", "1").await.unwrap();
    tx.commit_soon().await.unwrap();
    let mut tx = t.db.read().await.unwrap();
    assert_eq!(settings::get(&mut tx, "soon").await.unwrap().as_deref(), Some("1"));
    drop(tx);
    put(&t.db, "later").await.unwrap();
    let again = Database::open(t.config.clone(), t.clock.clone()).await.unwrap();
    let mut tx = again.read().await.unwrap();
    assert_eq!(settings::get(&mut tx, "soon").await.unwrap().as_deref(), Some("1"));
    drop(tx);
    again.close().await;
}

both_engines!(soon_is_seen_at_once_and_durable_with_the_next);
