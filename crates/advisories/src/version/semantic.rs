//! Semantic Versioning 2.0, section 11, read loosely as npm does: a leading `v` or `=`, missing
//! parts as zero, a pre-release without its hyphen. Numbers may have any length.

use super::digits;
use std::cmp::Ordering;

struct Parts<'a> {
    core: [&'a [u8]; 3],
    pre: &'a [u8],
    valid: bool,
}

fn parse(version: &str) -> Parts<'_> {
    let text = version.trim().trim_start_matches(['v', 'V', '=', ' ']).as_bytes();
    let mut parts = Parts { core: [&text[..0]; 3], pre: &text[..0], valid: true };
    let mut rest = text;
    for (at, slot) in parts.core.iter_mut().enumerate() {
        let (number, after) = digits::split(rest);
        if number.is_empty() {
            parts.valid = false;
            break;
        }
        *slot = number;
        rest = after;
        match rest.split_first() {
            Some((b'.', after)) if at < 2 => rest = after,
            _ => break,
        }
    }
    let plus = rest.iter().position(|&b| b == b'+').unwrap_or(rest.len());
    let tail = &rest[..plus];
    let known = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    match tail.split_first() {
        None => {}
        Some((b'-', pre)) => {
            parts.pre = pre;
            parts.valid &=
                pre.split(|&b| b == b'.').all(|id| !id.is_empty()) && pre.iter().all(known);
        }
        Some((b, _)) if b.is_ascii_alphabetic() => {
            parts.pre = tail;
            parts.valid &= tail.iter().all(known);
        }
        // A fourth number counts as build data, and build data has no order.
        Some(_) => parts.valid = false,
    }
    parts
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parse(a), parse(b));
    for (x, y) in a.core.iter().zip(&b.core) {
        let order = digits::compare(x, y);
        if order.is_ne() {
            return order;
        }
    }
    match (a.pre.is_empty(), b.pre.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => compare_pre(a.pre, b.pre),
    }
}

fn compare_pre(a: &[u8], b: &[u8]) -> Ordering {
    let (mut left, mut right) = (a.split(|&b| b == b'.'), b.split(|&b| b == b'.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => match (numeric(x), numeric(y)) {
                (true, true) => digits::compare(x, y),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => x.cmp(y),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn numeric(id: &[u8]) -> bool {
    !id.is_empty() && id.iter().all(u8::is_ascii_digit)
}

pub(super) fn accepts(version: &str) -> bool {
    parse(version).valid
}
