//! Buffers that are used again: making one anew for each chunk costs more than filling it.

use crate::READ_CHUNK_BYTES;
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};

/// Buffers that are kept while nobody reads; more are made and given back as need be.
const KEPT: usize = 16;

static FREE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// A buffer of [`READ_CHUNK_BYTES`]. It is kept for the next reader when it is dropped.
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    length: usize,
}

impl Buffer {
    /// One whose first `length` bytes are to be filled.
    pub(crate) fn take(length: usize) -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = free.unwrap_or_else(|| vec![0; READ_CHUNK_BYTES].into());
        Self { bytes, length: length.min(READ_CHUNK_BYTES) }
    }

    /// The bytes to be filled.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }

    /// The bytes, filled.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_shows_only_what_was_asked_for() {
        let mut first = Buffer::take(READ_CHUNK_BYTES + 1);
        assert_eq!(first.bytes().len(), READ_CHUNK_BYTES);
        first.bytes().fill(7);
        drop(first.freeze());
        for length in [0, 1, READ_CHUNK_BYTES] {
            let mut next = Buffer::take(length);
            next.bytes().fill(9);
            assert_eq!(next.freeze(), vec![9; length]);
        }
        let many: Vec<_> = (0..2 * KEPT).map(|_| Buffer::take(1)).collect();
        drop(many);
        assert!(FREE.lock().unwrap().len() <= KEPT);
    }
}
