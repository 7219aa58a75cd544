//! Databases for tests, on both engines: each test gets its own, empty but for the schema.
//!
//! PostgreSQL is found by the environment variable `SEALOCK_TEST_POSTGRES`, the URL of a server on
//! which databases may be created. Without it the PostgreSQL half of a test is skipped with a
//! printed note, except under `CI=true`, where that fails.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's own errors end the test"
)]

use crate::{Clock as _, Database, DatabaseConfig, SystemClock, TestClock};
use jiff::Timestamp;
use sqlx::{Connection as _, Executor as _, PgConnection};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// The variable that names the PostgreSQL server.
pub const POSTGRES: &str = "SEALOCK_TEST_POSTGRES";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database of one test.
#[derive(Debug)]
pub struct TestDatabase {
    /// The database.
    pub db: Database,
    /// Its clock; it stands at 2026-01-02T03:04:05Z until the test moves it.
    pub clock: Arc<TestClock>,
    /// How it was opened, to open it again.
    pub config: DatabaseConfig,
    home: Home,
}

#[derive(Debug)]
enum Home {
    Folder(#[expect(dead_code, reason = "removed when dropped")] tempfile::TempDir),
    Server { admin: String, name: String },
}

fn clock() -> Arc<TestClock> {
    let start: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a constant");
    Arc::new(TestClock::new(start))
}

impl TestDatabase {
    /// A SQLite file in a folder of its own.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = DatabaseConfig::sqlite(folder.path().join("sealock.db"));
        let clock = clock();
        let db = Database::open(config.clone(), clock.clone()).await.expect("SQLite opens");
        Self { db, clock, config, home: Home::Folder(folder) }
    }

    /// A PostgreSQL database of its own; `None` when there is no server and that is permitted.
    pub async fn postgres() -> Option<Self> {
        let Ok(admin) = std::env::var(POSTGRES) else {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "{POSTGRES} must name a PostgreSQL server when CI=true"
            );
            eprintln!("skipped on PostgreSQL: {POSTGRES} is not set");
            return None;
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let micros = SystemClock.now().as_microsecond();
        let name = format!("sealock_test_{}_{micros}_{count}", std::process::id());
        let mut server = PgConnection::connect(&admin).await.expect("PostgreSQL answers");
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        server.execute(sqlx::AssertSqlSafe(create)).await.expect("databases may be created");
        let config = DatabaseConfig::postgres(with_database(&admin, &name));
        let clock = clock();
        let db = Database::open(config.clone(), clock.clone()).await.expect("PostgreSQL opens");
        Some(Self { db, clock, config, home: Home::Server { admin, name } })
    }

    /// Runs statements behind the product's back: see [`plant`].
    pub async fn plant(&self, sql: &str) -> u64 {
        plant(&self.config, sql).await
    }

    /// Closes and removes the database.
    pub async fn finish(self) {
        self.db.close().await;
        if let Home::Server { admin, name } = &self.home {
            let mut server = PgConnection::connect(admin).await.expect("PostgreSQL answers");
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            server.execute(sqlx::AssertSqlSafe(drop)).await.expect("the database is dropped");
        }
    }
}

/// Runs statements behind the product's back, with no foreign key in force: how tests plant what a
/// damaged disk, another program or a defect of ours would leave. How many rows the last one
/// changed.
pub async fn plant(config: &DatabaseConfig, sql: &str) -> u64 {
    match config {
        DatabaseConfig::Sqlite { path, .. } => {
            let raw = rusqlite::Connection::open(path).expect("SQLite opens");
            raw.execute_batch("PRAGMA foreign_keys = OFF").expect("is a switch");
            raw.execute_batch(sql).expect(sql);
            raw.changes()
        }
        DatabaseConfig::Postgres { url } => {
            let mut raw = PgConnection::connect(url).await.expect("PostgreSQL answers");
            raw.execute("SET session_replication_role = replica").await.expect("a superuser");
            let done = raw.execute(sqlx::AssertSqlSafe(sql.to_owned())).await;
            raw.close().await.expect("closes");
            done.expect(sql).rows_affected()
        }
    }
}

/// Every row of every table of a PostgreSQL database as text, in order.
pub async fn dump(url: &str) -> String {
    let mut raw = PgConnection::connect(url).await.expect("PostgreSQL answers");
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema() \
         ORDER BY tablename",
    )
    .fetch_all(&mut raw)
    .await
    .expect("tables");
    let mut out = String::new();
    for table in tables {
        let sql = format!(
            "SELECT coalesce(string_agg(CAST(t AS TEXT), E'\\n' ORDER BY CAST(t AS TEXT)), '') \
             FROM \"{table}\" t"
        );
        let rows: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut raw).await.expect("rows");
        out.push_str(&format!("{table}\n{rows}\n"));
    }
    raw.close().await.expect("closes");
    out
}

/// The URL with another database: the path part is replaced, parameters stay.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(b, q)| (b, Some(q)));
    let Some((scheme, rest)) = base.split_once("://") else {
        panic!("{POSTGRES} is not a URL");
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    format!("{scheme}://{authority}/{name}{query}")
}

/// Makes each of these functions, `async fn name(t: &mut TestDatabase)`, a test on SQLite and one
/// on PostgreSQL. One that is not listed is dead code, which the compiler tells.
#[macro_export]
macro_rules! both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let mut database = $crate::testing::TestDatabase::sqlite().await;
                super::$name(&mut database).await;
                database.finish().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let Some(mut database) = $crate::testing::TestDatabase::postgres().await else {
                    return;
                };
                super::$name(&mut database).await;
                database.finish().await;
            }
        }
    )+};
}
