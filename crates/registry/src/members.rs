//! Who belongs to a project, in which role.

use crate::{Error, Page, PageRequest, Registry, Result, access::Need, audit::Event, limits};
use sealock_auth::{Caller, Right, Role};
use sealock_metadata::{self as metadata, Tx, projects::Project};
use sealock_oci::ErrorCode;

/// A member of a project.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Member {
    /// Login name.
    pub user: String,
    /// Role, in Harbor's words.
    pub role: Role,
    /// Pattern of the repositories to which it is limited, `project/app-*`.
    pub repositories: Option<String>,
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
            let repositories = limits::written(&project.name, &row.repositories);
            let (user, created_at, id) = (row.user_name, row.created_at, row.id);
            Some(Member { user, role, repositories, created_at, id })
        });
        Ok(Page::cut(rows.collect(), limit, |member: &Member| member.id.to_string()))
    }

    /// Adds a member or changes the role, and the pattern of repositories to which it is limited,
    /// where one is given: `project/app-*`, or `**` for all. For the project's administrators.
    pub async fn put_member(
        &self,
        caller: &Caller,
        project: &str,
        user: &str,
        role: Role,
        repositories: Option<&str>,
    ) -> Result<Member> {
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let row = metadata::users::find(&mut tx, user).await?.ok_or_else(|| unknown(user))?;
        let id = metadata::members::put(&mut tx, project.id, row.id, role.id()).await?;
        let repositories = limit_member(&mut tx, &project, id, role, repositories).await?;
        Event::new(caller, "put-member")
            .project(&project)
            .detail("user", user)
            .detail("role", role.name())
            .detail("repositories", repositories.clone())
            .record(&mut tx)
            .await?;
        let created_at = tx.now();
        tx.commit().await?;
        Ok(Member { user: row.name, role, repositories, created_at, id })
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

/// Limits a membership to repositories as `asked`, or leaves the limit that it has. The limit from
/// now on, as callers write it. Administrators are not limited: they could lift it themselves.
pub(crate) async fn limit_member(
    tx: &mut Tx,
    project: &Project,
    id: i64,
    role: Role,
    asked: Option<&str>,
) -> Result<Option<String>> {
    let row = metadata::members::get(tx, project.id, id).await?;
    let before = row.map(|row| row.repositories).unwrap_or_default();
    let limit = match asked {
        None => before.clone(),
        Some(text) => {
            let limit = limits::read(&project.name, text)?;
            limit.map(|limit| limit.as_str().to_owned()).unwrap_or_default()
        }
    };
    if role == Role::ProjectAdmin && !limit.is_empty() {
        return Err(Error::invalid(
            ErrorCode::Unsupported,
            "an administrator of a project is not limited to some of its repositories; lift the \
             limit with the pattern **, or choose another role",
        ));
    }
    if limit != before {
        metadata::members::set_limit(tx, project.id, id, &limit).await?;
    }
    Ok(limits::written(&project.name, &limit))
}

fn unknown(user: &str) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no user or member {user:?}"))
}
