//! Imports of few records on top of many.

use super::{
    ImportMode, ImportRequest, Manifest, SnapshotStore, Source, built_at, json, refuse_shrinking,
    write_atomically,
};
use crate::coverage::covered;
use crate::error::Result;
use crate::import::ImportReport;
use crate::index::{Change, Changes, Index, change};
use crate::record::Record;
use crate::segment::SegmentReader;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Most records of a small import, and of a source that it replaces.
const MAX_RECORDS: u64 = 1_000;
/// Most additions to one source before it is written as one file again.
const MAX_ADDED: usize = 32;
/// Largest file of changes that more are laid upon, in bytes.
const MAX_BYTES: u64 = 8 << 20;

/// An import that can be made by changing the snapshot that there is.
pub(super) struct Small<'a> {
    request: &'a ImportRequest,
    report: &'a ImportReport,
    segment: &'a Path,
    records: Vec<Record>,
    /// The ids that change: which of the records counts from now on (none: no record any more), and
    /// how many sources have one.
    list: Vec<(String, Option<usize>, u64)>,
    /// Per ecosystem: how many records the source did not have before, and the newest that counts.
    gained: BTreeMap<String, (u64, Option<Timestamp>)>,
    /// Records of the source afterwards.
    total: u64,
}

/// Sees whether an import is small: few records, and for each of them it is plain from the snapshot
/// alone which source's record counts afterwards. `None` means that everything must be built.
pub(super) fn prepare<'a>(
    store: &SnapshotStore,
    request: &'a ImportRequest,
    manifest: &Manifest,
    previous: &Index,
    report: &'a ImportReport,
    segment: &'a Path,
) -> Result<Option<Small<'a>>> {
    let old = manifest.sources.get(&request.source);
    let adds_to = old.filter(|_| request.mode == ImportMode::Add);
    let replaces = old.filter(|_| request.mode == ImportMode::Replace);
    let few = report.records <= MAX_RECORDS && previous.records() >= store.whole_below;
    let light = replaces
        .is_none_or(|old| old.records <= MAX_RECORDS && old.added.is_empty() && old.kev.is_none());
    let room = adds_to.is_none_or(|old| old.added.len() < MAX_ADDED)
        && previous.changes_length() <= MAX_BYTES;
    if !(few && light && room) {
        return Ok(None);
    }
    let mut before: BTreeMap<String, Record> = BTreeMap::new();
    if let Some(old) = replaces {
        let list = read(&store.folder.join("sources").join(&old.segment))?;
        before.extend(list.into_iter().map(|record| (record.id.clone(), record)));
    }
    let mut small = Small {
        request,
        report,
        segment,
        records: read(segment)?,
        list: Vec::new(),
        gained: BTreeMap::new(),
        total: adds_to.map_or(report.records, |old| old.records),
    };
    for at in 0..small.records.len() {
        let record = &small.records[at];
        let held = before.remove(&record.id);
        if held.as_ref() == Some(record) {
            continue;
        }
        let outcome = judge(previous, request, record)?;
        let id = record.id.clone();
        let (holders, new) = match outcome {
            Outcome::Unclear => return Ok(None),
            Outcome::Older => continue,
            Outcome::Counts(holders) => (holders, false),
            Outcome::New(holders) => (holders, true),
        };
        small.list.push((id, Some(at), holders));
        small.total += u64::from(new && adds_to.is_some());
        for ecosystem in record.ecosystems() {
            let gained = small.gained.entry(ecosystem.to_owned()).or_default();
            *gained = (gained.0 + u64::from(new), gained.1.max(record.modified));
        }
    }
    for id in before.into_keys() {
        match previous.holding(&id)? {
            Some(now) if now.source == request.source && now.holders == 1 => {
                small.list.push((id, None, 0));
            }
            // Which record would count instead, only the other sources know.
            _ => return Ok(None),
        }
    }
    Ok(Some(small))
}

enum Outcome {
    /// It counts; the source had one before. With the number of sources that have one.
    Counts(u64),
    /// It counts; the source had none.
    New(u64),
    /// The source has a newer one.
    Older,
    Unclear,
}

fn judge(previous: &Index, request: &ImportRequest, record: &Record) -> Result<Outcome> {
    let Some(now) = previous.holding(&record.id)? else { return Ok(Outcome::New(1)) };
    if now.holders != 1 {
        return Ok(Outcome::Unclear);
    }
    let newer = record.modified.cmp(&now.modified);
    Ok(if now.source == request.source {
        match request.mode {
            ImportMode::Add if newer.is_lt() => Outcome::Older,
            // What the source covers must be counted anew.
            ImportMode::Add if !record.ecosystems().into_iter().eq(&now.ecosystems) => {
                Outcome::Unclear
            }
            _ => Outcome::Counts(1),
        }
    } else if newer.is_gt() || (newer.is_eq() && request.source < now.source) {
        Outcome::New(2)
    } else {
        Outcome::Unclear
    })
}

fn read(segment: &Path) -> Result<Vec<Record>> {
    SegmentReader::<Record>::open(segment)?.collect()
}

impl Small<'_> {
    /// Writes what changes, checks it and swaps it in.
    pub(super) fn publish(
        self,
        store: &SnapshotStore,
        mut manifest: Manifest,
        previous: &Arc<Index>,
        now: Timestamp,
    ) -> Result<Arc<Index>> {
        let name = store.keep(self.segment, &self.request.source, "jsonl.zst")?;
        let old = manifest.sources.remove(&self.request.source);
        let source = self.source(old, name, now);
        manifest.sources.insert(self.request.source.clone(), source);
        let (sources, kev) = store.build_sources(&manifest)?;
        let change_of = |(id, record, holders): &(String, Option<usize>, u64)| Change {
            id: id.clone(),
            record: record.and_then(|at| self.records.get(at)),
            source: &self.request.source,
            holders: *holders,
        };
        let list: Vec<Change<'_>> = self.list.iter().map(change_of).collect();
        let work = store.work_folder()?;
        let changes = Changes { list: &list, kev, sources: &sources };
        let (built, digest) = change(previous, &changes, work.path())?;
        let base = previous.base_digest().unwrap_or_else(|| previous.digest());
        let home = store.index_path(&base.hex());
        let candidate = Index::open_beside(&built, &home, Some(previous))?;
        if !self.request.force {
            refuse_shrinking(previous, &candidate)?;
        }
        if list.is_empty() && candidate.says_the_same(previous) {
            let path = store.index_path(&previous.digest().hex());
            manifest.base = previous.base_digest().map(sealock_oci::Digest::hex);
            manifest.built_at = built_at(&path).unwrap_or(now);
            write_atomically(&path.with_extension("json"), &json(&manifest)?)?;
            return Ok(previous.clone());
        }
        drop(candidate);
        manifest.base = Some(base.hex());
        store.put_in_force(&built, &digest, manifest)
    }

    /// The source as it is afterwards.
    fn source(&self, old: Option<Source>, name: String, now: Timestamp) -> Source {
        let statement = &self.request.coverage;
        let Some(mut source) = old.filter(|_| self.request.mode == ImportMode::Add) else {
            return Source {
                segment: name,
                added: Vec::new(),
                kev: None,
                imported_at: now,
                records: self.total,
                ecosystems: covered(statement, self.report, BTreeMap::new()),
                fetched: super::fetched(self.request),
            };
        };
        let mut report = self.report.clone();
        // All that it covers is counted: what an import does not name stays as it was.
        for (ecosystem, before) in &source.ecosystems {
            if before.records > 0 {
                report.ecosystems.entry(ecosystem.clone()).or_default();
            }
        }
        report.ecosystems.retain(|ecosystem, _| {
            self.gained.contains_key(ecosystem) || source.ecosystems.contains_key(ecosystem)
        });
        for (ecosystem, count) in &mut report.ecosystems {
            let before = source.ecosystems.get(ecosystem);
            let (added, newest) = self.gained.get(ecosystem).copied().unwrap_or_default();
            count.records = before.map_or(0, |before| before.records) + added;
            count.newest = newest.map(|at| at.min(now)).max(before.and_then(|b| b.data_date));
        }
        source.ecosystems = covered(statement, &report, source.ecosystems);
        source.records = self.total;
        source.imported_at = now;
        source.fetched.clear();
        if source.segment != name && !source.added.contains(&name) {
            source.added.push(name);
        }
        source
    }
}

#[cfg(test)]
#[path = "small_tests.rs"]
mod tests;
