//! How SQLite would run a statement: what the tests of entities say of their lists.

use crate::{Database, DatabaseConfig, SystemClock, engine::Value};
use std::sync::Arc;

/// Asserts that a statement, which begins with `EXPLAIN QUERY PLAN`, is read in the order of an
/// index, without sorting, and that its only step says this.
pub(crate) async fn assert_one_step(explain: &'static str, values: Vec<Value>, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let config = DatabaseConfig::sqlite(folder.path().join("sealock.db"));
    let db = Database::open(config, Arc::new(SystemClock)).await.unwrap();
    let mut tx = db.read().await.unwrap();
    let steps = tx.query(explain, values).await.unwrap();
    let steps: Vec<String> = steps.iter().map(|row| row.get("detail").unwrap()).collect();
    assert_eq!(steps.len(), 1, "no sorting: {steps:?}");
    assert!(steps[0].contains(says), "{steps:?}");
}
