//! Members as Harbor's API has them: people and groups, by the number of the membership.

use super::{ProjectName, bad, missing};
use crate::{Error, Registry, Result, audit::Event, members::limit_member};
use sealock_auth::{Act, Caller, Resource, Role};
use sealock_metadata::{
    self as metadata, Tx,
    listing::{Listed, Wanted},
    members::Entity as Row,
    user_groups::Group,
    users::User,
};

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// Number of the membership.
    pub id: i64,
    /// The project.
    pub project_id: i64,
    /// Number of the user or of the group.
    pub entity_id: i64,
    /// Name of the user or of the group.
    pub name: String,
    /// Whether it is a group.
    pub group: bool,
    /// Role.
    pub role: Role,
}

/// Who is to be a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberOf {
    /// A user by number.
    User(i64),
    /// A user by login name.
    Named(String),
    /// A group by number.
    Group(i64),
    /// A group by kind and name.
    GroupNamed(i64, String),
    /// A group of LDAP by its distinguished name.
    GroupOfLdap(String),
}

impl Registry {
    /// Members of a project.
    pub async fn harbor_members(
        &self,
        caller: &Caller,
        project: &ProjectName,
        wanted: &Wanted,
    ) -> Result<Listed<Entity>> {
        let mut tx = self.database().read().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Member, Act::List).await?;
        let listed = metadata::members::page(&mut tx, project.id, wanted).await?;
        let items = listed.items.into_iter().map(entity).collect::<Result<_>>()?;
        Ok(Listed { items, total: listed.total })
    }

    /// One member of a project.
    pub async fn harbor_member(
        &self,
        caller: &Caller,
        project: &ProjectName,
        id: i64,
    ) -> Result<Entity> {
        let mut tx = self.database().read().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Member, Act::Read).await?;
        let row = metadata::members::get(&mut tx, project.id, id).await?;
        entity(row.ok_or_else(|| missing("member", id))?)
    }

    /// Adds a member, who must not be one already, perhaps limited to the repositories that a
    /// pattern matches, `project/app-*`. The numbers of the project and of the membership.
    pub async fn add_harbor_member(
        &self,
        caller: &Caller,
        project: &ProjectName,
        who: &MemberOf,
        role: i64,
        repositories: Option<&str>,
    ) -> Result<(i64, i64)> {
        let mut tx = self.database().write().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Member, Act::Create).await?;
        let role = known_role(role)?;
        let (kind, name, made) = match found(&mut tx, who).await? {
            Found::Group(group) => {
                let made =
                    metadata::members::add_group(&mut tx, project.id, group.id, role.id()).await?;
                ("group", group.name, made)
            }
            Found::User(user) => {
                let made = metadata::members::add(&mut tx, project.id, user.id, role.id()).await?;
                ("user", user.name, made)
            }
        };
        let id = made
            .ok_or_else(|| Error::conflict(format!("{name} is a member of the project already")))?;
        let repositories = limit_member(&mut tx, &project, id, role, repositories).await?;
        Event::new(caller, "put-member")
            .project(&project)
            .detail(kind, name)
            .detail("role", role.name())
            .detail("repositories", repositories)
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok((project.id, id))
    }

    /// Changes a member's role, and its limit where one is given: a pattern, or `**` for none.
    pub async fn set_harbor_member(
        &self,
        caller: &Caller,
        project: &ProjectName,
        id: i64,
        role: i64,
        repositories: Option<&str>,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Member, Act::Update).await?;
        let role = known_role(role)?;
        let row = metadata::members::get(&mut tx, project.id, id).await?;
        let row = row.ok_or_else(|| missing("member", id))?;
        if !metadata::members::set_role(&mut tx, project.id, id, role.id()).await? {
            return Err(missing("member", id));
        }
        let repositories = limit_member(&mut tx, &project, id, role, repositories).await?;
        Event::new(caller, "put-member")
            .project(&project)
            .detail("user", row.name)
            .detail("role", role.name())
            .detail("repositories", repositories)
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Takes a member out.
    pub async fn remove_harbor_member(
        &self,
        caller: &Caller,
        project: &ProjectName,
        id: i64,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Member, Act::Delete).await?;
        let row = metadata::members::get(&mut tx, project.id, id).await?;
        let row = row.ok_or_else(|| missing("member", id))?;
        if !metadata::members::end(&mut tx, project.id, id).await? {
            return Err(missing("member", id));
        }
        let event = Event::new(caller, "remove-member").project(&project);
        event.detail("user", row.name).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

enum Found {
    User(User),
    Group(Group),
}

/// Whom a client means. A group must be there already: a misspelt name makes none.
async fn found(tx: &mut Tx, who: &MemberOf) -> Result<Found> {
    use metadata::{user_groups, users};
    let user = match who {
        MemberOf::User(id) => users::get(tx, *id).await?,
        MemberOf::Named(name) => users::find(tx, name).await?,
        _ => None,
    };
    let group = match who {
        MemberOf::Group(id) => user_groups::get(tx, *id).await?,
        MemberOf::GroupNamed(kind, name) => user_groups::find(tx, *kind, name).await?,
        MemberOf::GroupOfLdap(dn) => user_groups::find_ldap(tx, dn).await?,
        _ => None,
    };
    let what = match who {
        MemberOf::User(_) | MemberOf::Named(_) => "user",
        _ => "group",
    };
    let found = user.map(Found::User).or(group.map(Found::Group));
    found.ok_or_else(|| missing(what, who))
}

fn known_role(id: i64) -> Result<Role> {
    Role::from_id(id).ok_or_else(|| {
        let roles = Role::ALL.map(|role| format!("{} ({})", role.id(), role.name()));
        bad(format!("role_id is one of {}", roles.join(", ")))
    })
}

fn entity(row: Row) -> Result<Entity> {
    let Row { id, project_id, user_id, group_id, name, role, .. } = row;
    let role = Role::from_id(role)
        .ok_or_else(|| Error::internal(format!("membership {id} has the unknown role {role}")))?;
    let entity_id = user_id
        .or(group_id)
        .ok_or_else(|| Error::internal(format!("membership {id} is nobody's")))?;
    Ok(Entity { id, project_id, entity_id, name, group: group_id.is_some(), role })
}

impl std::fmt::Display for MemberOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) | Self::Group(id) => write!(f, "{id}"),
            Self::Named(name) | Self::GroupNamed(_, name) | Self::GroupOfLdap(name) => {
                f.write_str(name)
            }
        }
    }
}
