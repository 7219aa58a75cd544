//! Tokens that people make for themselves, for a machine or a script: less than all of their
//! rights, for a while, and never the right to make another one or to change an account.

use crate::{
    Act, AuthError, Authenticator, Login, Principal, Resource, SecretString,
    authenticator::Found,
    permission::Permission,
    secret_hash,
    token::{Holder, Mark},
};
use jiff::{SignedDuration, Timestamp};
use sealock_metadata::{
    personal_tokens::{self, PersonalToken},
    users,
};
use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

/// What the secret of every such token begins with, so that it is known for one wherever it turns
/// up. No password may.
pub const TOKEN_PREFIX: &str = "sealock_pat_";
/// How stale the note of the last use may be: a row is not written at every request.
const STALE: SignedDuration = SignedDuration::from_mins(10);

/// What a token may do, in the projects that it is for, of what its user may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenScope {
    /// Pull, and look at whatever its user may look at.
    Read,
    /// That, and push images, charts, signatures and tags.
    Push,
    /// That of reading, and delete images and tags.
    Delete,
    /// That of reading, and promote.
    Promote,
}

impl TokenScope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Push, Self::Delete, Self::Promote];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Promote => "promote",
        }
    }

    /// Whether it allows this. What is not named here it does not: accounts, members, robots, keys,
    /// policies and settings are for people who log in.
    fn allows(self, (resource, act): Permission) -> bool {
        use Act::{Create, Delete, List, Pull, Push, Read, Update};
        if matches!(act, Read | List | Pull) {
            return true;
        }
        match self {
            Self::Read => false,
            Self::Push => matches!(
                (resource, act),
                (Resource::Repository, Push | Create | Update)
                    | (Resource::Artifact | Resource::Tag | Resource::Accessory, Create)
                    | (Resource::ArtifactLabel, Create | Delete)
            ),
            Self::Delete => {
                act == Delete
                    && matches!(
                        resource,
                        Resource::Repository
                            | Resource::Artifact
                            | Resource::Tag
                            | Resource::ArtifactLabel
                    )
            }
            Self::Promote => (resource, act) == (Resource::Promotion, Create),
        }
    }
}

impl fmt::Display for TokenScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TokenScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("{text:?} is not a scope of a token; scopes are: {all}")
        })
    }
}

/// What a token is limited to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bounds {
    scopes: BTreeSet<TokenScope>,
    projects: Option<BTreeSet<i64>>,
}

impl Bounds {
    /// What was stored. A word that this version does not know allows nothing.
    fn stored(token: &PersonalToken) -> Self {
        Self {
            scopes: token.scopes.iter().filter_map(|word| word.parse().ok()).collect(),
            projects: token.projects.as_ref().map(|ids| ids.iter().copied().collect()),
        }
    }

    /// Whether the token is for this project.
    pub fn reach(&self, project: i64) -> bool {
        self.projects.as_ref().is_none_or(|ids| ids.contains(&project))
    }

    /// Whether it allows this where it reaches.
    pub fn allow(&self, what: Permission) -> bool {
        self.scopes.iter().any(|scope| scope.allows(what))
    }

    /// The projects that it is for; none for all of its user's.
    pub fn projects(&self) -> Option<&BTreeSet<i64>> {
        self.projects.as_ref()
    }
}

/// Whether a secret is one of such a token.
pub(crate) fn is_personal(secret: &SecretString) -> bool {
    secret.expose().starts_with(TOKEN_PREFIX)
}

impl Authenticator {
    /// A new secret of a token: 256 random bits behind [`TOKEN_PREFIX`], so that a plain SHA-256
    /// keeps it safe.
    pub fn personal_secret(&self) -> Result<SecretString, AuthError> {
        let random = self.random_secret::<32>()?;
        Ok(SecretString::new(format!("{TOKEN_PREFIX}{}", random.expose())))
    }

    /// Checks a user's name and a token of theirs. There is nothing to guess in it, so that nothing
    /// is counted and nobody can be locked out.
    pub(crate) async fn login_personal(
        &self,
        name: &str,
        secret: &SecretString,
    ) -> Result<Found, AuthError> {
        let hash = secret_hash(secret);
        let mut tx = self.db.read().await?;
        let found = personal_tokens::find(&mut tx, &hash).await?;
        let (now, basis) = (tx.now(), tx.basis());
        tx.rollback().await?;
        // The name is the user's of now: who was renamed is not found under the old one.
        let found = found.filter(|(token, user)| user.name == name && counts(token, user, now));
        let Some((token, user)) = found else { return Err(AuthError::BadCredentials) };
        let stale = |at: Timestamp| at.checked_add(STALE).is_ok_and(|stale| stale <= now);
        if token.used_at.is_none_or(stale) {
            let mut tx = self.db.write().await?;
            personal_tokens::touch(&mut tx, token.id).await?;
            tx.commit().await?;
        }
        let end = token.expires_at;
        Ok((login(token, user, &hash), basis, end))
    }
}

/// Whether a token of this user may be used now.
pub(crate) fn counts(token: &PersonalToken, user: &users::User, now: Timestamp) -> bool {
    !user.disabled && token.expires_at.is_none_or(|end| end > now)
}

/// The log-in with a token.
pub(crate) fn login(token: PersonalToken, user: users::User, secret_hash: &[u8]) -> Login {
    let bounds = Arc::new(Bounds::stored(&token));
    let users::User { id: user_id, name, sysadmin, security_officer, .. } = user;
    let holder = Holder::Personal { id: token.id, user_id, mark: Mark::of(secret_hash) };
    let PersonalToken { id, name: title, .. } = token;
    let principal =
        Principal::Token { id, title, user_id, name, sysadmin, security_officer, bounds };
    Login { principal, holder }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ADDITIONS, MATRIX, SYSTEM_CATALOGUE};

    fn all() -> impl Iterator<Item = Permission> {
        let tables = MATRIX.iter().chain(ADDITIONS).map(|(resource, acts, _)| (*resource, *acts));
        tables
            .chain(SYSTEM_CATALOGUE.iter().copied())
            .flat_map(|(resource, acts)| acts.iter().map(move |act| (resource, *act)))
    }

    #[test]
    fn a_token_for_reading_changes_nothing() {
        for what in all().filter(|what| TokenScope::Read.allows(*what)) {
            assert!(matches!(what.1, Act::Read | Act::List | Act::Pull), "{what:?}");
        }
    }

    #[test]
    fn no_scope_reaches_accounts_members_robots_or_the_project_itself() {
        for what in all().filter(|(_, act)| !matches!(act, Act::Read | Act::List | Act::Pull)) {
            let allowed = TokenScope::ALL.iter().any(|scope| scope.allows(what));
            let artifacts =
                what.0.is_in_repository() && !matches!(what.0, Resource::Scan | Resource::Sbom);
            assert_eq!(allowed, artifacts, "{what:?}");
        }
    }

    #[test]
    fn bounds_hold() {
        let bounds = |scopes: &[TokenScope], projects: Option<&[i64]>| Bounds {
            scopes: scopes.iter().copied().collect(),
            projects: projects.map(|ids| ids.iter().copied().collect()),
        };
        let push = (Resource::Repository, Act::Push);
        let nothing = bounds(&[], Some(&[]));
        assert!(!nothing.reach(1) && !nothing.allow((Resource::Repository, Act::Pull)));
        let some = bounds(&[TokenScope::Push], Some(&[1, 3]));
        assert!(some.reach(3) && !some.reach(2) && some.allow(push));
        assert!(bounds(&[TokenScope::Read], None).reach(9));
        assert!(!bounds(&[TokenScope::Read, TokenScope::Delete], None).allow(push));
        for scope in TokenScope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("admin".parse::<TokenScope>().is_err());
    }
}
