//! The table: what is planted, what must be found, what must be left after a repair.

use crate::store::{Counts, Store, counts, told};
use futures_util::future::LocalBoxFuture;
use sealock_lifecycle::fsck::{Kind, Outcome};
use sealock_metadata::testing::TestDatabase;
use std::collections::BTreeSet;

/// How a defect is planted.
pub(crate) type Plant = for<'a> fn(&'a Store) -> LocalBoxFuture<'a, ()>;

/// One animal of the zoo.
pub(crate) struct Case {
    /// In words.
    pub(crate) name: &'static str,
    pub(crate) plant: Plant,
    /// What must be found, and nothing else.
    pub(crate) found: &'static [(Kind, u64)],
    /// What must be left after a repair, and nothing else.
    pub(crate) rest: &'static [(Kind, u64)],
    /// What it damages: of two cases with the same word, a mix takes one.
    pub(crate) touches: &'static str,
    /// Its damage lies in rows alone, so it can be planted in PostgreSQL as well.
    pub(crate) rows: bool,
}

/// Every animal.
pub(crate) fn cases() -> Vec<Case> {
    crate::files::cases().into_iter().chain(crate::rows::cases()).collect()
}

#[test]
fn every_kind_is_in_the_zoo() {
    let planted: BTreeSet<&str> =
        cases().iter().flat_map(|case| case.found.iter().map(|(kind, _)| kind.word())).collect();
    // What cannot be read at all takes a disk that fails: see `files`.
    let beside = [Kind::BlobUnreadable.word()];
    let all: BTreeSet<&str> =
        Kind::ALL.iter().map(|kind| kind.word()).filter(|word| !beside.contains(word)).collect();
    assert_eq!(planted, all);
}

/// Finds exactly what is there, repairs it, and finds nothing more to repair.
pub(crate) async fn expect(store: &Store, what: &str, found: &Counts, rest: &Counts) {
    let seen = store.check(false).await;
    assert_eq!(&told(&seen), found, "{what}: before the repair: {:#?}", seen.findings);
    assert!(seen.findings.values().all(|found| found.repaired == 0));
    let repaired = store.check(true).await;
    assert_eq!(&told(&repaired), found, "{what}: while repairing: {:#?}", repaired.findings);
    let after = store.check(false).await;
    assert_eq!(&told(&after), rest, "{what}: after the repair: {:#?}", after.findings);
    let again = store.check(true).await;
    assert_eq!(&told(&again), rest, "{what}: repairing once more: {:#?}", again.findings);
    for (kind, found) in &again.findings {
        assert_eq!(found.repaired, 0, "{what}: {kind} could have been repaired at once");
        let left = |outcome: &Outcome| matches!(outcome, Outcome::Left(_));
        assert!(found.examples.iter().all(|example| left(&example.outcome)), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_defect_is_named_counted_and_repaired() {
    let healthy = Store::new().await;
    for case in cases() {
        let store = healthy.copy();
        (case.plant)(&store).await;
        expect(&store, case.name, &counts(case.found), &counts(case.rest)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_defect_of_rows_on_postgresql() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut left = Counts::new();
    let mut touched = BTreeSet::new();
    let store = Store::on(&database).await;
    assert_eq!(told(&store.check(true).await), left, "healthy");
    for case in cases().into_iter().filter(|case| case.rows) {
        // What an earlier one has left damaged cannot be damaged again.
        if touched.contains(case.touches) {
            continue;
        }
        let mut found = left.clone();
        add(&mut found, case.found);
        (case.plant)(&store).await;
        add(&mut left, case.rest);
        expect(&store, case.name, &found, &left).await;
        if !case.rest.is_empty() {
            touched.insert(case.touches);
        }
    }
    database.finish().await;
}

pub(crate) fn add(sum: &mut Counts, more: &[(Kind, u64)]) {
    for (kind, count) in more {
        *sum.entry(kind.word()).or_default() += count;
    }
}
