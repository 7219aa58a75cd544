//! How somebody stands to a project: what they may do there, as a whole or in some repositories.

use crate::{
    Bounds, Limit, MATRIX, Principal, Right, RightSet, Role,
    matrix::{DOORS, holders},
    permission::{Act, Permission, Permissions, Resource, is_for_the_limited},
};
use sealock_metadata::{Result, Tx, members, projects::Project};
use std::sync::Arc;

/// How somebody stands to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Administers the whole system.
    pub sysadmin: bool,
    /// The project is public.
    public: bool,
    /// May look everywhere: a security officer.
    looks: bool,
    holdings: Vec<Holding>,
    /// What a token leaves of all that.
    bounds: Option<Arc<Bounds>>,
}

/// Something that somebody has in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holding {
    powers: Powers,
    limit: Option<Limit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Powers {
    Role(Role),
    Given(Permissions),
}

/// Where in a project something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot<'n> {
    /// In the project as a whole: not for who is limited to some repositories.
    Project,
    /// In the repository of which this follows the project's name.
    Repository(&'n str),
    /// In some repository or other: what a list then shows is to be limited.
    Somewhere,
}

impl Holding {
    fn holds(&self, spot: Spot<'_>, what: Permission) -> bool {
        let holds = match &self.powers {
            Powers::Role(role) => role.may(what),
            Powers::Given(permissions) => permissions.holds(what),
        };
        let about_one = what.0.is_in_repository();
        holds
            && (self.limit.is_none()
                || (is_for_the_limited(what) && (!about_one || self.reaches(spot))))
    }

    /// Whether all that it holds counts there.
    fn reaches(&self, spot: Spot<'_>) -> bool {
        match (&self.limit, spot) {
            (None, _) | (Some(_), Spot::Somewhere) => true,
            (Some(limit), Spot::Repository(within)) => limit.matches(within),
            (Some(_), Spot::Project) => false,
        }
    }
}

impl Standing {
    /// How this principal stands to this project. At most one query.
    pub async fn of(tx: &mut Tx, principal: &Principal, project: &Project) -> Result<Self> {
        let mut standing = Self {
            sysadmin: principal.is_sysadmin(),
            public: project.public,
            looks: principal.is_security_officer(),
            holdings: Vec::new(),
            bounds: None,
        };
        if let Principal::Token { sysadmin, security_officer, bounds, .. } = principal {
            standing.bounds = Some(bounds.clone());
            if !bounds.reach(project.id) {
                return Ok(standing);
            }
            (standing.sysadmin, standing.looks) = (*sysadmin, *security_officer);
        }
        standing.holdings = match principal {
            Principal::User { id, .. } | Principal::Token { user_id: id, .. } => {
                let roles = members::roles(tx, project.id, *id).await?;
                let held = roles.into_iter().filter_map(|(role, repositories)| {
                    let powers = Powers::Role(Role::from_id(role)?);
                    Some(Holding { powers, limit: Limit::stored(&repositories) })
                });
                held.collect()
            }
            Principal::Robot { grants, .. } => {
                let held = grants.in_project(project.id).map(|grant| Holding {
                    powers: Powers::Given(grant.permissions.clone()),
                    limit: grant.limit.clone(),
                });
                held.collect()
            }
            Principal::Anonymous => Vec::new(),
        };
        Ok(standing)
    }

    /// Whether this may be done in the project as a whole.
    pub fn may(&self, resource: Resource, act: Act) -> bool {
        self.may_at(Spot::Project, (resource, act))
    }

    /// Whether this may be done at a spot of the project.
    pub fn may_at(&self, spot: Spot<'_>, what: Permission) -> bool {
        let letters = holders(what);
        let allowed = self.bounds.as_ref().is_none_or(|bounds| bounds.allow(what));
        (self.public && letters.contains('P'))
            || (allowed
                && (self.sysadmin
                    || (self.looks && looks(what))
                    || self.holdings.iter().any(|holding| holding.holds(spot, what))))
    }

    /// The limits within which this may be done, if it may be done in some repositories only.
    pub fn limits(&self, what: Permission) -> Vec<&Limit> {
        if self.may_at(Spot::Project, what) {
            return Vec::new();
        }
        let some = self.holdings.iter().filter(|held| held.holds(Spot::Somewhere, what));
        some.filter_map(|held| held.limit.as_ref()).collect()
    }

    /// The rights at the doors.
    pub fn rights(&self, spot: Spot<'_>) -> RightSet {
        DOORS
            .iter()
            .filter(|(_, what)| self.may_at(spot, *what))
            .map(|(right, _)| *right)
            .filter(|right| *right != Right::Examine)
            .collect()
    }

    /// Whether all that they hold in the project is about other repositories.
    pub fn is_kept_out(&self, spot: Spot<'_>) -> bool {
        !self.holdings.is_empty() && !self.holdings.iter().any(|holding| holding.reaches(spot))
    }

    /// Everything of Harbor's matrix that may be done somewhere in the project.
    pub fn all(&self) -> impl Iterator<Item = Permission> + '_ {
        let pairs = MATRIX
            .iter()
            .flat_map(|(resource, acts, _)| acts.iter().map(move |act| (*resource, *act)));
        pairs.filter(|what| self.may_at(Spot::Somewhere, *what))
    }
}

/// Whether security officers, who look everywhere, may do this: what a limited guest may, and read
/// the records.
pub(crate) fn looks(what: Permission) -> bool {
    Role::LimitedGuest.may(what) || what == (Resource::Log, Act::List)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Act::{Create, Delete, List, Pull, Push, Read};

    fn standing(powers: Powers, limit: &str) -> Standing {
        let holdings = vec![Holding { powers, limit: Limit::stored(limit) }];
        Standing { sysadmin: false, public: false, looks: false, holdings, bounds: None }
    }

    #[test]
    fn what_everybody_may_is_not_limited() {
        let guest = Standing { public: true, ..standing(Powers::Role(Role::Guest), "app-*") };
        assert!(guest.may(Resource::Project, Read) && !guest.may(Resource::Repository, Read));
        let other = Spot::Repository("other");
        assert!(guest.may_at(other, (Resource::Repository, Pull)));
        assert!(!guest.may_at(other, (Resource::Repository, Read)));
    }

    #[test]
    fn who_is_limited_has_nothing_elsewhere_and_changes_nothing_of_the_project() {
        let limited = standing(Powers::Role(Role::Maintainer), "app-*");
        let (inside, outside) = (Spot::Repository("app-1"), Spot::Repository("other"));
        for (resource, act) in [
            (Resource::Repository, Pull),
            (Resource::Repository, Push),
            (Resource::Repository, Delete),
            (Resource::Artifact, Create),
            (Resource::Tag, Delete),
            (Resource::Promotion, Create),
        ] {
            assert!(limited.may_at(inside, (resource, act)), "{resource} {act}");
            assert!(limited.may_at(Spot::Somewhere, (resource, act)), "{resource} {act}");
            assert!(!limited.may_at(outside, (resource, act)), "{resource} {act}");
            assert!(!limited.may(resource, act), "{resource} {act}");
            assert_eq!(limited.limits((resource, act)).len(), 1);
        }
        assert_eq!(limited.rights(outside), RightSet::NONE);
        assert_eq!(limited.rights(Spot::Project), RightSet::NONE);
        assert!(limited.rights(inside).contains(Right::Untag));
        assert!(limited.is_kept_out(outside) && !limited.is_kept_out(inside));
        for (resource, act) in [(Resource::Project, Read), (Resource::Member, List)] {
            assert!(limited.may(resource, act), "{resource} {act}");
        }
        for (resource, act) in [(Resource::Label, Create), (Resource::ImmutableTag, Delete)] {
            assert!(!limited.may(resource, act), "{resource} {act}");
            assert!(!limited.may_at(inside, (resource, act)), "{resource} {act}");
        }
    }

    #[test]
    fn a_robot_of_the_rights_to_pull_changes_nothing() {
        let pulls = Permissions::of_rights(RightSet::of(&[Right::Pull]));
        let robot = standing(Powers::Given(pulls), "");
        assert!(robot.may(Resource::Artifact, Read));
        for (_, act) in robot.all() {
            assert!(matches!(act, Read | List | Pull), "{act}");
        }
    }
}
