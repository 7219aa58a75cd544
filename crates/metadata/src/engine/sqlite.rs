//! One connection to a SQLite file. Statements run on the thread of who asks: most take a few
//! microseconds, less than handing them to another thread and waiting for it.
//!
//! A statement is over before its caller's task can be interrupted, so that a caller who goes away
//! leaves none half done.

use super::{
    database::Access,
    error::{Error, Result},
    row::{Cell, Names, Row},
    statement::{Pace, Statement, aside},
    value::Value,
};
use rusqlite::{
    Connection, MAIN_DB, OpenFlags, config::DbConfig, hooks::Wal, types::ValueRef,
    wal::CheckpointMode,
};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

/// How long a statement waits for a lock that another process holds.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENTS: usize = 256;
/// Pages in the log from which on it is copied into the file, 16 MiB of them. Nobody writes while
/// it is copied and flushed, and pages that many commits changed are copied once, so that SQLite's
/// own 1,000 would hold up a busy registry several times a second.
const CHECKPOINT_PAGES: i32 = 4000;
/// How many more come until one that readers held on to is copied again.
const CHECKPOINT_AGAIN_PAGES: i32 = 400;
/// Marks a SQLite file as ours: "SEAL".
const APPLICATION_ID: i64 = 0x5345_414c;

/// How a connection is opened.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    /// The file, which is there.
    pub(super) path: PathBuf,
    /// Whether it may change anything.
    pub(super) access: Access,
    /// Whether it stands in line to write, and so waits for locks without holding up a thread.
    pub(super) writer: bool,
}

/// A connection.
pub(super) struct Lite {
    connection: Connection,
    /// Pages in the log after the last commit.
    log_pages: Arc<AtomicI32>,
    /// How many the log had when it was copied into the file the last time.
    pages_when_copied: i32,
    /// The next commit may begin the log anew, for which SQLite flushes its header.
    begins_anew: bool,
    commits: Pace,
}

/// A statement as it is run.
pub(super) struct Text<'a> {
    /// In SQLite's words.
    pub(super) sql: &'a str,
    /// Whether the prepared statement is kept.
    pub(super) keep: bool,
    pub(super) pace: &'a Pace,
    /// The columns that it is known to answer with.
    pub(super) names: Option<&'a OnceLock<Names>>,
}

impl<'a> From<&'a Statement> for Text<'a> {
    fn from(statement: &'a Statement) -> Self {
        let (sql, pace) = (statement.sqlite(), &statement.pace);
        Self { sql, keep: true, pace, names: Some(&statement.names) }
    }
}

impl Opening {
    pub(super) fn open(&self) -> Result<Lite> {
        let connection = connect(&self.path, false)?;
        prepare(connection, self).map_err(|error| at(&self.path, error))
    }
}

/// Makes a file that may be missing, marks an empty one as ours, and refuses one that another
/// program made.
pub(super) fn claim(path: &Path, create: bool, access: Access) -> Result<()> {
    let connection = connect(path, create)?;
    let number = |sql| Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?);
    let found = |error| at(path, error);
    let id = number("PRAGMA application_id").map_err(found)?;
    if id == APPLICATION_ID {
        return Ok(());
    }
    let tables = number("SELECT count(*) FROM sqlite_master").map_err(found)?;
    if id != 0 || tables != 0 || access == Access::Read {
        let why = "it is a SQLite database of another program".to_owned();
        return Err(Error::NotOurs { path: path.to_owned(), why });
    }
    keep_a_log(&connection).map_err(found)?;
    let sql = "PRAGMA application_id = 1397047628";
    connection.execute_batch(sql).map_err(|error| at(path, error.into()))
}

fn connect(path: &Path, create: bool) -> Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let connection = Connection::open_with_flags(path, flags);
    let connection = connection.map_err(|error| at(path, error.into()))?;
    connection.busy_timeout(LOCK_WAIT)?;
    Ok(connection)
}

/// Turns the write-ahead log on, which durable commits stand on: see `log.rs`.
fn keep_a_log(connection: &Connection) -> Result<()> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    match mode.as_str() {
        "wal" => Ok(()),
        _ => {
            let why = format!("its journal is {mode:?} and cannot be made a write-ahead log");
            Err(Error::CannotOpen { path: PathBuf::new(), why })
        }
    }
}

fn prepare(mut connection: Connection, opening: &Opening) -> Result<Lite> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // One text, one plan. Without it SQLite looks at the values of some parameters, such as that of
    // a LIMIT, when it plans, and then plans anew each time that they are bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    keep_a_log(&connection)?;
    let changes = opening.writer && opening.access == Access::Write;
    // Whoever writes flushes the log by itself.
    let synchronous = if changes { "NORMAL" } else { "FULL" };
    connection.execute_batch(&format!(
        "PRAGMA foreign_keys = ON; PRAGMA synchronous = {synchronous}; \
         PRAGMA journal_size_limit = 67108864; PRAGMA query_only = {}",
        u8::from(!changes)
    ))?;
    let log_pages = Arc::new(AtomicI32::new(0));
    if changes {
        let told = log_pages.clone();
        let tell = move |_: &mut Wal, pages| {
            told.store(pages, Ordering::Relaxed);
            Ok(())
        };
        // In place of SQLite's own hook, which would copy the log while its caller waits.
        connection.wal_hook(Some(tell))?;
    }
    if opening.writer {
        // `Pool::begin_writing` waits by itself.
        connection.busy_timeout(Duration::ZERO)?;
    }
    let commits = Pace::new(false);
    Ok(Lite { connection, log_pages, pages_when_copied: 0, begins_anew: true, commits })
}

/// With the file's name, which SQLite's own words leave out.
fn at(path: &Path, error: Error) -> Error {
    match error {
        Error::CannotOpen { why, .. } => Error::CannotOpen { path: path.to_owned(), why },
        Error::Corrupt { why } if why.contains("not a database") => {
            Error::NotOurs { path: path.to_owned(), why }
        }
        other => other,
    }
}

impl Lite {
    /// Begins a transaction: `BEGIN` or `BEGIN IMMEDIATE`.
    pub(super) fn begin(&mut self, sql: &'static str) -> Result<()> {
        self.control(sql)
    }

    /// Commits what was begun. It stands in the log then, which nobody has flushed.
    pub(super) fn commit(&mut self) -> Result<()> {
        self.stands_in_transaction()?;
        let begins_anew = std::mem::take(&mut self.begins_anew);
        let commit = || self.control("COMMIT");
        if begins_anew { aside(commit) } else { self.commits.run(commit) }
    }

    /// Undoes what was begun.
    pub(super) fn rollback(&mut self) -> Result<()> {
        // After some errors, such as a full disk, SQLite has done so by itself.
        if self.connection.is_autocommit() { Ok(()) } else { self.control("ROLLBACK") }
    }

    /// Whether the last commit left a log that should be copied into the file. Asked once.
    ///
    /// Where readers hold on to it, it goes on behind what was copied. It is not copied again with
    /// each commit then, but when [`CHECKPOINT_AGAIN_PAGES`] more have come.
    pub(super) fn log_is_long(&mut self) -> bool {
        let pages = self.log_pages.swap(0, Ordering::Relaxed);
        if (1..self.pages_when_copied).contains(&pages) {
            // It has begun anew.
            self.pages_when_copied = 0;
        }
        let most =
            if self.pages_when_copied > 0 { CHECKPOINT_AGAIN_PAGES } else { CHECKPOINT_PAGES };
        pages.saturating_sub(self.pages_when_copied) >= most
    }

    /// Flushes the log and copies it into the file, as far as no reader holds on to it. It blocks.
    pub(super) fn checkpoint(&mut self) {
        match self.connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
            Ok((pages, copied)) => {
                self.begins_anew = pages == copied;
                self.pages_when_copied = pages;
            }
            // Nothing is lost: it stays in the log, and the next commit tries again.
            Err(error) => tracing::warn!(%error, "the database's log was not copied into its file"),
        }
    }

    /// Runs a statement; how many rows it changed.
    pub(super) fn execute(&mut self, text: &Text<'_>, values: &[Value]) -> Result<u64> {
        self.stands_in_transaction()?;
        text.pace.run(|| step(&self.connection, text, values, |_| Ok(())))?;
        Ok(self.connection.changes())
    }

    /// Runs a query; every row.
    pub(super) fn rows(&mut self, text: &Text<'_>, values: &[Value]) -> Result<Vec<Row>> {
        self.stands_in_transaction()?;
        let mut names: Option<Names> = None;
        let mut rows = Vec::new();
        let read = |row: &rusqlite::Row<'_>| {
            let names = match &names {
                Some(names) => names.clone(),
                None => names.insert(names_of(row.as_ref(), text.names)?).clone(),
            };
            let cells = (0..names.len()).map(|index| Ok(cell(row.get_ref(index)?)));
            let cells = cells.collect::<rusqlite::Result<_>>()?;
            rows.push(Row::of(names, cells));
            Ok(())
        };
        text.pace.run(|| step(&self.connection, text, values, read))?;
        Ok(rows)
    }

    /// Runs statements without parameters.
    pub(super) fn batch(&mut self, sql: &str) -> Result<()> {
        self.stands_in_transaction()?;
        Ok(aside(|| self.connection.execute_batch(sql))?)
    }

    fn control(&self, sql: &str) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.raw_query().next()?;
        Ok(())
    }

    /// What would run outside of its transaction, because SQLite has given that up, is not run.
    fn stands_in_transaction(&self) -> Result<()> {
        if self.connection.is_autocommit() {
            let why = "an earlier error of this transaction undid all of it".to_owned();
            return Err(Error::Disk { why });
        }
        Ok(())
    }
}

fn step(
    connection: &Connection,
    text: &Text<'_>,
    values: &[Value],
    mut each: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
) -> Result<()> {
    let mut run = |statement: &mut rusqlite::Statement<'_>| -> Result<()> {
        bind(statement, values)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    };
    match text.keep {
        true => run(&mut *connection.prepare_cached(text.sql)?),
        false => run(&mut connection.prepare(text.sql)?),
    }
}

fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value]) -> Result<()> {
    let wanted = statement.parameter_count();
    if values.len() < wanted {
        return Err(rusqlite::Error::InvalidParameterCount(values.len(), wanted).into());
    }
    // What only PostgreSQL's words name is left out.
    for (index, value) in (1..=wanted).zip(values) {
        match value {
            Value::Int(value) => statement.raw_bind_parameter(index, value)?,
            Value::Text(value) => statement.raw_bind_parameter(index, value.as_deref())?,
            Value::Bytes(value) => statement.raw_bind_parameter(index, value.as_deref())?,
            Value::Ints(list) => {
                statement.raw_bind_parameter(index, serde_json::to_string(list)?)?;
            }
            Value::Texts(list) => {
                statement.raw_bind_parameter(index, serde_json::to_string(list)?)?;
            }
        }
    }
    Ok(())
}

/// The names of the columns: those that the statement had before if they are still the same.
fn names_of(
    statement: &rusqlite::Statement<'_>,
    known: Option<&OnceLock<Names>>,
) -> rusqlite::Result<Names> {
    let count = statement.column_count();
    if let Some(names) = known.and_then(OnceLock::get)
        && names.len() == count
        && (0..)
            .zip(names.iter())
            .all(|(index, name)| statement.column_name(index).is_ok_and(|found| found == &**name))
    {
        return Ok(names.clone());
    }
    let names = (0..count).map(|index| Ok(statement.column_name(index)?.into()));
    let names = names.collect::<rusqlite::Result<Names>>()?;
    known.map(|known| known.set(names.clone()));
    Ok(names)
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Real(_) => Cell::Real,
        ValueRef::Text(bytes) => Cell::Text(bytes.into()),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToValue as _;

    fn lite(folder: &Path) -> Lite {
        let path = folder.join("sealock.db");
        claim(&path, true, Access::Write).unwrap();
        Opening { path, access: Access::Write, writer: true }.open().unwrap()
    }

    #[test]
    fn columns_are_named_anew_when_the_schema_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let mut lite = lite(folder.path());
        let statement = Statement::of("SELECT * FROM t");
        lite.begin("BEGIN IMMEDIATE").unwrap();
        lite.batch("CREATE TABLE t (a INTEGER); INSERT INTO t (a) VALUES (1)").unwrap();
        let row = lite.rows(&statement.into(), &[]).unwrap().pop().unwrap();
        assert_eq!(row.get::<i64>("a").unwrap(), 1);
        lite.batch("ALTER TABLE t RENAME COLUMN a TO b").unwrap();
        let row = lite.rows(&statement.into(), &[]).unwrap().pop().unwrap();
        assert_eq!(row.get::<i64>("b").unwrap(), 1);
        assert!(row.get::<i64>("a").is_err());
        lite.batch("ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'x'").unwrap();
        let row = lite.rows(&statement.into(), &[]).unwrap().pop().unwrap();
        assert_eq!(row.get::<String>("c").unwrap(), "x");
        assert!(matches!(row.get::<i64>("c"), Err(Error::Column { .. })), "a text is no number");
    }

    #[test]
    fn what_is_left_of_a_transaction_that_was_undone_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let mut lite = lite(folder.path());
        lite.begin("BEGIN IMMEDIATE").unwrap();
        lite.batch("CREATE TABLE t (a INTEGER PRIMARY KEY)").unwrap();
        lite.commit().unwrap();
        lite.begin("BEGIN IMMEDIATE").unwrap();
        let insert = |a: i64| (Statement::of("INSERT INTO t (a) VALUES ($1)"), [a.to_value()]);
        let (statement, values) = insert(1);
        lite.execute(&statement.into(), &values).unwrap();
        // As SQLite does by itself when the disk is full.
        let undone = Statement::of("INSERT OR ROLLBACK INTO t (a) VALUES (1)");
        let error = lite.execute(&undone.into(), &[]).unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        let (statement, values) = insert(2);
        let error = lite.execute(&statement.into(), &values).unwrap_err();
        assert!(matches!(error, Error::Disk { .. }), "{error}");
        assert!(lite.commit().is_err());
        lite.rollback().unwrap();
        lite.begin("BEGIN").unwrap();
        let count = Statement::of("SELECT count(*) AS n FROM t");
        let rows = lite.rows(&count.into(), &[]).unwrap();
        assert_eq!(rows[0].get::<i64>("n").unwrap(), 0);
    }

    #[test]
    fn a_value_that_is_missing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut lite = lite(folder.path());
        lite.begin("BEGIN").unwrap();
        let statement = Statement::of("SELECT $1 AS a, $2 AS b");
        assert!(lite.rows(&statement.into(), &[1_i64.to_value()]).is_err());
        let values = [1_i64.to_value(), "".to_value(), 3_i64.to_value()];
        let rows = lite.rows(&statement.into(), &values).unwrap();
        assert_eq!(rows[0].get::<String>("b").unwrap(), "");
    }

    #[test]
    fn a_long_log_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut lite = lite(folder.path());
        lite.begin("BEGIN IMMEDIATE").unwrap();
        lite.batch("CREATE TABLE t (a TEXT)").unwrap();
        lite.commit().unwrap();
        assert!(!lite.log_is_long());
        lite.begin("BEGIN IMMEDIATE").unwrap();
        let statement = Statement::of("INSERT INTO t (a) VALUES ($1)");
        let long = "x".repeat(4096 * (CHECKPOINT_PAGES as usize + 100));
        lite.execute(&statement.into(), &[long.to_value()]).unwrap();
        lite.commit().unwrap();
        assert!(lite.log_is_long());
        assert!(!lite.log_is_long());
        lite.checkpoint();
        assert!(lite.begins_anew, "all of it is in the file");
        lite.begin("BEGIN IMMEDIATE").unwrap();
        lite.execute(&statement.into(), &["short".to_value()]).unwrap();
        lite.commit().unwrap();
        assert!(!lite.log_is_long(), "it began anew");
    }

    #[test]
    fn a_long_log_that_readers_hold_on_to_is_not_copied_with_each_commit() {
        let folder = tempfile::tempdir().unwrap();
        let (mut lite, mut reader) = (lite(folder.path()), lite(folder.path()));
        let statement = Statement::of("INSERT INTO t (a) VALUES ($1)");
        let write = |lite: &mut Lite, pages: usize| {
            lite.begin("BEGIN IMMEDIATE").unwrap();
            lite.execute(&statement.into(), &["x".repeat(4096 * pages).to_value()]).unwrap();
            lite.commit().unwrap();
            lite.log_is_long()
        };
        lite.begin("BEGIN IMMEDIATE").unwrap();
        lite.batch("CREATE TABLE t (a TEXT)").unwrap();
        lite.commit().unwrap();
        reader.begin("BEGIN").unwrap();
        reader.rows(&Statement::of("SELECT a FROM t").into(), &[]).unwrap();
        assert!(write(&mut lite, CHECKPOINT_PAGES as usize + 100));
        lite.checkpoint();
        assert!(!lite.begins_anew, "the reader sees what was before");
        assert!(!write(&mut lite, 1) && !write(&mut lite, 1));
        assert!(write(&mut lite, CHECKPOINT_AGAIN_PAGES as usize), "more has come");
        reader.rollback().unwrap();
        lite.checkpoint();
        assert!(lite.begins_anew);
        assert!(!write(&mut lite, 1));
        assert_eq!(lite.pages_when_copied, 0, "it began anew");
    }
}
