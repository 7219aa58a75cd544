use sealock_metadata::{dying_files::Reason, forecast::Forecast, reviews::Reviewed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, files: u64, bytes: u64) {
        self.files += files;
        self.bytes += bytes;
    }
}

/// What a run freed and why; of a dry run, what a run would free, and what it would keep and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// What was removed from the disk, in all.
    pub freed: Tally,
    /// The same by reason: `unnamed`, `manifest-deleted`, `blob-deleted`, `repository-deleted`,
    /// `replaced`, `upload-abandoned`.
    pub freed_by: BTreeMap<String, Tally>,
    /// What was looked at and kept, by reason. Of a dry run, with bytes: `named`, `leased`,
    /// `uploading`. Of a run, in numbers of reviews: `named`, `held` by another repository.
    pub kept_by: BTreeMap<String, Tally>,
    /// Entries of the queue that were reviewed.
    pub reviewed: u64,
    /// Links of repositories to blobs that no manifest there names, now gone.
    pub links_dropped: u64,
    /// Contents of images that no manifest has any more, now gone.
    pub contents_dropped: u64,
    /// Files whose removal failed; they are tried again.
    pub failures: u64,
    /// Milliseconds that the run worked and rested.
    pub milliseconds: u64,
}

impl Report {
    /// Whether anything came of it that is worth a record.
    pub fn found_something(&self) -> bool {
        self.freed.files > 0
            || self.links_dropped > 0
            || self.contents_dropped > 0
            || self.failures > 0
    }

    pub(crate) fn review(&mut self, done: &Reviewed) {
        self.reviewed += done.looked_at;
        self.links_dropped += done.links_dropped;
        for (kept, count) in [("named", done.kept_named), ("held", done.kept_held)] {
            if count > 0 {
                self.kept_by.entry(kept.to_owned()).or_default().add(count, 0);
            }
        }
    }

    pub(crate) fn free(&mut self, reason: Reason, files: u64, bytes: u64) {
        self.freed.add(files, bytes);
        self.freed_by.entry(reason.to_string()).or_default().add(files, bytes);
    }

    pub(crate) fn forecast(found: &Forecast) -> Self {
        let mut report = Self::default();
        for (reason, pile) in &found.freed {
            report.free(*reason, pile.files, pile.bytes);
        }
        for (kept, pile) in &found.kept {
            report.kept_by.entry(kept.to_string()).or_default().add(pile.files, pile.bytes);
        }
        report
    }
}
