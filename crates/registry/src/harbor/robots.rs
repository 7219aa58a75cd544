//! Robots as Harbor's API has them: of a project or of the whole system, by number, with what
//! Harbor's catalogue lists. A namespace may go on with a pattern of repositories, `team/app-*`: in
//! Harbor's own words no project's name holds a slash.

use super::{ProjectName, bad, missing, require_login};
use crate::{
    Configuration, Error, Registry, Result, limits,
    robots::{
        RobotToKeep, check_description, end_of, event, fresh_secret, keep_robot, login_of,
        remove_robot, renew_secret, told,
    },
    users::refused,
};
use jiff::Timestamp;
use sealock_auth::{
    Act, Authenticator, Caller, Catalogue, Grant, Grants, OWN_CATALOGUE, PROJECT_CATALOGUE,
    Permission, Permissions, Place, Principal, Resource, SYSTEM_CATALOGUE, SecretString, Standing,
    is_for_the_limited, lists,
};
use sealock_metadata::{
    self as metadata, Tx,
    listing::{Listed, Wanted},
    projects::Project as ProjectRow,
    robots::{Change, Grant as GrantRow, Robot as Row},
};

/// The namespace of the system.
const SYSTEM: &str = "/";
/// The namespace of every project.
const EVERY_PROJECT: &str = "*";

/// Where a robot belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RobotLevel {
    /// To the whole system.
    System,
    /// To a project.
    Project,
}

impl RobotLevel {
    /// Harbor's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Project => "project",
        }
    }

    /// What the word means.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "system" => Ok(Self::System),
            "project" => Ok(Self::Project),
            _ => Err(bad(format!(
                "bad request error level input: {text:?}; it is system or project"
            ))),
        }
    }
}

/// A robot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RobotDetail {
    /// Number.
    pub id: i64,
    /// Login name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Where it belongs.
    pub level: RobotLevel,
    /// Days that it lives, -1 for ever.
    pub duration: i64,
    /// May not log in.
    pub disabled: bool,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// What it may do.
    pub permissions: Vec<RobotPermission>,
    /// `local` for a user, `robot` for a robot.
    pub creator_kind: String,
    /// Number of who made it.
    pub creator_id: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What a robot may do in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RobotPermission {
    /// `system` or `project`.
    pub kind: String,
    /// `/` for the system, `*` for every project, a project's name, or that with a pattern of its
    /// repositories.
    pub namespace: String,
    /// Resources and acts.
    pub access: Vec<(String, String)>,
}

/// A robot to be made.
#[derive(Debug, Clone)]
pub struct RobotToMake {
    /// Name within the project or the system.
    pub name: String,
    /// For people.
    pub description: String,
    /// Where it belongs.
    pub level: RobotLevel,
    /// Days that it lives, -1 for ever; none for the usual number.
    pub duration: Option<i64>,
    /// May not log in.
    pub disabled: bool,
    /// What it may do.
    pub permissions: Vec<RobotPermission>,
}

/// What a robot is to be from now on.
#[derive(Debug, Clone)]
pub struct RobotChange {
    /// Its name, which cannot change.
    pub name: Option<String>,
    /// Where it belongs, which cannot change.
    pub level: Option<RobotLevel>,
    /// For people.
    pub description: String,
    /// Days from its beginning; none to leave them.
    pub duration: Option<i64>,
    /// May not log in.
    pub disabled: bool,
    /// What it may do.
    pub permissions: Vec<RobotPermission>,
}

/// Where a grant counts, in Harbor's words.
pub(crate) fn namespace_of(grant: &GrantRow) -> String {
    match &grant.project {
        Some(project) => {
            limits::written(project, &grant.repositories).unwrap_or_else(|| project.clone())
        }
        None if grant.every_project => EVERY_PROJECT.to_owned(),
        None => SYSTEM.to_owned(),
    }
}

fn permission_of(grant: &GrantRow) -> RobotPermission {
    let namespace = namespace_of(grant);
    let kind = if namespace == SYSTEM { RobotLevel::System } else { RobotLevel::Project };
    let access = grant.permissions.iter().filter_map(|word| word.split_once(':'));
    RobotPermission {
        kind: kind.as_str().to_owned(),
        namespace,
        access: access.map(|(one, two)| (one.to_owned(), two.to_owned())).collect(),
    }
}

fn level_of(row: &Row) -> RobotLevel {
    if row.project_id.is_some() { RobotLevel::Project } else { RobotLevel::System }
}

impl RobotDetail {
    fn of(row: Row, settings: &Configuration) -> Self {
        Self {
            id: row.id,
            name: settings.robot_name(&login_of(&row)),
            level: level_of(&row),
            permissions: row.grants.iter().map(permission_of).collect(),
            description: row.description,
            duration: row.duration,
            disabled: row.disabled,
            expires_at: row.expires_at,
            creator_kind: row.creator_kind,
            creator_id: row.creator_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl Registry {
    /// Robots of a project, or of the system.
    pub async fn harbor_robots(
        &self,
        caller: &Caller,
        project: Option<i64>,
        wanted: &Wanted,
    ) -> Result<Listed<RobotDetail>> {
        let mut tx = self.database().read().await?;
        match project {
            None => self.require_system(caller, Resource::Robot, Act::List)?,
            Some(id) => {
                let name = ProjectName::Number(id);
                self.harbor_project(&mut tx, caller, &name, Resource::Robot, Act::List).await?;
            }
        }
        let listed = metadata::robots::page(&mut tx, project, wanted).await?;
        let settings = self.configuration_in(&mut tx).await?;
        Ok(listed.map(|row| RobotDetail::of(row, &settings)))
    }

    /// Makes a robot, with its secret, which is told now and never again. A robot makes others that
    /// may do what it may do itself, and no more, and for no longer.
    pub async fn create_harbor_robot(
        &self,
        caller: &Caller,
        new: &RobotToMake,
    ) -> Result<(RobotDetail, SecretString)> {
        require_login(caller)?;
        sealock_auth::check_robot_name(&new.name).map_err(refused)?;
        check_shape(new.level, &new.permissions)?;
        let mut tx = self.database().write().await?;
        let settings = self.configuration_in(&mut tx).await?;
        let duration = new.duration.unwrap_or(settings.robot_days);
        let project = match new.level {
            RobotLevel::System => {
                self.require_system(caller, Resource::Robot, Act::Create)?;
                None
            }
            RobotLevel::Project => {
                Some(self.robots_project(&mut tx, caller, &new.permissions, Act::Create).await?)
            }
        };
        let grants = self.grants(&mut tx, caller, &new.permissions, &Grants::default()).await?;
        let mut ends_by = None;
        if let Principal::Robot { id, grants: own, .. } = &caller.principal {
            if !own.cover(&grants) {
                return Err(beyond(caller));
            }
            let maker = metadata::robots::get(&mut tx, *id).await?;
            ends_by = maker.ok_or_else(|| beyond(caller))?.expires_at;
        }
        let robot = RobotToKeep {
            project: project.as_ref(),
            name: &new.name,
            description: &new.description,
            disabled: new.disabled,
            duration,
            ends_by,
            grants: &grants,
        };
        let (row, secret) = keep_robot(&mut tx, caller, &robot).await?;
        tx.commit().await?;
        Ok((RobotDetail::of(row, &settings), secret))
    }

    /// A robot.
    pub async fn harbor_robot(&self, caller: &Caller, id: i64) -> Result<RobotDetail> {
        let mut tx = self.database().read().await?;
        let row = self.robot_for(&mut tx, caller, id, Act::Read).await?.0;
        Ok(RobotDetail::of(row, &*self.configuration_in(&mut tx).await?))
    }

    /// Changes a robot, but neither its name nor where it belongs. What only Sealock's own API
    /// gives stays where it is sent back.
    pub async fn update_harbor_robot(
        &self,
        caller: &Caller,
        id: i64,
        change: &RobotChange,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (row, project) = self.robot_for(&mut tx, caller, id, Act::Update).await?;
        let (level, login) = (level_of(&row), login_of(&row));
        let settings = self.configuration_in(&mut tx).await?;
        let names = [settings.robot_name(&login), login, row.name.clone()];
        let renamed = change.name.as_ref().is_some_and(|name| !names.contains(name));
        if renamed || change.level.is_some_and(|other| other != level) {
            return Err(bad("cannot update the level or name of robot"));
        }
        check_description(&change.description)?;
        check_shape(level, &change.permissions)?;
        if let Some(project) = &project {
            let permissions = &change.permissions;
            let named = self.robots_project(&mut tx, caller, permissions, Act::Update).await?;
            if named.id != project.id {
                return Err(bad("a robot stays in its project"));
            }
        }
        let kept = Grants::stored(&row.grants);
        let grants = self.grants(&mut tx, caller, &change.permissions, &kept).await?;
        let duration = change.duration.unwrap_or(row.duration);
        // What was not changed is not rounded to whole days.
        let expires_at = match duration == row.duration {
            true => row.expires_at,
            false => end_of(row.created_at, duration)?,
        };
        let grants: Vec<_> = grants.iter().map(Grant::to_row).collect();
        let stored = Change {
            description: &change.description,
            disabled: change.disabled,
            duration,
            expires_at,
            grants: &grants,
        };
        if !metadata::robots::update(&mut tx, row.project_id, row.id, &stored).await? {
            return Err(missing("robot", id));
        }
        let row = metadata::robots::get(&mut tx, id).await?.ok_or_else(|| missing("robot", id))?;
        event(caller, "update-robot", project.as_ref(), &row)
            .detail("disabled", change.disabled)
            .detail("permissions", told(&row))
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Gives a robot a new secret: the one that is given, or one that is made and told.
    pub async fn renew_harbor_robot(
        &self,
        caller: &Caller,
        accounts: &Authenticator,
        id: i64,
        given: Option<&SecretString>,
    ) -> Result<Option<SecretString>> {
        // Asked first, so that nobody has secrets hashed in vain.
        let mut tx = self.database().read().await?;
        self.robot_for(&mut tx, caller, id, Act::Update).await?;
        drop(tx);
        let (told, stored) = match given {
            Some(given) => (None, accounts.hash_robot_secret(given).await.map_err(refused)?),
            None => {
                let (secret, stored) = fresh_secret()?;
                (Some(secret), stored)
            }
        };
        let mut tx = self.database().write().await?;
        let (row, project) = self.robot_for(&mut tx, caller, id, Act::Update).await?;
        renew_secret(&mut tx, caller, project.as_ref(), &row, &stored).await?;
        tx.commit().await?;
        Ok(told)
    }

    /// Removes a robot; its credentials stop at once.
    pub async fn delete_harbor_robot(&self, caller: &Caller, id: i64) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (row, project) = self.robot_for(&mut tx, caller, id, Act::Delete).await?;
        remove_robot(&mut tx, caller, project.as_ref(), &row).await?;
        Ok(tx.commit().await?)
    }

    /// A robot with which the caller may do this. One of another project, one of the system and one
    /// that does not exist are the same answer, except to who may see all.
    async fn robot_for(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        id: i64,
        act: Act,
    ) -> Result<(Row, Option<ProjectRow>)> {
        require_login(caller)?;
        if let Some(row) = metadata::robots::get(tx, id).await? {
            let project = match row.project_id {
                Some(project) => metadata::projects::get(tx, project).await?,
                None => None,
            };
            let may = match &project {
                Some(project) => {
                    let standing = Standing::of(tx, &caller.principal, project).await?;
                    standing.may(Resource::Robot, act)
                }
                None => caller.principal.may_in_system(Resource::Robot, act),
            };
            if may {
                return Ok((row, project));
            }
        } else if caller.principal.is_sysadmin() {
            return Err(missing("robot", id));
        }
        Err(Error::forbidden(format!(
            "{} may not {act} the robot {id}, or there is no such robot; ask an administrator of \
             its project",
            caller.principal
        )))
    }

    /// The project of a robot of a project, by the namespace of its only permission.
    async fn robots_project(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        permissions: &[RobotPermission],
        act: Act,
    ) -> Result<ProjectRow> {
        let namespace = permissions.first().map_or("", |one| one.namespace.as_str());
        let name = ProjectName::Name(project_in(namespace).to_owned());
        Ok(self.harbor_project(tx, caller, &name, Resource::Robot, act).await?.0)
    }

    /// Permissions as they are kept. Each stands in the catalogue, or was there before.
    async fn grants(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        permissions: &[RobotPermission],
        kept: &Grants,
    ) -> Result<Grants> {
        let mut grants = Vec::new();
        for one in permissions {
            let (place, limit, catalogue) = match (one.kind.as_str(), one.namespace.as_str()) {
                ("system", SYSTEM) => (Place::System, None, SYSTEM_CATALOGUE),
                ("project", EVERY_PROJECT) => (Place::EveryProject, None, PROJECT_CATALOGUE),
                ("project", namespace) => {
                    let name = project_in(namespace);
                    let project = metadata::projects::find(tx, name).await?;
                    let project = project.ok_or_else(|| no_project(caller, name))?;
                    let limit = match namespace == name {
                        true => None,
                        false => limits::read(name, namespace)?,
                    };
                    (Place::Project(project.id), limit, PROJECT_CATALOGUE)
                }
                ("system", other) => {
                    return Err(bad(format!("unknown namespace {other:?}: of the system it is /")));
                }
                (other, _) => {
                    return Err(bad(format!("unknown robot kind {other:?}: system or project")));
                }
            };
            let mut read = Vec::new();
            for (resource, act) in &one.access {
                let was =
                    |what| kept.iter().any(|old| old.place == place && old.permissions.holds(what));
                let what = known(catalogue, resource, act)
                    .or_else(|| known(OWN_CATALOGUE, resource, act).filter(|what| was(*what)));
                let what = what.ok_or_else(|| uncatalogued(resource, act))?;
                if limit.is_some() && !is_for_the_limited(what) {
                    return Err(bad(format!(
                        "{resource}:{act} is about the whole project; who is limited to some \
                         repositories has none of it"
                    )));
                }
                read.push(what);
            }
            grants.push(Grant { place, limit, permissions: Permissions::from_iter(read) });
        }
        Ok(Grants::new(grants))
    }
}

/// The project of a namespace, which may go on with a pattern.
fn project_in(namespace: &str) -> &str {
    namespace.split_once('/').map_or(namespace, |(project, _)| project)
}

fn known(catalogue: Catalogue, resource: &str, act: &str) -> Option<Permission> {
    let what = (resource.parse().ok()?, act.parse().ok()?);
    lists(catalogue, what).then_some(what)
}

fn uncatalogued(resource: &str, act: &str) -> Error {
    bad(format!(
        "bad request permission: {resource}:{act} is none that a robot may be given; GET \
         /permissions lists them"
    ))
}

/// As with projects, only who may see all learns that there is none.
fn no_project(caller: &Caller, name: &str) -> Error {
    match caller.principal.is_sysadmin() {
        true => missing("project", name),
        false => beyond(caller),
    }
}

fn beyond(caller: &Caller) -> Error {
    Error::forbidden(format!(
        "{} makes robots that may do what it may do itself, and no more",
        caller.principal
    ))
}

/// What Harbor demands of a robot's permissions before it looks who asks.
fn check_shape(level: RobotLevel, permissions: &[RobotPermission]) -> Result<()> {
    if permissions.is_empty() {
        return Err(bad("bad request empty permission"));
    }
    if permissions.iter().any(|one| one.access.is_empty()) {
        return Err(bad("bad request empty access"));
    }
    let of_project = |one: &RobotPermission| {
        one.kind == "project" && one.namespace != EVERY_PROJECT && one.namespace != SYSTEM
    };
    if level == RobotLevel::Project
        && !(permissions.len() == 1 && permissions.iter().all(of_project))
    {
        return Err(bad(
            "bad request permission: a robot of a project has one permission, of the kind project \
             with the project's name",
        ));
    }
    Ok(())
}
