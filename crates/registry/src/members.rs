//! Who belongs to a project, in which role.

use crate::{Error, Page, PageRequest, Registry, Result, access::Need, audit::Event};
use sealock_auth::{Caller, Right, Role};
use sealock_metadata as metadata;
use sealock_oci::ErrorCode;

/// A member of a project.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Member {
    /// Login name.
    pub user: String,
    /// Role, in Harbor's words.
    pub role: Role,
    /// Since when.
    pub created_at: jiff::Timestamp,
    /// Number of the membership, for paging.
    #[serde(skip)]
    id: i64,
}

impl Registry {
    /// Members of a project. For its administrators.
    pub async fn members(
        &self,
        caller: &Caller,
        project: &str,
        page: &PageRequest,
    ) -> Result<Page<Member>> {
        let mut tx = self.database().read().await?;
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let limit = page.limit();
        let after = page.after_id().unwrap_or(0);
        let rows = metadata::members::list(&mut tx, project.id, after, limit + 1).await?;
        let rows = rows.into_iter().filter_map(|row| {
            let role = Role::from_id(row.role)?;
            Some(Member { user: row.user_name, role, created_at: row.created_at, id: row.id })
        });
        Ok(Page::cut(rows.collect(), limit, |member: &Member| member.id.to_string()))
    }

    /// Adds a member or changes the role. For the project's administrators.
    pub async fn put_member(
        &self,
        caller: &Caller,
        project: &str,
        user: &str,
        role: Role,
    ) -> Result<Member> {
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let row = metadata::users::find(&mut tx, user).await?.ok_or_else(|| unknown(user))?;
        let id = metadata::members::put(&mut tx, project.id, row.id, role.id()).await?;
        Event::new(caller, "put-member")
            .project(&project)
            .detail("user", user)
            .detail("role", role.name())
            .record(&mut tx)
            .await?;
        let created_at = tx.now();
        tx.commit().await?;
        Ok(Member { user: row.name, role, created_at, id })
    }

    /// Takes a member out. For the project's administrators.
    pub async fn remove_member(&self, caller: &Caller, project: &str, user: &str) -> Result<()> {
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let row = metadata::users::find(&mut tx, user).await?.ok_or_else(|| unknown(user))?;
        if !metadata::members::remove(&mut tx, project.id, row.id).await? {
            return Err(unknown(user));
        }
        let event = Event::new(caller, "remove-member").project(&project).detail("user", user);
        event.record(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

fn unknown(user: &str) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no user or member {user:?}"))
}
