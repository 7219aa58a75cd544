//! What is counted and searched over all projects, and how the parts of the server are.

use super::{ProjectDetail, RepositoryDetail, require_login};
use crate::{Error, Registry, Result};
use sealock_auth::{Act, Caller, Principal, Resource, Standing};
use sealock_metadata::{
    self as metadata,
    listing::{Term, Wanted},
    projects::{Counts, Visible},
};

/// Most projects, and most repositories, that a search finds.
const MAX_FOUND: u32 = 100;

/// How many projects and repositories there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// What the caller may see of public projects, and those of which they are a member.
    pub seen: Counts,
    /// All of them; for system administrators.
    pub all: Option<Counts>,
    /// Bytes that all projects hold, as their quotas count; for system administrators.
    pub storage: Option<i64>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Projects whose names hold the text.
    pub projects: Vec<ProjectDetail>,
    /// Repositories whose names hold it.
    pub repositories: Vec<RepositoryDetail>,
}

/// How a part of the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its name, in Harbor's words.
    pub name: &'static str,
    /// Whether it works.
    pub healthy: bool,
}

/// How much a disk holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// In all.
    pub total: u64,
    /// Of this, what may still be written.
    pub free: u64,
}

impl Registry {
    /// How many projects and repositories the caller may see.
    pub async fn harbor_statistics(&self, caller: &Caller) -> Result<Statistics> {
        require_login(caller)?;
        let mut tx = self.database().read().await?;
        let visible = self.visible_projects(&mut tx, caller).await?;
        let seen = metadata::projects::count(&mut tx, &visible).await?;
        if visible != Visible::All || !caller.principal.is_sysadmin() {
            return Ok(Statistics { seen, all: None, storage: None });
        }
        let storage = metadata::quotas::used_by_all(&mut tx).await?;
        Ok(Statistics { seen, all: Some(seen), storage: Some(storage) })
    }

    /// Projects and repositories that the caller may see and whose names hold a text; the first
    /// ones by name.
    pub async fn harbor_search(&self, caller: &Caller, text: &str) -> Result<Found> {
        let wanted = Wanted {
            terms: vec![("name".to_owned(), Term::Like(text.to_owned()))],
            order: vec![("name".to_owned(), false)],
            limit: MAX_FOUND,
            uncounted: true,
            ..Wanted::default()
        };
        Ok(Found {
            projects: self.harbor_projects(caller, &wanted).await?.items,
            repositories: self.harbor_repositories(caller, &wanted).await?.items,
        })
    }

    /// How the parts are that this server has: itself, its database, its store.
    pub async fn harbor_health(&self) -> Vec<Health> {
        let database = match self.database().read().await {
            Ok(mut tx) => metadata::settings::system_rev(&mut tx).await.is_ok(),
            Err(_) => false,
        };
        let registry = self.blobs().is_reachable();
        vec![
            Health { name: "core", healthy: true },
            Health { name: "database", healthy: database },
            Health { name: "registry", healthy: registry },
        ]
    }

    /// How much the disk of the bytes holds. For system administrators.
    pub async fn harbor_volume(&self, caller: &Caller) -> Result<Volume> {
        self.require_system(caller, Resource::SystemVolumes, Act::Read)?;
        let (total, free) = self.blobs().space().map_err(Error::internal)?;
        Ok(Volume { total, free })
    }

    /// How the caller stands to a project; nothing where they may not see it.
    pub async fn harbor_standing(&self, caller: &Caller, id: i64) -> Result<Option<Standing>> {
        require_login(caller)?;
        let mut tx = self.database().read().await?;
        let Some(project) = metadata::projects::get(&mut tx, id).await? else { return Ok(None) };
        Ok(Some(Standing::of(&mut tx, &caller.principal, &project).await?))
    }

    /// Whether the caller administers any project.
    pub async fn administers_any_project(&self, caller: &Caller) -> Result<bool> {
        let Principal::User { id, .. } = &caller.principal else { return Ok(false) };
        let mut tx = self.database().read().await?;
        let admin = sealock_auth::Role::ProjectAdmin.id();
        Ok(!metadata::members::projects_with_role(&mut tx, *id, admin).await?.is_empty())
    }
}
