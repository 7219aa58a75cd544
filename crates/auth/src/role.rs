use serde::{Deserialize, Serialize};
use std::fmt;

/// A member's role in a project. Names and numbers are Harbor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// 1.
    ProjectAdmin,
    /// 2.
    Developer,
    /// 3.
    Guest,
    /// 4.
    Maintainer,
    /// 5.
    LimitedGuest,
}

impl Role {
    /// All of them, by number.
    pub const ALL: [Self; 5] =
        [Self::ProjectAdmin, Self::Developer, Self::Guest, Self::Maintainer, Self::LimitedGuest];

    /// Harbor's number.
    pub const fn id(self) -> i64 {
        match self {
            Self::ProjectAdmin => 1,
            Self::Developer => 2,
            Self::Guest => 3,
            Self::Maintainer => 4,
            Self::LimitedGuest => 5,
        }
    }

    /// The role with this number.
    pub fn from_id(id: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.id() == id)
    }

    /// Harbor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProjectAdmin => "projectAdmin",
            Self::Developer => "developer",
            Self::Guest => "guest",
            Self::Maintainer => "maintainer",
            Self::LimitedGuest => "limitedGuest",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
