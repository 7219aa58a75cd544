use super::ImportLimits;
use crate::ecosystem::is_known;
use crate::error::{AdvisoryError, Result};
use crate::osv::parse_record;
use crate::range;
use crate::record::Record;
use crate::segment::SegmentWriter;
use crate::sorter::Sorter;
use crate::version::Order;
use jiff::Timestamp;
use sealock_facts::Kev;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most skipped inputs that are named one by one.
const MAX_EXAMPLES: usize = 20;
/// Most KEV entries.
const MAX_KEV: usize = 200_000;

/// What an import found of one ecosystem.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EcosystemCount {
    /// Records that name a package of it.
    pub records: u64,
    /// The newest `modified` among them, never later than the import.
    pub newest: Option<Timestamp>,
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// File, and line or entry.
    pub origin: String,
    /// Stable code.
    pub code: String,
    /// For a person.
    pub detail: String,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// The server that the source is fetched from has nothing newer than what was imported last:
    /// nothing was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchanged: bool,
    /// Distinct records kept.
    pub records: u64,
    /// Records given up because a newer one with the same id exists.
    pub duplicates: u64,
    /// Records that are withdrawn; they are kept and match nothing.
    pub withdrawn: u64,
    /// KEV entries.
    pub kev: u64,
    /// Per ecosystem that the OSV schema defines.
    pub ecosystems: BTreeMap<String, EcosystemCount>,
    /// Records that name an ecosystem nobody knows: kept, not matched.
    pub unknown_ecosystems: BTreeMap<String, u64>,
    /// Ecosystems whose order of versions is unknown here: only explicit version lists match.
    pub unordered_ecosystems: BTreeMap<String, u64>,
    /// Ranges that name something that is no version; they match nothing.
    pub unreadable_ranges: u64,
    /// What was left out, counted by code.
    pub skipped: BTreeMap<String, u64>,
    /// The first of them.
    pub examples: Vec<Skipped>,
}

/// Takes records in, bounded and sorted.
pub(crate) struct Collector {
    pub(crate) limits: ImportLimits,
    pub(crate) report: ImportReport,
    /// For what must lie on disk for a while.
    pub(crate) folder: PathBuf,
    sorter: Sorter,
    kev: BTreeMap<String, Kev>,
    bytes: u64,
    taken: u64,
}

/// What a source holds.
pub(crate) struct Collected {
    pub(crate) report: ImportReport,
    pub(crate) kev: BTreeMap<String, Kev>,
}

impl Collector {
    pub(crate) fn new(folder: &Path, limits: ImportLimits) -> Self {
        Self {
            limits,
            report: ImportReport::default(),
            folder: folder.to_owned(),
            sorter: Sorter::new(folder),
            kev: BTreeMap::new(),
            bytes: 0,
            taken: 0,
        }
    }

    /// What may still be read or decompressed, in bytes.
    pub(crate) fn room(&self) -> u64 {
        self.limits.total_bytes.saturating_sub(self.bytes)
    }

    /// Counts bytes that were read or decompressed.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.total_bytes {
            return Err(AdvisoryError::Limit {
                what: "the size of all records".to_owned(),
                limit: format!("{} bytes", self.limits.total_bytes),
            });
        }
        Ok(())
    }

    pub(crate) fn skip(&mut self, origin: &str, code: &str, detail: impl std::fmt::Display) {
        *self.report.skipped.entry(code.to_owned()).or_default() += 1;
        if self.report.examples.len() < MAX_EXAMPLES {
            let mut detail = detail.to_string();
            if let Some((end, _)) = detail.char_indices().nth(300) {
                detail.truncate(end);
            }
            let (origin, code) = (origin.to_owned(), code.to_owned());
            self.report.examples.push(Skipped { origin, code, detail });
        }
    }

    /// One OSV record as bytes, which the caller has charged.
    pub(crate) fn osv(&mut self, origin: &str, json: &[u8]) -> Result<()> {
        if json.len() as u64 > self.limits.record_bytes {
            let limit = self.limits.record_bytes;
            self.skip(origin, "record_too_large", format!("more than {limit} bytes"));
            return Ok(());
        }
        match parse_record(json) {
            Ok(record) => self.record(&record),
            Err(e) => {
                self.skip(origin, e.code, e.detail);
                Ok(())
            }
        }
    }

    /// One record.
    pub(crate) fn record(&mut self, record: &Record) -> Result<()> {
        self.taken += 1;
        if self.taken > self.limits.records {
            return Err(AdvisoryError::Limit {
                what: "the number of records".to_owned(),
                limit: self.limits.records.to_string(),
            });
        }
        let mut key = record.id.clone().into_bytes();
        key.push(0);
        // Newest first.
        let modified = record.modified.map_or(i64::MIN, Timestamp::as_microsecond);
        let age = u64::MAX - (modified as u64 ^ (1 << 63));
        key.extend_from_slice(&age.to_be_bytes());
        // Of equally new ones the one that came last.
        key.extend_from_slice(&(u64::MAX - self.taken).to_be_bytes());
        let json = serde_json::to_vec(record).map_err(|e| AdvisoryError::input(&record.id, e))?;
        self.sorter.push(key, json)
    }

    /// One entry of the catalogue of known exploited vulnerabilities.
    pub(crate) fn kev(&mut self, id: String, kev: Kev) -> Result<()> {
        if self.kev.len() >= MAX_KEV {
            return Err(AdvisoryError::Limit {
                what: "the number of known exploited vulnerabilities".to_owned(),
                limit: MAX_KEV.to_string(),
            });
        }
        let slot = self.kev.entry(id).or_insert_with(|| kev.clone());
        *slot = kev.min(slot.clone());
        Ok(())
    }

    /// Writes the segment and gives the report. Dates later than `now` count as `now`.
    pub(crate) fn finish(self, segment: &Path, now: Timestamp) -> Result<Collected> {
        let Self { mut report, sorter, kev, .. } = self;
        let mut writer = SegmentWriter::create(segment)?;
        let mut last: Option<Vec<u8>> = None;
        for item in sorter.finish()? {
            let (mut key, json) = item?;
            key.truncate(key.len().saturating_sub(17));
            if last.as_ref() == Some(&key) {
                report.duplicates += 1;
                continue;
            }
            let record: Record = serde_json::from_slice(&json)
                .map_err(|e| AdvisoryError::input(String::from_utf8_lossy(&key), e))?;
            report.count(&record, now);
            writer.write(&json)?;
            last = Some(key);
        }
        writer.finish()?;
        report.kev = kev.len() as u64;
        Ok(Collected { report, kev })
    }
}

impl ImportReport {
    fn count(&mut self, record: &Record, now: Timestamp) {
        self.records += 1;
        self.withdrawn += u64::from(record.withdrawn.is_some());
        let modified = record.modified.map(|m| m.min(now));
        let mut named: Vec<&str> = Vec::new();
        for affected in &record.affected {
            let order = Order::of_ecosystem(&affected.ecosystem);
            for range in &affected.ranges {
                let with = if range.semver { Some(Order::Semantic) } else { order };
                let broken = with.is_some_and(|o| range::arrange(o, &range.events).is_none());
                self.unreadable_ranges += u64::from(broken);
            }
            let ecosystem = affected.ecosystem.as_str();
            if named.contains(&ecosystem) {
                continue;
            }
            named.push(ecosystem);
            if !is_known(ecosystem) {
                *self.unknown_ecosystems.entry(ecosystem.to_owned()).or_default() += 1;
                continue;
            }
            if order.is_none() {
                *self.unordered_ecosystems.entry(ecosystem.to_owned()).or_default() += 1;
            }
            let count = self.ecosystems.entry(ecosystem.to_owned()).or_default();
            count.records += 1;
            count.newest = count.newest.max(modified);
        }
    }
}
