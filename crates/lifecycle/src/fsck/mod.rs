//! `sealock fsck`: compares the files, the rows and the manifests of a stopped server with one
//! another, names every defect, and repairs what can be repaired from what is there.
//!
//! # What repair may do
//! Rows change before bytes go. Bytes go only when no row, link or manifest refers to their digest,
//! or when a verified copy of the same bytes stays. What is damaged is isolated, not deleted:
//! readers no longer see it, and a push of the same bytes replaces it. Nothing is moved out of the
//! store. Each repair is a small transaction, so a repair that was cut off is gone on with by the
//! next one, and a second run finds nothing more to repair.
//!
//! # How much memory it takes
//! Rows and files are two streams in the same order, and are merged: of the files one directory is
//! in memory at a time, of the rows one page.

mod advisories;
mod database;
mod facts;
mod files;
mod group;
mod kind;
mod links;
mod manifests;
mod permissions;
mod quotas;
mod records;
mod report;
mod uploads;

pub use kind::{Kind, Severity};
pub use report::{Checked, Example, Found, MAX_EXAMPLES, Outcome, Report};

use sealock_blobs::{BlobError, Disk, Inventory};
use sealock_metadata::{Database, Tx, fsck::blobs::Totals};
use sealock_oci::Digest;
use sealock_signing::MasterKey;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Rows read at a time.
const PAGE: u32 = 1_000;
/// Most digests that are remembered so that one defect is not counted twice.
const MAX_REMEMBERED: usize = 100_000;

/// How deeply to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Rows against rows, and rows against the names and lengths of files.
    Quick,
    /// Also what is stored in the database: manifests, facts, decisions.
    Normal,
    /// Also every byte of every blob.
    Bytes,
}

/// What to check: a data directory that no server uses, and its database.
pub struct Place {
    /// The data directory; paths in the report are below it.
    pub data_dir: PathBuf,
    /// The store below it.
    pub store: PathBuf,
    /// The advisory snapshots below it.
    pub advisories: PathBuf,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The database.
    pub database: Database,
    /// What the product's keys are sealed with, or why it is not to be had.
    pub master_key: Result<MasterKey, String>,
    /// Files and directories with secrets, below the data directory.
    pub secrets: Vec<PathBuf>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How deeply to look.
    pub depth: Depth,
    /// Repair what can be repaired.
    pub repair: bool,
}

/// Hears how far a check has come.
pub trait Progress: Send + Sync {
    /// Another part begins; `total` is how much there is of `unit` (`bytes`, `blobs`, …), 0 when
    /// that is not known.
    fn stage(&self, name: &'static str, total: u64, unit: &'static str);
    /// So much more of the part is done.
    fn advance(&self, by: u64);
}

/// Nobody listens.
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &'static str, _: u64, _: &'static str) {}
    fn advance(&self, _: u64) {}
}

/// Why a part of the check could not go on.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("{0}")]
    Database(#[from] sealock_metadata::Error),
    #[error("{0}")]
    Store(#[from] BlobError),
    #[error("{0}")]
    Registry(sealock_registry::Error),
    #[error("{0}")]
    Other(String),
}

impl From<sealock_registry::Error> for Stop {
    fn from(error: sealock_registry::Error) -> Self {
        match error.log() {
            Some(log) => Self::Other(log.to_owned()),
            None => Self::Registry(error),
        }
    }
}

type Step<T> = Result<T, Stop>;

/// Checks a place, and repairs it if asked to. It changes nothing that is right.
pub async fn check(place: &Place, options: Options, progress: &dyn Progress) -> Report {
    let mut check = Check {
        inventory: Inventory::new(&place.data_dir.join(&place.store), place.disk.clone()),
        place,
        options,
        progress,
        report: Report::new(options.depth, options.repair),
        totals: Totals::default(),
        misplaced: HashSet::new(),
        revivable: HashSet::new(),
        other_size: HashSet::new(),
        other_chain: HashSet::new(),
    };
    check.run().await;
    check.report
}

struct Check<'a> {
    place: &'a Place,
    options: Options,
    progress: &'a dyn Progress,
    inventory: Inventory,
    report: Report,
    totals: Totals,
    /// Keys whose files lie elsewhere: their rows are not reported a second time.
    misplaced: HashSet<sealock_blobs::BlobKey>,
    /// Digests that have lost their row but not their file.
    revivable: HashSet<Digest>,
    /// Digests whose rows state a wrong size.
    other_size: HashSet<String>,
    /// Numbers of manifests whose rows state the wrong layers.
    other_chain: HashSet<i64>,
}

/// Runs one part after another; what stops a part is noted, and the next one begins.
macro_rules! parts {
    ($check:ident: $($name:literal => $part:ident,)+) => {$(
        if let Err(stop) = $check.$part().await {
            $check.report.not_checked($name, stop);
        }
    )+};
}

impl Check<'_> {
    async fn run(&mut self) {
        // In this order each part finds what the ones before have put right.
        parts!(self:
            "database" => database,
            "stored files" => files,
            "uploads" => uploads,
            "manifests" => manifests,
            "links" => links,
            "tags" => tags,
            "quotas" => quotas,
            "what layers hold" => layer_facts,
            "what images hold" => image_facts,
            "evidence" => evidence,
            "verdicts" => verdicts,
            "decisions" => decisions,
            "jobs" => jobs,
            "keys" => keys,
            "advisories" => advisories,
            "permissions" => permissions,
        );
    }

    fn quick(&self) -> bool {
        self.options.depth == Depth::Quick
    }

    fn repair(&self) -> bool {
        self.options.repair
    }

    async fn read(&self) -> Step<Tx> {
        Ok(self.place.database.read().await?)
    }

    async fn write(&self) -> Step<Tx> {
        Ok(self.place.database.write().await?)
    }

    /// A path in the store, as the report names it.
    fn in_store(&self, path: &Path) -> PathBuf {
        self.place.store.join(path)
    }

    /// What became of a defect, from what its repair said: false when there was nothing to repair
    /// after all.
    fn outcome(&self, mended: Step<bool>) -> Outcome {
        match mended {
            Ok(true) => Outcome::Repaired,
            Ok(false) => Outcome::Left("it is not as it was found; check again".to_owned()),
            Err(stop) => Outcome::Left(stop.to_string()),
        }
    }

    /// Notes a defect that nothing here can repair.
    fn note(&mut self, kind: Kind, bytes: u64, mut example: Example) {
        if self.repair() {
            example.outcome = Outcome::Left("only a person can repair it".to_owned());
        }
        self.report.add(kind, bytes, example);
    }
}

/// Puts something into a set of limited size.
fn remember<T: Eq + std::hash::Hash>(set: &mut HashSet<T>, value: T) {
    if set.len() < MAX_REMEMBERED {
        set.insert(value);
    }
}
