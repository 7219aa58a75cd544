//! The records of one source on disk, normalised and sorted by id: zstd of JSON Lines. A snapshot
//! can be built again from these at any time.

use crate::error::{AdvisoryError, Result};
use crate::record::Record;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Longest line of a segment, in bytes. Importers accept smaller records than this.
const MAX_LINE: u64 = 64 << 20;
/// zstd level: fast, and small enough.
const LEVEL: i32 = 6;

/// Writes records, which must come sorted by id.
pub(crate) struct SegmentWriter {
    path: PathBuf,
    out: zstd::Encoder<'static, BufWriter<File>>,
}

impl SegmentWriter {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let error = || AdvisoryError::file(path);
        let file = File::create(path).map_err(error())?;
        let out = zstd::Encoder::new(BufWriter::new(file), LEVEL).map_err(error())?;
        Ok(Self { path: path.to_owned(), out })
    }

    /// One record as JSON without line breaks.
    pub(crate) fn write(&mut self, json: &[u8]) -> Result<()> {
        let mut write = || {
            self.out.write_all(json)?;
            self.out.write_all(b"\n")
        };
        write().map_err(AdvisoryError::file(&self.path))
    }

    /// Everything is on disk when this returns.
    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path;
        let finish = || {
            let file = self.out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()
        };
        finish().map_err(AdvisoryError::file(path))
    }
}

/// What [`Union`] needs to know of a record, whole or in part.
pub(crate) trait Identified: DeserializeOwned {
    fn id(&self) -> &str;
    fn modified(&self) -> Option<Timestamp>;
}

impl Identified for Record {
    fn id(&self) -> &str {
        &self.id
    }

    fn modified(&self) -> Option<Timestamp> {
        self.modified
    }
}

/// The ids of a record; the rest is passed over.
#[derive(Deserialize)]
pub(crate) struct RecordIds {
    pub(crate) id: String,
    #[serde(default)]
    modified: Option<Timestamp>,
    #[serde(default)]
    pub(crate) withdrawn: Option<Timestamp>,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) upstream: Vec<String>,
}

impl Identified for RecordIds {
    fn id(&self) -> &str {
        &self.id
    }

    fn modified(&self) -> Option<Timestamp> {
        self.modified
    }
}

/// Reads a segment back, record by record.
pub(crate) struct SegmentReader<T = Record> {
    path: PathBuf,
    lines: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    kind: PhantomData<T>,
}

impl<T: DeserializeOwned> SegmentReader<T> {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let error = || AdvisoryError::file(path);
        let file = File::open(path).map_err(error())?;
        let decoder = zstd::Decoder::new(file).map_err(error())?;
        Ok(Self {
            path: path.to_owned(),
            lines: Box::new(BufReader::with_capacity(1 << 18, decoder)),
            line: Vec::new(),
            kind: PhantomData,
        })
    }

    fn read(&mut self) -> io::Result<Option<T>> {
        self.line.clear();
        if self.lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&self.line).map(Some).map_err(io::Error::other)
    }
}

impl<T: DeserializeOwned> Iterator for SegmentReader<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().map_err(AdvisoryError::file(&self.path)).transpose()
    }
}

/// A record among several sources.
pub(crate) struct Found<T> {
    /// The one that counts.
    pub(crate) record: T,
    /// Number of its source.
    pub(crate) source: usize,
    /// How many sources have one with this id.
    pub(crate) holders: u64,
}

/// Several segments as one sequence sorted by id; of records with one id the newest comes, and of
/// equally new ones that of the earlier segment.
pub(crate) struct Union<T = Record> {
    /// Each with the number of its source; those of one source stand together.
    segments: Vec<(SegmentReader<T>, usize)>,
    heads: Vec<Option<T>>,
}

impl<T: Identified> Union<T> {
    pub(crate) fn new(mut segments: Vec<(SegmentReader<T>, usize)>) -> Result<Self> {
        let heads =
            segments.iter_mut().map(|(s, _)| s.next().transpose()).collect::<Result<_>>()?;
        Ok(Self { segments, heads })
    }
}

impl<T: Identified> Iterator for Union<T> {
    type Item = Result<Found<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        let smallest = self.heads.iter().flatten().map(T::id).min()?.to_owned();
        let mut best: Option<(T, usize)> = None;
        let (mut holders, mut last) = (0, None);
        for (head, (segment, source)) in self.heads.iter_mut().zip(&mut self.segments) {
            while head.as_ref().is_some_and(|r| r.id() == smallest) {
                let record = match segment.next().transpose() {
                    Ok(next) => std::mem::replace(head, next),
                    Err(e) => {
                        *head = None;
                        return Some(Err(e));
                    }
                };
                let Some(record) = record else { break };
                holders += u64::from(last.replace(*source) != Some(*source));
                if best.as_ref().is_none_or(|(b, _)| record.modified() > b.modified()) {
                    best = Some((record, *source));
                }
            }
        }
        best.map(|(record, source)| Ok(Found { record, source, holders }))
    }
}
