//! Repositories as Harbor's API has them.

use super::{ProjectName, bad, missing};
use crate::{
    Error, Kind, Registry, Result, access::Scope, audit::Event, delete::delete_digest,
    immutability::require_none_covered,
};
use sealock_auth::{Act, Caller, Permission, Resource, Right, RightSet, Spot};
use sealock_metadata::{
    self as metadata, Tx,
    listing::{Listed, Wanted},
    projects::Project as ProjectRow,
};
use sealock_oci::{ErrorCode, RepositoryName};
use std::borrow::Cow;

pub use sealock_metadata::repositories::Described as RepositoryDetail;

/// To list repositories.
pub(super) const LISTED: Permission = (Resource::Repository, Act::List);
/// Longest description, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 64 * 1024;
/// Manifests that are removed in one transaction.
const AT_ONCE: u32 = 200;

/// Harbor's order where none is asked for.
fn newest_first(wanted: &Wanted) -> Cow<'_, Wanted> {
    match wanted.order.is_empty() {
        true => Cow::Owned(Wanted { order: vec![("id".to_owned(), true)], ..wanted.clone() }),
        false => Cow::Borrowed(wanted),
    }
}

impl Registry {
    /// Repositories of every project that the caller may see.
    pub async fn harbor_repositories(
        &self,
        caller: &Caller,
        wanted: &Wanted,
    ) -> Result<Listed<RepositoryDetail>> {
        let mut tx = self.database().read().await?;
        let visible = self.visible(&mut tx, caller, LISTED).await?;
        Ok(metadata::repositories::page(&mut tx, &visible, &newest_first(wanted)).await?)
    }

    /// Repositories of a project.
    pub async fn harbor_repositories_of(
        &self,
        caller: &Caller,
        project: &str,
        wanted: &Wanted,
    ) -> Result<Listed<RepositoryDetail>> {
        let mut tx = self.database().read().await?;
        let name = ProjectName::Name(project.to_owned());
        let spot = Spot::Somewhere;
        let (project, standing) = self.harbor_spot(&mut tx, caller, &name, spot, LISTED).await?;
        let visible = sealock_auth::visible_in(&mut tx, &standing, &project, LISTED).await?;
        Ok(metadata::repositories::page(&mut tx, &visible, &newest_first(wanted)).await?)
    }

    /// A repository by its name within its project.
    pub async fn harbor_repository(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
    ) -> Result<RepositoryDetail> {
        let mut tx = self.database().read().await?;
        Ok(self.repository_for(&mut tx, caller, project, name, Act::Read).await?.1)
    }

    /// Sets a repository's description.
    pub async fn describe_harbor_repository(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
        text: &str,
    ) -> Result<()> {
        if text.len() > MAX_DESCRIPTION_BYTES {
            return Err(bad(format!("a description has at most {MAX_DESCRIPTION_BYTES} bytes")));
        }
        let mut tx = self.database().write().await?;
        let (project, found) =
            self.repository_for(&mut tx, caller, project, name, Act::Update).await?;
        let id = found.repository.id;
        if !metadata::repositories::set_description(&mut tx, project.id, id, text).await? {
            return Err(missing("repository", name));
        }
        Event::new(caller, "update-repository")
            .at((&project, &found.repository.name))
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Removes a repository with everything in it. Refused as a whole where a tag that does not
    /// move protects something. A large one goes in several transactions: what is gone when one
    /// fails stays gone, and to ask again goes on.
    pub async fn delete_harbor_repository(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
    ) -> Result<()> {
        let mut looked = false;
        loop {
            let mut tx = self.database().write().await?;
            let (project, found) =
                self.repository_for(&mut tx, caller, project, name, Act::Delete).await?;
            let repository = &found.repository;
            if let Some(tag) = metadata::tags::immutable(&mut tx, repository.id).await? {
                return Err(Error::new(
                    Kind::Precondition,
                    ErrorCode::Precondition,
                    format!("the tag {}:{tag} is configured as immutable", repository.name),
                ));
            }
            let digests = metadata::repositories::digests(&mut tx, repository.id, AT_ONCE).await?;
            let rights = RightSet::of(&[Right::Delete]);
            let scope = Scope {
                project: project.clone(),
                name: repository.name.parse().map_err(Error::internal)?,
                repository: Some(repository.clone()),
                rights,
                whole: rights,
            };
            // What comes under a rule meanwhile is told by each deletion.
            if !std::mem::replace(&mut looked, true) {
                require_none_covered(&mut tx, &scope, repository.id).await?;
            }
            for digest in &digests {
                // Some go with what they are accessories of.
                match delete_digest(&mut tx, caller, &scope, digest).await {
                    Ok(_) => {}
                    Err(error) if error.kind() == Kind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            if !metadata::repositories::delete(&mut tx, project.id, repository.id).await? {
                tx.commit().await?;
                continue;
            }
            Event::new(caller, "delete-repository")
                .at((&project, &repository.name))
                .record(&mut tx)
                .await?;
            return Ok(tx.commit().await?);
        }
    }

    /// A repository with which the caller may do this, and its project. One that does not exist is
    /// told to those only who may do this with the others.
    async fn repository_for(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: &str,
        name: &str,
        act: Act,
    ) -> Result<(ProjectRow, RepositoryDetail)> {
        let project_name = ProjectName::Name(project.to_owned());
        let (spot, what) = (Spot::Repository(name), (Resource::Repository, act));
        let (project, _) = self.harbor_spot(tx, caller, &project_name, spot, what).await?;
        let unknown = || missing("repository", format!("{}/{name}", project.name));
        let full: RepositoryName =
            format!("{}/{name}", project.name).parse().map_err(|_| unknown())?;
        let found = metadata::repositories::describe(tx, project.id, &full).await?;
        let found = found.ok_or_else(unknown)?;
        Ok((project, found))
    }
}
