use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Something that one may do in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Read repositories.
    Pull,
    /// Upload.
    Push,
    /// Remove manifests, with their tags, and blobs.
    Delete,
    /// Remove tags, and nothing else.
    Untag,
    /// Add accessories to what exists, nothing else (decision D8).
    Attest,
    /// Bring artifacts into this project from others.
    Promote,
    /// Ask for a waiver.
    RequestWaiver,
    /// Read the project's audit events.
    ReadAudit,
    /// Change the project: visibility, policy, keys, members, robots.
    ManageProject,
    /// Read what the pull door refuses (decision D10). No role has it.
    Examine,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pull,
        Self::Push,
        Self::Delete,
        Self::Untag,
        Self::Attest,
        Self::Promote,
        Self::RequestWaiver,
        Self::ReadAudit,
        Self::ManageProject,
        Self::Examine,
    ];
    /// What Sealock's own API gives to robots; Harbor's knows many more permissions.
    pub const OF_ROBOTS: [Self; 4] = [Self::Pull, Self::Push, Self::Attest, Self::Promote];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Untag => "untag",
            Self::Attest => "attest",
            Self::Promote => "promote",
            Self::RequestWaiver => "request-waiver",
            Self::ReadAudit => "read-audit",
            Self::ManageProject => "manage-project",
            Self::Examine => "examine",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Right {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|right| right.as_str() == text);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("{text:?} is not a right; rights are: {all}")
        })
    }
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RightSet(u16);

impl RightSet {
    /// No right.
    pub const NONE: Self = Self(0);

    /// These rights.
    pub const fn of(rights: &[Right]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < rights.len() {
            bits |= 1 << rights[index] as u16;
            index += 1;
        }
        Self(bits)
    }

    /// Whether it holds this right.
    pub const fn contains(self, right: Right) -> bool {
        self.0 & (1 << right as u16) != 0
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What either holds.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both hold.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The rights, in order.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |&right| self.contains(right))
    }
}

impl FromIterator<Right> for RightSet {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, |set, right| set.union(Self::of(&[right])))
    }
}

impl fmt::Debug for RightSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for RightSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for RightSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Right>::deserialize(deserializer)?.into_iter().collect())
    }
}
