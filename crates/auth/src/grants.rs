//! What a robot was given: permissions, each in the system, in every project or in one; and the
//! limits to some repositories, which members may have as well.

use crate::{
    AuthError,
    permission::{Permission, Permissions},
};
use sealock_metadata::robots;
use sealock_oci::doublestar::Pattern;
use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// A limit to the repositories of a project that a pattern matches: of their names it is about what
/// follows the project's, so that a project may change its name.
#[derive(Clone)]
pub struct Limit {
    text: String,
    /// None where what was stored cannot be read: it lets nothing in.
    pattern: Option<Pattern>,
}

impl Limit {
    /// Reads a pattern ([`sealock_oci::doublestar`]) of what follows a project's name.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        if text.is_empty() {
            return Err(AuthError::Pattern("a pattern of repositories is not empty".to_owned()));
        }
        let pattern =
            Pattern::parse(text).map_err(|error| AuthError::Pattern(error.to_string()))?;
        Ok(Self { text: text.to_owned(), pattern: Some(pattern) })
    }

    /// What was stored: nothing is no limit. What cannot be read lets nothing in.
    pub(crate) fn stored(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        Some(Self { text: text.to_owned(), pattern: Pattern::parse(text).ok() })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it lets in a repository, by what follows the project's name.
    pub fn matches(&self, within_project: &str) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.matches(within_project))
    }

    /// What each name that it lets in begins with.
    pub(crate) fn prefix(&self) -> String {
        self.pattern.as_ref().map(Pattern::prefix).unwrap_or_default()
    }

    /// Whether it surely lets in no more than another one: it is the same, or a plain name that the
    /// other matches.
    pub fn is_within(&self, other: &Self) -> bool {
        self.text == other.text
            || (self.pattern.as_ref().is_some_and(Pattern::is_plain)
                && other.matches(&self.prefix()))
            || other.text == "**"
    }
}

impl PartialEq for Limit {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Limit {}

impl Hash for Limit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// Where permissions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// In the system as a whole, in no project.
    System,
    /// In each project, also in those that are made later.
    EveryProject,
    /// In the project with this number, not in a later one of its name.
    Project(i64),
}

impl Place {
    /// The one project.
    pub const fn project(self) -> Option<i64> {
        match self {
            Self::Project(id) => Some(id),
            Self::System | Self::EveryProject => None,
        }
    }
}

/// Permissions in a place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Where.
    pub place: Place,
    /// In which repositories of the project; none for all.
    pub limit: Option<Limit>,
    /// What.
    pub permissions: Permissions,
}

/// All that a robot was given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// These.
    pub const fn new(grants: Vec<Grant>) -> Self {
        Self(grants)
    }

    /// What was stored.
    pub fn stored(rows: &[robots::Grant]) -> Self {
        Self(rows.iter().map(Grant::stored).collect())
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    /// Those in one place.
    pub(crate) fn only_in(mut self, place: Place) -> Self {
        self.0.retain(|grant| grant.place == place);
        self
    }

    /// Those that count in a project.
    pub fn in_project(&self, id: i64) -> impl Iterator<Item = &Grant> {
        let counts = move |place| place == Place::EveryProject || place == Place::Project(id);
        self.0.iter().filter(move |grant| counts(grant.place))
    }

    /// Whether this may be done in the system as a whole.
    pub fn hold_in_system(&self, what: Permission) -> bool {
        self.0.iter().any(|grant| grant.place == Place::System && grant.permissions.holds(what))
    }

    /// Whether this may be done in every project.
    pub fn hold_everywhere(&self, what: Permission) -> bool {
        let everywhere = |grant: &&Grant| grant.place == Place::EveryProject;
        self.0.iter().filter(everywhere).any(|grant| grant.permissions.holds(what))
    }

    /// Whether all of `others` lies within these: who makes a robot gives of their own only.
    pub fn cover(&self, others: &Self) -> bool {
        let covers = |own: &Grant, other: &Grant, what| {
            let place = own.place == other.place
                || (own.place == Place::EveryProject && other.place != Place::System);
            let limit = match (&own.limit, &other.limit) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(own), Some(other)) => other.is_within(own),
            };
            place && limit && own.permissions.holds(what)
        };
        let has = |other: &Grant, what| self.0.iter().any(|own| covers(own, other, what));
        others.iter().all(|other| other.permissions.iter().all(|what| has(other, what)))
    }
}

impl Grant {
    fn stored(row: &robots::Grant) -> Self {
        Self {
            place: match row.project_id {
                Some(id) => Place::Project(id),
                None if row.every_project => Place::EveryProject,
                None => Place::System,
            },
            limit: Limit::stored(&row.repositories),
            permissions: Permissions::from_words(row.permissions.iter().map(String::as_str)),
        }
    }

    /// As it is stored.
    pub fn to_row(&self) -> robots::NewGrant {
        robots::NewGrant {
            project_id: self.place.project(),
            every_project: self.place == Place::EveryProject,
            repositories: self.limit.as_ref().map(|limit| limit.text.clone()).unwrap_or_default(),
            permissions: self.permissions.words(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(place: Place, limit: &str, words: &[&str]) -> Grant {
        let permissions = Permissions::from_words(words.iter().copied());
        Grant { place, limit: Limit::stored(limit), permissions }
    }

    #[test]
    fn who_makes_a_robot_gives_of_their_own_only() {
        let (a, b) = (Place::Project(1), Place::Project(2));
        let own = Grants::new(vec![
            grant(a, "", &["repository:pull", "tag:list"]),
            grant(b, "app-*", &["repository:push"]),
            grant(Place::EveryProject, "", &["project:read"]),
        ]);
        let covers = |grants: Vec<Grant>| own.cover(&Grants::new(grants));
        for (place, limit, words) in [
            (a, "", &["repository:pull"][..]),
            (a, "x/*", &["repository:pull", "tag:list"]),
            (b, "app-*", &["repository:push", "repository:pull"]),
            (b, "app-1", &["repository:push"]),
            (Place::Project(9), "", &["project:read"]),
        ] {
            assert!(covers(vec![grant(place, limit, words)]), "{place:?} {limit} {words:?}");
        }
        for (place, limit, words) in [
            (a, "", &["repository:push"][..]),
            (a, "", &["repository:pull", "tag:delete"]),
            (b, "", &["repository:push"]),
            (b, "app-**", &["repository:push"]),
            (b, "app-[1]", &["repository:push"]),
            (b, "other", &["repository:push"]),
            (Place::EveryProject, "", &["repository:pull"]),
            (Place::System, "", &["project:read"]),
            (Place::Project(3), "", &["tag:list"]),
        ] {
            assert!(!covers(vec![grant(place, limit, words)]), "{place:?} {limit} {words:?}");
        }
    }

    #[test]
    fn a_limit_that_cannot_be_read_lets_nothing_in() {
        let broken = Limit::stored("[").unwrap();
        assert!(!broken.matches("[") && !broken.matches(""));
        assert!(Limit::parse("[").is_err() && Limit::parse("").is_err());
        assert!(Limit::stored("").is_none());
        assert!(Limit::parse("app-*").unwrap().matches("app-1"));
        assert!(!Limit::parse("app-*").unwrap().matches("app-1/x"));
    }
}
