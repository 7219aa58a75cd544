//! Harbor's roles: who may do what to which part of a project. The one table;
//! `docs/reference/permissions.md` is made from it.

use crate::{
    Act, Resource, Right, RightSet, Role,
    permission::{Catalogue, Permission, Permissions},
};
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

/// The same of what Harbor has no words for: to add accessories (decision D8), to promote into the
/// project, to ask for waivers; and to operate it: its policy, keys, members and robots through
/// Sealock's own API.
pub const ADDITIONS: &[(Resource, &[Act], &str)] = &[
    (Resource::Accessory, &[Create], "AMD"),
    (Resource::Promotion, &[Create], "AM"),
    (Resource::Waiver, &[Create], "AMD"),
    (Resource::Project, &[Operate], "A"),
];

/// What each right at the doors and in Sealock's own API is, in the words of the two tables. The
/// right to examine is none of them: it is granted by name (decision D10).
pub const DOORS: &[(Right, Permission)] = &[
    (Right::Pull, (Resource::Repository, Pull)),
    (Right::Push, (Resource::Repository, Push)),
    (Right::Delete, (Resource::Artifact, Delete)),
    (Right::Untag, (Resource::Tag, Delete)),
    (Right::Attest, (Resource::Accessory, Create)),
    (Right::Promote, (Resource::Promotion, Create)),
    (Right::RequestWaiver, (Resource::Waiver, Create)),
    (Right::ReadAudit, (Resource::Log, List)),
    (Right::ManageProject, (Resource::Project, Operate)),
];

/// What Sealock's own API gives a robot with one of its rights: what the right is at the doors, and
/// what goes with it where the same is asked through Harbor's API.
const OF_ROBOTS: &[(Right, Catalogue)] = &[
    (Right::Pull, LOOKS),
    (
        Right::Push,
        &[
            (Resource::Repository, &[Push]),
            (Resource::Artifact, &[Create]),
            (Resource::Tag, &[Create]),
        ],
    ),
    (Right::Attest, &[(Resource::Accessory, &[Create])]),
    (Right::Promote, &[(Resource::Promotion, &[Create])]),
];

/// Who may do anything else may look.
const LOOKS: Catalogue = &[
    (Resource::Repository, &[List, Read, Pull]),
    (Resource::Artifact, &[List, Read]),
    (Resource::ArtifactAddition, &[Read]),
    (Resource::Accessory, &[List]),
    (Resource::Tag, &[List]),
];

impl Permissions {
    /// What Sealock's own API gives a robot with these rights.
    pub fn of_rights(rights: RightSet) -> Self {
        let given = OF_ROBOTS.iter().filter(|(right, _)| rights.contains(*right));
        let given = given.flat_map(|(_, catalogue)| catalogue.iter().chain(LOOKS));
        given.flat_map(|(resource, acts)| acts.iter().map(|act| (*resource, *act))).collect()
    }

    /// The rights at the doors that these are.
    pub fn rights(&self) -> RightSet {
        DOORS.iter().filter(|(_, what)| self.holds(*what)).map(|(right, _)| *right).collect()
    }
}

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

    /// Its place among the roles, the strongest first.
    pub fn rank(self) -> usize {
        RANKS.iter().position(|role| *role == self).unwrap_or(RANKS.len())
    }

    /// Whether it may do this.
    pub fn may(self, what: Permission) -> bool {
        holders(what).contains(self.letter())
    }

    /// Its rights at the doors.
    pub fn rights(self) -> RightSet {
        DOORS.iter().filter(|(_, what)| self.may(*what)).map(|(right, _)| *right).collect()
    }
}

/// The roles, the strongest first.
const RANKS: [Role; 5] =
    [Role::ProjectAdmin, Role::Maintainer, Role::Developer, Role::Guest, Role::LimitedGuest];

/// The letters of those who may do this.
pub(crate) fn holders((resource, act): Permission) -> &'static str {
    let mut all = MATRIX.iter().chain(ADDITIONS);
    let found = all.find(|(one, acts, _)| *one == resource && acts.contains(&act));
    found.map_or("", |(_, _, letters)| letters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_pair_stands_in_the_tables_once() {
        let mut seen = BTreeSet::new();
        for (resource, acts, letters) in MATRIX.iter().chain(ADDITIONS) {
            assert!(letters.chars().all(|letter| "AMDGLP".contains(letter)), "{letters}");
            for act in *acts {
                assert!(seen.insert((*resource, *act)), "{resource} {act} twice");
            }
        }
        for (right, what) in DOORS {
            assert!(seen.contains(what), "{right} is nothing that anybody may do");
        }
        let doors: Vec<Right> = DOORS.iter().map(|(right, _)| *right).collect();
        let none = Right::ALL.into_iter().filter(|right| !doors.contains(right));
        assert_eq!(none.collect::<Vec<_>>(), [Right::Examine]);
    }

    #[test]
    fn a_role_does_what_its_letter_says() {
        assert!(Role::Developer.may((Resource::Repository, Push)));
        assert!(!Role::Developer.may((Resource::Tag, Delete)));
        assert!(Role::Maintainer.may((Resource::Metadata, Read)));
        assert!(!Role::Maintainer.may((Resource::Metadata, Update)));
        assert!(!Role::ProjectAdmin.may((Resource::Metadata, List)), "Harbor's own gap");
        assert!(!Role::LimitedGuest.may((Resource::Member, List)));
        use Right::{
            Attest, Delete as Remove, ManageProject, Promote, Pull as Get, Push as Put, ReadAudit,
            RequestWaiver, Untag,
        };
        let developer = RightSet::of(&[Get, Put, Attest, RequestWaiver]);
        let maintainer = developer.union(RightSet::of(&[Remove, Untag, Promote]));
        let admin = maintainer.union(RightSet::of(&[ReadAudit, ManageProject]));
        assert_eq!(Role::ProjectAdmin.rights(), admin);
        assert_eq!(Role::Maintainer.rights(), maintainer);
        assert_eq!(Role::Developer.rights(), developer);
        for guest in [Role::Guest, Role::LimitedGuest] {
            assert_eq!(guest.rights(), RightSet::of(&[Get]));
        }
    }

    #[test]
    fn the_rights_of_robots_are_what_they_were() {
        for rights in [&[Right::Pull][..], &[Right::Push], &[Right::Attest], &Right::OF_ROBOTS] {
            let given = Permissions::of_rights(RightSet::of(rights));
            let expected = RightSet::of(rights).union(RightSet::of(&[Right::Pull]));
            assert_eq!(given.rights(), expected);
        }
        assert!(Permissions::of_rights(RightSet::NONE).is_empty());
        let pull = Permissions::of_rights(RightSet::of(&[Right::Pull]));
        assert!(pull.iter().all(|(_, act)| matches!(act, Read | List | Pull)));
    }
}
