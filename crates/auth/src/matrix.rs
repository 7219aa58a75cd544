//! Harbor's roles: who may do what to which part of a project, and what robots may be given. The
//! one table; `docs/reference/permissions.md` is made from it.

use crate::{Principal, Right, Role};
use sealock_metadata::{Result, Tx, members, projects::Project};
use std::fmt;

/// Declares an enum with Harbor's word for each variant.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`")] $variant,)+
        }

        impl $name {
            /// Harbor's word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// A part of a project.
    Resource {
        Project = "project",
        Member = "member",
        Metadata = "metadata",
        Log = "log",
        Label = "label",
        Quota = "quota",
        Repository = "repository",
        Artifact = "artifact",
        ArtifactAddition = "artifact-addition",
        Accessory = "accessory",
        ArtifactLabel = "artifact-label",
        Tag = "tag",
        TagRetention = "tag-retention",
        ImmutableTag = "immutable-tag",
        Configuration = "configuration",
        Robot = "robot",
        NotificationPolicy = "notification-policy",
        Scan = "scan",
        Sbom = "sbom",
        Scanner = "scanner",
        PreheatPolicy = "preheat-policy",
        ExportCve = "export-cve",
    }
}

words! {
    /// What is done to it.
    Act {
        Create = "create",
        Read = "read",
        Update = "update",
        Delete = "delete",
        List = "list",
        Pull = "pull",
        Push = "push",
        Operate = "operate",
        Stop = "stop",
    }
}

use Act::{Create, Delete, List, Operate, Pull, Push, Read, Stop, Update};

/// Which roles may do what, by their letters: project Admin, Maintainer, Developer, Guest, Limited
/// guest, and `P`: anybody where the project is public.
pub const MATRIX: &[(Resource, &[Act], &str)] = &[
    (Resource::Project, &[Read], "AMDGLP"),
    (Resource::Project, &[Update, Delete], "A"),
    (Resource::Member, &[List, Read], "AMDG"),
    (Resource::Member, &[Create, Update, Delete], "A"),
    (Resource::Metadata, &[Read], "AM"),
    (Resource::Metadata, &[Create, Update, Delete], "A"),
    (Resource::Log, &[List], "A"),
    (Resource::Label, &[List, Read], "AMDGP"),
    (Resource::Label, &[Create, Update, Delete], "AM"),
    (Resource::Quota, &[Read], "AMDGL"),
    (Resource::Repository, &[List, Pull], "AMDGLP"),
    (Resource::Repository, &[Read], "AMDGL"),
    (Resource::Repository, &[Create, Push, Update], "AMD"),
    (Resource::Repository, &[Delete], "AM"),
    (Resource::Artifact, &[List, Read], "AMDGLP"),
    (Resource::Artifact, &[Create], "AMD"),
    (Resource::Artifact, &[Delete], "AM"),
    (Resource::ArtifactAddition, &[Read], "AMDGLP"),
    (Resource::Accessory, &[List], "AMDGLP"),
    (Resource::ArtifactLabel, &[Create, Delete], "AMD"),
    (Resource::Tag, &[List], "AMDGLP"),
    (Resource::Tag, &[Create], "AMD"),
    (Resource::Tag, &[Delete], "AM"),
    (Resource::TagRetention, &[Create, Read, Update, Delete, List, Operate], "AMD"),
    (Resource::ImmutableTag, &[List, Create, Update, Delete], "AM"),
    (Resource::Configuration, &[Read], "AMDGL"),
    (Resource::Configuration, &[Update], "A"),
    (Resource::Robot, &[List, Read], "AMDG"),
    (Resource::Robot, &[Create, Update, Delete], "A"),
    (Resource::NotificationPolicy, &[List, Read], "AM"),
    (Resource::NotificationPolicy, &[Create, Update, Delete], "A"),
    (Resource::Scan, &[Read], "AMDGLP"),
    (Resource::Scan, &[Create, Stop], "AM"),
    (Resource::Sbom, &[Read], "AMDGL"),
    (Resource::Sbom, &[Create, Stop], "AM"),
    (Resource::Scanner, &[Read], "AMDGLP"),
    (Resource::Scanner, &[Create], "A"),
    (Resource::PreheatPolicy, &[Create, Read, Update, Delete, List], "A"),
    (Resource::ExportCve, &[Create, Read, List], "AMD"),
];

const ALL: &[Act] = &[Create, Read, Update, Delete, List];
const CHANGE: &[Act] = &[Create, Read, Update, Delete];

/// What a robot of the whole system may be given: Harbor's catalogue, anything else is refused.
pub const SYSTEM_CATALOGUE: &[(&str, &[Act])] = &[
    ("audit-log", &[List]),
    ("preheat-instance", ALL),
    ("project", &[Create, List]),
    ("replication-policy", ALL),
    ("replication", &[Create, Read, List]),
    ("replication-adapter", &[List]),
    ("registry", ALL),
    ("scan-all", &[Create, Read, Update, Stop]),
    ("system-volumes", &[Read]),
    ("garbage-collection", &[Create, Read, Update, List, Stop]),
    ("purge-audit", &[Create, Read, Update, List, Stop]),
    ("jobservice-monitor", &[List, Stop]),
    ("scanner", ALL),
    ("label", CHANGE),
    ("security-hub", &[Read, List]),
    ("catalog", &[Read]),
    ("quota", &[Read, List, Update]),
    ("robot", &[Create, Read, List, Delete]),
    ("user", ALL),
    ("user-group", ALL),
    ("ldap-user", &[Create, List]),
];

/// What a robot may be given in a project.
pub const PROJECT_CATALOGUE: &[(Resource, &[Act])] = &[
    (Resource::Log, &[List]),
    (Resource::Project, &[Read, Update, Delete]),
    (Resource::Metadata, ALL),
    (Resource::Repository, &[Read, Update, Delete, List, Pull, Push]),
    (Resource::Artifact, &[Create, Read, List, Delete]),
    (Resource::Scan, &[Create, Read, Stop]),
    (Resource::Sbom, &[Create, Read, Stop]),
    (Resource::Tag, &[Create, List, Delete]),
    (Resource::Accessory, &[List]),
    (Resource::ArtifactAddition, &[Read]),
    (Resource::ArtifactLabel, &[Create, Delete]),
    (Resource::Scanner, &[Create, Read]),
    (Resource::PreheatPolicy, ALL),
    (Resource::ImmutableTag, &[Create, Update, Delete, List]),
    (Resource::NotificationPolicy, ALL),
    (Resource::TagRetention, ALL),
    (Resource::Label, ALL),
    (Resource::Quota, &[Read]),
    (Resource::Robot, &[Create, Read, List, Delete]),
    (Resource::ExportCve, &[Create, Read]),
    (Resource::Member, ALL),
];

impl Role {
    /// Its letter in [`MATRIX`].
    pub const fn letter(self) -> char {
        match self {
            Self::ProjectAdmin => 'A',
            Self::Maintainer => 'M',
            Self::Developer => 'D',
            Self::Guest => 'G',
            Self::LimitedGuest => 'L',
        }
    }
}

impl Role {
    /// Its place among the roles, the strongest first.
    pub fn rank(self) -> usize {
        RANKS.iter().position(|role| *role == self).unwrap_or(RANKS.len())
    }
}

/// The roles, the strongest first.
const RANKS: [Role; 5] =
    [Role::ProjectAdmin, Role::Maintainer, Role::Developer, Role::Guest, Role::LimitedGuest];

/// The letters of those who may do this.
fn holders(resource: Resource, act: Act) -> &'static str {
    let found = MATRIX.iter().find(|(one, acts, _)| *one == resource && acts.contains(&act));
    found.map_or("", |(_, _, letters)| letters)
}

/// How somebody stands to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Administers the whole system.
    pub sysadmin: bool,
    /// Roles in the project, the strongest first.
    pub roles: Vec<Role>,
    /// The project is public.
    public: bool,
    /// May look everywhere: a security officer.
    looks: bool,
    robot: Option<crate::RightSet>,
}

impl Standing {
    /// How this principal stands to this project. At most one query.
    pub async fn of(tx: &mut Tx, principal: &Principal, project: &Project) -> Result<Self> {
        let mut standing = Self {
            sysadmin: principal.is_sysadmin(),
            roles: Vec::new(),
            public: project.public,
            looks: principal.is_security_officer(),
            robot: None,
        };
        match principal {
            Principal::User { id, .. } => {
                let roles = members::roles(tx, project.id, *id).await?;
                standing.roles = roles.into_iter().filter_map(Role::from_id).collect();
                standing.roles.sort_by_key(|role| role.rank());
            }
            Principal::Robot { project_id, rights, .. } if *project_id == project.id => {
                standing.robot = Some(*rights);
            }
            Principal::Robot { .. } | Principal::Anonymous => {}
        }
        Ok(standing)
    }

    /// Whether this may be done.
    pub fn may(&self, resource: Resource, act: Act) -> bool {
        let letters = holders(resource, act);
        self.sysadmin
            || (self.public && letters.contains('P'))
            || (self.looks && letters.contains(Role::LimitedGuest.letter()))
            || self.roles.iter().any(|role| letters.contains(role.letter()))
            || self.robot.is_some_and(|rights| of_rights(rights, resource, act))
    }

    /// Everything that may be done.
    pub fn all(&self) -> impl Iterator<Item = (Resource, Act)> + '_ {
        let pairs = MATRIX
            .iter()
            .flat_map(|(resource, acts, _)| acts.iter().map(move |act| (*resource, *act)));
        pairs.filter(|(resource, act)| self.may(*resource, *act))
    }
}

/// What a robot's rights mean in Harbor's words.
fn of_rights(rights: crate::RightSet, resource: Resource, act: Act) -> bool {
    let pushes = rights.contains(Right::Push);
    let reads = pushes || rights.contains(Right::Pull);
    match (resource, act) {
        (Resource::Repository, List | Read | Pull)
        | (Resource::Artifact, List | Read)
        | (Resource::ArtifactAddition, Read)
        | (Resource::Accessory | Resource::Tag, List) => reads,
        (Resource::Repository, Push) | (Resource::Artifact | Resource::Tag, Create) => pushes,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn standing(role: Role) -> Standing {
        Standing { sysadmin: false, roles: vec![role], public: false, looks: false, robot: None }
    }

    #[test]
    fn each_pair_stands_in_the_table_once() {
        let mut seen = BTreeSet::new();
        for (resource, acts, letters) in MATRIX {
            assert!(letters.chars().all(|letter| "AMDGLP".contains(letter)), "{letters}");
            for act in *acts {
                assert!(seen.insert((*resource, *act)), "{resource} {act} twice");
            }
        }
    }

    #[test]
    fn a_role_does_what_its_letter_says() {
        let may = |role, resource, act| standing(role).may(resource, act);
        assert!(may(Role::Developer, Resource::Repository, Push));
        assert!(!may(Role::Developer, Resource::Tag, Delete));
        assert!(may(Role::Maintainer, Resource::Metadata, Read));
        assert!(!may(Role::Maintainer, Resource::Metadata, Update));
        assert!(!may(Role::ProjectAdmin, Resource::Metadata, List), "Harbor's own gap");
        assert!(!may(Role::LimitedGuest, Resource::Member, List));
        let guest = Standing { public: true, roles: Vec::new(), ..standing(Role::Guest) };
        assert!(guest.may(Resource::Project, Read) && !guest.may(Resource::Repository, Read));
    }

    #[test]
    fn a_robot_of_the_rights_to_pull_changes_nothing() {
        let robot = Some(crate::RightSet::of(&[Right::Pull]));
        let robot = Standing { roles: Vec::new(), robot, ..standing(Role::Guest) };
        assert!(robot.may(Resource::Artifact, Read));
        for (_, act) in robot.all() {
            assert!(matches!(act, Read | List | Pull), "{act}");
        }
    }
}
