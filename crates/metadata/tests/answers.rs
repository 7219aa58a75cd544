//! Answers that are given again: never after what they were read from has changed.
#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::SignedDuration;
use sealock_facts::Tier;
use sealock_metadata::{
    Answers, Database, Engine, both_engines, projects, settings, testing::TestDatabase,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

both_engines!(
    an_answer_stands_until_its_tables_are_written_to,
    what_holds_for_a_time_ends_with_it,
    what_is_read_while_writing_is_not_kept,
);

type Memory = Answers<&'static str, i64>;

fn memory(db: &Database) -> Memory {
    Answers::new(db.clone(), 100, |_, _| 1)
}

/// The number that is stored, from memory if it stands there.
async fn number(db: &Database, memory: &Memory) -> i64 {
    if let Some(known) = memory.get(&"n") {
        return known;
    }
    read(db, Some(memory)).await
}

async fn read(db: &Database, memory: Option<&Memory>) -> i64 {
    let mut tx = db.read().await.unwrap();
    let number = settings::get(&mut tx, "n").await.unwrap().map_or(0, |n| n.parse().unwrap());
    if let Some(memory) = memory {
        memory.keep("n", number, tx.basis(), None);
    }
    number
}

async fn write(db: &Database, number: i64) {
    let mut tx = db.write().await.unwrap();
    settings::put(&mut tx, "n", &number.to_string()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn an_answer_stands_until_its_tables_are_written_to(t: &mut TestDatabase) {
    let memory = memory(&t.db);
    write(&t.db, 1).await;
    assert_eq!(number(&t.db, &memory).await, 1);
    // On PostgreSQL another replica may write, so nothing is ever remembered.
    let remembered = (t.db.engine() == Engine::Sqlite).then_some(1);
    assert_eq!(memory.get(&"n"), remembered);
    // Another table, and a transaction that is rolled back, change nothing.
    let mut tx = t.db.write().await.unwrap();
    projects::create(&mut tx, "p", true, Tier::Sandbox, None).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = t.db.write().await.unwrap();
    settings::put(&mut tx, "n", "7").await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(memory.get(&"n"), remembered);
    write(&t.db, 2).await;
    assert_eq!(memory.get(&"n"), None);
    assert_eq!(number(&t.db, &memory).await, 2);
}

async fn what_holds_for_a_time_ends_with_it(t: &mut TestDatabase) {
    let memory = memory(&t.db);
    let mut tx = t.db.read().await.unwrap();
    settings::get(&mut tx, "n").await.unwrap();
    let until = tx.now() + SignedDuration::from_secs(60);
    memory.keep("n", 5, tx.basis(), Some(until));
    drop(tx);
    let remembered = (t.db.engine() == Engine::Sqlite).then_some(5);
    t.clock.advance(SignedDuration::from_secs(59));
    assert_eq!(memory.get(&"n"), remembered);
    t.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(memory.get(&"n"), None);
}

async fn what_is_read_while_writing_is_not_kept(t: &mut TestDatabase) {
    let memory = memory(&t.db);
    let mut tx = t.db.write().await.unwrap();
    settings::put(&mut tx, "n", "9").await.unwrap();
    assert_eq!(settings::get(&mut tx, "n").await.unwrap().as_deref(), Some("9"));
    memory.keep("n", 9, tx.basis(), None);
    tx.rollback().await.unwrap();
    assert_eq!(memory.get(&"n"), None, "it was never so");
}

/// Whoever has seen a number, from memory or not, never sees an older one afterwards; nor does
/// anybody after its writer was told that it is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_sees_the_past() {
    let t = TestDatabase::sqlite().await;
    let memory = memory(&t.db);
    let seen = Arc::new(AtomicI64::new(0));
    let end = Instant::now() + Duration::from_millis(700);
    let mut tasks = tokio::task::JoinSet::new();
    for reader in 0..4 {
        let (db, memory, seen) = (t.db.clone(), memory.clone(), seen.clone());
        tasks.spawn(async move {
            let mut remembered = 0;
            while Instant::now() < end {
                let before = seen.load(SeqCst);
                let known = if reader == 0 { None } else { memory.get(&"n") };
                remembered += usize::from(known.is_some());
                let number = match known {
                    Some(number) => number,
                    None => read(&db, Some(&memory)).await,
                };
                assert!(number >= before, "{number} after {before}");
                seen.fetch_max(number, SeqCst);
                tokio::task::yield_now().await;
            }
            remembered
        });
    }
    let (db, told) = (t.db.clone(), seen.clone());
    let writer = tokio::spawn(async move {
        let mut number = 0;
        while Instant::now() < end {
            number += 1;
            // Every third writer goes away while it waits for the disk.
            let write = write(&db, number);
            if number % 3 == 0 {
                let hasty = Duration::from_micros(u64::try_from(number % 7 * 150).unwrap());
                if tokio::time::timeout(hasty, write).await.is_err() {
                    continue;
                }
            } else {
                write.await;
            }
            told.fetch_max(number, SeqCst);
        }
        number
    });
    let written = writer.await.unwrap();
    let remembered: usize = tasks.join_all().await.into_iter().sum();
    assert!(written > 10 && remembered > 10, "{written} written, {remembered} remembered");
    t.finish().await;
}
