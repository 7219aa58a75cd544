use super::part::{Part, position, search, split_number};
use super::stored::{RecordBlob, StoredRecord};
use super::{GROUPS, IDS, KEYS, Meta, RECORDS};
use crate::codec::{Assessed, Corrupt, Read, Reader};
use crate::error::{AdvisoryError, Result};
use jiff::Timestamp;
use sealock_facts::{AdvisorySnapshot, Coverage, Kev};
use sealock_oci::Digest;
use std::path::Path;
use std::sync::Arc;

/// An opened index. Opening maps the file and checks its digest; nothing is parsed but a short
/// description. Every read is checked against the file's bounds.
///
/// A small import does not write everything anew: its file holds what has changed, and names by
/// digest the index that holds the rest.
pub struct Index {
    /// Everything, or all that has not changed.
    base: Arc<Part>,
    /// What has changed since.
    changes: Option<Part>,
    built_at: Option<Timestamp>,
}

/// One package: what names it.
pub(crate) struct KeyBlob<'a> {
    pub(crate) ecosystem: &'a str,
    pub(crate) name: &'a str,
    /// Changes when anything that its findings are made of changes.
    pub(crate) mark: &'a [u8],
    pub(crate) count: u64,
    pub(crate) entries: Reader<'a>,
}

/// A [`Vulnerability`] as it lies in the index.
pub(crate) struct GroupBlob<'a> {
    pub(crate) id: &'a str,
    pub(crate) aliases: Vec<&'a str>,
    pub(crate) published: Option<Timestamp>,
    pub(crate) kev: Option<Kev>,
    pub(crate) assessed: Option<Assessed<'a>>,
    pub(crate) summary: &'a str,
}

/// Whose record of an id counts.
pub(crate) struct Holding {
    pub(crate) source: String,
    /// How many sources have one.
    pub(crate) holders: u64,
    pub(crate) modified: Option<Timestamp>,
    /// Ecosystems that it names, sorted.
    pub(crate) ecosystems: Vec<String>,
}

/// One vulnerability as the index knows it: an alias group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vulnerability {
    /// CVE, else GHSA, else the source's id.
    pub id: String,
    /// Every other id, sorted.
    pub aliases: Vec<String>,
    /// When its earliest record was published.
    pub published: Option<Timestamp>,
    /// Known exploited.
    pub kev: Option<Kev>,
    /// One line about it.
    pub summary: String,
}

impl Index {
    /// Opens an index file, with the one that it holds changes to, which lies beside it. Fails when
    /// a file is not an index or its content is damaged; when a file is named by its digest, that
    /// must be right as well.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_beside(path, path, None)
    }

    /// As [`Index::open`], with `home` as the place beside which the base lies, and without reading
    /// the base again where `known` has it open.
    pub(crate) fn open_beside(path: &Path, home: &Path, known: Option<&Self>) -> Result<Self> {
        let part = Part::open(path)?;
        let Some(wanted) = part.meta.base.clone() else {
            let built_at = crate::store::built_at(path);
            return Ok(Self { base: Arc::new(part), changes: None, built_at });
        };
        let named: Digest = wanted.parse().map_err(|_| part.corrupt("it names no base"))?;
        let base = match known.filter(|known| known.base.digest == named) {
            Some(known) => known.base.clone(),
            None => Arc::new(Part::open(&home.with_file_name(format!("{}.idx", named.hex())))?),
        };
        let mut index = Self::join(base, part)?;
        index.built_at = crate::store::built_at(path);
        Ok(index)
    }

    fn join(base: Arc<Part>, changes: Part) -> Result<Self> {
        if base.meta.base.is_some() || changes.meta.base != Some(base.digest.to_string()) {
            return Err(changes.corrupt("it does not fit to its base"));
        }
        Ok(Self { base, changes: Some(changes), built_at: None })
    }

    /// Opens an index that is already in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let part = Part::from_bytes(bytes)?;
        if part.meta.base.is_some() {
            return Err(part.corrupt("it holds the changes to another index only"));
        }
        Ok(Self { base: Arc::new(part), changes: None, built_at: None })
    }

    /// Hostile bytes read as an index and as the changes to it: for fuzzing.
    pub(crate) fn over_itself(bytes: Vec<u8>) -> Result<Self> {
        let base = Arc::new(Part::from_bytes(bytes.clone())?);
        Ok(Self { base, changes: Some(Part::from_bytes(bytes)?), built_at: None })
    }

    #[cfg(test)]
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.top().content().to_vec()
    }

    /// The file that names and describes the whole.
    fn top(&self) -> &Part {
        self.changes.as_ref().unwrap_or(&self.base)
    }

    pub(super) fn base(&self) -> &Part {
        &self.base
    }

    pub(super) const fn changes(&self) -> Option<&Part> {
        self.changes.as_ref()
    }

    pub(super) fn meta(&self) -> &Meta {
        &self.top().meta
    }

    pub(crate) fn corrupt(&self, reason: &str) -> AdvisoryError {
        self.top().corrupt(reason)
    }

    pub(crate) fn sound<T>(&self, read: Read<T>) -> Result<T> {
        read.map_err(|Corrupt| self.corrupt("an entry cannot be read"))
    }

    /// Digest of the file; its name.
    pub fn digest(&self) -> &Digest {
        &self.top().digest
    }

    /// Digest of the index that this one holds changes to, if it does not hold everything itself.
    pub(crate) fn base_digest(&self) -> Option<&Digest> {
        self.changes.is_some().then_some(&self.base.digest)
    }

    /// What findings made from it rest on.
    pub fn snapshot(&self) -> AdvisorySnapshot {
        let newest = self.meta().ecosystems.values().filter_map(|e| e.data_date).max();
        AdvisorySnapshot {
            digest: self.digest().to_string(),
            built_at: self.built_at.or(newest).unwrap_or(Timestamp::UNIX_EPOCH),
            ecosystems: self.meta().ecosystems.clone(),
        }
    }

    /// How much of an ecosystem's advisories it holds; `Debian:12` and `Debian:13` are apart.
    pub fn coverage(&self, ecosystem: &str) -> Coverage {
        self.meta().ecosystems.get(ecosystem).map_or(Coverage::None, |e| e.coverage)
    }

    /// Number of records.
    pub fn records(&self) -> u64 {
        self.meta().records
    }

    /// The sources that it was built from, with the number of records that each gave.
    pub fn sources(&self) -> impl Iterator<Item = (&str, u64)> {
        self.meta().sources.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// The vulnerabilities that an id stands for: one for most ids, several for a distribution's
    /// advisory about several, none for an unknown id. Sorted by id.
    pub fn lookup(&self, id: &str) -> Result<Vec<Vulnerability>> {
        let groups = self.sound(self.groups_of(id))?;
        let mut found: Vec<Vulnerability> =
            groups.into_iter().map(|g| self.sound(self.group(g))).collect::<Result<_>>()?;
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    fn groups_of(&self, id: &str) -> Read<Vec<u32>> {
        let find = |part: &Part| {
            let compare = |blob: &[u8]| Ok(Reader::new(blob).text()?.as_bytes().cmp(id.as_bytes()));
            let Some(blob) = search(&part.table(IDS)?, compare)? else { return Ok(None) };
            let mut reader = Reader::new(blob);
            reader.text()?;
            reader.short_numbers().map(Some)
        };
        if let Some(changed) = self.changes.as_ref().map(find).transpose()?.flatten() {
            return Ok(changed);
        }
        Ok(find(&self.base)?.unwrap_or_default())
    }

    /// The bytes that a number stands for in a numbered table.
    pub(super) fn numbered(&self, section: usize, number: u32) -> Read<&[u8]> {
        if let Some(changes) = &self.changes
            && let Some(bytes) = changes.numbered(section, number)?
        {
            return Ok(bytes);
        }
        self.base.table(section)?.get(number as usize)
    }

    /// A group in place.
    pub(crate) fn group_blob(&self, number: u32) -> Read<GroupBlob<'_>> {
        let mut reader = Reader::new(self.numbered(GROUPS, number)?);
        let id = reader.text()?;
        let count = reader.count()?;
        let mut aliases = Vec::with_capacity(count + 2);
        for _ in 0..count {
            aliases.push(reader.text()?);
        }
        let published = reader.time()?;
        let date_added = reader.time()?;
        let ransomware = reader.byte()? != 0;
        let kev = date_added.map(|date_added| Kev { date_added, ransomware });
        let assessed = reader.assessed()?;
        Ok(GroupBlob { id, aliases, published, kev, assessed, summary: reader.text()? })
    }

    fn group(&self, number: u32) -> Read<Vulnerability> {
        let group = self.group_blob(number)?;
        Ok(Vulnerability {
            id: group.id.to_owned(),
            aliases: group.aliases.into_iter().map(str::to_owned).collect(),
            published: group.published,
            kev: group.kev,
            summary: group.summary.to_owned(),
        })
    }

    pub(crate) fn record(&self, number: u64) -> Read<RecordBlob<'_>> {
        let number = u32::try_from(number).map_err(|_| Corrupt)?;
        RecordBlob::read(self.numbered(RECORDS, number)?)
    }

    /// A record with all that is kept of it; none where it was removed.
    pub(super) fn stored(&self, number: u32) -> Read<Option<StoredRecord>> {
        let bytes = self.numbered(RECORDS, number)?;
        (!bytes.is_empty()).then(|| StoredRecord::decode(bytes)).transpose()
    }

    /// The number of a record that is there.
    pub(super) fn number_of(&self, id: &str) -> Read<Option<u32>> {
        let table = self.base.table(RECORDS)?;
        let at =
            position(&table, |blob| Ok(Reader::new(blob).text()?.as_bytes().cmp(id.as_bytes())))?;
        if let Some(number) = at.and_then(|at| u32::try_from(at).ok())
            && !self.numbered(RECORDS, number)?.is_empty()
        {
            return Ok(Some(number));
        }
        let Some(changes) = &self.changes else { return Ok(None) };
        let table = changes.table(RECORDS)?;
        for at in 0..table.len() {
            let (number, bytes) = split_number(table.get(at)?)?;
            if !bytes.is_empty() && Reader::new(bytes).text()? == id {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// What names a package.
    pub(crate) fn package(&self, ecosystem: &str, name: &str) -> Read<Option<KeyBlob<'_>>> {
        if let Some(changes) = &self.changes
            && let Some(changed) = package_in(changes, ecosystem, name)?
        {
            return Ok(Some(changed).filter(|package| package.count > 0));
        }
        package_in(&self.base, ecosystem, name)
    }

    /// Every package that anything names, sorted.
    pub(crate) fn packages(&self) -> Read<Packages<'_>> {
        let changed = match &self.changes {
            Some(changes) => Keys::of(changes)?,
            None => Keys { table: None, at: 0 },
        };
        Ok(Packages { base: Keys::of(&self.base)?, changed, heads: None })
    }

    /// Packages that are other than in the base, or no more.
    pub(crate) fn changed_keys(&self) -> Read<Vec<(&str, &str)>> {
        let Some(changes) = &self.changes else { return Ok(Vec::new()) };
        let table = changes.table(KEYS)?;
        (0..table.len()).map(|at| split_key(Reader::new(table.get(at)?).blob()?)).collect()
    }

    /// Bytes of the changes to the base.
    pub(crate) fn changes_length(&self) -> u64 {
        self.changes.as_ref().map_or(0, |changes| changes.content().len() as u64)
    }

    /// Whether the descriptions of both are the same, whichever files they are in.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let (a, b) = (self.meta(), other.meta());
        (&a.ecosystems, &a.sources, a.records) == (&b.ecosystems, &b.sources, b.records)
    }

    /// Whose record of an id counts now.
    pub(crate) fn holding(&self, id: &str) -> Result<Option<Holding>> {
        let find = || match self.number_of(id)? {
            Some(number) => self.stored(number),
            None => Ok(None),
        };
        Ok(self.sound(find())?.map(|record| Holding {
            source: record.source,
            holders: record.holders,
            modified: record.modified,
            ecosystems: record.ecosystems,
        }))
    }

    /// Whether both stand on the same base.
    pub(crate) fn shares_base(&self, other: &Self) -> bool {
        self.base.digest == other.base.digest
    }
}

/// The packages of one file.
struct Keys<'a> {
    table: Option<super::table::Table<'a>>,
    at: usize,
}

impl<'a> Keys<'a> {
    fn of(part: &'a Part) -> Read<Self> {
        Ok(Self { table: Some(part.table(KEYS)?), at: 0 })
    }

    fn next(&mut self) -> Read<Option<KeyBlob<'a>>> {
        let Some(table) = self.table.filter(|table| self.at < table.len()) else {
            return Ok(None);
        };
        self.at += 1;
        key_blob(table.get(self.at - 1)?).map(Some)
    }
}

type Heads<'a> = (Option<KeyBlob<'a>>, Option<KeyBlob<'a>>);

/// The packages of an index and of the changes to it, as one sequence.
pub(crate) struct Packages<'a> {
    base: Keys<'a>,
    changed: Keys<'a>,
    heads: Option<Heads<'a>>,
}

impl<'a> Packages<'a> {
    pub(crate) fn next(&mut self) -> Read<Option<KeyBlob<'a>>> {
        loop {
            let (base, changed) = match self.heads.take() {
                Some(heads) => heads,
                None => (self.base.next()?, self.changed.next()?),
            };
            let place = |key: &KeyBlob<'a>| (key.ecosystem, key.name);
            let order = match (&base, &changed) {
                (None, None) => return Ok(None),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) => place(a).cmp(&place(b)),
            };
            if order.is_lt() {
                self.heads = Some((self.base.next()?, changed));
                return Ok(base);
            }
            let next = if order.is_eq() { self.base.next()? } else { base };
            self.heads = Some((next, self.changed.next()?));
            if changed.as_ref().is_some_and(|key| key.count > 0) {
                return Ok(changed);
            }
        }
    }
}

fn package_in<'a>(part: &'a Part, ecosystem: &str, name: &str) -> Read<Option<KeyBlob<'a>>> {
    // The zero between both sorts before every other byte, so the whole compares as the parts do.
    let wanted = [ecosystem, "\0", name].concat();
    let compare = |blob: &[u8]| Ok(Reader::new(blob).blob()?.cmp(wanted.as_bytes()));
    search(&part.table(KEYS)?, compare)?.map(key_blob).transpose()
}

fn split_key(key: &[u8]) -> Read<(&str, &str)> {
    std::str::from_utf8(key).map_err(|_| Corrupt)?.split_once('\0').ok_or(Corrupt)
}

pub(super) fn key_blob(blob: &[u8]) -> Read<KeyBlob<'_>> {
    let mut entries = Reader::new(blob);
    let (ecosystem, name) = split_key(entries.blob()?)?;
    let mark = entries.bytes(16)?;
    let count = entries.number()?;
    Ok(KeyBlob { ecosystem, name, mark, count, entries })
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let base = self.base_digest();
        f.debug_struct("Index").field("digest", self.digest()).field("base", &base).finish()
    }
}
