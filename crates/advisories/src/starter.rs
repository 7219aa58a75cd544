//! The starter set: some dozens of well-known vulnerabilities, written for this product from public
//! facts, so that it finds something on a machine that has nothing else. Its coverage is partial.

use crate::error::Result;
use crate::import::{Collector, ImportLimits};
use crate::index::Index;
use crate::store::{CoverageStatement, index_of};
use jiff::Timestamp;

/// OSV records, one a line.
const RECORDS: &str = include_str!("../starter/records.jsonl");

pub(crate) fn lines() -> impl Iterator<Item = (usize, &'static str)> {
    let full = |(_, line): &(usize, &str)| !line.trim().is_empty();
    RECORDS.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(full)
}

pub(crate) fn records() -> usize {
    lines().count()
}

/// The records of the starter set, OSV JSON each.
pub fn starter_records() -> impl Iterator<Item = &'static str> {
    lines().map(|(_, line)| line)
}

/// An index of the starter set, in memory.
pub fn starter_index(now: Timestamp) -> Result<Index> {
    let work = tempfile::tempdir().map_err(crate::AdvisoryError::file("."))?;
    let mut collector = Collector::new(work.path(), ImportLimits::default());
    for (at, line) in lines() {
        collector.osv(&format!("starter:{at}"), line.as_bytes())?;
    }
    index_of(collector, &CoverageStatement::default(), work.path(), now)
}
