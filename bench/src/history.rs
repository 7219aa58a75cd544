//! Millions of audit events. One by one they would take an hour, so that the database makes them
//! itself out of numbers, and its indexes when all are there.

use anyhow::{Context, Result};
use sealock_metadata::{Database, Engine, ToValue as _, Tx, projects};

/// Events in one transaction.
const BATCH: u64 = 100_000;
/// Seconds between two events.
const PACE: i64 = 3;

/// Half of the events are of the first ten projects, the others spread over all of them, and a
/// hundredth is of no project. Four of five are pulls by one robot or by people in turn; every
/// thirtieth was refused.
const EVENTS: &str = "\
WITH RECURSIVE n (i) AS \
  (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < CAST($2 AS BIGINT)), \
m (i, at) AS (SELECT i, CASE WHEN i % 100 = 0 THEN -1 WHEN i % 2 = 1 THEN (i / 2) % 10 \
  ELSE (i * 7919) % CAST($4 AS BIGINT) END FROM n) \
INSERT INTO audit_events (action, result, actor, address, user_agent, request_id, project_id, \
  project, repository, digest, tag, detail, happened_at) \
SELECT CASE WHEN p.id IS NULL THEN 'login' WHEN i % 5 > 0 THEN 'pull' WHEN i % 20 = 0 THEN 'tag' \
    WHEN i % 35 = 0 THEN 'delete' ELSE 'push' END, \
  CASE WHEN i % 30 = 7 THEN 'denied' ELSE 'allowed' END, \
  CASE WHEN i % 3 > 0 THEN 'robot$crowd+robot00001' \
    ELSE 'user' || substr('00000', 1, 5 - length(CAST(i / 3 % CAST($5 AS BIGINT) AS TEXT))) \
    || CAST(i / 3 % CAST($5 AS BIGINT) AS TEXT) END, \
  '10.1.2.3', 'docker/28.0.1 go/go1.23.6 kernel/6.1.0 os/linux arch/amd64', \
  '6f0c2f4e-5d0b-4f7c-9c1e-' || substr('000000000000', 1, 12 - length(CAST(i AS TEXT))) \
    || CAST(i AS TEXT), \
  p.id, p.name, p.name || '/app' || CAST(i % 3 AS TEXT), \
  CASE WHEN p.id IS NOT NULL THEN 'sha256:' || substr('0000000000000000000000000000000000000000' \
    || '000000000000000000000000', 1, 64 - length(CAST(i % 100003 AS TEXT))) \
    || CAST(i % 100003 AS TEXT) END, \
  CASE WHEN p.id IS NOT NULL AND i % 4 > 0 THEN 'v' || CAST(i % 40 AS TEXT) END, \
  '{}', CAST($6 AS BIGINT) + i * 3000000 \
FROM m LEFT JOIN projects p ON p.id = $3 + m.at AND m.at >= 0";

/// Fills the log with events of the projects p00000 and so on, up to now.
pub(crate) async fn fill(
    database: &Database,
    count: u64,
    (projects_there, people): (u64, u64),
) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    let mut tx = database.write().await?;
    let first = projects::find(&mut tx, "p00000").await?.context("events need --projects")?.id;
    let indexes = indexes(&mut tx).await?;
    for (name, _) in &indexes {
        run(&mut tx, format!("DROP INDEX {name}")).await?;
    }
    tx.commit().await?;
    let begin = database.clock().now().as_microsecond() - i64::try_from(count)? * PACE * 1_000_000;
    for from in (0..count).step_by(BATCH as usize) {
        let mut tx = database.write().await?;
        let values = vec![
            from.to_value(),
            count.min(from + BATCH).to_value(),
            first.to_value(),
            projects_there.max(1).to_value(),
            people.max(1).to_value(),
            begin.to_value(),
        ];
        tx.execute(EVENTS, values).await?;
        tx.commit().await?;
    }
    for (_, definition) in indexes {
        let mut tx = database.write().await?;
        run(&mut tx, definition).await?;
        tx.commit().await?;
    }
    let mut tx = database.write().await?;
    // What PostgreSQL does by itself in time.
    if database.engine() == Engine::Postgres {
        run(&mut tx, "ANALYZE".to_owned()).await?;
    }
    Ok(tx.commit().await?)
}

/// The indexes of the log that may go for a while, with what makes them.
async fn indexes(tx: &mut Tx) -> Result<Vec<(String, String)>> {
    let sql = match tx.engine() {
        Engine::Sqlite => {
            "SELECT name, sql AS definition FROM sqlite_master WHERE type = 'index' \
             AND tbl_name = 'audit_events' AND sql IS NOT NULL"
        }
        Engine::Postgres => {
            "SELECT CAST(indexname AS TEXT) AS name, indexdef AS definition FROM pg_indexes \
             WHERE tablename = 'audit_events' AND indexdef NOT LIKE 'CREATE UNIQUE%'"
        }
    };
    let read = |row: &sealock_metadata::Row| Ok((row.get("name")?, row.get("definition")?));
    Ok(tx.list(sql, Vec::new(), read).await?)
}

/// Statements are constants of the program; these few become some.
async fn run(tx: &mut Tx, sql: String) -> Result<()> {
    tx.execute(sql.leak(), Vec::new()).await?;
    Ok(())
}
