//! Runs of the collector.

use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A run of the collector.
#[derive(ToSchema)]
pub(crate) struct CollectionRun {
    id: i64,
    /// `running`, `finished` or `failed`.
    state: String,
    /// Who asked for it; `sealock` for the server itself.
    actor: String,
    /// Nothing was changed.
    dry_run: bool,
    /// No lease was heeded.
    ignore_leases: bool,
    report: CollectionReport,
    /// Why it failed.
    error: Option<String>,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(format = DateTime)]
    finished_at: Option<String>,
}

/// What a run freed and why; of a dry run, what a run would free, and what it would keep and why.
#[derive(ToSchema)]
pub(crate) struct CollectionReport {
    /// In all.
    freed: Tally,
    /// By reason: `unnamed`, `manifest-deleted`, `blob-deleted`, `repository-deleted`, `replaced`,
    /// `upload-abandoned`.
    freed_by: BTreeMap<String, Tally>,
    /// Of a dry run, with bytes: `named`, `leased`, `uploading`. Of a run, in numbers of reviews:
    /// `named`, `held`.
    kept_by: BTreeMap<String, Tally>,
    /// Entries of the queue that were reviewed.
    reviewed: u64,
    /// Links of repositories to blobs that no manifest there names, now gone.
    links_dropped: u64,
    /// Contents of images that no manifest has any more, now gone.
    contents_dropped: u64,
    /// Files whose removal failed; they are tried again.
    failures: u64,
    /// Milliseconds that the run worked and rested.
    milliseconds: u64,
}

/// A number of files and their bytes.
#[derive(ToSchema)]
pub(crate) struct Tally {
    files: u64,
    bytes: u64,
}
