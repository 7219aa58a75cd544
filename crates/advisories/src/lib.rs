//! Vulnerability feeds to an index; components and index to findings.
//!
//! Feeds come as OSV records (folder, zip, JSON Lines, osv.dev's layout), as the Debian tracker's
//! JSON, Alpine's secdb or CISA's KEV catalogue. Importing turns them into [`Record`]s, sorted and
//! kept per source; all sources together make one immutable [`Index`], named by its digest, which
//! is mapped and searched in place. [`SnapshotStore`] keeps indexes and swaps the current one
//! atomically.
//!
//! Everything that is read comes from outside: parsers return errors, and sizes are bounded.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)
)]

mod codec;
mod coverage;
mod ecosystem;
mod error;
mod groups;
mod import;
mod index;
mod matching;
mod osv;
mod query;
mod range;
mod record;
mod segment;
mod severity;
mod sorter;
mod starter;
mod store;
mod version;

#[cfg(test)]
mod fuzz_corpus;
#[cfg(test)]
mod shared_tests;

pub use coverage::CoverageStatement;
pub use ecosystem::normalise_name;
pub use error::{AdvisoryError, Result};
pub use import::{
    Download, Downloaded, EcosystemCount, EgressPolicy, FILE_ENDINGS, FileVersion, ImportLimits,
    ImportReport, Skipped, download, file_ending, fuzz_lines, fuzz_zip,
};
pub use index::{Index, Vulnerability, fuzz_index};
pub use matching::{MatchOptions, Matches, SCANNER, Unmatched, changed_packages};
pub use osv::{RecordError, fuzz_record, parse_record};
pub use query::{RangeError, VersionRange, version_in_range};
pub use record::{Affected, Event, EventKind, Range, Record, Status};
pub use starter::{starter_index, starter_records};
pub use store::{
    ImportMode, ImportRequest, Imported, STARTER, SnapshotStore, Source, index_of_records,
};
pub use version::{Order, fuzz_versions};
