use std::{io, path::PathBuf};

/// What can go wrong with advisories. Each message says what was met and, where there is something
/// to do, what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdvisoryError {
    /// A file operation failed.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The index file is not one, is of another version, or its content does not match its digest.
    #[error("the advisory index {path} cannot be used: {reason}; import the advisories again")]
    CorruptIndex {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The input is in none of the forms that can be read.
    #[error("{input}: {reason}")]
    Input {
        /// The input, as named by the caller.
        input: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An input or an index exceeds a limit.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What was measured.
        what: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// The new snapshot would lose more than a tenth of an ecosystem (decision D12).
    #[error(
        "this import leaves {after} of {before} {ecosystem} records, more than 10 % less; \
         check the source, or import with --force"
    )]
    Shrinks {
        /// The ecosystem.
        ecosystem: String,
        /// Records in the current snapshot.
        before: u64,
        /// Records in the new one.
        after: u64,
    },
    /// A source name is not usable.
    #[error("{0:?} is not a source name; use 1 to 64 of a-z, 0-9, '.', '_' and '-'")]
    SourceName(String),
    /// A download failed or was refused.
    #[error("{url}: {reason}")]
    Download {
        /// What was asked for.
        url: String,
        /// Why it failed.
        reason: String,
    },
}

impl AdvisoryError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// Whether there was no room on the disk.
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::File { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

    pub(crate) fn input(input: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Input { input: input.into(), reason: reason.to_string() }
    }
}

/// Result of this crate's operations.
pub type Result<T, E = AdvisoryError> = std::result::Result<T, E>;
