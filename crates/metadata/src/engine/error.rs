use std::path::PathBuf;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with the database. The text says what an operator can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a SQLite database, or another program's.
    #[error(
        "{path} is not a Sealock database: {why}. Point the data directory elsewhere, or move \
         the file away and restore the database from a backup"
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The database's pages are damaged.
    #[error(
        "the database is damaged ({why}). Stop the server, keep a copy of the file with its -wal \
         file, and restore the newest backup"
    )]
    Corrupt {
        /// What the engine said.
        why: String,
    },
    /// The file cannot be opened or made.
    #[error(
        "cannot open the database {path}: {why}. Check that the directory exists and that this \
         user may write in it"
    )]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// What the engine said.
        why: String,
    },
    /// The file should exist and does not.
    #[error(
        "the database {path} is missing although this data directory was in use. Restore it from \
         a backup; an empty one would lose every image"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the write lock.
    #[error(
        "the database is locked by another process. Stop the other server or tool that uses it, \
         then try again"
    )]
    Locked,
    /// The schema was made by a newer program.
    #[error(
        "the database has schema {found}, this program knows up to {known}. Start the newer \
         version of Sealock again, or restore a backup made by this one"
    )]
    NewerSchema {
        /// In the database.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// The schema was made by an older program.
    #[error(
        "the database has schema {found}, this program works with {known}. Start this version of \
         the server once, which brings it up to date"
    )]
    OlderSchema {
        /// In the database.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// PostgreSQL would lose acknowledged pushes.
    #[error(
        "PostgreSQL runs with {setting}=off, so a power cut would lose acknowledged pushes. Turn \
         it on in postgresql.conf and reload"
    )]
    NotDurable {
        /// The setting.
        setting: &'static str,
    },
    /// Too many callers wait for a connection, longer than the named limit.
    #[error("the database is busy: no connection became free within {seconds} s. Try again soon")]
    Busy {
        /// The limit.
        seconds: u64,
    },
    /// The server cannot be reached.
    #[error("the database cannot be reached: {why}. Check the URL and that the server runs")]
    Unavailable {
        /// What the driver said, without the URL.
        why: String,
    },
    /// The disk is full or failing.
    #[error("the database's disk failed: {why}. Free space or replace the disk")]
    Disk {
        /// What the engine said.
        why: String,
    },
    /// A unique or foreign key was violated.
    #[error("the row conflicts with another one ({constraint})")]
    Conflict {
        /// Name of the constraint, or the columns.
        constraint: String,
    },
    /// Two transactions met (deadlock or serialisation); the whole transaction can be run again.
    #[error("two transactions met; run it again")]
    Retry,
    /// A column holds what it should not.
    #[error("column {name} {why}")]
    Column {
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// JSON for a column could not be made.
    #[error("a value cannot be stored as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Anything else.
    #[error("the database refused a statement: {0}")]
    Sql(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether the same transaction may succeed if it is run again at once.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Retry | Self::Busy { .. } | Self::Locked)
    }
}

impl Error {
    /// Whether the cause may pass by itself, or when an operator has helped: the same transaction
    /// can be run again later.
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Retry
                | Self::Busy { .. }
                | Self::Locked
                | Self::Unavailable { .. }
                | Self::Disk { .. }
                | Self::CannotOpen { .. }
        )
    }
}

/// Longest wait for a connection, in seconds.
pub(super) const ACQUIRE_SECONDS: u64 = 15;

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy { seconds: ACQUIRE_SECONDS },
            sqlx::Error::PoolClosed => Self::Unavailable { why: "it was closed".to_owned() },
            sqlx::Error::Io(why) => Self::Unavailable { why: why.to_string() },
            sqlx::Error::Tls(why) => Self::Unavailable { why: why.to_string() },
            sqlx::Error::Database(ref database) => {
                let code = database.code().unwrap_or_default().into_owned();
                let message = database.message().to_owned();
                let constraint = database.constraint().map(str::to_owned);
                of_postgres(&code, message, constraint).unwrap_or_else(|| Self::Sql(error.into()))
            }
            other => Self::Sql(other.into()),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as Lite;
        let known = match &error {
            Lite::SqliteFailure(cause, why) => {
                let why = why.clone().unwrap_or_else(|| cause.to_string());
                of_sqlite(cause.extended_code, why)
            }
            Lite::SqlInputError { error, msg, .. } => of_sqlite(error.extended_code, msg.clone()),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Sql(error.into()))
    }
}

/// Reads a PostgreSQL SQLSTATE.
fn of_postgres(code: &str, why: String, constraint: Option<String>) -> Option<Error> {
    Some(match code {
        "23505" | "23503" => Error::Conflict { constraint: constraint.unwrap_or(why) },
        "40001" | "40P01" => Error::Retry,
        "55P03" => Error::Locked,
        "XX001" | "XX002" => Error::Corrupt { why },
        "53100" | "58030" => Error::Disk { why },
        "3D000" => Error::Unavailable { why },
        _ if code.starts_with("08") || code.starts_with("57P") => Error::Unavailable { why },
        _ if code.starts_with("28") || code == "53300" => Error::Unavailable { why },
        _ => return None,
    })
}

/// Reads a SQLite extended result code.
fn of_sqlite(code: i32, why: String) -> Option<Error> {
    Some(match code & 0xff {
        5 | 6 => Error::Locked,
        8 | 10 | 13 => Error::Disk { why },
        11 | 26 => Error::Corrupt { why },
        14 => Error::CannotOpen { path: PathBuf::new(), why },
        19 if matches!(code, 2067 | 1555 | 787 | 2579) => Error::Conflict { constraint: why },
        _ => return None,
    })
}
