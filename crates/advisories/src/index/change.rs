//! A small change to an index: a file that holds what is other than in its base, and nothing else.
//!
//! What a record touches is found by looking through the mapped index, not by reading sources: the
//! groups that have one of its ids, the records in these groups, and the packages that they name.
//! The outcome answers as an index does that was built from everything.

use super::build::{BuildSource, Mark, OpenKey, assemble, ecosystems, encode, encode_id, mark};
use super::part::{Part, split_number};
use super::read::{Index, key_blob};
use super::stored::{StoredRecord, record_mark};
use super::table::TableWriter;
use super::{GROUPS, IDS, KEYS, Meta, RECORDS};
use crate::codec::{Corrupt, Read, Reader};
use crate::error::Result;
use crate::groups::{GroupData, Joined, encode_group, encoded_members};
use crate::record::Record;
use sealock_facts::Kev;
use sealock_oci::Digest;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// What happens to the record of an id.
pub(crate) struct Change<'a> {
    pub(crate) id: String,
    /// The record that counts from now on; none when no source has one any more.
    pub(crate) record: Option<&'a Record>,
    /// Whose it is.
    pub(crate) source: &'a str,
    /// How many sources have one.
    pub(crate) holders: u64,
}

/// All that happens at once.
#[derive(Default)]
pub(crate) struct Changes<'a> {
    /// Each id at most once.
    pub(crate) list: &'a [Change<'a>],
    pub(crate) kev: BTreeMap<String, Kev>,
    /// Every source, for coverage; their segments are not read.
    pub(crate) sources: &'a [BuildSource],
}

/// Writes the changes into `folder` under a temporary name; gives the file's path and digest.
pub(crate) fn change(
    view: &Index,
    changes: &Changes<'_>,
    folder: &Path,
) -> Result<(PathBuf, Digest)> {
    let work = || -> Read<(Tables, Meta)> {
        let mut work = Work::begin(view, changes)?;
        work.regroup();
        work.write_groups()?;
        work.write_packages()?;
        work.finish()
    };
    let (tables, meta) = view.sound(work())?;
    let [records, groups, keys, ids] = [(); 4].map(|()| TableWriter::new(folder));
    let mut out = [records?, groups?, keys?, ids?];
    for (table, entries) in out.iter_mut().zip(&tables) {
        entries.values().try_for_each(|entry| table.push(entry))?;
    }
    assemble(&meta, out, folder)
}

/// The four tables as they will be, by what they are sorted by.
type Tables = [BTreeMap<Vec<u8>, Vec<u8>>; 4];

fn numbered(number: u32, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let key = number.to_be_bytes().to_vec();
    let entry = [&key[..], bytes].concat();
    (key, entry)
}

/// What an earlier change has in its tables.
fn earlier(changes: Option<&Part>) -> Read<Tables> {
    let mut tables = Tables::default();
    let Some(part) = changes else { return Ok(tables) };
    for (section, into) in [RECORDS, GROUPS, KEYS, IDS].into_iter().zip(&mut tables) {
        let table = part.table(section)?;
        for at in 0..table.len() {
            let entry = table.get(at)?;
            let key = match section {
                KEYS | IDS => Reader::new(entry).blob()?,
                _ => &entry[..entry.len() - split_number(entry)?.1.len()],
            };
            into.insert(key.to_vec(), entry.to_vec());
        }
    }
    Ok(tables)
}

struct Work<'a> {
    view: &'a Index,
    changes: &'a Changes<'a>,
    /// Records that are new, changed, or in a group that is touched. Those that go are none.
    records: BTreeMap<u32, Option<StoredRecord>>,
    /// Numbers of those that are new, changed or go, with what is to be.
    changed: BTreeMap<u32, &'a Change<'a>>,
    /// Of these, what was before.
    before: Vec<StoredRecord>,
    /// Groups that have an id that a changed record names or named.
    touched: BTreeSet<u32>,
    /// The ids of these groups and of the changed records, with the group that they were in.
    members: BTreeMap<String, Option<u32>>,
    /// The groups as they are to be.
    groups: BTreeMap<u32, Vec<String>>,
    /// Those that read otherwise than before.
    altered: BTreeMap<u32, Vec<u8>>,
    /// Records whose packages must be written again.
    restless: BTreeSet<u32>,
    free: (u32, u32),
    tables: Tables,
}

impl<'a> Work<'a> {
    /// Finds what is touched.
    fn begin(view: &'a Index, changes: &'a Changes<'a>) -> Read<Self> {
        let meta = view.meta();
        let mut work = Self {
            view,
            changes,
            records: BTreeMap::new(),
            changed: BTreeMap::new(),
            before: Vec::new(),
            touched: BTreeSet::new(),
            members: BTreeMap::new(),
            groups: BTreeMap::new(),
            altered: BTreeMap::new(),
            restless: BTreeSet::new(),
            free: meta.free,
            tables: earlier(view.changes())?,
        };
        let mut fresh = Vec::new();
        for change in changes.list {
            let number = match view.number_of(&change.id)? {
                Some(number) => number,
                None if change.record.is_none() => continue,
                None => {
                    work.free.0 = work.free.0.checked_add(1).ok_or(Corrupt)?;
                    work.free.0 - 1
                }
            };
            if number < meta.free.0
                && let Some(old) = view.stored(number)?
            {
                work.members.extend(old.ids().map(|id| (id.clone(), None)));
                work.before.push(old);
            }
            if let Some(record) = change.record {
                let new = StoredRecord::new(record, change.source, change.holders);
                work.members.extend(new.ids().map(|id| (id.clone(), None)));
                fresh.push((number, new));
            }
            work.changed.insert(number, change);
        }
        work.find_groups()?;
        work.find_records()?;
        for number in work.changed.keys() {
            work.records.insert(*number, None);
        }
        work.records.extend(fresh.into_iter().map(|(number, new)| (number, Some(new))));
        Ok(work)
    }

    fn find_groups(&mut self) -> Read<()> {
        let named: HashSet<String> = self.members.keys().cloned().collect();
        for number in 0..self.view.meta().free.1 {
            let members = encoded_members(self.view.numbered(GROUPS, number)?)?;
            if members.iter().any(|id| named.contains(*id)) {
                self.touched.insert(number);
                self.members.extend(members.iter().map(|id| ((*id).to_owned(), Some(number))));
            }
        }
        Ok(())
    }

    fn find_records(&mut self) -> Read<()> {
        for number in 0..self.view.meta().free.0 {
            let bytes = self.view.numbered(RECORDS, number)?;
            if bytes.is_empty() {
                continue;
            }
            let record = super::RecordBlob::read(bytes)?;
            let inside = record.groups.iter().any(|group| self.touched.contains(group));
            if inside || self.members.contains_key(record.id) {
                self.records.insert(number, Some(StoredRecord::decode(bytes)?));
            }
        }
        Ok(())
    }

    /// Joins the touched ids anew and names each record's groups.
    fn regroup(&mut self) {
        let mut joined = Joined::default();
        for record in self.records.values().flatten() {
            if self.members.contains_key(&record.id) {
                joined.mention(&record.id);
                for alias in record.standing_aliases() {
                    joined.join(&record.id, alias);
                }
            }
            for id in record.standing_upstream().iter().filter(|id| self.members.contains_key(*id))
            {
                joined.mention(id);
            }
        }
        let mut unused = self.touched.clone();
        let mut group_of: HashMap<&str, u32> = HashMap::new();
        let sets = joined.sets();
        for set in &sets {
            let old = set.iter().filter_map(|id| self.members.get(*id).copied().flatten());
            let number = match old.into_iter().find(|group| unused.remove(group)) {
                Some(number) => number,
                None => {
                    self.free.1 += 1;
                    self.free.1 - 1
                }
            };
            group_of.extend(set.iter().map(|id| (*id, number)));
            self.groups.insert(number, set.iter().map(|id| (*id).to_owned()).collect());
        }
        // What has no member any more is empty, and found by nothing.
        self.groups.extend(unused.into_iter().map(|group| (group, Vec::new())));
        let mut named: Vec<(u32, Vec<u32>)> = Vec::new();
        for (number, record) in &self.records {
            let Some(record) = record else { continue };
            let standing = record.standing_upstream();
            let own = std::slice::from_ref(&record.id);
            let ids = if standing.is_empty() { own } else { standing };
            let stay = record.groups.iter().filter(|group| !self.touched.contains(group));
            let found = ids.iter().filter_map(|id| group_of.get(id.as_str()));
            let groups: BTreeSet<u32> = stay.chain(found).copied().collect();
            named.push((*number, groups.into_iter().collect()));
        }
        for id in self.members.keys() {
            let list = group_of.get(id.as_str()).map(std::slice::from_ref).unwrap_or_default();
            self.tables[3].insert(id.clone().into_bytes(), encode_id(id, list));
        }
        for (number, groups) in named {
            let Some(Some(record)) = self.records.get_mut(&number) else { continue };
            if record.groups != groups {
                self.restless.insert(number);
                record.groups = groups;
            }
            let (id, list) = (record.id.clone(), &record.groups);
            self.tables[3].insert(id.clone().into_bytes(), encode_id(&id, list));
        }
    }

    /// Writes the records and what they tell of their groups.
    fn write_groups(&mut self) -> Read<()> {
        let mut told: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
        for record in self.records.values().flatten() {
            if let Some(group) = record.tells() {
                told.entry(group).or_default().push(GroupData::of(record).encode(&record.id));
            }
        }
        for (number, members) in &self.groups {
            let told = told.get(number).map(Vec::as_slice).unwrap_or_default();
            let entry = encode_group(members, told, &self.changes.kev);
            if *number >= self.view.meta().free.1 || self.view.numbered(GROUPS, *number)? != entry {
                self.altered.insert(*number, entry);
            }
        }
        for (number, record) in &self.records {
            let of_altered = record
                .as_ref()
                .is_some_and(|r| r.groups.iter().any(|group| self.altered.contains_key(group)));
            let write = self.changed.contains_key(number) || self.restless.contains(number);
            if of_altered || write {
                self.restless.insert(*number);
            }
            if write {
                let bytes = record.as_ref().map(StoredRecord::encode).unwrap_or_default();
                let (key, entry) = numbered(*number, &bytes);
                self.tables[0].insert(key, entry);
            }
        }
        for (number, bytes) in &self.altered {
            let (key, entry) = numbered(*number, bytes);
            self.tables[1].insert(key, entry);
        }
        Ok(())
    }

    /// Writes the packages that restless records name.
    fn write_packages(&mut self) -> Read<()> {
        let mut packages: BTreeMap<Vec<u8>, Vec<(u32, Vec<u8>)>> = BTreeMap::new();
        let mut all = self.view.packages()?;
        while let Some(package) = all.next()? {
            let mut entries = Vec::new();
            let (mut reader, mut hit) = (package.entries, false);
            for _ in 0..package.count {
                let number = u32::try_from(reader.number()?).map_err(|_| Corrupt)?;
                let entry = reader.blob()?;
                hit |= self.restless.contains(&number);
                if !self.changed.contains_key(&number) {
                    entries.push((number, entry));
                }
            }
            if hit {
                let key = [package.ecosystem, package.name].join("\0").into_bytes();
                let entries = entries.into_iter().map(|(n, entry)| (n, entry.to_vec())).collect();
                packages.insert(key, entries);
            }
        }
        for (number, change) in &self.changed {
            let Some(record) = change.record else { continue };
            for affected in &record.affected {
                let key = [affected.ecosystem.as_str(), &affected.name].join("\0").into_bytes();
                if !packages.contains_key(&key) {
                    packages
                        .insert(key.clone(), self.entries(&affected.ecosystem, &affected.name)?);
                }
                let entries = packages.entry(key).or_default();
                entries.push((*number, encode(affected, record)));
            }
        }
        let mut marks = HashMap::new();
        for (key, entries) in packages {
            let bytes = self.package(key.clone(), entries, &mut marks)?;
            self.tables[2].insert(key, bytes);
        }
        Ok(())
    }

    /// What names a package now, without what changes.
    fn entries(&self, ecosystem: &str, name: &str) -> Read<Vec<(u32, Vec<u8>)>> {
        let Some(package) = self.view.package(ecosystem, name)? else { return Ok(Vec::new()) };
        let (mut reader, mut entries) = (package.entries, Vec::new());
        for _ in 0..package.count {
            let number = u32::try_from(reader.number()?).map_err(|_| Corrupt)?;
            let entry = reader.blob()?;
            if !self.changed.contains_key(&number) {
                entries.push((number, entry.to_vec()));
            }
        }
        Ok(entries)
    }

    /// A package as a build from everything would write it, but for the numbers.
    fn package(
        &self,
        key: Vec<u8>,
        entries: Vec<(u32, Vec<u8>)>,
        marks: &mut HashMap<u32, Mark>,
    ) -> Read<Vec<u8>> {
        let mut rows = Vec::with_capacity(entries.len());
        for (number, entry) in entries {
            let (id, record, groups) = match self.records.get(&number) {
                Some(Some(record)) => (record.id.clone(), record.mark(), record.groups.clone()),
                _ => {
                    let record = self.view.record(u64::from(number))?;
                    let mark =
                        record_mark(record.id, record.published, record.withdrawn, record.summary);
                    (record.id.to_owned(), mark, record.groups)
                }
            };
            for group in &groups {
                if !marks.contains_key(group) {
                    let bytes = match self.altered.get(group) {
                        Some(bytes) => bytes.as_slice(),
                        None => self.view.numbered(GROUPS, *group)?,
                    };
                    marks.insert(*group, mark(&[bytes]));
                }
            }
            rows.push((id, entry, number, record, groups));
        }
        rows.sort_unstable_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        let mut open = OpenKey::new(key);
        for (_, entry, number, record, groups) in &rows {
            open.add(*number, entry, record, groups.iter().filter_map(|group| marks.get(group)));
        }
        let bytes = open.close();
        debug_assert!(key_blob(&bytes).is_ok());
        Ok(bytes)
    }

    fn finish(self) -> Read<(Tables, Meta)> {
        let meta = self.view.meta();
        let mut counts: BTreeMap<String, u64> =
            meta.ecosystems.iter().map(|(e, c)| (e.clone(), c.records)).collect();
        let (mut records, mut sources) = (meta.records, meta.sources.clone());
        for old in &self.before {
            records = records.saturating_sub(1);
            for ecosystem in &old.ecosystems {
                counts
                    .entry(ecosystem.clone())
                    .and_modify(|count| *count = count.saturating_sub(1));
            }
            if let Some(count) = sources.get_mut(&old.source) {
                *count = count.saturating_sub(1);
            }
        }
        for new in self.changed.values() {
            let Some(record) = new.record else { continue };
            records += 1;
            for ecosystem in record.ecosystems() {
                *counts.entry(ecosystem.to_owned()).or_default() += 1;
            }
            *sources.entry(new.source.to_owned()).or_default() += 1;
        }
        for source in self.changes.sources {
            sources.entry(source.name.clone()).or_default();
        }
        let meta = Meta {
            ecosystems: ecosystems(self.changes.sources, &counts),
            sources,
            records,
            base: Some(self.view.base().digest.to_string()),
            free: self.free,
        };
        Ok((self.tables, meta))
    }
}
