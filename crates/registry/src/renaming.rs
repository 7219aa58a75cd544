//! Other names for projects and repositories. Numbers stay, and with them everything that belongs
//! to a project or a repository; nothing answers to the old name any more, and whoever takes it
//! later shares nothing with what it was.

use crate::{
    Error, Project, Registry, Result, access::Need, audit::Event,
    immutability::require_none_covered, projects::check_name,
};
use sealock_auth::{Caller, Right};
use sealock_metadata::{self as metadata, former_names::Named};
use sealock_oci::{ErrorCode, MAX_REPOSITORY_BYTES, RepositoryName};

impl Registry {
    /// Gives a project another name. For system administrators: policies of others may name it, and
    /// whoever pulls from it must learn the new name.
    pub async fn rename_project(&self, caller: &Caller, name: &str, to: &str) -> Result<Project> {
        self.require_admin(caller)?;
        check_name(to)?;
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(&mut tx, caller, name, need).await?;
        if to == project.name {
            return Ok(project.into());
        }
        let longest = metadata::repositories::longest_name(&mut tx, project.id).await?;
        let grown = (longest + to.len() as u64).saturating_sub(project.name.len() as u64);
        if grown > MAX_REPOSITORY_BYTES as u64 {
            return Err(Error::invalid(
                ErrorCode::NameInvalid,
                format!(
                    "a repository's name would have {grown} characters, more than the \
                     {MAX_REPOSITORY_BYTES} that it may have: choose a shorter name"
                ),
            ));
        }
        self.require_not_inherited(&mut tx, Named::Project, to, Some(project.id)).await?;
        if !metadata::projects::rename(&mut tx, project.id, &project.name, to).await? {
            return Err(Error::conflict(format!("there is a project of the name {to:?}")));
        }
        let row = metadata::projects::get(&mut tx, project.id).await?;
        let row = row.ok_or_else(|| Error::conflict("the project was removed meanwhile"))?;
        Event::new(caller, "rename-project")
            .project(&row)
            .detail("from", project.name)
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(row.into())
    }

    /// Gives a repository another name within its project. Who does so may delete and push, under
    /// both names. Refused while it holds a tag that does not move: such a tag is a promise about
    /// its whole name.
    pub async fn rename_repository(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        to: &RepositoryName,
    ) -> Result<()> {
        if to.project() != name.project() {
            return Err(Error::invalid(
                ErrorCode::NameInvalid,
                "a repository stays in its project: copy or promote its artifacts to another one",
            ));
        }
        let mut tx = self.database().write().await?;
        for right in [Right::Delete, Right::Push] {
            self.scope(&mut tx, caller, to, Need::Has(right)).await?;
        }
        self.scope(&mut tx, caller, name, Need::Has(Right::Push)).await?;
        let scope = self.scope(&mut tx, caller, name, Need::Has(Right::Delete)).await?;
        let repository = scope.repository()?;
        if let Some(tag) = metadata::tags::immutable(&mut tx, repository.id).await? {
            return Err(Error::new(
                crate::Kind::Precondition,
                ErrorCode::Precondition,
                format!("the tag {name}:{tag} is configured as immutable"),
            ));
        }
        require_none_covered(&mut tx, &scope, repository.id).await?;
        let project_id = scope.project.id;
        if name != to
            && !metadata::repositories::rename(&mut tx, project_id, repository.id, to).await?
        {
            return Err(Error::conflict(format!("there is a repository of the name {to}")));
        }
        Event::new(caller, "rename-repository")
            .at((&scope.project, &to.to_string()))
            .detail("from", name.to_string())
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }
}
