//! What may be done: an act on a resource, in Harbor's words, and what robots may be given of it.

use std::{collections::BTreeSet, fmt, str::FromStr};

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

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(()) }
            }
        }
    };
}

words! {
    /// A part of a project or of the system.
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
        Promotion = "promotion",
        Waiver = "waiver",
        AuditLog = "audit-log",
        PreheatInstance = "preheat-instance",
        ReplicationPolicy = "replication-policy",
        Replication = "replication",
        ReplicationAdapter = "replication-adapter",
        Registry = "registry",
        ScanAll = "scan-all",
        SystemVolumes = "system-volumes",
        GarbageCollection = "garbage-collection",
        PurgeAudit = "purge-audit",
        JobserviceMonitor = "jobservice-monitor",
        SecurityHub = "security-hub",
        Catalog = "catalog",
        User = "user",
        UserGroup = "user-group",
        LdapUser = "ldap-user",
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

use Act::{Create, Delete, List, Pull, Push, Read, Stop, Update};

/// A list of resources with acts on them.
pub type Catalogue = &'static [(Resource, &'static [Act])];

const ALL: &[Act] = &[Create, Read, Update, Delete, List];
const CHANGE: &[Act] = &[Create, Read, Update, Delete];

/// What a robot of the whole system may be given: Harbor's catalogue, anything else is refused.
pub const SYSTEM_CATALOGUE: Catalogue = &[
    (Resource::AuditLog, &[List]),
    (Resource::PreheatInstance, ALL),
    (Resource::Project, &[Create, List]),
    (Resource::ReplicationPolicy, ALL),
    (Resource::Replication, &[Create, Read, List]),
    (Resource::ReplicationAdapter, &[List]),
    (Resource::Registry, ALL),
    (Resource::ScanAll, &[Create, Read, Update, Stop]),
    (Resource::SystemVolumes, &[Read]),
    (Resource::GarbageCollection, &[Create, Read, Update, List, Stop]),
    (Resource::PurgeAudit, &[Create, Read, Update, List, Stop]),
    (Resource::JobserviceMonitor, &[List, Stop]),
    (Resource::Scanner, ALL),
    (Resource::Label, CHANGE),
    (Resource::SecurityHub, &[Read, List]),
    (Resource::Catalog, &[Read]),
    (Resource::Quota, &[Read, List, Update]),
    (Resource::Robot, &[Create, Read, List, Delete]),
    (Resource::User, ALL),
    (Resource::UserGroup, ALL),
    (Resource::LdapUser, &[Create, List]),
];

/// What a robot may be given in a project.
pub const PROJECT_CATALOGUE: Catalogue = &[
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

/// What Sealock's own API may give a robot in a project beyond Harbor's catalogue: to add
/// accessories and nothing else (decision D8), and to bring artifacts in from other projects.
pub const OWN_CATALOGUE: Catalogue =
    &[(Resource::Accessory, &[Create]), (Resource::Promotion, &[Create])];

/// Whether a catalogue names this.
pub fn lists(catalogue: Catalogue, (resource, act): Permission) -> bool {
    catalogue.iter().any(|(one, acts)| *one == resource && acts.contains(&act))
}

/// An act on a resource.
pub type Permission = (Resource, Act);

impl Resource {
    /// Whether it stands in one repository, so that a limit to some repositories is about it.
    pub const fn is_in_repository(self) -> bool {
        matches!(
            self,
            Self::Repository
                | Self::Artifact
                | Self::ArtifactAddition
                | Self::Accessory
                | Self::ArtifactLabel
                | Self::Tag
                | Self::Scan
                | Self::Sbom
                | Self::Promotion
        )
    }
}

/// Whether who is limited to some repositories may hold this in the project as a whole: to look,
/// and only where nothing of other repositories is seen.
pub fn is_for_the_limited((resource, act): Permission) -> bool {
    resource.is_in_repository()
        || (matches!(act, Read | List) && !matches!(resource, Resource::Log | Resource::ExportCve))
}

/// A set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    /// Whether it holds this one. Who pushes also pulls, as in Harbor.
    pub fn holds(&self, (resource, act): Permission) -> bool {
        self.0.contains(&(resource, act))
            || ((resource, act) == (Resource::Repository, Pull)
                && self.0.contains(&(Resource::Repository, Push)))
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = Permission> + '_ {
        self.0.iter().copied()
    }

    /// As it is stored: `repository:pull`.
    pub fn words(&self) -> Vec<String> {
        self.iter().map(|(resource, act)| format!("{resource}:{act}")).collect()
    }

    /// What was stored. A word that this version does not know permits nothing.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let read = |word: &str| {
            let (resource, act) = word.split_once(':')?;
            Some((resource.parse().ok()?, act.parse().ok()?))
        };
        words.into_iter().filter_map(read).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_again_and_unknown_words_are_nothing() {
        let all = [SYSTEM_CATALOGUE, PROJECT_CATALOGUE, OWN_CATALOGUE].concat();
        let all = all.iter().flat_map(|(one, acts)| acts.iter().map(|act| (*one, *act)));
        let all: Permissions = all.collect();
        let words = all.words();
        assert_eq!(Permissions::from_words(words.iter().map(String::as_str)), all);
        let odd = ["repository", "repository:*", "*:pull", "", ":", "Repository:pull"];
        assert!(Permissions::from_words(odd).is_empty());
    }

    #[test]
    fn who_pushes_pulls_and_nothing_else_follows() {
        let push = Permissions::from_words(["repository:push"]);
        assert!(push.holds((Resource::Repository, Pull)));
        for (resource, acts) in PROJECT_CATALOGUE {
            for act in *acts {
                let holds = push.holds((*resource, *act));
                let expected = *resource == Resource::Repository && matches!(act, Pull | Push);
                assert_eq!(holds, expected, "{resource} {act}");
            }
        }
    }

    #[test]
    fn the_limited_change_nothing_of_the_whole_project() {
        for (resource, acts) in PROJECT_CATALOGUE {
            for act in *acts {
                let may = is_for_the_limited((*resource, *act));
                let looks = matches!(act, Read | List);
                assert!(!may || looks || resource.is_in_repository(), "{resource} {act}");
            }
        }
        assert!(!is_for_the_limited((Resource::Log, List)));
    }
}
