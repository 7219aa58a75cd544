//! Who may do what where: the one place that turns a name into a project with rights.

use crate::{Error, Kind, Registry, Result};
use sealock_auth::{Act, Caller, Permission, Principal, Resource, Right, RightSet, Spot};
use sealock_metadata::{
    self as metadata, Tx,
    projects::{Project as ProjectRow, Visible},
    repositories::Repository,
};
use sealock_oci::{ErrorCode, RepositoryName};

/// What a request needs of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// One right.
    Has(Right),
    /// To push anything, or at least accessories.
    PushOrAttest,
    /// To pull from some repository or other: for what shows nothing of any.
    PullSomewhere,
}

/// To list repositories and what is in them.
pub(crate) const PULLED: Permission = (Resource::Repository, Act::Pull);

/// A project, and perhaps a repository in it, with what the caller may do there.
pub(crate) struct Scope {
    pub(crate) project: ProjectRow,
    pub(crate) name: RepositoryName,
    /// None when nothing was pushed to it yet.
    pub(crate) repository: Option<Repository>,
    /// What the caller may do with the token at hand, if there is one.
    pub(crate) rights: RightSet,
    /// What the caller may do with any token: who may push here may read here what they could have
    /// written (decision D10), also with a token for pulling.
    pub(crate) whole: RightSet,
}

impl Scope {
    /// The repository, made if need be. The transaction must be one that writes.
    pub(crate) async fn ensure_repository(&self, tx: &mut Tx) -> Result<Repository> {
        match &self.repository {
            Some(repository) => Ok(repository.clone()),
            None => Ok(metadata::repositories::ensure(tx, self.project.id, &self.name).await?),
        }
    }

    /// The repository, or the answer that there is none.
    pub(crate) fn repository(&self) -> Result<&Repository> {
        self.repository.as_ref().ok_or_else(|| name_unknown(&self.name))
    }

    /// Whether the caller is one who pushes here, whatever the token at hand covers. For reading
    /// only.
    pub(crate) fn may_write(&self) -> bool {
        self.whole.contains(Right::Push) || self.whole.contains(Right::Attest)
    }

    /// Whether the caller may read what the pull door refuses.
    pub(crate) fn may_examine(&self) -> bool {
        self.whole.contains(Right::Examine)
    }
}

impl Registry {
    /// Resolves a repository for a caller. What does not exist and what the caller may not see are
    /// the same answer.
    pub(crate) async fn scope(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        name: &RepositoryName,
        need: Need,
    ) -> Result<Scope> {
        if name.within_project().is_none() {
            return Err(Error::invalid(
                ErrorCode::NameInvalid,
                "a repository's name is project/name, such as library/app",
            ));
        }
        let (project, rights, whole) =
            self.scope_in(tx, caller, name.project(), Some(name), need).await.map_err(|error| {
                if error.kind() == Kind::NotFound { name_unknown(name) } else { error }
            })?;
        let repository = metadata::repositories::find(tx, project.id, name).await?;
        Ok(Scope { project, name: name.clone(), repository, rights, whole })
    }

    /// Resolves a project for a caller, as a whole: who is limited to some repositories has no
    /// rights there. A bearer token, which is for repositories, opens none.
    pub(crate) async fn project_scope(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        name: &str,
        need: Need,
    ) -> Result<(ProjectRow, RightSet)> {
        let (project, rights, _) = self.scope_in(tx, caller, name, None, need).await?;
        Ok((project, rights))
    }

    /// The project of a repository to be, for who has a right there.
    pub(crate) async fn scope_of(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        (project, repository): (&str, &RepositoryName),
        need: Need,
    ) -> Result<ProjectRow> {
        Ok(self.scope_in(tx, caller, project, Some(repository), need).await?.0)
    }

    async fn scope_in(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        name: &str,
        repository: Option<&RepositoryName>,
        need: Need,
    ) -> Result<(ProjectRow, RightSet, RightSet)> {
        let anonymous = caller.principal.is_anonymous();
        let hidden = || {
            if anonymous {
                Error::unauthenticated()
            } else {
                Error::not_found(
                    ErrorCode::NameUnknown,
                    format!("there is no project {name:?} that you may see"),
                )
            }
        };
        let Some(project) = metadata::projects::find(tx, name).await? else { return Err(hidden()) };
        let spot = match repository {
            Some(repository) => Spot::Repository(repository.within_project().unwrap_or_default()),
            None if need == Need::PullSomewhere => Spot::Somewhere,
            None => Spot::Project,
        };
        let whole = sealock_auth::rights_at(tx, &caller.principal, &project, spot).await?;
        let repository = repository.map_or("", RepositoryName::as_str);
        let rights = caller.within_scope(whole, project.id, repository);
        let held = match need {
            Need::Has(right) => rights.contains(right),
            Need::PushOrAttest => rights.contains(Right::Push) || rights.contains(Right::Attest),
            Need::PullSomewhere => rights.contains(Right::Pull),
        };
        if held {
            return Ok((project, rights, whole));
        }
        if rights.is_empty() {
            return Err(hidden());
        }
        if anonymous {
            return Err(Error::unauthenticated());
        }
        Err(Error::forbidden(format!(
            "{} lacks the right {} in project {name}; ask one of its administrators",
            caller.principal,
            need.words()
        )))
    }

    /// The projects, and parts of projects, in which a caller may do this.
    pub(crate) async fn visible(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        what: Permission,
    ) -> Result<Visible> {
        Ok(sealock_auth::visible(tx, &caller.principal, what).await?)
    }

    /// Fails unless this may be done in the system as a whole: by its administrators, and by robots
    /// that were given it.
    pub(crate) fn require_system(
        &self,
        caller: &Caller,
        resource: Resource,
        act: Act,
    ) -> Result<()> {
        if caller.principal.may_in_system(resource, act) {
            return Ok(());
        }
        self.require_admin(caller)
    }

    /// Fails unless the caller administers the whole system.
    pub fn require_admin(&self, caller: &Caller) -> Result<()> {
        match &caller.principal {
            Principal::User { sysadmin: true, .. } => Ok(()),
            Principal::Anonymous => Err(Error::unauthenticated()),
            _ => Err(Error::forbidden("only a system administrator may do this")),
        }
    }

    /// Fails unless the caller holds the security role. Administering the system is not that role.
    pub(crate) fn require_security(&self, caller: &Caller) -> Result<()> {
        match &caller.principal {
            Principal::User { security_officer: true, .. } => Ok(()),
            Principal::Anonymous => Err(Error::unauthenticated()),
            _ => Err(Error::forbidden("only a security officer may do this")),
        }
    }
}

/// Whether the caller holds the security role.
pub(crate) fn is_security(caller: &Caller) -> bool {
    matches!(&caller.principal, Principal::User { security_officer: true, .. })
}

impl Need {
    fn words(self) -> String {
        match self {
            Self::Has(right) => right.to_string(),
            Self::PushOrAttest => "push or attest".to_owned(),
            Self::PullSomewhere => Right::Pull.to_string(),
        }
    }
}

/// A repository that is not there, or not for the caller.
pub(crate) fn name_unknown(name: &RepositoryName) -> Error {
    Error::not_found(
        ErrorCode::NameUnknown,
        format!("there is no repository {name} that you may see"),
    )
}
