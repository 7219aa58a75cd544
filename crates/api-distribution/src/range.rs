//! `Range` of a pull (RFC 9110, section 14) and `Content-Range` of a chunk (distribution-spec).

use sealock_http::{HttpError, Result};
use sealock_oci::ErrorCode;
use sealock_registry::ChunkRange;
use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The whole: there is no header, it is in another unit, malformed, or asks for several ranges,
    /// which a server may ignore.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing that exists.
    Unsatisfiable,
}

/// Reads a `Range` header against a size in bytes.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(strip_unit) else { return Wanted::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return Wanted::Whole };
    let (first, last) = (first.trim(), last.trim());
    match (first, last) {
        ("", "") => Wanted::Whole,
        ("", suffix) => match number(suffix) {
            Some(0) => Wanted::Unsatisfiable,
            Some(_) if size == 0 => Wanted::Unsatisfiable,
            Some(length) => Wanted::Part(size.saturating_sub(length)..size),
            None => Wanted::Whole,
        },
        (first, "") => match number(first) {
            Some(first) if first < size => Wanted::Part(first..size),
            Some(_) => Wanted::Unsatisfiable,
            None => Wanted::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            // A server may ignore or reject it (RFC 9110, section 14.2). Whoever counted backwards
            // hears of it sooner this way than from a whole blob.
            (Some(first), Some(last)) if last < first => Wanted::Unsatisfiable,
            (Some(first), Some(_)) if first >= size => Wanted::Unsatisfiable,
            (Some(first), Some(last)) => Wanted::Part(first..last.saturating_add(1).min(size)),
            _ => Wanted::Whole,
        },
    }
}

fn strip_unit(header: &str) -> Option<&str> {
    let (unit, spec) = header.split_once('=')?;
    unit.trim().eq_ignore_ascii_case("bytes").then_some(spec)
}

/// `Content-Range: <first>-<last>` of a chunk, both inclusive.
pub(crate) fn chunk(header: Option<&str>) -> Result<Option<ChunkRange>> {
    let Some(header) = header else { return Ok(None) };
    let parsed = header
        .split_once('-')
        .and_then(|(start, end)| Some(ChunkRange { start: number(start)?, end: number(end)? }));
    match parsed {
        Some(range) if range.start <= range.end => Ok(Some(range)),
        _ => Err(HttpError::bad_request(
            ErrorCode::BlobUploadInvalid,
            format!("Content-Range has the form <first>-<last>, not {header:?}"),
        )),
    }
}

/// Digits only, saturating: a number beyond any size is just that.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_of_ten_bytes() {
        for (header, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=3-", Wanted::Part(3..10)),
            ("bytes=3-99", Wanted::Part(3..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("Bytes = 1-2", Wanted::Part(1..3)),
            ("bytes=9-99999999999999999999999", Wanted::Part(9..10)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=10-10", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-4", Wanted::Unsatisfiable),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("0-1", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=-1"), 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn chunks() {
        assert_eq!(chunk(Some("0-4")).unwrap(), Some(ChunkRange { start: 0, end: 4 }));
        assert_eq!(chunk(None).unwrap(), None);
        for bad in ["", "0", "-4", "0-", "4-0", "bytes 0-4/5", "bytes=0-4", "a-b", "+0-4"] {
            assert_eq!(chunk(Some(bad)).expect_err(bad).status(), 400, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_blob(header in ".{0,40}", size in 0u64..100) {
            if let Wanted::Part(range) = wanted(Some(&format!("bytes={header}")), size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
