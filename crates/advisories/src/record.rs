//! The internal form of an advisory: what the matcher needs of an OSV record, and no more. Every
//! importer makes these.

use crate::severity::Assessment;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One advisory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id at its source.
    pub id: String,
    /// When it last changed; of two records with one id the newer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
    /// When it was first published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
    /// Since when it no longer stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Timestamp>,
    /// Other ids of the same vulnerability.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Vulnerabilities that a distribution's advisory is about; they are not one another's aliases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<String>,
    /// One line about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) severity: Vec<Assessment>,
    /// What it affects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<Affected>,
}

impl Record {
    /// The ecosystems that it names, sorted.
    pub(crate) fn ecosystems(&self) -> BTreeSet<&str> {
        self.affected.iter().map(|affected| affected.ecosystem.as_str()).collect()
    }
}

/// What a record says of one package of one ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// OSV ecosystem with its suffix.
    pub ecosystem: String,
    /// Package name, normalised.
    pub name: String,
    /// Versions listed one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// Ranges; versions listed and ranges are a union.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// What the publisher says of it.
    #[serde(default, skip_serializing_if = "Status::is_affected")]
    pub status: Status,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) severity: Vec<Assessment>,
}

/// What a publisher says about a package and a vulnerability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The versions tell.
    #[default]
    Affected,
    /// No version of it ever was or will be (`0` in Alpine's and Debian's data).
    NotAffected,
    /// It will not be fixed: ignored, or the release has reached its end of life.
    WontFix,
    /// A fix may come later.
    Deferred,
    /// Nobody has looked yet; reported in comprehensive mode only.
    UnderInvestigation,
    /// Every version of it (a malicious package without a list).
    Everything,
}

impl Status {
    const fn is_affected(&self) -> bool {
        matches!(self, Self::Affected)
    }

    pub(crate) const fn to_byte(self) -> u8 {
        match self {
            Self::Affected => 0,
            Self::NotAffected => 1,
            Self::WontFix => 2,
            Self::Deferred => 3,
            Self::UnderInvestigation => 4,
            Self::Everything => 5,
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Affected,
            1 => Self::NotAffected,
            2 => Self::WontFix,
            3 => Self::Deferred,
            4 => Self::UnderInvestigation,
            5 => Self::Everything,
            _ => return None,
        })
    }
}

/// A range of versions: events along an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// `SEMVER` rather than the ecosystem's own order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub semver: bool,
    /// The events, as given.
    pub events: Vec<Event>,
}

/// What happens at a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// From here on it is affected; `0` is before every version.
    Introduced,
    /// From here on it is not.
    Fixed,
    /// After this it is not.
    LastAffected,
    /// From here on the range says nothing; `*` is after every version.
    Limit,
}

impl EventKind {
    pub(crate) const fn to_byte(self) -> u8 {
        match self {
            Self::Introduced => 0,
            Self::Fixed => 1,
            Self::LastAffected => 2,
            Self::Limit => 3,
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Introduced,
            1 => Self::Fixed,
            2 => Self::LastAffected,
            3 => Self::Limit,
            _ => return None,
        })
    }
}

/// One event of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happens.
    pub kind: EventKind,
    /// Where.
    pub version: String,
}

impl Range {
    /// The commonest range: everything below `fixed`, or everything.
    pub(crate) fn below(fixed: Option<&str>) -> Self {
        let event = |kind, version: &str| Event { kind, version: version.to_owned() };
        let mut events = vec![event(EventKind::Introduced, "0")];
        events.extend(fixed.map(|v| event(EventKind::Fixed, v)));
        Self { semver: false, events }
    }
}
