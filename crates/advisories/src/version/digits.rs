use std::cmp::Ordering;

/// Compares two runs of ASCII digits as numbers of any length; an empty run is zero.
pub(super) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (strip(a), strip(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Without leading zeroes.
pub(super) fn strip(digits: &[u8]) -> &[u8] {
    let zeroes = digits.iter().take_while(|&&b| b == b'0').count();
    digits.get(zeroes..).unwrap_or_default()
}

/// Splits the leading run of digits off.
pub(super) fn split(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|b| b.is_ascii_digit()).count())
}
