//! Building an index from normalised sources. Memory holds the ids, a few words per record and one
//! sorting run; everything else streams through temporary files. The same sources give the same
//! bytes.

use super::stored::StoredRecord;
use super::table::TableWriter;
use super::{FORMAT, HEADER, MAGIC, Meta, SECTIONS};
use crate::codec::Writer;
use crate::error::{AdvisoryError, Result};
use crate::groups::{GroupData, Groups, Ids, encode_group};
use crate::range;
use crate::record::{Affected, Record};
use crate::segment::{Found, Identified, RecordIds, SegmentReader, Union};
use crate::severity::preferred;
use crate::sorter::Sorter;
use crate::version::Order;
use jiff::Timestamp;
use sealock_facts::{Coverage, EcosystemCoverage, Kev};
use sealock_oci::{Algorithm, Digest};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// One source of records.
pub(crate) struct BuildSource {
    pub(crate) name: String,
    /// Where its records are, the latest addition first; they are read twice.
    pub(crate) segments: Vec<PathBuf>,
    /// What it covers, as far as stated.
    pub(crate) coverage: BTreeMap<String, EcosystemCoverage>,
}

/// Sixteen bytes that change when what they stand for changes.
pub(super) type Mark = [u8; 16];

pub(super) fn mark(parts: &[&[u8]]) -> Mark {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut mark = [0; 16];
    mark.copy_from_slice(&hash.finalize()[..16]);
    mark
}

/// Builds an index into `folder` under a temporary name; gives its path and digest.
pub(crate) fn build(
    sources: &[BuildSource],
    kev: &BTreeMap<String, Kev>,
    folder: &Path,
) -> Result<(PathBuf, Digest)> {
    let mut ids = Ids::default();
    for item in union::<RecordIds>(sources)? {
        ids.join(&item?.record);
    }
    let groups = ids.into_groups();
    let mut builder = Builder {
        groups: &groups,
        facts: Sorter::new(folder),
        postings: Sorter::new(folder),
        records: TableWriter::new(folder)?,
        marks: Vec::new(),
        counts: BTreeMap::new(),
        by_source: sources.iter().map(|s| (s.name.clone(), 0)).collect(),
    };
    for item in union::<Record>(sources)? {
        let Found { record, source, holders } = item?;
        let source = sources[source].name.as_str();
        builder.record(&record, source, holders)?;
        if let Some(count) = builder.by_source.get_mut(source) {
            *count += 1;
        }
    }
    let Builder { facts, postings, records, marks, counts, by_source, .. } = builder;
    let (group_table, group_marks) = write_groups(facts, &groups, kev, folder)?;
    let keys = write_keys(postings, &marks, &group_marks, folder)?;
    let id_table = write_ids(&groups, folder)?;
    let meta = Meta {
        ecosystems: ecosystems(sources, &counts),
        sources: by_source,
        records: marks.len() as u64,
        base: None,
        free: (marks.len() as u32, groups.len() as u32),
    };
    assemble(&meta, [records, group_table, keys, id_table], folder)
}

fn union<T: Identified>(sources: &[BuildSource]) -> Result<Union<T>> {
    let mut segments = Vec::new();
    for (source, from) in sources.iter().enumerate() {
        for segment in &from.segments {
            segments.push((SegmentReader::open(segment)?, source));
        }
    }
    Union::new(segments)
}

struct Builder<'a> {
    groups: &'a Groups,
    /// Group number and record number to what the record tells of the group.
    facts: Sorter,
    /// Ecosystem, name and record number to the encoded entry.
    postings: Sorter,
    records: TableWriter,
    /// Per record: a mark of what findings take from it.
    marks: Vec<(Mark, Vec<u32>)>,
    counts: BTreeMap<String, u64>,
    by_source: BTreeMap<String, u64>,
}

impl Builder<'_> {
    fn record(&mut self, record: &Record, source: &str, holders: u64) -> Result<()> {
        let number = self.marks.len() as u32;
        let groups = self.groups.of_record(record);
        let stored = StoredRecord { groups, ..StoredRecord::new(record, source, holders) };
        self.records.push(&stored.encode())?;
        if let Some(group) = stored.tells() {
            let mut key = group.to_be_bytes().to_vec();
            key.extend_from_slice(&number.to_be_bytes());
            self.facts.push(key, GroupData::of(&stored).encode(&record.id))?;
        }
        self.marks.push((stored.mark(), stored.groups));
        for affected in &record.affected {
            let mut key = Writer::default();
            key.bytes.extend_from_slice(affected.ecosystem.as_bytes());
            key.byte(0);
            key.bytes.extend_from_slice(affected.name.as_bytes());
            key.byte(0);
            key.bytes.extend_from_slice(&number.to_be_bytes());
            self.postings.push(key.bytes, encode(affected, record))?;
        }
        for ecosystem in record.ecosystems() {
            *self.counts.entry(ecosystem.to_owned()).or_default() += 1;
        }
        Ok(())
    }
}

/// One entry as the matcher reads it: status, assessment, ranges, listed versions. Each part can be
/// passed over without being read.
pub(super) fn encode(affected: &Affected, record: &Record) -> Vec<u8> {
    let order = Order::of_ecosystem(&affected.ecosystem);
    let mut out = Writer::default();
    out.byte(affected.status.to_byte());
    let mut part = Writer::default();
    part.assessment(preferred(affected.severity.iter().chain(&record.severity)));
    out.blob(&part.bytes);
    let mut part = Writer::default();
    for range in &affected.ranges {
        let with = if range.semver { Some(Order::Semantic) } else { order };
        let Some(events) = with.and_then(|o| range::arrange(o, &range.events)) else { continue };
        part.byte(u8::from(range.semver));
        part.number(events.len() as u64);
        for (kind, version) in events {
            part.byte(kind.to_byte());
            part.text(version);
        }
    }
    out.blob(&part.bytes);
    let mut versions: Vec<&str> = affected.versions.iter().map(String::as_str).collect();
    match order {
        Some(order) => versions.sort_by(|a, b| order.compare(a, b).then_with(|| a.cmp(b))),
        None => versions.sort_unstable(),
    }
    // The last stands first: most versions asked about lie beyond it.
    if let Some(last) = versions.last() {
        out.text(last);
        for version in &versions {
            out.text(version);
        }
    }
    out.bytes
}

fn write_groups(
    facts: Sorter,
    groups: &Groups,
    kev: &BTreeMap<String, Kev>,
    folder: &Path,
) -> Result<(TableWriter, Vec<Mark>)> {
    let mut facts = facts.finish()?.peekable();
    let mut table = TableWriter::new(folder)?;
    let mut marks = Vec::with_capacity(groups.len());
    for number in 0..groups.len() as u32 {
        let prefix = number.to_be_bytes();
        let mut told = Vec::new();
        while let Some(item) = facts.next_if(|i| match i {
            Ok((key, _)) => key.starts_with(&prefix),
            Err(_) => true,
        }) {
            told.push(item?.1);
        }
        let entry = encode_group(groups.members(number), &told, kev);
        marks.push(mark(&[&entry]));
        table.push(&entry)?;
    }
    Ok((table, marks))
}

/// Collects the entries of one package, which come sorted by the record's id.
pub(super) struct OpenKey {
    key: Vec<u8>,
    entries: Vec<u8>,
    count: u64,
    hash: Sha256,
}

impl OpenKey {
    pub(super) fn new(key: Vec<u8>) -> Self {
        Self { key, entries: Vec::new(), count: 0, hash: Sha256::new() }
    }

    /// An entry of a record, with the marks of the record and of its groups.
    pub(super) fn add<'m>(
        &mut self,
        number: u32,
        entry: &[u8],
        record: &Mark,
        groups: impl Iterator<Item = &'m Mark>,
    ) {
        let mut out = Writer::default();
        out.number(u64::from(number));
        out.blob(entry);
        self.entries.extend_from_slice(&out.bytes);
        self.count += 1;
        self.hash.update(mark(&[entry, record]));
        // Which numbers groups have, and so their order, is of no meaning.
        let mut groups: Vec<&Mark> = groups.collect();
        groups.sort_unstable();
        groups.into_iter().for_each(|group| self.hash.update(group));
    }

    pub(super) fn close(self) -> Vec<u8> {
        let mut out = Writer::default();
        out.blob(&self.key);
        out.bytes.extend_from_slice(&self.hash.finalize()[..16]);
        out.number(self.count);
        out.bytes.extend_from_slice(&self.entries);
        out.bytes
    }
}

fn write_keys(
    postings: Sorter,
    records: &[(Mark, Vec<u32>)],
    group_marks: &[Mark],
    folder: &Path,
) -> Result<TableWriter> {
    let mut table = TableWriter::new(folder)?;
    let mut open: Option<OpenKey> = None;
    for item in postings.finish()? {
        let (mut key, entry) = item?;
        // The record's number stands at the end, after a zero.
        let tail = key.split_off(key.len().saturating_sub(5));
        let number = tail.get(1..).and_then(|t| t.try_into().ok()).map_or(0, u32::from_be_bytes);
        if open.as_ref().is_none_or(|o| o.key != key)
            && let Some(done) = open.replace(OpenKey::new(key))
        {
            table.push(&done.close())?;
        }
        let Some(current) = &mut open else { continue };
        let (record, groups) = &records[number as usize];
        current.add(number, &entry, record, groups.iter().map(|g| &group_marks[*g as usize]));
    }
    if let Some(done) = open {
        table.push(&done.close())?;
    }
    Ok(table)
}

fn write_ids(groups: &Groups, folder: &Path) -> Result<TableWriter> {
    let mut table = TableWriter::new(folder)?;
    for (id, numbers) in groups.ids() {
        table.push(&encode_id(id, numbers))?;
    }
    Ok(table)
}

pub(super) fn encode_id(id: &str, groups: &[u32]) -> Vec<u8> {
    let mut out = Writer::default();
    out.text(id);
    out.number(groups.len() as u64);
    for group in groups {
        out.number(u64::from(*group));
    }
    out.bytes
}

/// Joins what the sources state: the best coverage counts, with the date of the largest source that
/// gives it, for one fresh record says nothing of the age of the others. Where no order is known
/// ranges cannot be evaluated, so coverage is never full.
pub(super) fn ecosystems(
    sources: &[BuildSource],
    counts: &BTreeMap<String, u64>,
) -> BTreeMap<String, EcosystemCoverage> {
    let mut stated: HashMap<&str, (Coverage, u64, Option<Timestamp>)> = HashMap::new();
    for source in sources {
        for (ecosystem, of) in &source.coverage {
            let known = Order::of_ecosystem(ecosystem).is_some();
            let coverage = if known { of.coverage } else { of.coverage.min(Coverage::Partial) };
            let slot = stated.entry(ecosystem).or_insert((Coverage::None, 0, None));
            *slot = (*slot).max((coverage, of.records, of.data_date));
        }
    }
    stated
        .into_iter()
        .map(|(ecosystem, (coverage, _, data_date))| {
            let records = counts.get(ecosystem).copied().unwrap_or(0);
            (ecosystem.to_owned(), EcosystemCoverage { coverage, data_date, records })
        })
        .collect()
}

/// Writes and hashes in one pass.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes a file from its parts, under a temporary name; gives its path and digest.
pub(super) fn assemble(
    meta: &Meta,
    tables: [TableWriter; 4],
    folder: &Path,
) -> Result<(PathBuf, Digest)> {
    let meta = serde_json::to_vec(meta).map_err(|e| AdvisoryError::input("index", e))?;
    let path = folder.join("building.idx");
    let write = || -> io::Result<Digest> {
        let mut out = Hashing { inner: BufWriter::new(File::create(&path)?), hash: Sha256::new() };
        let mut lengths = vec![meta.len() as u64];
        lengths.extend(tables.iter().map(TableWriter::section_length));
        debug_assert_eq!(lengths.len(), SECTIONS);
        let total = HEADER as u64 + lengths.iter().sum::<u64>() + super::TRAILER as u64;
        out.write_all(&MAGIC)?;
        out.write_all(&FORMAT.to_le_bytes())?;
        out.write_all(&(SECTIONS as u32).to_le_bytes())?;
        out.write_all(&total.to_le_bytes())?;
        let mut offset = HEADER as u64;
        for length in lengths {
            out.write_all(&offset.to_le_bytes())?;
            out.write_all(&length.to_le_bytes())?;
            offset += length;
        }
        out.write_all(&meta)?;
        for table in tables {
            table.write_to(&mut out)?;
        }
        let trailer = out.hash.clone().finalize();
        out.write_all(&trailer)?;
        out.flush()?;
        let file = out.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Digest::from_hash(Algorithm::Sha256, &out.hash.finalize())
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    };
    let digest = write().map_err(AdvisoryError::file(&path))?;
    Ok((path, digest))
}
