//! One index file, mapped and checked.

use super::table::Table;
use super::{FORMAT, GROUPS, HEADER, IDS, KEYS, MAGIC, META, Meta, RECORDS, SECTIONS, TRAILER};
use crate::codec::{Corrupt, Read};
use crate::error::{AdvisoryError, Result};
use memmap2::Mmap;
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

/// A file: an index, or the changes to one. Every read is checked against its bounds.
pub(crate) struct Part {
    path: PathBuf,
    bytes: Bytes,
    sections: [Range<usize>; SECTIONS],
    pub(super) meta: Meta,
    pub(super) digest: Digest,
}

impl Part {
    /// Maps a file. Fails when it is not an index or its content is damaged; when it is named by
    /// its digest, that must be right as well.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(AdvisoryError::file(path))?;
        #[expect(unsafe_code, reason = "mapping is what makes opening free of parsing")]
        // SAFETY: index files are written once, under a temporary name, and never changed in place
        // afterwards; only this product writes to the folder that holds them.
        let map = unsafe { Mmap::map(&file) }.map_err(AdvisoryError::file(path))?;
        let part = Self::check(path.to_owned(), Bytes::Mapped(map))?;
        let named = path.file_stem().and_then(|s| s.to_str()).filter(|s| s.len() == 64);
        if named.is_some_and(|hex| hex != part.digest.hex()) {
            return Err(part.corrupt("its content does not have the digest in its name"));
        }
        Ok(part)
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
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
        let part = Self { bytes, sections, meta, digest, path: path.clone() };
        for section in [RECORDS, GROUPS, KEYS, IDS] {
            part.table(section).map_err(|Corrupt| error("a table does not fit"))?;
        }
        Ok(part)
    }

    pub(super) fn content(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Held(held) => held,
        }
    }

    pub(super) fn table(&self, section: usize) -> Read<Table<'_>> {
        Table::new(self.content().get(self.sections[section].clone()).ok_or(Corrupt)?)
    }

    /// In the changes to an index: what a number stands for now.
    pub(super) fn numbered(&self, section: usize, number: u32) -> Read<Option<&[u8]>> {
        let found = search(&self.table(section)?, |entry| Ok(split_number(entry)?.0.cmp(&number)))?;
        found.map(|entry| Ok(split_number(entry)?.1)).transpose()
    }

    pub(super) fn corrupt(&self, reason: &str) -> AdvisoryError {
        AdvisoryError::CorruptIndex { path: self.path.clone(), reason: reason.to_owned() }
    }
}

/// An entry of a numbered table: its number, then what it stands for.
pub(super) fn split_number(entry: &[u8]) -> Read<(u32, &[u8])> {
    let (number, rest) = entry.split_first_chunk().ok_or(Corrupt)?;
    Ok((u32::from_be_bytes(*number), rest))
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

/// Binary search in a sorted table.
pub(super) fn search<'a>(
    table: &Table<'a>,
    mut compare: impl FnMut(&[u8]) -> Read<Ordering>,
) -> Read<Option<&'a [u8]>> {
    position(table, &mut compare)?.map(|at| table.get(at)).transpose()
}

/// Where in a sorted table an entry stands.
pub(super) fn position(
    table: &Table<'_>,
    mut compare: impl FnMut(&[u8]) -> Read<Ordering>,
) -> Read<Option<usize>> {
    let (mut low, mut high) = (0, table.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match compare(table.get(middle)?)? {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => return Ok(Some(middle)),
        }
    }
    Ok(None)
}
