use super::{
    basis::{Basis, Changes},
    clock::Clock,
    error::{ACQUIRE_SECONDS, Error, Result},
    lease::Lease,
    log::{Flush, Log},
    pool::Pool,
    sqlite::{self, Opening},
    statement::aside,
    tables::Touched,
    tx::{Inner, Tx},
};
use crate::schema;
use sqlx::{
    Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Connections that read a SQLite database.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL per replica.
const POSTGRES_CONNECTIONS: u32 = 16;
/// Prepared statements kept per connection to PostgreSQL.
const STATEMENTS: usize = 256;
/// A pooled connection that rested longer is tried before it is used.
const TRUST_IDLE: Duration = Duration::from_secs(5);

/// Which database, and where.
#[derive(Clone)]
pub enum DatabaseConfig {
    /// A file. It is made when it does not exist, unless `must_exist`.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Fail with [`Error::Missing`] rather than begin an empty database.
        must_exist: bool,
    },
    /// A server: `postgres://user:password@host/database`.
    Postgres {
        /// The URL. It holds a password and is never printed.
        url: String,
    },
}

impl DatabaseConfig {
    /// A SQLite file, made when it does not exist.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self::Sqlite { path: path.into(), must_exist: false }
    }

    /// A PostgreSQL server.
    pub fn postgres(url: impl Into<String>) -> Self {
        Self::Postgres { url: url.into() }
    }
}

impl std::fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite { path, .. } => write!(f, "sqlite:{}", path.display()),
            Self::Postgres { .. } => f.write_str("postgres:(url hidden)"),
        }
    }
}

/// What may be done to a database that is opened as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only look.
    Read,
    /// Look and change.
    Write,
}

/// Which engine stands behind a [`Database`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    pools: Pools,
    clock: Arc<dyn Clock>,
    #[cfg(feature = "testing")]
    statements: Arc<std::sync::atomic::AtomicU64>,
    /// What was written, table by table; none on PostgreSQL, where others write too. Whoever opens
    /// a SQLite file a second time in one process has counts of their own, and must only read.
    changes: Option<Arc<Changes>>,
    lease: Lease,
}

#[derive(Debug, Clone)]
enum Pools {
    /// One writer, whose pool is the fair queue of those who wait to write; and readers, each of
    /// which sees a snapshot.
    Sqlite {
        writer: Arc<Pool>,
        readers: Arc<Pool>,
        log: Log,
    },
    Postgres(PgPool),
}

impl Database {
    /// Opens the database and brings its schema up to date.
    pub async fn open(config: DatabaseConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_with(config, clock, Arc::new(File::sync_data)).await
    }

    /// As [`Database::open`], with another way to flush SQLite's log: for tests that let it fail.
    #[cfg(feature = "testing")]
    pub async fn open_flushed_by(
        config: DatabaseConfig,
        clock: Arc<dyn Clock>,
        flush: impl Fn(&File) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::open_with(config, clock, Arc::new(flush)).await
    }

    async fn open_with(
        config: DatabaseConfig,
        clock: Arc<dyn Clock>,
        flush: Flush,
    ) -> Result<Self> {
        let pools = match config {
            DatabaseConfig::Sqlite { path, must_exist } => {
                open_sqlite(&path, must_exist, Access::Write, flush)?
            }
            DatabaseConfig::Postgres { url } => open_postgres(&url).await?,
        };
        let database = Self::over(pools, clock);
        schema::migrate(&database).await?;
        Ok(database)
    }

    fn over(pools: Pools, clock: Arc<dyn Clock>) -> Self {
        let changes = matches!(pools, Pools::Sqlite { .. }).then(Changes::new);
        Self {
            pools,
            clock,
            changes,
            lease: Lease::default(),
            #[cfg(feature = "testing")]
            statements: Arc::default(),
        }
    }

    /// Opens a database that is there, as it is: nothing is made and nothing migrated. One whose
    /// schema is not this program's is refused with [`Error::OlderSchema`] or
    /// [`Error::NewerSchema`]. With [`Access::Read`], SQLite itself refuses to write;
    /// on PostgreSQL the caller keeps to [`Database::read`].
    pub async fn open_as_it_is(
        config: DatabaseConfig,
        clock: Arc<dyn Clock>,
        access: Access,
    ) -> Result<Self> {
        let pools = match config {
            DatabaseConfig::Sqlite { path, .. } => {
                open_sqlite(&path, true, access, Arc::new(File::sync_data))?
            }
            DatabaseConfig::Postgres { url } => open_postgres(&url).await?,
        };
        let database = Self::over(pools, clock);
        schema::require(&database).await?;
        Ok(database)
    }

    /// Which engine this is.
    pub const fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// The clock seam.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Whether what was read is what would be read now: see [`Tx::basis`].
    pub fn stands(&self, basis: &Basis) -> bool {
        self.changes.as_ref().is_some_and(|changes| changes.stands(basis))
    }

    pub(crate) fn clock_now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// The same database with another lease. Every replica must use the same one.
    #[must_use]
    pub fn with_lease(mut self, lease: Lease) -> Self {
        self.lease = lease;
        self
    }

    /// How long what nothing refers to is kept for those who count on it.
    pub const fn lease(&self) -> Lease {
        self.lease
    }

    /// Begins a transaction that only reads, on one snapshot.
    pub async fn read(&self) -> Result<Tx> {
        let note = self.changes.as_ref().map(|changes| changes.note());
        let inner = match &self.pools {
            Pools::Sqlite { readers, .. } => Inner::Sqlite(readers.begin_reading().await?, None),
            Pools::Postgres(pool) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Inner::Postgres(pool.begin_with(begin).await?)
            }
        };
        Ok(Tx { note, ..self.tx(inner) })
    }

    /// Begins a transaction that writes. On SQLite writers stand in a fair queue and give up with
    /// [`Error::Busy`] after a bounded wait; on PostgreSQL it runs under READ COMMITTED.
    pub async fn write(&self) -> Result<Tx> {
        let inner = match &self.pools {
            Pools::Sqlite { writer, log, .. } => {
                let held = writer.begin_writing().await?;
                log.mend().await?;
                Inner::Sqlite(held, Some(log.clone()))
            }
            Pools::Postgres(pool) => {
                Inner::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?)
            }
        };
        Ok(self.tx(inner))
    }

    fn tx(&self, inner: Inner) -> Tx {
        Tx {
            inner,
            lease: self.lease,
            clock: self.clock.clone(),
            changes: self.changes.clone(),
            note: None,
            touched: Touched::default(),
            charges: BTreeMap::new(),
            #[cfg(feature = "testing")]
            statements: self.statements.clone(),
        }
    }

    /// How many statements were run so far, begins and commits left out.
    #[cfg(feature = "testing")]
    pub fn statements(&self) -> u64 {
        self.statements.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Closes every connection; SQLite folds its log into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

fn open_sqlite(path: &Path, must_exist: bool, access: Access, flush: Flush) -> Result<Pools> {
    if must_exist && !path.exists() {
        return Err(Error::Missing { path: path.to_owned() });
    }
    aside(|| sqlite::claim(path, !must_exist, access))?;
    let opening = |writer| Opening { path: path.to_owned(), access, writer };
    let writer = Pool::open(opening(true), 1)?;
    let readers = Pool::open(opening(false), SQLITE_READERS)?;
    let log = Log::start(path, flush)
        .map_err(|error| Error::CannotOpen { path: path.to_owned(), why: error.to_string() })?;
    Ok(Pools::Sqlite { writer, readers, log })
}

async fn open_postgres(url: &str) -> Result<Pools> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|_| Error::Unavailable { why: "the URL is not a PostgreSQL URL".to_owned() })?;
    let options = options.application_name("sealock").statement_cache_capacity(STATEMENTS);
    let mut first = sqlx::PgConnection::connect_with(&options).await?;
    let mut asynchronous = false;
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut first)
            .await?;
        match (setting, value.as_str()) {
            ("synchronous_commit", "off") => asynchronous = true,
            (_, "off") => return Err(Error::NotDurable { setting }),
            _ => {}
        }
    }
    first.close().await?;
    // A server that answers before its log is synced is asked to wait, on our connections only.
    let options =
        if asynchronous { options.options([("synchronous_commit", "on")]) } else { options };
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(Duration::from_secs(ACQUIRE_SECONDS))
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUST_IDLE {
                    return Ok(connection.ping().await.is_ok());
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await?;
    Ok(Pools::Postgres(pool))
}
