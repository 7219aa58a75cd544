//! A table: entries of any length, found by number.

use crate::codec::{Corrupt, Read};
use crate::error::{AdvisoryError, Result};
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

/// A table in mapped memory.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    offsets: &'a [u8],
    blob: &'a [u8],
    entries: usize,
}

fn word(bytes: &[u8], at: usize) -> Read<usize> {
    let bytes = bytes.get(at..at.checked_add(8).ok_or(Corrupt)?).ok_or(Corrupt)?;
    let word = u64::from_le_bytes(bytes.try_into().map_err(|_| Corrupt)?);
    usize::try_from(word).map_err(|_| Corrupt)
}

impl<'a> Table<'a> {
    pub(super) fn new(section: &'a [u8]) -> Read<Self> {
        let entries = word(section, 0)?;
        let size = entries.checked_add(1).and_then(|n| n.checked_mul(8)).ok_or(Corrupt)?;
        let rest = section.get(8..).ok_or(Corrupt)?;
        let (offsets, blob) = rest.split_at_checked(size).ok_or(Corrupt)?;
        Ok(Self { offsets, blob, entries })
    }

    pub(super) const fn len(&self) -> usize {
        self.entries
    }

    pub(super) fn get(&self, at: usize) -> Read<&'a [u8]> {
        if at >= self.entries {
            return Err(Corrupt);
        }
        let (from, to) = (word(self.offsets, at * 8)?, word(self.offsets, at * 8 + 8)?);
        self.blob.get(from..to).ok_or(Corrupt)
    }
}

/// Writes a table piece by piece; only the offsets are held.
pub(super) struct TableWriter {
    folder: PathBuf,
    offsets: Vec<u64>,
    blob: BufWriter<File>,
    length: u64,
}

impl TableWriter {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(AdvisoryError::file(folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            offsets: vec![0],
            blob: BufWriter::new(file),
            length: 0,
        })
    }

    pub(super) fn push(&mut self, entry: &[u8]) -> Result<()> {
        self.blob.write_all(entry).map_err(AdvisoryError::file(&self.folder))?;
        self.length += entry.len() as u64;
        self.offsets.push(self.length);
        Ok(())
    }

    /// Length of the finished section in bytes.
    pub(super) fn section_length(&self) -> u64 {
        8 + self.offsets.len() as u64 * 8 + self.length
    }

    /// Copies the section to `out`.
    pub(super) fn write_to(self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&(self.offsets.len() as u64 - 1).to_le_bytes())?;
        for offset in &self.offsets {
            out.write_all(&offset.to_le_bytes())?;
        }
        let mut blob = self.blob.into_inner().map_err(io::IntoInnerError::into_error)?;
        blob.rewind()?;
        io::copy(&mut blob, out)?;
        Ok(())
    }
}
