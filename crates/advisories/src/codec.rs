//! The byte language of the index: LEB128 numbers, length-prefixed text. Reading never goes out of
//! bounds: what does not fit is [`Corrupt`].

use crate::severity::Assessment;
use sealock_facts::{Severity, SeveritySource};
use std::cmp::Reverse;

/// The bytes are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt;

pub(crate) type Read<T> = Result<T, Corrupt>;

#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Corrupt)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Read<u8> {
        let (byte, rest) = self.rest.split_first().ok_or(Corrupt)?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(crate) fn number(&mut self) -> Read<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Corrupt)
    }

    /// A count of things that take at least one byte each.
    pub(crate) fn count(&mut self) -> Read<usize> {
        let count = usize::try_from(self.number()?).map_err(|_| Corrupt)?;
        if count > self.rest.len() { Err(Corrupt) } else { Ok(count) }
    }

    pub(crate) fn blob(&mut self) -> Read<&'a [u8]> {
        let length = self.count()?;
        self.bytes(length)
    }

    pub(crate) fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.blob()?).map_err(|_| Corrupt)
    }

    /// A list of 32-bit numbers.
    pub(crate) fn short_numbers(&mut self) -> Read<Vec<u32>> {
        let count = self.count()?;
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(u32::try_from(self.number()?).map_err(|_| Corrupt)?);
        }
        Ok(list)
    }

    /// Microseconds since 1970, or nothing.
    pub(crate) fn time(&mut self) -> Read<Option<jiff::Timestamp>> {
        if self.byte()? == 0 {
            return Ok(None);
        }
        let bytes = self.bytes(8)?.try_into().map_err(|_| Corrupt)?;
        jiff::Timestamp::from_microsecond(i64::from_le_bytes(bytes)).map(Some).map_err(|_| Corrupt)
    }

    pub(crate) fn assessment(&mut self) -> Read<Option<Assessment>> {
        Ok(self.assessed()?.map(Assessed::owned))
    }

    /// An assessment in place.
    pub(crate) fn assessed(&mut self) -> Read<Option<Assessed<'a>>> {
        let rank = match self.byte()? {
            0 => return Ok(None),
            rank => rank - 1,
        };
        let severity = match self.byte()? {
            0 => Severity::Unknown,
            1 => Severity::Negligible,
            2 => Severity::Low,
            3 => Severity::Medium,
            4 => Severity::High,
            5 => Severity::Critical,
            _ => return Err(Corrupt),
        };
        let vector = self.text()?;
        let score_tenths = match vector {
            "" => 0,
            _ => u32::try_from(self.number()?).map_err(|_| Corrupt)?,
        };
        Ok(Some(Assessed { rank, severity: Reverse(severity), vector, score_tenths }))
    }
}

/// An [`Assessment`] as it lies in the index; the smallest is the one that is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Assessed<'a> {
    rank: u8,
    severity: Reverse<Severity>,
    /// Empty for a publisher's word.
    vector: &'a str,
    score_tenths: u32,
}

impl Assessed<'_> {
    pub(crate) const fn severity(self) -> Severity {
        self.severity.0
    }

    pub(crate) fn source(self) -> SeveritySource {
        match self.vector {
            "" => SeveritySource::Vendor,
            vector => {
                SeveritySource::Cvss { vector: vector.to_owned(), score_tenths: self.score_tenths }
            }
        }
    }

    fn owned(self) -> Assessment {
        Assessment { rank: self.rank, severity: self.severity(), source: self.source() }
    }
}

/// Appends to a buffer what [`Reader`] reads.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(crate) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(crate) fn blob(&mut self, blob: &[u8]) {
        self.number(blob.len() as u64);
        self.bytes.extend_from_slice(blob);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.blob(text.as_bytes());
    }

    pub(crate) fn time(&mut self, time: Option<jiff::Timestamp>) {
        match time {
            None => self.byte(0),
            Some(time) => {
                self.byte(1);
                self.bytes.extend_from_slice(&time.as_microsecond().to_le_bytes());
            }
        }
    }

    pub(crate) fn assessment(&mut self, assessment: Option<&Assessment>) {
        let Some(assessment) = assessment else { return self.byte(0) };
        self.byte(assessment.rank + 1);
        self.byte(match assessment.severity {
            Severity::Unknown => 0,
            Severity::Negligible => 1,
            Severity::Low => 2,
            Severity::Medium => 3,
            Severity::High => 4,
            Severity::Critical => 5,
        });
        match &assessment.source {
            SeveritySource::Vendor => self.text(""),
            SeveritySource::Cvss { vector, score_tenths } => {
                self.text(vector);
                self.number(u64::from(*score_tenths));
            }
        }
    }
}
