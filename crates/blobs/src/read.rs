use crate::{
    BlobError, BlobKey, Result, buffers::Buffer, disk::DiskFile, error::at, upload::blocking,
};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use std::{fs::File, io, ops::Range, path::PathBuf, sync::Arc};

/// Size of the reads from disk, in bytes. A stream holds at most two such chunks in memory.
pub const READ_CHUNK_BYTES: usize = 256 * 1024;

/// An open blob. It stays readable after [`crate::BlobStore::remove`].
#[derive(Clone)]
pub struct BlobReader {
    key: BlobKey,
    size: u64,
    path: Arc<PathBuf>,
    file: Arc<dyn DiskFile>,
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} ({} bytes)", self.key, self.size)
    }
}

impl BlobReader {
    pub(crate) fn new(key: BlobKey, path: PathBuf, file: Arc<dyn DiskFile>, size: u64) -> Self {
        Self { key, size, path: Arc::new(path), file }
    }

    /// The blob's key.
    pub fn key(&self) -> &BlobKey {
        &self.key
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of a range, as chunks of [`READ_CHUNK_BYTES`]. What the system holds in memory is
    /// copied at once; from the first chunk on that must come from the device, the next chunk is
    /// read while the last one is on its way. No thread is held while the receiver is slow.
    pub fn stream(
        &self,
        range: Range<u64>,
    ) -> Result<impl Stream<Item = Result<Bytes>> + Send + 'static + use<>> {
        self.chunks(range, None)
    }

    /// As [`BlobReader::stream`], where what the system holds in memory is not copied: such a chunk
    /// is a part of `mapped`, the bytes of the whole range, which are not looked at.
    pub fn stream_mapped(
        &self,
        range: Range<u64>,
        mapped: Bytes,
    ) -> Result<impl Stream<Item = Result<Bytes>> + Send + 'static + use<>> {
        self.chunks(range, Some(mapped))
    }

    /// The system's own file with the blob's bytes, where there is one. It is never written to
    /// again.
    pub fn system_file(&self) -> Option<Arc<File>> {
        self.file.system_file()
    }

    fn chunks(
        &self,
        range: Range<u64>,
        mapped: Option<Bytes>,
    ) -> Result<impl Stream<Item = Result<Bytes>> + Send + 'static + use<>> {
        if range.start > range.end || range.end > self.size {
            let Range { start, end } = range;
            return Err(BlobError::RangeInvalid { start, end, size: self.size });
        }
        let mapped = mapped.map(|bytes| Mapped { bytes, offset: range.start });
        let source = Source { reader: self.clone(), mapped };
        let first = (!range.is_empty()).then_some(range);
        Ok(stream::unfold((source, first, None), async |(source, rest, ahead)| {
            // `rest` begins with the chunk that `ahead` reads.
            let rest = rest?;
            let start = rest.start + READ_CHUNK_BYTES as u64;
            let after = (start < rest.end).then_some(start..rest.end);
            let ahead = match ahead {
                Some(ahead) => ahead,
                None => match source.chunk_now(&rest) {
                    Some(bytes) => return Some((Ok(bytes), (source, after, None))),
                    None => source.reader.read_ahead(rest),
                },
            };
            let next = after.clone().map(|after| source.reader.read_ahead(after));
            match ahead.await.unwrap_or(Err(BlobError::TaskLost)) {
                Ok(bytes) => Some((Ok(bytes), (source, after, next))),
                Err(error) => Some((Err(error), (source, None, None))),
            }
        }))
    }

    /// The whole blob, if it has at most `limit` bytes.
    pub async fn read_all(&self, limit: u64) -> Result<Bytes> {
        if self.size > limit {
            return Err(BlobError::TooLarge { size: self.size, limit });
        }
        let reader = self.clone();
        blocking(move || {
            let length = usize::try_from(reader.size)
                .map_err(|_| BlobError::TooLarge { size: reader.size, limit: usize::MAX as u64 })?;
            let mut buffer = BytesMut::zeroed(length);
            reader.read_exact(&mut buffer, 0)?;
            Ok(buffer.freeze())
        })
        .await
    }

    /// Whether the first chunk of a range is in memory, as far as its two ends tell: what was read
    /// together is dropped together.
    fn is_in_memory(&self, range: &Range<u64>) -> bool {
        let last = range.start + chunk(range) as u64 - 1;
        [range.start, last].iter().all(|at| self.file.read_now_at(&mut [0], *at).is_some())
    }

    /// The first chunk of a range, if all of it is in memory.
    fn read_now(&self, range: &Range<u64>) -> Option<Bytes> {
        let mut buffer = Buffer::take(chunk(range));
        let bytes = buffer.bytes();
        let mut filled = 0;
        while filled < bytes.len() {
            filled += self.file.read_now_at(&mut bytes[filled..], range.start + filled as u64)?;
        }
        Some(buffer.freeze())
    }

    fn read_ahead(&self, range: Range<u64>) -> tokio::task::JoinHandle<Result<Bytes>> {
        let reader = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut buffer = Buffer::take(chunk(&range));
            reader.read_exact(buffer.bytes(), range.start)?;
            Ok(buffer.freeze())
        })
    }

    fn read_exact(&self, buffer: &mut [u8], start: u64) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let position = start + filled as u64;
            match self.file.read_at(&mut buffer[filled..], position) {
                Ok(0) => return Err(self.truncated(position)),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(at("read", &self.path)(error)),
            }
        }
        Ok(())
    }

    fn truncated(&self, found: u64) -> BlobError {
        BlobError::Truncated { key: self.key, expected: self.size, found }
    }
}

/// Where the chunks of a stream come from.
struct Source {
    reader: BlobReader,
    mapped: Option<Mapped>,
}

impl Source {
    /// The first chunk of a range, if it is in memory.
    fn chunk_now(&self, range: &Range<u64>) -> Option<Bytes> {
        match &self.mapped {
            Some(mapped) if self.reader.is_in_memory(range) => mapped.chunk(range),
            Some(_) => None,
            None => self.reader.read_now(range),
        }
    }
}

/// Bytes of a blob, from an offset on.
struct Mapped {
    bytes: Bytes,
    offset: u64,
}

impl Mapped {
    /// The first chunk of a range.
    fn chunk(&self, range: &Range<u64>) -> Option<Bytes> {
        let start = usize::try_from(range.start - self.offset).ok()?;
        let end = start + chunk(range);
        (end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }
}

/// Length of the first chunk of a range.
fn chunk(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start)
        .map_or(READ_CHUNK_BYTES, |all| all.min(READ_CHUNK_BYTES))
}

/// Reads a blob from its beginning, unbuffered, on a thread that may block.
#[derive(Debug)]
pub struct SyncReader {
    reader: BlobReader,
    position: u64,
}

impl SyncReader {
    pub(crate) fn new(reader: BlobReader) -> Self {
        Self { reader, position: 0 }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.reader.size
    }

    /// Goes on reading at `position`, in bytes from the beginning.
    pub fn skip_to(&mut self, position: u64) {
        self.position = position;
    }
}

impl io::Read for SyncReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.file.read_at(buffer, self.position)?;
        if n == 0 && !buffer.is_empty() && self.position < self.reader.size {
            return Err(io::Error::other(self.reader.truncated(self.position)));
        }
        self.position += n as u64;
        Ok(n)
    }
}
