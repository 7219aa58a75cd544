//! Bodies that are unique, not compressible, and cost no more than a copy.

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use sealock_oci::{Algorithm, Digest};
use sha2::Digest as _;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// Bytes of random that all bodies share, in which each page is made its own.
const BASE_BYTES: usize = 1024 * 1024;
/// Every page of this size carries the body's seed and its own number.
const PAGE_BYTES: usize = 4096;
/// What is handed to the connection at a time.
const FRAME_BYTES: usize = 128 * 1024;

/// The random bytes that bodies are cut from.
#[derive(Clone)]
pub(super) struct Base(Bytes);

impl Base {
    /// The same bytes in each run.
    pub(super) fn new() -> Self {
        let mut bytes = vec![0; BASE_BYTES];
        SmallRng::seed_from_u64(0x5ea1_0c4b).fill(bytes.as_mut_slice());
        Self(bytes.into())
    }
}

/// A blob of random bytes that is made as it is sent.
#[derive(Clone)]
pub(super) struct Blob {
    base: Base,
    seed: u64,
    /// Size in bytes.
    pub(super) size: u64,
    /// Digest.
    pub(super) digest: Digest,
}

impl Blob {
    /// Makes the blob once, to know its digest.
    pub(super) fn new(base: &Base, seed: u64, size: u64) -> Self {
        let mut hash = sha2::Sha256::new();
        let mut frames = Frames { base: base.clone(), seed, at: 0, size };
        while let Some(frame) = frames.next_frame() {
            hash.update(&frame);
        }
        let digest = Digest::from_hash(Algorithm::Sha256, &hash.finalize())
            .unwrap_or_else(|| Digest::sha256(b""));
        Self { base: base.clone(), seed, size, digest }
    }

    /// The bytes, as a body.
    pub(super) fn body(&self) -> Body {
        let Self { base, seed, size, .. } = self;
        Body::Made(Frames { base: base.clone(), seed: *seed, at: 0, size: *size })
    }
}

/// Where the making of a blob stands.
pub(super) struct Frames {
    base: Base,
    seed: u64,
    at: u64,
    size: u64,
}

impl Frames {
    fn next_frame(&mut self) -> Option<Bytes> {
        let left = self.size - self.at;
        if left == 0 {
            return None;
        }
        // Frames begin at a multiple of their length, which divides the base's.
        let from = (self.at % BASE_BYTES as u64) as usize;
        let length = usize::try_from(left).unwrap_or(FRAME_BYTES).min(FRAME_BYTES);
        let mut frame = BytesMut::from(self.base.0.get(from..from + length)?);
        let pages = self.at / PAGE_BYTES as u64..;
        for (page, bytes) in pages.zip(frame.chunks_mut(PAGE_BYTES)) {
            let mark = [self.seed.to_le_bytes(), page.to_le_bytes()].concat();
            let room = bytes.len().min(mark.len());
            bytes[..room].copy_from_slice(&mark[..room]);
        }
        self.at += length as u64;
        Some(frame.freeze())
    }
}

/// A request's body.
pub(super) enum Body {
    /// Nothing, or something small.
    Whole(Option<Bytes>),
    /// A blob.
    Made(Frames),
}

impl Body {
    /// No body.
    pub(super) fn empty() -> Self {
        Self::Whole(None)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut *self {
            Self::Whole(bytes) => bytes.take(),
            Self::Made(frames) => frames.next_frame(),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.as_ref().map_or(0, Bytes::len) as u64,
            Self::Made(frames) => frames.size - frames.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(blob: &Blob) -> Vec<u8> {
        let Body::Made(mut frames) = blob.body() else { unreachable!("a blob is made") };
        std::iter::from_fn(|| frames.next_frame()).flatten().collect()
    }

    #[test]
    fn a_blob_is_what_its_digest_says_and_shares_no_page_with_another() {
        let base = Base::new();
        let size = BASE_BYTES as u64 * 2 + 5000;
        let (one, two) = (Blob::new(&base, 1, size), Blob::new(&base, 2, size));
        let (first, second) = (whole(&one), whole(&two));
        assert_eq!(first.len() as u64, size);
        assert_eq!(Digest::sha256(&first), one.digest);
        assert_eq!(Digest::sha256(&second), two.digest);
        let pages: std::collections::BTreeSet<&[u8]> =
            first.chunks(PAGE_BYTES).chain(second.chunks(PAGE_BYTES)).collect();
        assert_eq!(pages.len(), 2 * first.len().div_ceil(PAGE_BYTES));
    }
}
