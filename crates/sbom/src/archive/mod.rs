//! A tar reader that skips bodies. It reads as Go's `archive/tar` does, since that is what
//! containerd, Docker, podman and buildah unpack with; where readers differ it says so.

mod header;
mod pax;
mod stream;

pub(crate) use header::Kind;
pub(crate) use stream::Stream;

use crate::{
    Limits,
    collect::{Collector, Want},
    reasons::{Reasons, code},
};
use header::{BLOCK, Header};
use pax::Pax;
use std::io::Read;

/// An archive member as the collector sees it.
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) link: &'a [u8],
    pub(crate) kind: Kind,
    /// Bytes in the archive, which for a sparse file are not those of the file.
    pub(crate) size: u64,
    pub(crate) sparse: bool,
}

/// Why reading stopped before the end of the archive; already among the reasons.
struct Stop;

/// What earlier headers say about the next entry.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

pub(crate) struct Walker<'a, R: Read> {
    stream: &'a mut Stream<R>,
    limits: &'a Limits,
    entries: u64,
    /// Its first block is no header: no archive, and nobody asks for the digest of what it expands
    /// to.
    foreign: bool,
    body: Vec<u8>,
}

impl<'a, R: Read> Walker<'a, R> {
    pub(crate) fn new(stream: &'a mut Stream<R>, limits: &'a Limits) -> Self {
        Self { stream, limits, entries: 0, foreign: false, body: Vec::new() }
    }

    /// Reads the archive to its end, then the stream to its end, and returns the number of entries.
    /// What is no archive is not read on: a model of gigabytes costs its first bytes.
    pub(crate) fn run(mut self, collector: &mut Collector<'_>) -> u64 {
        let mut extensions = Extensions::default();
        let ended = loop {
            match self.step(collector, &mut extensions) {
                Ok(true) => {}
                Ok(false) => break true,
                Err(Stop) => break false,
            }
        };
        if self.foreign {
            return self.entries;
        }
        let data = self.stream.drain();
        if ended && data {
            collector.reasons.add(code::DATA_AFTER_END, || {
                "bytes follow the archive's end marker; a runtime does not unpack them".to_owned()
            });
        }
        self.entries
    }

    /// Reads one header and its body. `Ok(false)` at the end of the archive.
    fn step(
        &mut self,
        collector: &mut Collector<'_>,
        extensions: &mut Extensions,
    ) -> Result<bool, Stop> {
        let Some(header) = self.header(&mut collector.reasons)? else { return Ok(false) };
        let body = match header.kind {
            Kind::Pax | Kind::PaxGlobal | Kind::GnuLongName | Kind::GnuLongLink => {
                self.extension(&header, &mut collector.reasons, extensions)?;
                return Ok(true);
            }
            _ => std::mem::take(extensions),
        };
        self.entries += 1;
        if self.entries > self.limits.max_entries {
            collector.reasons.add(code::TOO_MANY_ENTRIES, || {
                format!("the layer has more than {} entries", self.limits.max_entries)
            });
            return Err(Stop);
        }
        self.member(header, body, collector)?;
        Ok(true)
    }

    /// The next header; none at the end marker or a clean end of the stream.
    fn header(&mut self, reasons: &mut Reasons) -> Result<Option<Header>, Stop> {
        let first = self.entries == 0;
        let mut zero = false;
        loop {
            let block = self.stream.peek(BLOCK);
            if block.is_empty() && !self.stream.faulted() {
                return Ok(None);
            }
            let block = self.stream.peek(BLOCK);
            let Ok(block) = <&[u8; BLOCK]>::try_from(block) else {
                return Err(self.truncated(reasons, "within a header"));
            };
            if block.iter().all(|b| *b == 0) {
                self.stream.consume(BLOCK);
                if zero {
                    return Ok(None);
                }
                zero = true;
                continue;
            }
            let parsed = if zero { None } else { Header::parse(block) };
            let at = self.stream.expanded();
            if parsed.is_none() {
                let code = if first && !zero { code::NOT_A_TAR } else { code::DAMAGED_ARCHIVE };
                self.foreign = code == code::NOT_A_TAR;
                let entries = self.entries;
                reasons.add(code, || {
                    format!("no archive header after {entries} entries, about byte {at}")
                });
                return Err(Stop);
            }
            self.stream.consume(BLOCK);
            return Ok(parsed);
        }
    }

    fn truncated(&self, reasons: &mut Reasons, place: &str) -> Stop {
        // A fault of the stream is told once, by its own code.
        if !self.stream.faulted() {
            let (code, entries) = match self.entries {
                0 if self.stream.expanded() < BLOCK as u64 => (code::NOT_A_TAR, 0),
                entries => (code::TRUNCATED_ARCHIVE, entries),
            };
            reasons.add(code, || format!("the archive ends {place}, after {entries} entries"));
        }
        Stop
    }

    /// Reads an extension header's body and keeps what it says.
    fn extension(
        &mut self,
        header: &Header,
        reasons: &mut Reasons,
        extensions: &mut Extensions,
    ) -> Result<(), Stop> {
        if header.size > self.limits.max_extension_bytes {
            reasons.add(code::EXTENSION_LIMIT, || {
                format!("an extension header of {} bytes", header.size)
            });
            return Err(Stop);
        }
        self.body.clear();
        let size = header.size as usize;
        let whole =
            self.stream.read_into(&mut self.body, size) && self.stream.skip(padding(header.size));
        if !whole {
            return Err(self.truncated(reasons, "within an extension header"));
        }
        let text = || self.body.split(|b| *b == 0).next().unwrap_or_default().to_vec();
        match header.kind {
            Kind::GnuLongName => extensions.name = Some(text()),
            Kind::GnuLongLink => extensions.link = Some(text()),
            kind => {
                let Some(pax) = Pax::parse(&self.body) else {
                    reasons.add(code::DAMAGED_ARCHIVE, || "unreadable PAX records".to_owned());
                    return Err(Stop);
                };
                // Go gives global records to no entry and lets a second local set replace the
                // first; GNU tar and libarchive do otherwise.
                let ambiguous = if kind == Kind::PaxGlobal {
                    pax.changes_entries()
                } else {
                    extensions.pax.replace(pax).is_some()
                };
                if ambiguous {
                    reasons.add(code::AMBIGUOUS_HEADER, || {
                        "PAX records that readers apply to different entries".to_owned()
                    });
                }
            }
        }
        Ok(())
    }

    /// One real entry: what it is goes to the collector, its body too when that is wanted.
    fn member(
        &mut self,
        header: Header,
        extensions: Extensions,
        collector: &mut Collector<'_>,
    ) -> Result<(), Stop> {
        let pax = extensions.pax.unwrap_or_default();
        let reasons = &mut collector.reasons;
        let mut ambiguous = header.slash_file || header.kind == Kind::Unknown;
        ambiguous |= pax.path.is_some() && extensions.name.is_some_and_differs(&pax.path);
        ambiguous |= pax.link.is_some() && extensions.link.is_some_and_differs(&pax.link);
        let path = extensions.name.or(pax.path).unwrap_or(header.name);
        let link = extensions.link.or(pax.link).unwrap_or(header.link);
        if ambiguous {
            reasons.add(code::AMBIGUOUS_HEADER, || {
                format!("readers understand {:?} differently", String::from_utf8_lossy(&path))
            });
        }
        let sparse = pax.sparse || header.kind == Kind::GnuSparse;
        let kind = if header.kind == Kind::GnuSparse { Kind::File } else { header.kind };
        let has_body = matches!(kind, Kind::File | Kind::Unknown);
        let size = if has_body { pax.size.unwrap_or(header.size) } else { 0 };
        if header.sparse_continues {
            self.sparse_map(reasons)?;
        }
        let entry = Entry { path: &path, link: &link, kind, size, sparse };
        let want = collector.begin(&entry);
        let taken = self.body_of(size, want, collector)?;
        if !self.stream.skip(size - taken) {
            return Err(self.truncated(&mut collector.reasons, "within a file"));
        }
        // The padding after the last entry may be missing, as for Go.
        self.stream.skip(padding(size));
        Ok(())
    }

    /// Reads the wanted part of a body and hands it on; returns how many bytes that took.
    fn body_of(
        &mut self,
        size: u64,
        want: Want,
        collector: &mut Collector<'_>,
    ) -> Result<u64, Stop> {
        let cap = match want {
            Want::Nothing => return Ok(0),
            Want::Sniff => {
                let head = self.stream.peek(BLOCK.min(size as usize));
                match collector.sniff(head, size) {
                    Some(cap) => cap,
                    None => return Ok(0),
                }
            }
            Want::Body { cap } => cap,
        };
        let count = size.min(cap);
        self.body.clear();
        let whole = self.stream.read_into(&mut self.body, count as usize);
        collector.body(&self.body, whole && count == size, whole);
        if self.body.capacity() > 1 << 20 {
            self.body = Vec::new();
        }
        if whole { Ok(count) } else { Err(self.truncated(&mut collector.reasons, "within a file")) }
    }

    /// Skips the further blocks of an old GNU sparse map; each says whether one more follows.
    fn sparse_map(&mut self, reasons: &mut Reasons) -> Result<(), Stop> {
        loop {
            let block = self.stream.peek(BLOCK);
            let Some(more) = block.get(504).copied().filter(|_| block.len() == BLOCK) else {
                return Err(self.truncated(reasons, "within a sparse map"));
            };
            self.stream.consume(BLOCK);
            if more == 0 {
                return Ok(());
            }
        }
    }
}

trait Differs {
    fn is_some_and_differs(&self, other: &Self) -> bool;
}

impl Differs for Option<Vec<u8>> {
    fn is_some_and_differs(&self, other: &Self) -> bool {
        self.is_some() && self != other
    }
}

/// Bytes from the end of a body to the next block.
fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}
