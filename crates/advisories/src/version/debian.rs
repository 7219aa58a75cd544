//! dpkg's order, deb-version(7).

use super::digits;
use std::cmp::Ordering;

/// Epoch, upstream version and revision. A missing epoch is zero and a missing revision is `0`,
/// which equals the empty one.
fn parts(version: &str) -> (&[u8], &[u8], &[u8]) {
    let bytes = version.trim().as_bytes();
    let (epoch, rest) = match bytes.iter().position(|&b| b == b':') {
        Some(at) if bytes[..at].iter().all(u8::is_ascii_digit) => (&bytes[..at], &bytes[at + 1..]),
        _ => (&bytes[..0], bytes),
    };
    match rest.iter().rposition(|&b| b == b'-') {
        Some(at) => (epoch, &rest[..at], &rest[at + 1..]),
        None => (epoch, rest, &rest[..0]),
    }
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    digits::compare(a.0, b.0)
        .then_with(|| compare_part(a.1, b.1))
        .then_with(|| compare_part(a.2, b.2))
}

/// Weight of one character in a non-digit run: `~`, then the end, then letters, then the rest.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(*b),
        Some(b) => i32::from(*b) + 256,
    }
}

fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let mut at = 0;
        loop {
            let (x, y) = (a.get(at), b.get(at));
            let order = weight(x).cmp(&weight(y));
            if order.is_ne() {
                return order;
            }
            // Equal weights of zero are both ends or digits; other equal weights are equal bytes.
            if weight(x) == 0 {
                break;
            }
            at += 1;
        }
        let (x, rest_a) = digits::split(&a[at..]);
        let (y, rest_b) = digits::split(&b[at..]);
        let order = digits::compare(x, y);
        if order.is_ne() {
            return order;
        }
        if rest_a.is_empty() && rest_b.is_empty() {
            return Ordering::Equal;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// As dpkg accepts versions from foreign sources: something upstream, no blanks, known characters.
pub(super) fn accepts(version: &str) -> bool {
    let version = version.trim();
    let (epoch, upstream, revision) = parts(version);
    // A colon may stand in the upstream version only after an epoch.
    let epoch_is_fine = match epoch {
        [] => !version.contains(':'),
        _ => digits::strip(epoch).len() <= 10,
    };
    let known = |b: &u8| b.is_ascii_alphanumeric() || b"+.~:-_".contains(b);
    epoch_is_fine
        && upstream.iter().any(u8::is_ascii_alphanumeric)
        && upstream.iter().all(known)
        && revision.iter().all(|b| known(b) && *b != b':')
}
