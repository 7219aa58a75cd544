//! PEP 440, "Version specifiers": the normalised scheme with every permitted spelling. What is not
//! PEP 440 (setuptools accepted anything once) sorts below all versions and is not accepted.

use super::digits;
use std::cmp::Ordering;

/// A number that may be absent.
type Number<'a> = Option<&'a [u8]>;

/// `[N!]N(.N)*[{a|b|rc}N][.postN][.devN][+local]`.
#[derive(Default)]
struct Parts<'a> {
    epoch: &'a [u8],
    release: &'a [u8],
    pre: Option<(u8, &'a [u8])>,
    post: Number<'a>,
    dev: Number<'a>,
    local: Option<&'a [u8]>,
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'-' | b'_')
}

/// Takes an optional separator, one of the words, an optional separator and an optional number.
fn word<'a>(text: &'a [u8], words: &[(&str, u8)]) -> Option<(u8, &'a [u8], &'a [u8])> {
    let rest = match text.split_first() {
        Some((&b, rest)) if is_separator(b) => rest,
        _ => text,
    };
    let letters = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let (name, rest) = rest.split_at(letters);
    let rank = words.iter().find(|(w, _)| name.eq_ignore_ascii_case(w.as_bytes()))?.1;
    let after = match rest.split_first() {
        Some((&b, after)) if is_separator(b) => after,
        _ => rest,
    };
    let (number, after) = digits::split(after);
    Some((rank, number, after))
}

const PRE: [(&str, u8); 8] = [
    ("a", 0),
    ("alpha", 0),
    ("b", 1),
    ("beta", 1),
    ("c", 2),
    ("rc", 2),
    ("pre", 2),
    ("preview", 2),
];
const POST: [(&str, u8); 3] = [("post", 0), ("rev", 0), ("r", 0)];
const DEV: [(&str, u8); 1] = [("dev", 0)];

fn parse(version: &str) -> Option<Parts<'_>> {
    let text = version.trim().as_bytes();
    let text = match text.split_first() {
        Some((b'v' | b'V', rest)) => rest,
        _ => text,
    };
    let mut parts = Parts::default();
    let mut rest = text;
    if let (number, [b'!', after @ ..]) = digits::split(rest)
        && !number.is_empty()
    {
        (parts.epoch, rest) = (number, after);
    }
    (parts.release, rest) = release(rest)?;
    if let Some((rank, number, after)) = word(rest, &PRE) {
        parts.pre = Some((rank, number));
        rest = after;
    }
    if let Some((_, number, after)) = word(rest, &POST) {
        parts.post = Some(number);
        rest = after;
    } else if let [b'-', after @ ..] = rest
        && let (number, after) = digits::split(after)
        && !number.is_empty()
    {
        parts.post = Some(number);
        rest = after;
    }
    if let Some((_, number, after)) = word(rest, &DEV) {
        parts.dev = Some(number);
        rest = after;
    }
    if let [b'+', local @ ..] = rest {
        let mut labels = local.split(|&b| is_separator(b));
        if !labels.all(|l| !l.is_empty() && l.iter().all(u8::is_ascii_alphanumeric)) {
            return None;
        }
        parts.local = Some(local);
        rest = &[];
    }
    rest.is_empty().then_some(parts)
}

/// `N(.N)*` without its trailing zero numbers, and what follows.
fn release(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, mut rest) = digits::split(text);
    if first.is_empty() {
        return None;
    }
    let mut significant = first.len();
    while let [b'.', after @ ..] = rest {
        let (number, after) = digits::split(after);
        if number.is_empty() {
            break;
        }
        rest = after;
        if !digits::strip(number).is_empty() {
            significant = text.len() - rest.len();
        }
    }
    Some((&text[..significant], rest))
}

fn compare_release(a: &[u8], b: &[u8]) -> Ordering {
    let (mut left, mut right) = (a.split(|&b| b == b'.'), b.split(|&b| b == b'.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => digits::compare(x.unwrap_or_default(), y.unwrap_or_default()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Where the pre-release part sorts: a bare `.dev` below `a`, none above `rc`.
fn pre_rank<'a>(parts: &Parts<'a>) -> (u8, &'a [u8]) {
    match parts.pre {
        Some((rank, number)) => (rank + 1, number),
        None if parts.post.is_none() && parts.dev.is_some() => (0, &[]),
        None => (4, &[]),
    }
}

fn compare_optional(a: Number<'_>, b: Number<'_>, absent_is: Ordering) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => absent_is,
        (Some(_), None) => absent_is.reverse(),
        (Some(x), Some(y)) => digits::compare(x, y),
    }
}

fn compare_local(a: Option<&[u8]>, b: Option<&[u8]>) -> Ordering {
    let (a, b) = match (a, b) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Less,
        (Some(_), None) => return Ordering::Greater,
        (Some(a), Some(b)) => (a, b),
    };
    let (mut left, mut right) = (a.split(|&b| is_separator(b)), b.split(|&b| is_separator(b)));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => {
                let numeric = |l: &[u8]| l.iter().all(u8::is_ascii_digit);
                match (numeric(x), numeric(y)) {
                    (true, true) => digits::compare(x, y),
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) => compare_caseless(x, y),
                }
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn compare_caseless(a: &[u8], b: &[u8]) -> Ordering {
    let lower = |t: &[u8], at: usize| t.get(at).map(u8::to_ascii_lowercase);
    (0..a.len().max(b.len()))
        .map(|at| lower(a, at).cmp(&lower(b, at)))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (x, y) = match (parse(a), parse(b)) {
        (Some(x), Some(y)) => (x, y),
        (None, None) => return compare_legacy(a.trim().as_bytes(), b.trim().as_bytes()),
        (Some(_), None) => return Ordering::Greater,
        (None, Some(_)) => return Ordering::Less,
    };
    let (p, q) = (pre_rank(&x), pre_rank(&y));
    digits::compare(x.epoch, y.epoch)
        .then_with(|| compare_release(x.release, y.release))
        .then_with(|| p.0.cmp(&q.0).then_with(|| digits::compare(p.1, q.1)))
        .then_with(|| compare_optional(x.post, y.post, Ordering::Less))
        .then_with(|| compare_optional(x.dev, y.dev, Ordering::Greater))
        .then_with(|| compare_local(x.local, y.local))
}

/// Old spellings among themselves: runs of digits as numbers, the rest as text.
fn compare_legacy(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let ((x, rest_a), (y, rest_b)) = (digits::split(a), digits::split(b));
        let order = match (x.is_empty(), y.is_empty()) {
            (false, false) => digits::compare(x, y),
            (true, true) => {
                let (m, n) = (a[0].to_ascii_lowercase(), b[0].to_ascii_lowercase());
                if m == n {
                    (a, b) = (&a[1..], &b[1..]);
                    continue;
                }
                m.cmp(&n)
            }
            // A number is newer than any word in its place.
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

pub(super) fn accepts(version: &str) -> bool {
    parse(version).is_some()
}
