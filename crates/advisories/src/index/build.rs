//! Building an index from normalised sources. Memory holds the ids, a few words per record and one
//! sorting run; everything else streams through temporary files. The same sources give the same
//! bytes.

use super::table::TableWriter;
use super::{FORMAT, HEADER, MAGIC, Meta, SECTIONS};
use crate::codec::Writer;
use crate::ecosystem::is_distribution;
use crate::error::{AdvisoryError, Result};
use crate::groups::{GroupData, Groups, Ids};
use crate::range;
use crate::record::{Affected, Record};
use crate::segment::{Identified, RecordIds, SegmentReader, Union};
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
    /// Where its records are; they are read twice.
    pub(crate) segment: PathBuf,
    /// Coverage and data date per ecosystem, as far as stated.
    pub(crate) coverage: BTreeMap<String, (Coverage, Option<Timestamp>)>,
}

/// Sixteen bytes that change when what they stand for changes.
type Mark = [u8; 16];

fn mark(parts: &[&[u8]]) -> Mark {
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
        ids.join(&item?.0);
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
        let (record, source) = item?;
        builder.record(&record)?;
        if let Some(count) = builder.by_source.get_mut(&sources[source].name) {
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
    };
    let meta = serde_json::to_vec(&meta).map_err(|e| AdvisoryError::input("index", e))?;
    assemble(&meta, [records, group_table, keys, id_table], folder)
}

fn union<T: Identified>(sources: &[BuildSource]) -> Result<Union<T>> {
    Union::new(sources.iter().map(|s| SegmentReader::open(&s.segment)).collect::<Result<_>>()?)
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
    fn record(&mut self, record: &Record) -> Result<()> {
        let number = self.marks.len() as u32;
        let groups = self.groups.of_record(record);
        let mut out = Writer::default();
        out.text(&record.id);
        out.time(record.published);
        out.time(record.withdrawn);
        out.text(&record.summary);
        out.number(groups.len() as u64);
        for group in &groups {
            out.number(u64::from(*group));
        }
        self.records.push(&out.bytes)?;
        let head = [record.published, record.withdrawn].map(|t| t.map(|t| t.as_microsecond()));
        let head = format!("{head:?}");
        let text = [record.id.as_bytes(), head.as_bytes(), record.summary.as_bytes()];
        self.marks.push((mark(&text), groups.clone()));
        self.tell_groups(record, number, &groups)?;
        let mut named: Vec<&str> = Vec::new();
        for affected in &record.affected {
            if !named.contains(&affected.ecosystem.as_str()) {
                named.push(&affected.ecosystem);
            }
            let mut key = Writer::default();
            key.bytes.extend_from_slice(affected.ecosystem.as_bytes());
            key.byte(0);
            key.bytes.extend_from_slice(affected.name.as_bytes());
            key.byte(0);
            key.bytes.extend_from_slice(&number.to_be_bytes());
            self.postings.push(key.bytes, encode(affected, record))?;
        }
        for ecosystem in named {
            *self.counts.entry(ecosystem.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    /// What the record tells of its groups: a record about several vulnerabilities tells nothing of
    /// each, and a distribution's own word holds for its packages only.
    fn tell_groups(&mut self, record: &Record, number: u32, groups: &[u32]) -> Result<()> {
        let [group] = groups else { return Ok(()) };
        if record.withdrawn.is_some() {
            return Ok(());
        }
        let own = record.upstream.is_empty();
        let distribution = record.affected.iter().any(|a| is_distribution(&a.ecosystem));
        let statements = record
            .severity
            .iter()
            .chain(record.affected.iter().flat_map(|a| &a.severity))
            .filter(|a| !distribution || a.is_scored());
        let data = GroupData {
            published: record.published,
            assessment: preferred(statements).cloned(),
            summary: if own && !distribution { &record.summary } else { "" },
        };
        let mut key = group.to_be_bytes().to_vec();
        key.extend_from_slice(&number.to_be_bytes());
        self.facts.push(key, data.encode(&record.id))
    }
}

/// One entry as the matcher reads it: status, assessment, ranges, listed versions. Each part can be
/// passed over without being read.
fn encode(affected: &Affected, record: &Record) -> Vec<u8> {
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
        let entry = groups.encode(number, &told, kev);
        marks.push(mark(&[&entry]));
        table.push(&entry)?;
    }
    Ok((table, marks))
}

/// Collects the entries of one package.
struct OpenKey {
    key: Vec<u8>,
    entries: Vec<u8>,
    count: u64,
    hash: Sha256,
}

impl OpenKey {
    fn close(self, table: &mut TableWriter) -> Result<()> {
        let mut out = Writer::default();
        out.blob(&self.key);
        out.bytes.extend_from_slice(&self.hash.finalize()[..16]);
        out.number(self.count);
        out.bytes.extend_from_slice(&self.entries);
        table.push(&out.bytes)
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
        if open.as_ref().is_none_or(|o| o.key != key) {
            let fresh = OpenKey { key, entries: Vec::new(), count: 0, hash: Sha256::new() };
            if let Some(done) = open.replace(fresh) {
                done.close(&mut table)?;
            }
        }
        let Some(current) = &mut open else { continue };
        let mut out = Writer::default();
        out.number(u64::from(number));
        out.blob(&entry);
        current.entries.extend_from_slice(&out.bytes);
        current.count += 1;
        let (record_mark, record_groups) = &records[number as usize];
        current.hash.update(mark(&[&entry, record_mark]));
        for group in record_groups {
            current.hash.update(group_marks[*group as usize]);
        }
    }
    if let Some(done) = open {
        done.close(&mut table)?;
    }
    Ok(table)
}

fn write_ids(groups: &Groups, folder: &Path) -> Result<TableWriter> {
    let mut table = TableWriter::new(folder)?;
    for (id, numbers) in groups.ids() {
        let mut out = Writer::default();
        out.text(id);
        out.number(numbers.len() as u64);
        for number in numbers {
            out.number(u64::from(*number));
        }
        table.push(&out.bytes)?;
    }
    Ok(table)
}

/// Joins what the sources state: the best coverage counts, with the newest date among those who
/// give it. Where no order is known ranges cannot be evaluated, so coverage is never full.
fn ecosystems(
    sources: &[BuildSource],
    counts: &BTreeMap<String, u64>,
) -> BTreeMap<String, EcosystemCoverage> {
    let mut stated: HashMap<&str, (Coverage, Option<Timestamp>)> = HashMap::new();
    for source in sources {
        for (ecosystem, (coverage, date)) in &source.coverage {
            let known = Order::of_ecosystem(ecosystem).is_some();
            let coverage = if known { *coverage } else { (*coverage).min(Coverage::Partial) };
            let slot = stated.entry(ecosystem).or_insert((Coverage::None, None));
            *slot = (*slot).max((coverage, *date));
        }
    }
    stated
        .into_iter()
        .map(|(ecosystem, (coverage, data_date))| {
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

fn assemble(meta: &[u8], tables: [TableWriter; 4], folder: &Path) -> Result<(PathBuf, Digest)> {
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
        out.write_all(meta)?;
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
