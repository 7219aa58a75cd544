use crate::compression::{Expanded, StreamFault};
use sealock_oci::{Algorithm, Digest};
use sha2::Digest as _;
use std::io::Read;

/// Bytes held at once; also the longest contiguous view.
const BUFFER: usize = 256 * 1024;

/// The expanded layer as a window that moves on; every byte is hashed once on its way in.
pub(crate) struct Stream<R: Read> {
    source: Expanded<R>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    hasher: sha2::Sha256,
    expanded: u64,
    ended: bool,
    fault: Option<StreamFault>,
}

impl<R: Read> Stream<R> {
    pub(crate) fn new(source: Expanded<R>) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            hasher: sha2::Sha256::new(),
            expanded: 0,
            ended: false,
            fault: None,
        }
    }

    /// Reads once into the free end of the buffer. False when nothing more comes.
    fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match self.source.read(&mut self.buffer[self.end..]) {
            Ok(count) if count > 0 => {
                self.hasher.update(&self.buffer[self.end..self.end + count]);
                self.end += count;
                self.expanded += count as u64;
                true
            }
            Ok(_) => {
                self.ended = true;
                false
            }
            Err(fault) => {
                self.ended = true;
                self.fault = Some(fault);
                false
            }
        }
    }

    /// What comes next, `count` bytes of it (at most [`BUFFER`]) or fewer at the end.
    pub(crate) fn peek(&mut self, count: usize) -> &[u8] {
        let count = count.min(BUFFER);
        while self.end - self.start < count && self.fill() {}
        &self.buffer[self.start..self.end.min(self.start + count)]
    }

    /// Moves on over what was peeked.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Moves on by `count` bytes. False when the stream ends before.
    pub(crate) fn skip(&mut self, mut count: u64) -> bool {
        loop {
            let held = (self.end - self.start) as u64;
            if held >= count {
                self.start += count as usize;
                return true;
            }
            count -= held;
            self.start = self.end;
            if !self.fill() {
                return false;
            }
        }
    }

    /// Appends the next `count` bytes to `out`. False when the stream ends before.
    pub(crate) fn read_into(&mut self, out: &mut Vec<u8>, mut count: usize) -> bool {
        while count > 0 {
            let held = self.peek(1);
            if held.is_empty() {
                return false;
            }
            let take = count.min(self.end - self.start);
            out.extend_from_slice(&self.buffer[self.start..self.start + take]);
            self.start += take;
            count -= take;
        }
        true
    }

    /// Reads to the end for the digest's sake; says whether any byte was not zero.
    pub(crate) fn drain(&mut self) -> bool {
        let mut data = false;
        loop {
            data |= self.buffer[self.start..self.end].iter().any(|b| *b != 0);
            self.start = self.end;
            if !self.fill() {
                return data;
            }
        }
    }

    /// Why the stream ended before its end, if it did.
    pub(crate) fn take_fault(&mut self) -> Option<StreamFault> {
        let fault = self.fault.take();
        self.ended &= fault.is_none();
        fault
    }

    pub(crate) fn faulted(&self) -> bool {
        self.fault.is_some()
    }

    pub(crate) fn expanded(&self) -> u64 {
        self.expanded
    }

    pub(crate) fn source(&self) -> &Expanded<R> {
        &self.source
    }

    /// The digest of all bytes, once they were read to the end without a fault.
    pub(crate) fn diff_id(self) -> Option<Digest> {
        if !self.ended || self.fault.is_some() {
            return None;
        }
        Digest::from_hash(Algorithm::Sha256, &self.hasher.finalize())
    }
}
