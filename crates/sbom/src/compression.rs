use crate::{Limits, reasons::code};
use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use std::io::{self, BufReader, Read};

/// How a layer blob is compressed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not compressed.
    None,
    /// gzip, one or more members (RFC 1952).
    Gzip,
    /// zstd, one or more frames (RFC 8878).
    Zstd,
    /// A format that container runtimes do not read.
    Unsupported,
}

/// Largest zstd window accepted, as a power of two: 128 MiB, what `zstd --ultra` uses at most.
const MAX_WINDOW_LOG: u32 = 27;
/// Buffer in front of the decompressor, in bytes.
const INPUT_BUFFER: usize = 128 * 1024;
/// Bytes that tell the compression.
const HEAD: u64 = 8;

impl Compression {
    /// Recognises what containerd recognises; other well-known formats are named unsupported.
    pub(crate) fn detect(head: &[u8]) -> Self {
        let skippable = matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
        match head {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ if skippable => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..]
            | [0xfd, b'7', b'z', b'X', b'Z', 0, ..]
            | [0x5d, 0, 0, ..]
            | [b'P', b'K', 3, 4, ..]
            | [0x04, 0x22, 0x4d, 0x18, ..]
            | [b'7', b'z', 0xbc, 0xaf, ..]
            | [0x1f, 0x9d, ..] => Self::Unsupported,
            _ => Self::None,
        }
    }
}

/// Why the expanded stream ended before its end.
#[derive(Debug)]
pub(crate) struct StreamFault {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

/// Counts what is read and remembers whether the source itself failed.
struct Counting<R> {
    inner: R,
    bytes: u64,
    failed: bool,
    ended: bool,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Ok(count) => {
                    self.bytes += count as u64;
                    self.ended |= count == 0 && !buffer.is_empty();
                    return Ok(count);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failed = true;
                    return Err(e);
                }
            }
        }
    }
}

/// The head that was looked at, then the rest.
type Input<R> = BufReader<io::Chain<io::Cursor<Vec<u8>>, Counting<R>>>;

#[expect(clippy::large_enum_variant, reason = "there is one per layer and it is not moved")]
enum Decoder<R: Read> {
    Plain(Input<R>),
    Gzip(MultiGzDecoder<Input<R>>),
    Zstd(zstd::Decoder<'static, Input<R>>),
}

/// The expanded bytes of a layer, with caps on total and ratio.
pub(crate) struct Expanded<R: Read> {
    decoder: Decoder<R>,
    compression: Compression,
    out: u64,
    max_out: u64,
    max_ratio: u64,
    ratio_floor: u64,
}

impl<R: Read> Expanded<R> {
    pub(crate) fn new(reader: R, limits: &Limits) -> Result<Self, StreamFault> {
        let mut counting = Counting { inner: reader, bytes: 0, failed: false, ended: false };
        let mut head = Vec::with_capacity(HEAD as usize);
        counting.by_ref().take(HEAD).read_to_end(&mut head).map_err(|e| StreamFault {
            code: code::READ_ERROR,
            detail: format!("the layer could not be read: {e}"),
        })?;
        let compression = Compression::detect(&head);
        let input = BufReader::with_capacity(INPUT_BUFFER, io::Cursor::new(head).chain(counting));
        let decoder = match compression {
            Compression::Gzip => Decoder::Gzip(MultiGzDecoder::new(input)),
            Compression::Zstd => {
                let made = zstd::Decoder::with_buffer(input).and_then(|mut decoder| {
                    decoder.window_log_max(MAX_WINDOW_LOG)?;
                    Ok(decoder)
                });
                Decoder::Zstd(made.map_err(|e| StreamFault {
                    code: code::DAMAGED_COMPRESSION,
                    detail: format!("zstd: {e}"),
                })?)
            }
            Compression::None | Compression::Unsupported => Decoder::Plain(input),
        };
        Ok(Self {
            decoder,
            compression,
            out: 0,
            max_out: limits.max_expanded_bytes,
            max_ratio: limits.max_ratio,
            ratio_floor: limits.ratio_floor_bytes,
        })
    }

    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    fn source(&self) -> &Counting<R> {
        match &self.decoder {
            Decoder::Plain(input) => input.get_ref().get_ref().1,
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref().get_ref().1,
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref().get_ref().1,
        }
    }

    /// Bytes of the blob read so far.
    pub(crate) fn compressed_bytes(&self) -> u64 {
        self.source().bytes
    }

    /// Reads on; 0 at the end. A fault is final.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamFault> {
        let result = match &mut self.decoder {
            Decoder::Plain(input) => input.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
        };
        let count = result.map_err(|e| self.fault(&e))?;
        self.out += count as u64;
        let read = self.compressed_bytes().max(1);
        if self.out > self.max_out {
            return Err(StreamFault {
                code: code::EXPANSION_LIMIT,
                detail: format!("the layer expands to more than {} bytes", self.max_out),
            });
        }
        if self.out > self.ratio_floor && self.out / read > self.max_ratio {
            return Err(StreamFault {
                code: code::EXPANSION_LIMIT,
                detail: format!("{read} bytes expand to more than {} times that", self.max_ratio),
            });
        }
        Ok(count)
    }

    fn fault(&self, error: &io::Error) -> StreamFault {
        let source = self.source();
        let at = source.bytes;
        let (code, what) = if source.failed {
            (code::READ_ERROR, "the layer could not be read")
        } else if error.kind() == io::ErrorKind::UnexpectedEof && source.ended {
            (code::TRUNCATED_COMPRESSION, "the compressed stream ends before its end")
        } else {
            (code::DAMAGED_COMPRESSION, "the compressed stream is damaged")
        };
        StreamFault { code, detail: format!("{what}, about byte {at}: {error}") }
    }
}
