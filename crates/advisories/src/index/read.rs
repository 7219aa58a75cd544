use super::table::Table;
use super::{FORMAT, GROUPS, HEADER, IDS, KEYS, MAGIC, META, Meta, RECORDS, SECTIONS, TRAILER};
use crate::codec::{Corrupt, Read, Reader};
use crate::error::{AdvisoryError, Result};
use crate::severity::Assessment;
use jiff::Timestamp;
use memmap2::Mmap;
use sealock_facts::{AdvisorySnapshot, Coverage, Kev};
use sealock_oci::{Algorithm, Digest};
use sha2::{Digest as _, Sha256};
use std::cmp::Ordering;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where the bytes are.
enum Bytes {
    Mapped(Mmap),
    /// For tests and fuzzing.
    Held(Vec<u8>),
}

/// An opened index. Opening maps the file and checks its digest; nothing is parsed but a short
/// description. Every read is checked against the file's bounds.
pub struct Index {
    path: PathBuf,
    bytes: Bytes,
    sections: [Range<usize>; SECTIONS],
    meta: Meta,
    digest: Digest,
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

/// One record.
pub(crate) struct RecordBlob<'a> {
    pub(crate) id: &'a str,
    pub(crate) published: Option<Timestamp>,
    pub(crate) withdrawn: Option<Timestamp>,
    pub(crate) summary: &'a str,
    pub(crate) groups: Vec<u32>,
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
    pub(crate) assessment: Option<Assessment>,
    /// One line about it.
    pub summary: String,
}

impl Index {
    /// Opens an index file. Fails when the file is not an index or its content is damaged; when the
    /// file is named by its digest, that must be right as well.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(AdvisoryError::file(path))?;
        #[expect(unsafe_code, reason = "mapping is what makes opening free of parsing")]
        // SAFETY: index files are written once, under a temporary name, and never changed in place
        // afterwards; only this product writes to the folder that holds them.
        let map = unsafe { Mmap::map(&file) }.map_err(AdvisoryError::file(path))?;
        let mut index = Self::check(path.to_owned(), Bytes::Mapped(map))?;
        let named = path.file_stem().and_then(|s| s.to_str()).filter(|s| s.len() == 64);
        if named.is_some_and(|hex| hex != index.digest.hex()) {
            return Err(index.corrupt("its content does not have the digest in its name"));
        }
        index.built_at = crate::store::built_at(path);
        Ok(index)
    }

    /// Opens an index that is already in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::check(PathBuf::from("(memory)"), Bytes::Held(bytes))
    }

    fn check(path: PathBuf, bytes: Bytes) -> Result<Self> {
        let error = |reason: &str| AdvisoryError::CorruptIndex {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        let content = match &bytes {
            Bytes::Mapped(map) => &map[..],
            Bytes::Held(held) => held,
        };
        let Some((body, trailer)) =
            content.len().checked_sub(TRAILER).map(|at| content.split_at(at))
        else {
            return Err(error("it is too short"));
        };
        let sections = header(body, content.len()).map_err(error)?;
        let mut hash = Sha256::new();
        hash.update(body);
        if hash.clone().finalize().as_slice() != trailer {
            return Err(error("its content does not match its checksum"));
        }
        hash.update(trailer);
        let digest = Digest::from_hash(Algorithm::Sha256, &hash.finalize())
            .ok_or_else(|| error("it has no digest"))?;
        let meta = body.get(sections[META].clone()).unwrap_or_default();
        let meta = serde_json::from_slice(meta)
            .map_err(|e| error(&format!("its description cannot be read: {e}")))?;
        let index = Self { bytes, sections, meta, digest, built_at: None, path: path.clone() };
        for section in [RECORDS, GROUPS, KEYS, IDS] {
            index.table(section).map_err(|Corrupt| error("a table does not fit"))?;
        }
        Ok(index)
    }

    #[cfg(test)]
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.content().to_vec()
    }

    fn content(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Held(held) => held,
        }
    }

    fn table(&self, section: usize) -> Read<Table<'_>> {
        Table::new(self.content().get(self.sections[section].clone()).ok_or(Corrupt)?)
    }

    pub(crate) fn corrupt(&self, reason: &str) -> AdvisoryError {
        AdvisoryError::CorruptIndex { path: self.path.clone(), reason: reason.to_owned() }
    }

    pub(crate) fn sound<T>(&self, read: Read<T>) -> Result<T> {
        read.map_err(|Corrupt| self.corrupt("an entry cannot be read"))
    }

    /// Digest of the file; its name.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What findings made from it rest on.
    pub fn snapshot(&self) -> AdvisorySnapshot {
        let newest = self.meta.ecosystems.values().filter_map(|e| e.data_date).max();
        AdvisorySnapshot {
            digest: self.digest.to_string(),
            built_at: self.built_at.or(newest).unwrap_or(Timestamp::UNIX_EPOCH),
            ecosystems: self.meta.ecosystems.clone(),
        }
    }

    /// How much of an ecosystem's advisories it holds; `Debian:12` and `Debian:13` are apart.
    pub fn coverage(&self, ecosystem: &str) -> Coverage {
        self.meta.ecosystems.get(ecosystem).map_or(Coverage::None, |e| e.coverage)
    }

    /// Number of records.
    pub const fn records(&self) -> u64 {
        self.meta.records
    }

    /// The sources that it was built from, with the number of records that each gave.
    pub fn sources(&self) -> impl Iterator<Item = (&str, u64)> {
        self.meta.sources.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// The vulnerabilities that an id stands for: one for most ids, several for a distribution's
    /// advisory about several, none for an unknown id.
    pub fn lookup(&self, id: &str) -> Result<Vec<Vulnerability>> {
        let groups = self.sound(self.groups_of(id))?;
        groups.into_iter().map(|g| self.sound(self.group(g))).collect()
    }

    fn groups_of(&self, id: &str) -> Read<Vec<u32>> {
        let table = self.table(IDS)?;
        let found =
            search(&table, |blob| Ok(Reader::new(blob).text()?.as_bytes().cmp(id.as_bytes())))?;
        let Some(blob) = found else { return Ok(Vec::new()) };
        let mut reader = Reader::new(blob);
        reader.text()?;
        numbers(&mut reader)
    }

    pub(crate) fn group(&self, number: u32) -> Read<Vulnerability> {
        let mut reader = Reader::new(self.table(GROUPS)?.get(number as usize)?);
        let id = reader.text()?.to_owned();
        let mut aliases = Vec::new();
        for _ in 0..reader.count()? {
            aliases.push(reader.text()?.to_owned());
        }
        let published = reader.time()?;
        let date_added = reader.time()?;
        let ransomware = reader.byte()? != 0;
        let kev = date_added.map(|date_added| Kev { date_added, ransomware });
        let assessment = reader.assessment()?;
        let summary = reader.text()?.to_owned();
        Ok(Vulnerability { id, aliases, published, kev, assessment, summary })
    }

    pub(crate) fn record(&self, number: u64) -> Read<RecordBlob<'_>> {
        let number = usize::try_from(number).map_err(|_| Corrupt)?;
        let mut reader = Reader::new(self.table(RECORDS)?.get(number)?);
        Ok(RecordBlob {
            id: reader.text()?,
            published: reader.time()?,
            withdrawn: reader.time()?,
            summary: reader.text()?,
            groups: numbers(&mut reader)?,
        })
    }

    /// What names a package.
    pub(crate) fn package(&self, ecosystem: &str, name: &str) -> Read<Option<KeyBlob<'_>>> {
        let table = self.table(KEYS)?;
        let wanted = (ecosystem.as_bytes(), name.as_bytes());
        let found = search(&table, |blob| {
            let key = split_key(Reader::new(blob).blob()?)?;
            Ok((key.0.as_bytes(), key.1.as_bytes()).cmp(&wanted))
        })?;
        found.map(key_blob).transpose()
    }

    pub(crate) fn packages(&self) -> Read<usize> {
        Ok(self.table(KEYS)?.len())
    }

    pub(crate) fn package_at(&self, at: usize) -> Read<KeyBlob<'_>> {
        key_blob(self.table(KEYS)?.get(at)?)
    }
}

fn header(
    body: &[u8],
    total: usize,
) -> std::result::Result<[Range<usize>; SECTIONS], &'static str> {
    const SHORT: &str = "it is too short";
    let word = |at: usize| -> std::result::Result<u64, &'static str> {
        let bytes = body.get(at..at + 8).ok_or(SHORT)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| SHORT)?))
    };
    if body.get(..8) != Some(&MAGIC) {
        return Err("it is not an advisory index");
    }
    let versions = word(8)?;
    if versions != u64::from(FORMAT) | (SECTIONS as u64) << 32 {
        return Err("it was written in another format version");
    }
    if word(16)? != total as u64 {
        return Err("it is cut or has grown");
    }
    let mut sections = [const { 0..0 }; SECTIONS];
    for (at, section) in sections.iter_mut().enumerate() {
        let place = |n: u64| usize::try_from(n).map_err(|_| SHORT);
        let start = place(word(24 + at * 16)?)?;
        let length = place(word(32 + at * 16)?)?;
        let end = start.checked_add(length).filter(|end| *end <= body.len() && start >= HEADER);
        *section = start..end.ok_or("a section lies outside it")?;
    }
    Ok(sections)
}

fn numbers(reader: &mut Reader<'_>) -> Read<Vec<u32>> {
    let count = reader.count()?;
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        list.push(u32::try_from(reader.number()?).map_err(|_| Corrupt)?);
    }
    Ok(list)
}

fn split_key(key: &[u8]) -> Read<(&str, &str)> {
    std::str::from_utf8(key).map_err(|_| Corrupt)?.split_once('\0').ok_or(Corrupt)
}

fn key_blob(blob: &[u8]) -> Read<KeyBlob<'_>> {
    let mut entries = Reader::new(blob);
    let (ecosystem, name) = split_key(entries.blob()?)?;
    let mark = entries.bytes(16)?;
    let count = entries.number()?;
    Ok(KeyBlob { ecosystem, name, mark, count, entries })
}

/// Binary search in a sorted table.
fn search<'a>(
    table: &Table<'a>,
    mut compare: impl FnMut(&[u8]) -> Read<Ordering>,
) -> Read<Option<&'a [u8]>> {
    let (mut low, mut high) = (0, table.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let blob = table.get(middle)?;
        match compare(blob)? {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => return Ok(Some(blob)),
        }
    }
    Ok(None)
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("path", &self.path).field("digest", &self.digest).finish()
    }
}
