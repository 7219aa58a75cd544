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

/// Statements that read all of a repository, and why they may.
const WHOLE_REPOSITORIES: [(&str, &str); 17] = [
    ("artifacts.rs", "SELECT t.manifest_id FROM tags t"), // pieces of conditions of lists
    ("evidence.rs", "SELECT DISTINCT e.repository_id"),   // a job's pages
    (
        "manifests/",
        "SELECT 1 FROM manifests m JOIN repositories r ON r.id = m.repository_id \
     WHERE m.repository_id = $1 AND m.id < $2",
    ), // a list: 15 ms in one of 100,000
    ("quotas.rs", "SELECT CAST(coalesce(sum(b.size), 0)"), // a check
    ("repositories.rs", "SELECT r.*"),                    // lists that count
    ("repositories.rs", "INSERT INTO repositories"),      // what hangs on a number that stays
    ("repositories.rs", "SELECT 1 AS one FROM manifests"), // the first one
    ("repositories.rs", "SELECT digest FROM repository_blobs"), // removal
    ("repositories.rs", "DELETE FROM uploads"),           // removal
    ("repositories.rs", "DELETE FROM repositories"),      // removal
    ("repositories.rs", "SELECT digest FROM manifests"),  // removal
    ("tags.rs", "SELECT name FROM tags WHERE repository_id = $1 AND immutable"), // removal
    ("uploads.rs", "SELECT"),                             // a caller's own
    ("plan.rs", ""),                                      // these lines
    ("fsck/", ""),                                        // a check
    ("schema/", ""),                                      // run once
    ("engine/", ""),                                      // texts of tests
];

/// Without statistics SQLite takes `repository_id = $1` for the best lead, and walks a repository
/// of any size for what it could look up by number: a `+` before the column tells it not to.
#[tokio::test]
async fn what_can_be_looked_up_is_not_looked_for_in_a_whole_repository() {
    let folder = tempfile::tempdir().unwrap();
    let config = DatabaseConfig::sqlite(folder.path().join("sealock.db"));
    let db = Database::open(config, Arc::new(SystemClock)).await.unwrap();
    let mut tx = db.write().await.unwrap();
    let (mut seen, mut wrong) = (0, Vec::new());
    for (file, sql) in statements() {
        let explain: &'static str = format!("EXPLAIN QUERY PLAN {sql}").leak();
        let most = (1..=40).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
        // What is put together from pieces is no statement by itself.
        let Ok(steps) = tx.query(explain, vec![Value::Int(None); most]).await else { continue };
        seen += 1;
        let steps = steps.iter().map(|row| row.get::<String>("detail").unwrap());
        let walks = steps.filter(|step| step.contains("(repository_id=?)")).count() > 0;
        let may = |(place, begin): &(&str, &str)| file.contains(place) && sql.starts_with(begin);
        if walks && !WHOLE_REPOSITORIES.iter().any(may) {
            wrong.push(format!("{file}: {sql}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 200, "{seen} statements were found");
}

/// The statements that stand as a whole in the source of this crate, with their files.
fn statements() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let file = path.to_string_lossy().into_owned();
                found.extend(literals(&text).map(|sql| (file.clone(), sql)));
            }
        }
    }
    found
}

/// Texts in quotes that begin like a statement, or like what follows an entity's columns.
fn literals(source: &str) -> impl Iterator<Item = String> {
    source.split('"').filter_map(|text| {
        let begins = ["SELECT ", "UPDATE ", "DELETE ", "INSERT ", "WITH ", "FROM "];
        let begin = begins.iter().find(|begin| text.starts_with(**begin))?;
        let columns = if *begin == "FROM " { "SELECT 1 " } else { "" };
        let mut lines = text.split("\\\n");
        let first = format!("{columns}{}", lines.next()?);
        Some(lines.fold(first, |all, line| all + line.trim_start()))
    })
}
