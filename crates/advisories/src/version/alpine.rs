//! apk's order, as apk-tools 3 compares: token by token, and where one version goes on and the
//! other does not, by the kind of the next token.

use super::digits;
use std::cmp::Ordering;

/// A piece of a version. The order of kinds is that of "what comes next": the first differing kind
/// decides, the lower kind being the older version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// `_alpha`, `_beta`, `_pre`, `_rc`: 0 to 3.
    Before(u8),
    /// Something that no version has here.
    Invalid,
    /// A dot that no digit follows.
    Dot,
    End,
    /// `-r7`.
    Revision(&'a [u8]),
    /// `~0123abc`.
    Hash(&'a [u8]),
    /// The number of a suffix.
    SuffixNumber(&'a [u8]),
    /// `_cvs`, `_svn`, `_git`, `_hg`, `_p`: 0 to 4.
    After(u8),
    /// `1.2a`.
    Letter(u8),
    /// A number after the first.
    Digit(&'a [u8]),
    /// The first number.
    First(&'a [u8]),
}

const BEFORE: [&[u8]; 4] = [b"alpha", b"beta", b"pre", b"rc"];
const AFTER: [&[u8]; 5] = [b"cvs", b"svn", b"git", b"hg", b"p"];

impl Token<'_> {
    const fn kind(&self) -> u8 {
        match self {
            Self::Before(_) => 0,
            Self::Invalid => 1,
            Self::Dot => 2,
            Self::End => 3,
            Self::Revision(_) => 4,
            Self::Hash(_) => 5,
            Self::SuffixNumber(_) => 6,
            Self::After(_) => 7,
            Self::Letter(_) => 8,
            Self::Digit(_) => 9,
            Self::First(_) => 10,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Before(a), Self::Before(b)) | (Self::After(a), Self::After(b)) => a.cmp(b),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(b),
            (Self::Revision(a), Self::Revision(b))
            | (Self::SuffixNumber(a), Self::SuffixNumber(b))
            | (Self::First(a), Self::First(b)) => digits::compare(a, b),
            (Self::Hash(a), Self::Hash(b)) => a.cmp(b),
            (Self::Digit(a), Self::Digit(b)) => {
                // A leading zero makes it a fraction: compared as text.
                if a.first() == Some(&b'0') || b.first() == Some(&b'0') {
                    a.cmp(b)
                } else {
                    digits::compare(a, b)
                }
            }
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

/// Reads tokens one after another.
struct Tokens<'a> {
    rest: &'a [u8],
    last: Token<'a>,
}

impl<'a> Tokens<'a> {
    fn new(version: &'a str) -> (Self, Token<'a>) {
        let (first, rest) = digits::split(version.trim().as_bytes());
        let token = Token::First(first);
        (Self { rest, last: token }, token)
    }

    fn next(&mut self) -> Token<'a> {
        let (token, rest) = self.read();
        self.rest = rest;
        self.last = token;
        token
    }

    fn read(&self) -> (Token<'a>, &'a [u8]) {
        let invalid = (Token::Invalid, &self.rest[..0]);
        let Some((&byte, rest)) = self.rest.split_first() else { return (Token::End, self.rest) };
        let numeric = matches!(self.last, Token::First(_) | Token::Digit(_) | Token::Dot);
        let suffix = matches!(self.last, Token::Before(_) | Token::After(_));
        match byte {
            b'a'..=b'z' if numeric => (Token::Letter(byte), rest),
            b'0'..=b'9' if matches!(self.last, Token::Letter(_)) => {
                let (number, rest) = digits::split(self.rest);
                (Token::Digit(number), rest)
            }
            b'0'..=b'9' if suffix => {
                let (number, rest) = digits::split(self.rest);
                (Token::SuffixNumber(number), rest)
            }
            b'.' if numeric => match rest.first() {
                Some(b'0'..=b'9' | b'.') => {
                    let (number, rest) = digits::split(rest);
                    (Token::Digit(number), rest)
                }
                _ => (Token::Dot, rest),
            },
            b'_' if !matches!(self.last, Token::Hash(_) | Token::Revision(_)) => {
                Self::suffix(rest).unwrap_or(invalid)
            }
            b'~' if !matches!(self.last, Token::Hash(_) | Token::Revision(_)) => {
                let end = rest.iter().take_while(|b| b.is_ascii_hexdigit()).count();
                (Token::Hash(&rest[..end]), &rest[end..])
            }
            b'-' if rest.first() == Some(&b'r') && !matches!(self.last, Token::Revision(_)) => {
                let (number, rest) = digits::split(&rest[1..]);
                if number.is_empty() && rest.first().is_some_and(u8::is_ascii_alphabetic) {
                    return invalid;
                }
                (Token::Revision(number), rest)
            }
            _ => invalid,
        }
    }

    fn suffix(text: &'a [u8]) -> Option<(Token<'a>, &'a [u8])> {
        let (name, rest) =
            text.split_at(text.iter().take_while(|b| b.is_ascii_lowercase()).count());
        let place = |names: &[&[u8]]| names.iter().position(|n| *n == name).map(|at| at as u8);
        if let Some(at) = place(&BEFORE) {
            return Some((Token::Before(at), rest));
        }
        place(&AFTER).map(|at| (Token::After(at), rest))
    }
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut x) = Tokens::new(a);
    let (mut right, mut y) = Tokens::new(b);
    loop {
        let order = x.compare(&y);
        if order.is_ne() || matches!(x, Token::End | Token::Invalid) {
            return order;
        }
        (x, y) = (left.next(), right.next());
    }
}

pub(super) fn accepts(version: &str) -> bool {
    let (mut tokens, mut token) = Tokens::new(version);
    loop {
        match token {
            Token::End => return true,
            Token::Invalid | Token::Dot => return false,
            Token::First(t) | Token::Digit(t) | Token::Revision(t) | Token::Hash(t)
                if t.is_empty() =>
            {
                return false;
            }
            _ => token = tokens.next(),
        }
    }
}
