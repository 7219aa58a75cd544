use crate::{
    Access, Bounds, Grants, Right, RightSet,
    permission::{Act, Permission, Resource},
};
use std::{fmt, net::IpAddr, sync::Arc};

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody said who they are.
    Anonymous,
    /// A person.
    User {
        /// Number.
        id: i64,
        /// Login name.
        name: String,
        /// Administers everything. Not by itself a security officer.
        sysadmin: bool,
        /// Grants and refuses waivers, edits the floor, quarantines.
        security_officer: bool,
    },
    /// A person by a token of theirs, with less than all of their rights. Whatever asks for a
    /// person asks for one who logged in: a token is none.
    Token {
        /// Number of the token.
        id: i64,
        /// What its user calls it.
        title: String,
        /// Number of the user.
        user_id: i64,
        /// Login name of the user.
        name: String,
        /// Whether the user administers everything.
        sysadmin: bool,
        /// Whether the user holds the security role.
        security_officer: bool,
        /// What of the user's rights is left.
        bounds: Arc<Bounds>,
    },
    /// A pipeline's credential.
    Robot {
        /// Number.
        id: i64,
        /// Full login name, `robot$project+name` or `robot$name`.
        name: String,
        /// Its project; none for a robot of the whole system.
        project_id: Option<i64>,
        /// What it may do, and where.
        grants: Arc<Grants>,
    },
}

impl Principal {
    /// The user's number.
    pub const fn user_id(&self) -> Option<i64> {
        match self {
            Self::User { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The number of the person behind it, who may have shown a token only.
    pub const fn person(&self) -> Option<i64> {
        match self {
            Self::User { id, .. } | Self::Token { user_id: id, .. } => Some(*id),
            Self::Anonymous | Self::Robot { .. } => None,
        }
    }

    /// Whose it is, by kind and number: a word for what is kept, for names change hands. A token is
    /// its person's.
    pub fn account(&self) -> String {
        match self {
            Self::Anonymous => "nobody".to_owned(),
            Self::User { id, .. } | Self::Token { user_id: id, .. } => format!("user {id}"),
            Self::Robot { id, .. } => format!("robot {id}"),
        }
    }

    /// What a token is limited to.
    pub fn bounds(&self) -> Option<&Bounds> {
        match self {
            Self::Token { bounds, .. } => Some(bounds),
            _ => None,
        }
    }

    /// Whether nobody said who they are.
    pub const fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Whether this is a system administrator.
    pub const fn is_sysadmin(&self) -> bool {
        matches!(self, Self::User { sysadmin: true, .. })
    }

    /// Whether this may be done in the system as a whole: by its administrators, and by robots that
    /// were given it.
    pub fn may_in_system(&self, resource: Resource, act: Act) -> bool {
        match self {
            Self::User { sysadmin, .. } => *sysadmin,
            Self::Robot { grants, .. } => grants.hold_in_system((resource, act)),
            Self::Anonymous | Self::Token { .. } => false,
        }
    }

    /// Whether this may be done in every project, so that none is hidden.
    pub fn may_everywhere(&self, what: Permission) -> bool {
        match self {
            Self::User { sysadmin, .. } => *sysadmin,
            Self::Robot { grants, .. } => grants.hold_everywhere(what),
            Self::Anonymous | Self::Token { .. } => false,
        }
    }

    /// Whether this is a robot.
    pub const fn is_robot(&self) -> bool {
        matches!(self, Self::Robot { .. })
    }

    /// Whether this person holds the security role.
    pub const fn is_security_officer(&self) -> bool {
        matches!(self, Self::User { security_officer: true, .. })
    }
}

/// The name in records: a login name, or `anonymous`, which no user may be called.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.pad("anonymous"),
            Self::User { name, .. } | Self::Token { name, .. } | Self::Robot { name, .. } => {
                f.pad(name)
            }
        }
    }
}

/// A principal and where the request comes from.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// From which address.
    pub address: IpAddr,
    /// With which client; cut to a bounded length by who fills it.
    pub user_agent: String,
    /// In which request.
    pub request_id: String,
    /// What a bearer token limits the caller to; `None` without a token.
    pub scope: Option<Arc<[Access]>>,
}

impl Caller {
    /// What is left of a principal's rights in a repository after the token's limits.
    pub fn within_scope(&self, rights: RightSet, project_id: i64, repository: &str) -> RightSet {
        let Some(scope) = &self.scope else { return rights };
        let granted: RightSet = scope
            .iter()
            .filter(|access| access.covers(project_id, repository))
            .flat_map(Access::rights)
            .collect();
        let mut left = rights.intersection(granted);
        // A token names Docker's three actions only; who may attest does it by pushing, and who may
        // remove tags does it by deleting.
        for (action, right) in [(Right::Push, Right::Attest), (Right::Delete, Right::Untag)] {
            if granted.contains(action) && rights.contains(right) {
                left = left.union(RightSet::of(&[right]));
            }
        }
        left
    }
}
