use super::{
    basis::{Basis, Changes, Note},
    clock::Clock,
    database::Engine,
    error::{Error, Result},
    lease::Lease,
    log::Log,
    pool::Held,
    row::Row,
    sqlite::Text,
    statement::{Pace, Statement},
    tables::Touched,
    value::Value,
};
use crate::quotas::Charge;
use jiff::Timestamp;
use sqlx::{Arguments as _, AssertSqlSafe, Postgres, Transaction, postgres::PgArguments};
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::coop::consume_budget;

/// Most rows in one multi-row INSERT; a longer list is sent in parts.
const INSERT_ROWS: usize = 400;
/// Most rows in one statement on SQLite, where it is kept: there is one for each number.
const KEPT_ROWS: usize = 8;
/// More rows than this take long on SQLite.
const QUICK_ROWS: usize = 32;

/// A transaction. Dropped without [`Tx::commit`], it is rolled back.
#[derive(Debug)]
pub struct Tx {
    pub(super) inner: Inner,
    pub(super) clock: Arc<dyn Clock>,
    /// Where what it writes is counted; none on PostgreSQL.
    pub(super) changes: Option<Arc<Changes>>,
    /// The counts before its snapshot began, if it only reads.
    pub(super) note: Option<Box<Note>>,
    pub(super) touched: Touched,
    #[cfg(feature = "testing")]
    pub(super) statements: Arc<std::sync::atomic::AtomicU64>,
    pub(super) lease: Lease,
    /// What it adds to projects, by number: asked before the commit.
    pub(super) charges: BTreeMap<i64, Charge>,
}

#[derive(Debug)]
pub(super) enum Inner {
    /// With the log that a commit waits for, if it is one that writes.
    Sqlite(Held, Option<Log>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// The time by the database's clock seam.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time that all replicas agree on: the database server's (decision D13). SQLite has one
    /// process, whose clock it is; so has a test that holds the clock.
    pub async fn shared_now(&mut self) -> Result<Timestamp> {
        if matches!(self.inner, Inner::Sqlite(..)) || !self.clock.is_machines() {
            return Ok(self.now());
        }
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now";
        self.find(sql, Vec::new(), |row| row.get("now")).await?.ok_or(Error::Retry)
    }

    /// What everything that it has read so far stands on. None when that cannot be told: on
    /// PostgreSQL, in a transaction that writes, and while another one is being committed.
    ///
    /// An answer that also depends on the time holds only until a moment that its reader knows.
    pub fn basis(&self) -> Option<Basis> {
        self.note.as_ref()?.basis(self.touched.reads)
    }

    fn touch(&mut self, touched: Touched) {
        self.touched.reads.insert(touched.reads);
        self.touched.writes.insert(touched.writes);
    }

    /// One statement more, for tests that bound their number.
    fn count(&self) {
        #[cfg(feature = "testing")]
        self.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// How long what nothing refers to is kept for those who count on it.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    pub(crate) fn charges(&mut self) -> &mut BTreeMap<i64, Charge> {
        &mut self.charges
    }

    /// When what loses its last user now is reviewed, by the clock that all replicas agree on.
    pub(crate) async fn review_time(&mut self) -> Result<Timestamp> {
        let now = self.shared_now().await?;
        Ok(self.lease.ends(now))
    }

    /// Runs a statement; how many rows it changed.
    pub async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64> {
        let statement = Statement::of(sql);
        self.touch(statement.touched);
        self.count();
        Ok(match &mut self.inner {
            Inner::Sqlite(held, _) => {
                consume_budget().await;
                held.execute(&statement.into(), &values)?
            }
            Inner::Postgres(tx) => {
                let query = sqlx::query_with(statement.postgres(), postgres(values)?);
                query.execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    /// Runs a query; every row. The statement carries its own LIMIT.
    pub async fn query(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>> {
        let statement = Statement::of(sql);
        self.touch(statement.touched);
        self.count();
        match &mut self.inner {
            Inner::Sqlite(held, _) => {
                consume_budget().await;
                held.rows(&statement.into(), &values)
            }
            Inner::Postgres(tx) => {
                let query = sqlx::query_with(statement.postgres(), postgres(values)?);
                let rows = query.fetch_all(&mut **tx).await?;
                Ok(rows.into_iter().map(Row::from).collect())
            }
        }
    }

    /// Runs a query that answers one row or none.
    pub async fn query_one(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Option<Row>> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// Runs a query whose rows are read by `read`.
    pub async fn list<T>(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.query(sql, values).await?.iter().map(read).collect()
    }

    /// Runs a query that answers one row or none, read by `read`.
    pub async fn find<T>(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        self.query(sql, values).await?.first().map(read).transpose()
    }

    /// Inserts many rows with a few statements: `head` is `INSERT INTO t (a, b)`, `tail` what
    /// follows the values (`ON CONFLICT … RETURNING …`). The rows answered by RETURNING, if any.
    pub async fn insert_many(
        &mut self,
        head: &'static str,
        rows: Vec<Vec<Value>>,
        tail: &'static str,
    ) -> Result<Vec<Row>> {
        let statement = Statement::of(head);
        self.touch(statement.touched);
        let slow = Pace::new(true);
        let mut answers = Vec::new();
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let part: Vec<_> = rows.by_ref().take(INSERT_ROWS).collect();
            let pace = if part.len() > QUICK_ROWS { &slow } else { &statement.pace };
            self.count();
            answers.extend(match &mut self.inner {
                Inner::Sqlite(held, _) => {
                    consume_budget().await;
                    pace.run(|| insert_lite(held, head, part, tail))?
                }
                Inner::Postgres(tx) => {
                    let sql = insert(head, &part, tail, |n| format!("${n}"));
                    let values = postgres(part.into_iter().flatten().collect())?;
                    let query = sqlx::query_with(AssertSqlSafe(sql), values);
                    let rows = query.persistent(false).fetch_all(&mut **tx).await?;
                    rows.into_iter().map(Row::from).collect()
                }
            });
        }
        Ok(answers)
    }

    /// Runs a query that is put together from the program's own pieces, in one of a few shapes.
    /// `pieces` are statements that name every table that it reads; values are parameters.
    pub(crate) async fn query_shaped(
        &mut self,
        pieces: &[&'static str],
        sql: String,
        values: Vec<Value>,
    ) -> Result<Vec<Row>> {
        for piece in pieces {
            let touched = Statement::of(piece).touched;
            self.touch(touched);
        }
        let text = match self.engine() {
            Engine::Sqlite => super::dialect::sqlite(&sql),
            Engine::Postgres => sql,
        };
        self.built(text, values, true, &Pace::new(true)).await
    }

    /// Runs a query whose text is made anew each time; `keep` if one of its kind comes again.
    async fn built(
        &mut self,
        sql: String,
        values: Vec<Value>,
        keep: bool,
        pace: &Pace,
    ) -> Result<Vec<Row>> {
        self.count();
        match &mut self.inner {
            Inner::Sqlite(held, _) => {
                consume_budget().await;
                held.rows(&Text { sql: &sql, keep, pace, names: None }, &values)
            }
            Inner::Postgres(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(sql), postgres(values)?);
                let rows = query.persistent(false).fetch_all(&mut **tx).await?;
                Ok(rows.into_iter().map(Row::from).collect())
            }
        }
    }

    /// Which engine this is.
    pub const fn engine(&self) -> Engine {
        match self.inner {
            Inner::Sqlite(..) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs a query that is made of names from the engine's own catalogue.
    pub(crate) async fn query_built(&mut self, sql: String) -> Result<Vec<Row>> {
        self.touch(Touched::ALL);
        self.built(sql, Vec::new(), false, &Pace::new(true)).await
    }

    /// Runs one statement of a migration.
    pub(crate) async fn run_built(&mut self, sql: String) -> Result<()> {
        self.touch(Touched::ALL);
        match &mut self.inner {
            Inner::Sqlite(held, _) => held.batch(&sql)?,
            Inner::Postgres(tx) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **tx).await?;
            }
        }
        Ok(())
    }

    /// Commits. When this returns, the transaction is in a synced log, and so is every one that it
    /// could see. After an error of the disk it may be seen and is not durable.
    pub async fn commit(self) -> Result<()> {
        match self.inner {
            Inner::Sqlite(held, log) => {
                commit_lite(held, self.changes, self.touched)?;
                // Others write meanwhile, and share the flush.
                if let Some(log) = log {
                    log.flush().await?;
                }
            }
            Inner::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Commits and does not wait for the disk: for what may be lost when the power goes, such as
    /// what a client or a job then begins again. It is never lost alone: the log keeps the order,
    /// so that it is durable when any later transaction is.
    pub async fn commit_soon(self) -> Result<()> {
        match self.inner {
            Inner::Sqlite(held, _) => commit_lite(held, self.changes, self.touched)?,
            Inner::Postgres(mut tx) => {
                sqlx::raw_sql("SET LOCAL synchronous_commit TO off").execute(&mut *tx).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// Rolls back now instead of on drop.
    pub async fn rollback(self) -> Result<()> {
        match self.inner {
            Inner::Sqlite(mut held, _) => held.rollback()?,
            Inner::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}

/// Commits on the spot: a caller cannot go away meanwhile, and the next writer goes on while this
/// one waits for its flush.
fn commit_lite(mut held: Held, changes: Option<Arc<Changes>>, touched: Touched) -> Result<()> {
    let under_way = changes.map(|changes| changes.begin(touched.writes));
    let committed = held.commit();
    drop(under_way);
    held.give_back();
    committed
}

/// Inserts rows a few at a time, with statements that are kept: to read a text of hundreds of rows
/// would cost more than to insert them.
fn insert_lite(
    held: &mut Held,
    head: &'static str,
    rows: Vec<Vec<Value>>,
    tail: &'static str,
) -> Result<Vec<Row>> {
    let mut answers = Vec::new();
    let mut rows = rows.into_iter().peekable();
    let pace = Pace::new(false);
    let mut sql = String::new();
    let mut written = 0;
    while rows.peek().is_some() {
        let part: Vec<_> = rows.by_ref().take(KEPT_ROWS).collect();
        if part.len() != written {
            // By their order: SQLite looks a numbered parameter up among all the others.
            sql = insert(head, &part, tail, |_| "?".to_owned());
            written = part.len();
        }
        let values: Vec<_> = part.into_iter().flatten().collect();
        let text = Text { sql: &sql, keep: true, pace: &pace, names: None };
        answers.extend(held.rows(&text, &values)?);
    }
    Ok(answers)
}

/// The text that inserts these rows.
fn insert(
    head: &str,
    rows: &[Vec<Value>],
    tail: &str,
    parameter: impl Fn(usize) -> String,
) -> String {
    let mut number = 0;
    let mut sql = format!("{head} VALUES ");
    for (index, row) in rows.iter().enumerate() {
        sql.push_str(if index == 0 { "(" } else { ", (" });
        for column in 0..row.len() {
            number += 1;
            sql.push_str(if column == 0 { "" } else { ", " });
            sql.push_str(&parameter(number));
        }
        sql.push(')');
    }
    sql.push(' ');
    sql.push_str(tail);
    sql
}

fn encode(error: sqlx::error::BoxDynError) -> Error {
    Error::Sql(Box::new(sqlx::Error::Encode(error)))
}

fn postgres(values: Vec<Value>) -> Result<PgArguments> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Int(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Ints(list) => arguments.add(list),
            Value::Texts(list) => arguments.add(list),
        }
        .map_err(encode)?;
    }
    Ok(arguments)
}
