//! Projects, repositories and who belongs to them.

use crate::{
    Error, Page, PageRequest, Registry, Result,
    access::{Need, PULLED},
    audit::Event,
};
use sealock_auth::{Act, Caller, Principal, Resource, Right};
use sealock_facts::Tier;
use sealock_metadata::{
    self as metadata, Tx, former_names::Named, projects::Project as ProjectRow,
};
use sealock_oci::{ErrorCode, RepositoryName};

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Project {
    /// Its number, never reused.
    pub id: i64,
    /// Its name: the first part of every repository in it.
    pub name: String,
    /// Whether anybody may pull.
    pub public: bool,
    /// Its tier.
    pub tier: Tier,
    /// When it was made.
    pub created_at: jiff::Timestamp,
}

impl From<ProjectRow> for Project {
    fn from(row: ProjectRow) -> Self {
        let ProjectRow { id, name, public, tier, created_at, .. } = row;
        Self { id, name, public, tier, created_at }
    }
}

/// What a new project is to be.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// Its name: one part of a repository name.
    pub name: String,
    /// Whether anybody may pull.
    pub public: bool,
    /// Its tier.
    pub tier: Tier,
}

/// A repository in a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RepositorySummary {
    /// Full name.
    pub name: RepositoryName,
    /// Manifests in it, accessories included.
    pub artifacts: u64,
    /// Tags in it.
    pub tags: u64,
}

impl Registry {
    /// Makes a project. Any user may make one up to the tier `integration` and administers it;
    /// tiers from `release` on are for system administrators.
    pub async fn create_project(&self, caller: &Caller, new: &NewProject) -> Result<Project> {
        let mut tx = self.database().write().await?;
        let row = self.make_project(&mut tx, caller, new).await?;
        tx.commit().await?;
        Ok(row.into())
    }

    /// The same, within a transaction. A robot that was given it makes projects which nobody but
    /// the system's administrators administers.
    pub(crate) async fn make_project(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        new: &NewProject,
    ) -> Result<ProjectRow> {
        let owner = match &caller.principal {
            Principal::User { id, sysadmin, .. } => {
                if new.tier >= Tier::Release && !sysadmin {
                    return Err(Error::forbidden(format!(
                        "only a system administrator makes a project of the tier {}",
                        new.tier
                    )));
                }
                if !sysadmin && self.configuration_in(tx).await?.projects_by_admins {
                    return Err(Error::forbidden(
                        "only system administrators make projects here \
                         (project_creation_restriction); ask one of them",
                    ));
                }
                Some(*id)
            }
            Principal::Anonymous => return Err(Error::unauthenticated()),
            Principal::Token { .. } => {
                return Err(Error::forbidden("a personal access token makes no projects; log in"));
            }
            robot if new.tier < Tier::Release => {
                if !robot.may_in_system(Resource::Project, Act::Create) {
                    return Err(Error::forbidden("the robot may make no projects"));
                }
                None
            }
            Principal::Robot { .. } => {
                return Err(Error::forbidden("robots make no projects of the higher tiers"));
            }
        };
        check_name(&new.name)?;
        self.require_not_inherited(tx, Named::Project, &new.name, None).await?;
        let made = metadata::projects::create(tx, &new.name, new.public, new.tier, owner);
        let row = made.await?.ok_or_else(|| {
            Error::conflict(format!("there is a project of the name {:?}", new.name))
        })?;
        if let Some(owner) = owner {
            let admin = sealock_auth::Role::ProjectAdmin.id();
            metadata::members::put(tx, row.id, owner, admin).await?;
        }
        let event = Event::new(caller, "create-project");
        with_settings(event, &row).record(tx).await?;
        Ok(row)
    }

    /// A project that the caller may pull from.
    pub async fn project(&self, caller: &Caller, name: &str) -> Result<Project> {
        let mut tx = self.database().read().await?;
        let need = Need::PullSomewhere;
        Ok(self.project_scope(&mut tx, caller, name, need).await?.0.into())
    }

    /// Projects that the caller may pull from, by name.
    pub async fn projects(&self, caller: &Caller, page: &PageRequest) -> Result<Page<Project>> {
        let mut tx = self.database().read().await?;
        let visible = self.visible(&mut tx, caller, PULLED).await?;
        let (after, limit) = (page.after.clone().unwrap_or_default(), page.limit());
        let rows = metadata::projects::list(&mut tx, &visible, &after, limit + 1).await?;
        let rows = rows.into_iter().map(Project::from).collect();
        Ok(Page::cut(rows, limit, |project: &Project| project.name.clone()))
    }

    /// Changes a project. Its tier is changed by system administrators only: it decides what may
    /// enter.
    pub async fn update_project(
        &self,
        caller: &Caller,
        name: &str,
        public: Option<bool>,
        tier: Option<Tier>,
    ) -> Result<Project> {
        if tier.is_some() {
            self.require_admin(caller)?;
        }
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::ManageProject);
        let (before, _) = self.project_scope(&mut tx, caller, name, need).await?;
        let (public, tier) = (public.unwrap_or(before.public), tier.unwrap_or(before.tier));
        metadata::projects::update(&mut tx, before.id, public, tier).await?;
        let row = metadata::projects::get(&mut tx, before.id).await?.ok_or_else(vanished)?;
        let event = Event::new(caller, "update-project");
        with_settings(event, &row).record(&mut tx).await?;
        tx.commit().await?;
        Ok(row.into())
    }

    /// Repositories of a project with what they hold, by name.
    pub async fn repositories(
        &self,
        caller: &Caller,
        project: &str,
        page: &PageRequest,
    ) -> Result<Page<RepositorySummary>> {
        let mut tx = self.database().read().await?;
        let need = Need::PullSomewhere;
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let visible = self.visible(&mut tx, caller, PULLED).await?;
        let (after, limit) = (page.after.clone().unwrap_or_default(), page.limit());
        let (id, most) = (project.id, limit + 1);
        let rows = metadata::repositories::with_counts(&mut tx, id, &visible, &after, most).await?;
        let summary = |(row, artifacts, tags): (metadata::repositories::Repository, u64, u64)| {
            let name = row.name.parse().map_err(Error::internal)?;
            Ok(RepositorySummary { name, artifacts, tags })
        };
        let rows = rows.into_iter().map(summary).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(rows, limit, |row: &RepositorySummary| row.name.to_string()))
    }
}

/// What a project is from now on.
fn with_settings(event: Event, row: &ProjectRow) -> Event {
    event.project(row).detail("tier", row.tier.as_str()).detail("public", row.public)
}

fn vanished() -> Error {
    Error::conflict("the project was removed meanwhile")
}

/// A project's name is one part of a repository name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let parsed: RepositoryName = name.parse()?;
    if parsed.within_project().is_some() {
        return Err(Error::invalid(
            ErrorCode::NameInvalid,
            "a project's name has one part, without a slash",
        ));
    }
    Ok(())
}
