//! Sorting more than memory should hold: runs are sorted in memory, spilled to temporary files and
//! merged while they are read.

use crate::error::{AdvisoryError, Result};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Bytes of keys and values held in memory before a run is spilled.
const RUN_BYTES: usize = 48 << 20;
/// Largest key or value, in bytes: guards reading back.
const MAX_ITEM: u64 = 64 << 20;

/// A key and what belongs to it.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// Takes pairs in any order and gives them back sorted by key, then value.
pub(crate) struct Sorter {
    folder: PathBuf,
    held: Vec<Pair>,
    bytes: usize,
    run_bytes: usize,
    runs: Vec<File>,
}

impl Sorter {
    /// Spills into unnamed files of `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self::with_run_bytes(folder, RUN_BYTES)
    }

    fn with_run_bytes(folder: &Path, run_bytes: usize) -> Self {
        Self { folder: folder.to_owned(), held: Vec::new(), bytes: 0, run_bytes, runs: Vec::new() }
    }

    pub(crate) fn push(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        // Two vectors have some cost besides their bytes.
        self.bytes += key.len() + value.len() + 64;
        self.held.push((key, value));
        if self.bytes >= self.run_bytes {
            self.spill().map_err(AdvisoryError::file(&self.folder))?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.held.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile_in(&self.folder)?);
        for (key, value) in self.held.drain(..) {
            for part in [&key, &value] {
                file.write_all(&(part.len() as u64).to_le_bytes())?;
                file.write_all(part)?;
            }
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        self.bytes = 0;
        Ok(())
    }

    /// The sorted pairs.
    pub(crate) fn finish(mut self) -> Result<Merged> {
        self.held.sort_unstable();
        let mut merged = Merged {
            folder: self.folder,
            held: self.held.into(),
            runs: self.runs.into_iter().map(BufReader::new).collect(),
            heads: BinaryHeap::new(),
        };
        for run in 0..=merged.runs.len() {
            merged.refill(run)?;
        }
        Ok(merged)
    }
}

/// Pairs in order.
pub(crate) struct Merged {
    folder: PathBuf,
    held: VecDeque<Pair>,
    runs: Vec<BufReader<File>>,
    heads: BinaryHeap<Reverse<(Pair, usize)>>,
}

fn read_part(run: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 8];
    match run.read_exact(&mut length) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u64::from_le_bytes(length);
    if length > MAX_ITEM {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut part = vec![0; length as usize];
    run.read_exact(&mut part)?;
    Ok(Some(part))
}

impl Merged {
    /// Puts the next pair of a run on the heap; the run after the last is what stayed in memory.
    fn refill(&mut self, run: usize) -> Result<()> {
        let next = match self.runs.get_mut(run) {
            None => self.held.pop_front(),
            Some(file) => {
                let mut read = || -> io::Result<Option<Pair>> {
                    let Some(key) = read_part(file)? else { return Ok(None) };
                    let value = read_part(file)?.ok_or(io::ErrorKind::UnexpectedEof)?;
                    Ok(Some((key, value)))
                };
                read().map_err(AdvisoryError::file(&self.folder))?
            }
        };
        self.heads.extend(next.map(|pair| Reverse((pair, run))));
        Ok(())
    }
}

impl Iterator for Merged {
    type Item = Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((pair, run)) = self.heads.pop()?;
        Some(self.refill(run).map(|()| pair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn sorts_whether_it_spills_or_not(
            mut pairs in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..40),
            run_bytes in 1_usize..2_000,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::with_run_bytes(folder.path(), run_bytes);
            for (key, value) in pairs.clone() {
                sorter.push(key, value).unwrap();
            }
            let sorted: Vec<_> = sorter.finish().unwrap().map(Result::unwrap).collect();
            pairs.sort();
            prop_assert_eq!(sorted, pairs);
        }
    }
}
