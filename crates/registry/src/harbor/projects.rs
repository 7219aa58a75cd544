//! Projects as Harbor's API has them.

use super::{
    ProjectName, bad, missing,
    repositories::LISTED,
    require_login,
    settings::{self, PUBLIC, Settings},
};
use crate::{
    AllowlistChange, CveAllowlist, Error, Kind, Quota, Registry, Result,
    allowlists::{self, write_list},
    audit::Event,
    harbor_flags::HarborFlags,
    quotas::check_limit,
};
use sealock_auth::{Act, Caller, Principal, Resource, Role};
use sealock_facts::Tier;
use sealock_metadata::{
    self as metadata, Tx,
    listing::{Listed, Term, Wanted},
    projects::{Described, Visible},
};
use sealock_oci::ErrorCode;
use std::collections::BTreeMap;

/// A project with all that a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectDetail {
    /// Number.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Who made it, by number.
    pub owner_id: Option<i64>,
    /// Who made it; nothing where they are gone.
    pub owner_name: String,
    /// Its repositories.
    pub repositories: u64,
    /// Roles of the caller, the strongest first.
    pub roles: Vec<Role>,
    /// Harbor's metadata.
    pub metadata: Settings,
    /// Its CVE allowlist.
    pub allowlist: CveAllowlist,
    /// When it was made.
    pub created_at: jiff::Timestamp,
    /// When it was changed last.
    pub updated_at: jiff::Timestamp,
}

/// What a new project is to be.
#[derive(Debug, Clone, Default)]
pub struct ProjectToMake {
    /// Its name.
    pub name: String,
    /// Harbor's metadata.
    pub metadata: BTreeMap<String, Option<String>>,
    /// Most bytes. As in Harbor it is for system administrators to say: for others, and where it is
    /// absent or 0, it is what new projects get.
    pub storage_limit: Option<i64>,
    /// What its CVE allowlist says.
    pub allowlist: Option<AllowlistChange>,
}

/// What is to change about a project.
#[derive(Debug, Clone, Default)]
pub struct ProjectChange {
    /// Harbor's metadata; what is not named stays.
    pub metadata: BTreeMap<String, Option<String>>,
    /// What its CVE allowlist says from now on; absent, it stays. The number is that of the project
    /// which a client says it belongs to.
    pub allowlist: Option<(Option<i64>, AllowlistChange)>,
}

/// What a project holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectSummary {
    /// Its repositories.
    pub repositories: u64,
    /// Its members, by role; for who may list them.
    pub members: Option<BTreeMap<i64, u64>>,
    /// Its limit and use; for its members.
    pub quota: Option<Quota>,
}

impl Registry {
    /// Makes a project of the lowest tier, which the caller administers.
    pub async fn create_harbor_project(&self, caller: &Caller, new: &ProjectToMake) -> Result<i64> {
        require_login(caller)?;
        let limit = new.storage_limit.filter(|limit| *limit != 0);
        let limit = limit.filter(|_| caller.principal.is_sysadmin());
        limit.map_or(Ok(()), check_limit)?;
        let mut settings = settings::checked_all(said(&new.metadata))?;
        let public = settings.remove(PUBLIC).as_deref() == Some("true");
        let project = crate::NewProject { name: new.name.clone(), public, tier: Tier::Sandbox };
        let mut tx = self.database().write().await?;
        let project = self.make_project(&mut tx, caller, &project).await?;
        if let Some(limit) = limit {
            metadata::quotas::set(&mut tx, project.id, limit).await?;
        }
        self.keep_settings(&mut tx, caller, &project, &settings).await?;
        if let Some(list) = &new.allowlist {
            write_list(&mut tx, caller, Some(&project), list).await?;
        }
        tx.commit().await?;
        Ok(project.id)
    }

    /// Projects that the caller may see. `owner` is the whole login name of who made them.
    pub async fn harbor_projects(
        &self,
        caller: &Caller,
        wanted: &Wanted,
    ) -> Result<Listed<ProjectDetail>> {
        let mut tx = self.database().read().await?;
        let visible = self.visible_projects(&mut tx, caller).await?;
        let listed = metadata::projects::page(&mut tx, &visible, wanted).await?;
        let Listed { items, total } = listed;
        Ok(Listed { items: detailed(&mut tx, caller, items).await?, total })
    }

    /// The projects that a caller may look into, with their repositories as far as they are seen.
    pub(super) async fn visible_projects(&self, tx: &mut Tx, caller: &Caller) -> Result<Visible> {
        match caller.principal.may_in_system(Resource::Project, Act::List) {
            true => Ok(Visible::All),
            false => self.visible(tx, caller, (Resource::Project, Act::Read)).await,
        }
    }

    /// A project.
    pub async fn harbor_project_detail(
        &self,
        caller: &Caller,
        project: &ProjectName,
    ) -> Result<ProjectDetail> {
        let mut tx = self.database().read().await?;
        let (project, standing) =
            self.harbor_project(&mut tx, caller, project, Resource::Project, Act::Read).await?;
        let one = Wanted {
            terms: vec![("project_id".to_owned(), Term::Is(project.id.to_string()))],
            limit: 1,
            ..Wanted::default()
        };
        let only = sealock_auth::visible_in(&mut tx, &standing, &project, LISTED).await?;
        let found = metadata::projects::page(&mut tx, &only, &one).await?.items;
        let found = detailed(&mut tx, caller, found).await?.pop();
        found.ok_or_else(|| missing("project", &project.name))
    }

    /// Whether there is a project of this name that the caller may see. Nobody in particular is
    /// asked to log in.
    pub async fn harbor_project_exists(&self, caller: &Caller, name: &str) -> Result<bool> {
        require_login(caller)?;
        let mut tx = self.database().read().await?;
        let name = ProjectName::Name(name.to_owned());
        match self.harbor_project(&mut tx, caller, &name, Resource::Project, Act::Read).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Forbidden) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes the metadata of a project.
    pub async fn update_harbor_project(
        &self,
        caller: &Caller,
        project: &ProjectName,
        change: &ProjectChange,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Project, Act::Update).await?;
        let settings = settings::checked_all(said(&change.metadata))?;
        self.keep_settings(&mut tx, caller, &project, &settings).await?;
        if let Some((of, list)) = &change.allowlist {
            if of.is_some_and(|of| of != 0 && of != project.id) {
                let id = project.id;
                return Err(bad(format!("project_id in cve_allowlist is {id}, or left out")));
            }
            write_list(&mut tx, caller, Some(&project), list).await?;
        }
        let mut event = Event::new(caller, "update-project").project(&project);
        for (name, value) in settings {
            event = event.detail(&name, value);
        }
        event.record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Why a project cannot be removed; nothing where it can.
    pub async fn harbor_project_holds(
        &self,
        caller: &Caller,
        project: &ProjectName,
    ) -> Result<Option<String>> {
        let mut tx = self.database().read().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Project, Act::Delete).await?;
        holds(&mut tx, project.id).await
    }

    /// Removes an empty project with its members, robots, keys and settings.
    pub async fn delete_harbor_project(
        &self,
        caller: &Caller,
        project: &ProjectName,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Project, Act::Delete).await?;
        let full = |why: String| {
            Error::new(Kind::Precondition, ErrorCode::Denied, format!("the project {why}"))
        };
        if let Some(why) = holds(&mut tx, project.id).await? {
            return Err(full(why));
        }
        if !metadata::projects::delete(&mut tx, project.id).await? {
            return Err(full("contains repositories, can not be deleted".to_owned()));
        }
        Event::new(caller, "delete-project").project(&project).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// What a project holds.
    pub async fn harbor_project_summary(
        &self,
        caller: &Caller,
        project: &ProjectName,
    ) -> Result<ProjectSummary> {
        let mut tx = self.database().read().await?;
        let (project, standing) =
            self.harbor_project(&mut tx, caller, project, Resource::Project, Act::Read).await?;
        let visible = sealock_auth::visible_in(&mut tx, &standing, &project, LISTED).await?;
        let members = match standing.may(Resource::Member, Act::List) {
            true => Some(metadata::members::count_by_role(&mut tx, project.id).await?),
            false => None,
        };
        let quota = match standing.may(Resource::Quota, Act::Read) {
            true => metadata::quotas::get(&mut tx, project.id).await?,
            false => None,
        };
        let repositories = repositories(&mut tx, &visible).await?;
        Ok(ProjectSummary { repositories, members, quota })
    }
}

fn said(metadata: &BTreeMap<String, Option<String>>) -> impl Iterator<Item = (&str, Option<&str>)> {
    metadata.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
}

async fn repositories(tx: &mut Tx, visible: &Visible) -> Result<u64> {
    let counts = metadata::projects::count(tx, visible).await?;
    Ok(counts.public_repositories + counts.private_repositories)
}

async fn holds(tx: &mut Tx, project: i64) -> Result<Option<String>> {
    let repositories = repositories(tx, &Visible::Only(vec![project])).await?;
    let why = "contains repositories, can not be deleted";
    Ok((repositories > 0).then(|| why.to_owned()))
}

/// Adds metadata, allowlists and the caller's roles: four statements for however many projects.
async fn detailed(
    tx: &mut Tx,
    caller: &Caller,
    rows: Vec<Described>,
) -> Result<Vec<ProjectDetail>> {
    let ids: Vec<i64> = rows.iter().map(|row| row.project.id).collect();
    let mut kept = metadata::project_settings::of(tx, &ids).await?;
    let mut roles = match &caller.principal {
        Principal::User { id, .. } | Principal::Token { user_id: id, .. } => {
            metadata::members::roles_in(tx, *id, &ids).await?
        }
        _ => BTreeMap::new(),
    };
    let mut lists = metadata::cve_allowlists::of(tx, &ids).await?;
    let documents = metadata::policies::of_projects(tx, &ids).await?;
    let detail = |row: Described| {
        let Described { project, owner_name, repositories } = row;
        let roles = roles.remove(&project.id).unwrap_or_default();
        let mut roles: Vec<Role> = roles.into_iter().filter_map(Role::from_id).collect();
        // A system administrator stands in each project like one of its own.
        if caller.principal.is_sysadmin() && !roles.contains(&Role::ProjectAdmin) {
            roles.push(Role::ProjectAdmin);
        }
        roles.sort_by_key(|role| role.rank());
        let list = lists.remove(&project.id);
        let document = documents.get(&project.id).map(String::as_str);
        let flags = HarborFlags::of(document, list.as_ref())?;
        Ok(ProjectDetail {
            metadata: settings::whole(&project, kept.remove(&project.id), flags),
            allowlist: allowlists::shown(project.id, list),
            id: project.id,
            name: project.name,
            owner_id: project.owner_id,
            owner_name,
            repositories,
            roles,
            created_at: project.created_at,
            updated_at: project.updated_at,
        })
    };
    rows.into_iter().map(detail).collect()
}
