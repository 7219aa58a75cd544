//! What a change expects to find, compared in the transaction that makes the change.

use crate::{Error, Kind, Result};
use sealock_oci::{Digest, ErrorCode, Reference};

/// The conditions of a change (RFC 9110, section 13.1), against what the reference names now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// `If-Match`: it names one of these.
    pub matches: Option<Expected>,
    /// `If-None-Match`: it names none of these.
    pub none_matches: Option<Expected>,
}

/// What a condition lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is.
    Anything,
    /// One of these digests.
    OneOf(Vec<Digest>),
}

impl Expected {
    fn covers(&self, current: Option<&Digest>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Anything, Some(_)) => true,
            (Self::OneOf(digests), Some(current)) => digests.contains(current),
        }
    }
}

impl Precondition {
    /// Whether there is no condition.
    pub fn is_empty(&self) -> bool {
        self.matches.is_none() && self.none_matches.is_none()
    }

    /// Whether a change may be made while the reference names `current`.
    pub fn holds(&self, current: Option<&Digest>) -> bool {
        self.matches.as_ref().is_none_or(|expected| expected.covers(current))
            && !self.none_matches.as_ref().is_some_and(|expected| expected.covers(current))
    }

    /// Fails when it does not hold.
    pub(crate) fn require(&self, reference: &Reference, current: Option<&Digest>) -> Result<()> {
        if self.holds(current) {
            return Ok(());
        }
        let now = current.map_or("nothing".to_owned(), Digest::to_string);
        Err(Error::new(
            Kind::Precondition,
            ErrorCode::Denied,
            format!("{reference} names {now} now; read it again before you change it"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        let (here, other) = (Digest::sha256(b"here"), Digest::sha256(b"other"));
        let matches = |expected| Precondition { matches: Some(expected), none_matches: None };
        let none = |expected| Precondition { matches: None, none_matches: Some(expected) };
        let one = |digest| Expected::OneOf(vec![digest]);
        assert!(Precondition::default().holds(None) && Precondition::default().holds(Some(&here)));
        assert!(matches(one(here)).holds(Some(&here)));
        assert!(!matches(one(here)).holds(Some(&other)) && !matches(one(here)).holds(None));
        assert!(matches(Expected::Anything).holds(Some(&other)));
        assert!(!matches(Expected::Anything).holds(None));
        assert!(!matches(Expected::OneOf(Vec::new())).holds(Some(&here)));
        assert!(none(Expected::Anything).holds(None));
        assert!(!none(Expected::Anything).holds(Some(&here)));
        assert!(none(one(other)).holds(Some(&here)) && !none(one(here)).holds(Some(&here)));
    }
}
