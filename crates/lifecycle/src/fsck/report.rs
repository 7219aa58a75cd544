use super::{Depth, Kind, Severity};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// Most examples of one kind that a report keeps.
pub const MAX_EXAMPLES: usize = 20;
/// Most lines about what could not be checked.
const MAX_UNCHECKED: usize = 100;

/// What a check found, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How deeply it looked.
    pub depth: Depth,
    /// Whether it was to repair.
    pub repair: bool,
    /// What it looked at.
    pub checked: Checked,
    /// What it found, by kind; a kind without defects is not there.
    pub findings: BTreeMap<Kind, Found>,
    /// What it could not look at, and why: then the rest is no word about the whole.
    pub unchecked: Vec<String>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Blob rows.
    pub blobs: u64,
    /// Files in the store, those of uploads too.
    pub files: u64,
    /// Their bytes, by length.
    pub bytes: u64,
    /// Bytes that were read and hashed.
    pub hashed_bytes: u64,
    /// Files that nothing needs and that the collector is to remove: no defect.
    pub queued_files: u64,
    /// Uploads under way.
    pub uploads: u64,
    /// Manifests whose bytes were read.
    pub manifests: u64,
    /// Stored verdicts that are out of date. They count no more and are replaced when somebody
    /// asks: no defect.
    pub stale_verdicts: u64,
}

/// The defects of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// How many.
    pub count: u64,
    /// How many of them were repaired.
    pub repaired: u64,
    /// Bytes on disk that they take, where that matters.
    pub bytes: u64,
    /// The first [`MAX_EXAMPLES`].
    pub examples: Vec<Example>,
}

/// One defect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The blob or manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The file, below the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// A repository that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// What is wrong, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a defect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing was tried.
    #[default]
    Found,
    /// It was repaired.
    Repaired,
    /// It was to be repaired and was not.
    Left(String),
}

impl Example {
    /// About this.
    pub(crate) fn of(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..Self::default() }
    }

    pub(crate) fn digest(mut self, digest: impl ToString) -> Self {
        self.digest = Some(digest.to_string());
        self
    }

    pub(crate) fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    pub(crate) fn repository(mut self, name: Option<String>) -> Self {
        self.repository = name.filter(|name| !name.is_empty());
        self
    }
}

impl Report {
    pub(crate) fn new(depth: Depth, repair: bool) -> Self {
        Self {
            depth,
            repair,
            checked: Checked::default(),
            findings: BTreeMap::new(),
            unchecked: Vec::new(),
        }
    }

    /// Counts a defect that takes `bytes` on disk.
    pub(crate) fn add(&mut self, kind: Kind, bytes: u64, example: Example) {
        self.add_many(kind, 1, bytes, example);
    }

    /// Counts defects that one example stands for.
    pub(crate) fn add_many(&mut self, kind: Kind, count: u64, bytes: u64, example: Example) {
        tracing::debug!(%kind, ?example, "found");
        let found = self.findings.entry(kind).or_default();
        found.count += count;
        found.bytes += bytes;
        found.repaired += if example.outcome == Outcome::Repaired { count } else { 0 };
        if found.examples.len() < MAX_EXAMPLES {
            found.examples.push(example);
        }
    }

    pub(crate) fn not_checked(
        &mut self,
        what: impl std::fmt::Display,
        why: impl std::fmt::Display,
    ) {
        if self.unchecked.len() < MAX_UNCHECKED {
            self.unchecked.push(format!("{what}: {why}"));
        }
    }

    /// Everything was looked at, and there is no defect.
    pub fn is_healthy(&self) -> bool {
        self.count() == 0 && self.unchecked.is_empty()
    }

    /// What was found beside what a crash may leave without a broken promise.
    fn defects(&self) -> impl Iterator<Item = &Found> {
        let defects = self.findings.iter().filter(|(kind, _)| kind.severity() > Severity::Expected);
        defects.map(|(_, found)| found)
    }

    /// Defects.
    pub fn count(&self) -> u64 {
        self.defects().map(|found| found.count).sum()
    }

    /// Defects that are still there.
    pub fn left(&self) -> u64 {
        self.defects().map(|found| found.count - found.repaired).sum()
    }

    /// The worst that was found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.keys().map(|kind| kind.severity()).max()
    }
}
