//! What the engine does when the database is missing, damaged, foreign, newer, locked or contended.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use rusqlite::Connection;
use sealock_facts::Tier;
use sealock_metadata::{
    Clock, Database, DatabaseConfig, Engine, Error, SystemClock, blobs, both_engines, params,
    projects, settings, testing::TestDatabase,
};
use std::{
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use support::digest;

async fn open(path: &Path) -> Result<Database, Error> {
    Database::open(DatabaseConfig::sqlite(path), Arc::new(SystemClock)).await
}

async fn fill(db: &Database, rows: usize) {
    let mut tx = db.write().await.unwrap();
    for row in 0..rows {
        settings::put(&mut tx, &format!("key-{row}"), &"v".repeat(500)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_missing_database_is_not_replaced_by_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealock.db");
    let strict = DatabaseConfig::Sqlite { path: path.clone(), must_exist: true };
    let error = Database::open(strict.clone(), Arc::new(SystemClock)).await.unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert!(error.to_string().contains("backup"));
    assert!(!path.exists());
    open(&path).await.unwrap().close().await;
    Database::open(strict, Arc::new(SystemClock)).await.unwrap().close().await;
    let error = open(&folder.path().join("no/folder/sealock.db")).await.unwrap_err();
    assert!(matches!(error, Error::CannotOpen { .. }), "{error}");
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is a letter, not a database\n".repeat(100)).unwrap();
    let error = open(&text).await.unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error}");
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("this is a letter"));
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    let before = std::fs::read(&other).unwrap();
    let error = open(&other).await.unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error}");
    assert_eq!(std::fs::read(&other).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_database_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealock.db");
    let db = open(&path).await.unwrap();
    fill(&db, 400).await;
    db.close().await;
    let good = std::fs::read(&path).unwrap();
    let mut tx = open(&path).await.unwrap().read().await.unwrap();
    assert!(settings::get(&mut tx, "key-7").await.unwrap().is_some());
    drop(tx);
    // Every page but the first is written over.
    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xa5; good.len() - 4096]).unwrap();
    drop(file);
    let error = match open(&path).await {
        Err(error) => error,
        Ok(_) => panic!("a damaged database was opened"),
    };
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("backup"));
    // The head is cut.
    std::fs::write(&path, &good[..50]).unwrap();
    let error = open(&path).await.unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. } | Error::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn another_process_with_the_lock_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealock.db");
    let db = open(&path).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = db.write().await.unwrap_err();
    assert!(matches!(error, Error::Locked), "{error}");
    assert!(error.is_retryable());
    other.execute_batch("ROLLBACK").unwrap();
    db.write().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn who_waits_too_long_to_write_is_told_that_it_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder.path().join("sealock.db")).await.unwrap();
    let first = db.write().await.unwrap();
    // From here on waiting costs no time: the clock jumps to the end of the wait.
    tokio::time::pause();
    let error = db.write().await.unwrap_err();
    assert!(matches!(error, Error::Busy { seconds: 15 }), "{error}");
    assert!(error.is_retryable());
    tokio::time::resume();
    first.commit().await.unwrap();
    db.write().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn postgres_answers_are_typed_when_there_is_none() {
    for url in ["postgres://nobody@127.0.0.1:1/none", "not a url", "postgres://[::1"] {
        let config = DatabaseConfig::postgres(url);
        assert_eq!(format!("{config:?}"), "postgres:(url hidden)");
        let error = Database::open(config, Arc::new(SystemClock)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_syncs_every_commit_even_if_told_not_to() {
    let Some(t) = TestDatabase::postgres().await else { return };
    let mut tx = t.db.write().await.unwrap();
    let off = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', \
               current_database()); END $$";
    tx.execute(off, params![]).await.unwrap();
    tx.commit().await.unwrap();
    let again = Database::open(t.config.clone(), t.clock.clone()).await.unwrap();
    let mut tx = again.write().await.unwrap();
    let sql = "SELECT current_setting('synchronous_commit') AS value";
    let row = tx.query_one(sql, params![]).await.unwrap().unwrap();
    assert_eq!(row.get::<String>("value").unwrap(), "on");
    drop(tx);
    again.close().await;
    t.finish().await;
}

#[tokio::test]
async fn sqlite_flushes_around_its_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder.path().join("sealock.db")).await.unwrap();
    let mut tx = db.write().await.unwrap();
    // NORMAL, never OFF: commits are flushed by us (tests/flush.rs), checkpoints by SQLite.
    for (pragma, column, want) in
        [("PRAGMA synchronous", "synchronous", 1), ("PRAGMA foreign_keys", "foreign_keys", 1)]
    {
        let row = tx.query_one(pragma, params![]).await.unwrap().unwrap();
        assert_eq!(row.get::<i64>(column).unwrap(), want, "{pragma}");
    }
    let row = tx.query_one("PRAGMA journal_mode", params![]).await.unwrap().unwrap();
    assert_eq!(row.get::<String>("journal_mode").unwrap(), "wal");
    drop(tx);
    let mut tx = db.read().await.unwrap();
    assert!(settings::put(&mut tx, "a", "b").await.is_err(), "readers only read");
}

both_engines!(
    a_newer_schema_is_refused_and_the_own_one_is_opened_again,
    what_is_not_committed_is_gone_and_a_reader_sees_one_moment,
    writers_wait_in_a_queue_and_all_get_through,
    a_cancelled_writer_leaves_the_queue_usable,
    of_two_uploads_of_the_same_bytes_one_wins,
    text_with_nul_finds_nothing_and_breaks_nothing,
    times_and_big_numbers_come_back_as_they_went,
    replicas_agree_on_the_time,
);

async fn a_newer_schema_is_refused_and_the_own_one_is_opened_again(t: &mut TestDatabase) {
    fill(&t.db, 1).await;
    let again = Database::open(t.config.clone(), t.clock.clone()).await.unwrap();
    let mut tx = again.write().await.unwrap();
    assert!(settings::get(&mut tx, "key-0").await.unwrap().is_some());
    let sql = "INSERT INTO schema_versions (version, applied_at) VALUES ($1, $2)";
    tx.execute(sql, params![sealock_metadata::SCHEMA_VERSION + 1, 0_i64]).await.unwrap();
    tx.commit().await.unwrap();
    again.close().await;
    let error = Database::open(t.config.clone(), t.clock.clone()).await.unwrap_err();
    let known = sealock_metadata::SCHEMA_VERSION;
    assert!(
        matches!(error, Error::NewerSchema { found, known: k } if found == known + 1 && k == known)
    );
}

async fn what_is_not_committed_is_gone_and_a_reader_sees_one_moment(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    settings::put(&mut tx, "a", "1").await.unwrap();
    drop(tx);
    let mut reader = t.db.read().await.unwrap();
    assert_eq!(settings::get(&mut reader, "a").await.unwrap(), None);
    let mut tx = t.db.write().await.unwrap();
    settings::put(&mut tx, "a", "2").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(settings::get(&mut reader, "a").await.unwrap(), None, "its snapshot");
    drop(reader);
    let mut reader = t.db.read().await.unwrap();
    assert_eq!(settings::get(&mut reader, "a").await.unwrap().as_deref(), Some("2"));
}

async fn writers_wait_in_a_queue_and_all_get_through(t: &mut TestDatabase) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let db = t.db.clone();
        tasks.spawn(async move {
            let mut tx = db.write().await.unwrap();
            settings::bump_system_rev(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
        });
    }
    tasks.join_all().await;
    let mut tx = t.db.read().await.unwrap();
    assert_eq!(settings::system_rev(&mut tx).await.unwrap(), 41);
}

async fn a_cancelled_writer_leaves_the_queue_usable(t: &mut TestDatabase) {
    for _ in 0..10 {
        let db = t.db.clone();
        let task = tokio::spawn(async move {
            let mut tx = db.write().await.unwrap();
            settings::put(&mut tx, "a", "1").await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
            tx.commit().await.unwrap();
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        task.abort();
    }
    let mut tx = t.db.write().await.unwrap();
    assert_eq!(settings::get(&mut tx, "a").await.unwrap(), None);
    settings::put(&mut tx, "a", "2").await.unwrap();
    tx.commit().await.unwrap();
}

async fn of_two_uploads_of_the_same_bytes_one_wins(t: &mut TestDatabase) {
    let mut tasks = tokio::task::JoinSet::new();
    for generation in 0..16 {
        let db = t.db.clone();
        tasks.spawn(async move {
            let mut tx = db.write().await.unwrap();
            let done = blobs::insert(&mut tx, &digest("b"), 1, generation).await.unwrap();
            tx.commit().await.unwrap();
            matches!(done, blobs::Inserted::Won { .. }).then_some(generation)
        });
    }
    let won: Vec<i64> = tasks.join_all().await.into_iter().flatten().collect();
    let mut tx = t.db.read().await.unwrap();
    let stored = blobs::get(&mut tx, &digest("b")).await.unwrap().unwrap();
    assert_eq!(won, [stored.generation]);
}

async fn text_with_nul_finds_nothing_and_breaks_nothing(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    projects::create(&mut tx, "a", true, Tier::Sandbox, None).await.unwrap().unwrap();
    assert!(projects::find(&mut tx, "a\0").await.unwrap().is_none());
    settings::put(&mut tx, "k", "v\0").await.unwrap();
    assert_eq!(settings::get(&mut tx, "k").await.unwrap().as_deref(), Some("v\u{fffd}"));
}

async fn times_and_big_numbers_come_back_as_they_went(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let now = SystemClock.now();
    let sql = "SELECT CAST($1 AS BIGINT) AS at, CAST($2 AS BIGINT) AS big, 7 AS small, \
               CAST($3 AS TEXT) AS missing";
    let row = tx.query_one(sql, params![now, u64::MAX, None::<&str>]).await.unwrap().unwrap();
    assert_eq!(row.get::<jiff::Timestamp>("at").unwrap(), now);
    assert_eq!(row.get::<i64>("big").unwrap(), i64::MAX);
    assert_eq!(row.get::<i64>("small").unwrap(), 7);
    assert_eq!(row.opt::<String>("missing").unwrap(), None);
    assert!(matches!(row.get::<String>("missing"), Err(Error::Column { .. })));
    assert!(matches!(row.get::<i64>("nowhere"), Err(Error::Column { .. })));
    let engine = t.db.engine();
    assert_eq!(engine == Engine::Sqlite, format!("{:?}", t.config).starts_with("sqlite"));
}

/// Both a child that is killed while it commits in a loop and its parent, which looks afterwards.
#[test]
fn what_was_acknowledged_survives_a_kill() {
    const CHILD: &str = "SEALOCK_TEST_KILL_CHILD";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Ok(folder) = std::env::var(CHILD) {
        let folder = std::path::PathBuf::from(folder);
        runtime.block_on(async {
            let db = open(&folder.join("sealock.db")).await.unwrap();
            let before = std::fs::read_to_string(folder.join("acknowledged"));
            let next = before.map_or(0_u64, |text| text.parse::<u64>().unwrap() + 1);
            for number in next.. {
                let mut tx = db.write().await.unwrap();
                settings::put(&mut tx, &number.to_string(), "x").await.unwrap();
                tx.commit().await.unwrap();
                std::fs::write(folder.join("acknowledged.new"), number.to_string()).unwrap();
                std::fs::rename(folder.join("acknowledged.new"), folder.join("acknowledged"))
                    .unwrap();
            }
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let mut last = None;
    for round in 0..3_u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["what_was_acknowledged_survives_a_kill", "--exact", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let life = Duration::from_millis(700 + 130 * round);
        runtime.block_on(async { tokio::time::sleep(life).await });
        child.kill().unwrap();
        child.wait().unwrap();
        let text = std::fs::read_to_string(folder.path().join("acknowledged")).unwrap();
        let acknowledged: u64 = text.parse().unwrap();
        runtime.block_on(async {
            let db = open(&folder.path().join("sealock.db")).await.unwrap();
            let mut tx = db.read().await.unwrap();
            for number in 0..=acknowledged {
                let stored = settings::get(&mut tx, &number.to_string()).await.unwrap();
                assert!(stored.is_some(), "{number} of {acknowledged} is lost");
            }
            drop(tx);
            db.close().await;
        });
        last = Some(acknowledged);
    }
    assert!(last.is_some_and(|last| last > 10), "{last:?}");
}

/// A machine whose clock is a year ahead.
#[derive(Debug)]
struct Ahead;

const YEAR: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 365);

impl Clock for Ahead {
    fn now(&self) -> jiff::Timestamp {
        SystemClock.now() + YEAR
    }

    fn is_machines(&self) -> bool {
        true
    }
}

async fn replicas_agree_on_the_time(t: &mut TestDatabase) {
    let ahead = Database::open(t.config.clone(), Arc::new(Ahead)).await.unwrap();
    let right = Database::open(t.config.clone(), Arc::new(SystemClock)).await.unwrap();
    let mut tx = right.read().await.unwrap();
    let first = tx.shared_now().await.unwrap();
    drop(tx);
    let mut tx = ahead.read().await.unwrap();
    let apart = tx.shared_now().await.unwrap().duration_since(first).abs();
    match ahead.engine() {
        // One process uses the file: its clock is the only one.
        Engine::Sqlite => assert!(apart >= YEAR, "{apart}"),
        Engine::Postgres => assert!(apart < jiff::SignedDuration::from_mins(5), "{apart}"),
    }
    drop(tx);
    ahead.close().await;
    right.close().await;
}

/// One thread for all tasks; the statement is told to be slow by its first run.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_slow_statement_does_not_hold_up_other_tasks() {
    let t = TestDatabase::sqlite().await;
    let ticks = Arc::new(AtomicU64::new(0));
    let count = ticks.clone();
    let other = tokio::spawn(async move {
        loop {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let db = t.db.clone();
    let task = tokio::spawn(async move {
        let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                   WHERE i < 1000000) SELECT count(*) AS count FROM n";
        let mut tx = db.read().await.unwrap();
        let mut during = 0;
        for _ in 0..2 {
            let before = ticks.load(Ordering::Relaxed);
            let row = tx.query_one(sql, params![]).await.unwrap().unwrap();
            during = ticks.load(Ordering::Relaxed) - before;
            assert_eq!(row.get::<i64>("count").unwrap(), 1_000_000);
        }
        during
    });
    let during = task.await.unwrap();
    assert!(during > 100, "{during}");
    other.abort();
    t.finish().await;
}

#[tokio::test]
async fn readers_are_bounded_and_a_closed_database_says_so() {
    let t = TestDatabase::sqlite().await;
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(t.db.read().await.unwrap());
    }
    tokio::time::pause();
    let error = t.db.read().await.unwrap_err();
    assert!(matches!(error, Error::Busy { seconds: 15 }), "{error}");
    tokio::time::resume();
    readers.pop().unwrap().rollback().await.unwrap();
    let mut reader = t.db.read().await.unwrap();
    assert_eq!(settings::get(&mut reader, "a").await.unwrap(), None);
    drop((reader, readers));
    t.db.close().await;
    for error in [t.db.read().await.unwrap_err(), t.db.write().await.unwrap_err()] {
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
    t.finish().await;
}
