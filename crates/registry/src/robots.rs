//! Robots, the credentials of pipelines, as Sealock's own API has them: of one project, by name.
//! What Harbor's API does with robots stands in [`crate::harbor`]; both keep them in one way.

use crate::{
    Error, Page, PageRequest, Registry, Result, access::Need, audit::Event, limits, users::refused,
};
use jiff::{SignedDuration, Timestamp};
use sealock_auth::{
    Caller, Grant, Grants, Permissions, Place, Principal, Right, RightSet, RobotSecret,
    SecretString, SystemRandomness, check_robot_name, robot_login, split_robot,
};
use sealock_metadata::{
    self as metadata, Tx,
    projects::Project as ProjectRow,
    robots::{NewGrant, Robot as RobotRow},
};
use sealock_oci::ErrorCode;

/// Longest life of a robot, in days.
pub const MAX_ROBOT_DAYS: u32 = 36_500;
/// Longest description, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 1_024;

/// A robot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Robot {
    /// Full login name, `robot$project+name`.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it may do at the doors of its project.
    pub rights: RightSet,
    /// Pattern of the repositories to which it is limited, `project/app-*`.
    pub repositories: Option<String>,
    /// May not log in.
    pub disabled: bool,
    /// When it stops; none for never.
    pub expires_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Number, for paging.
    #[serde(skip)]
    id: i64,
}

/// A robot to be made.
#[derive(Debug, Clone, Default)]
pub struct NewRobot {
    /// Name within the project.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it may do: pull, push, attest, promote.
    pub rights: Vec<Right>,
    /// Pattern of the repositories to which it is limited, `project/app-*`; none for all.
    pub repositories: Option<String>,
    /// Days until it stops; none for never.
    pub expires_in_days: Option<u32>,
}

impl From<RobotRow> for Robot {
    fn from(row: RobotRow) -> Self {
        let grants = Grants::stored(&row.grants);
        let rights = grants.iter().map(|grant| grant.permissions.rights());
        let limit = row.grants.first().map_or("", |grant| &grant.repositories);
        Self {
            rights: rights.fold(RightSet::NONE, RightSet::union),
            repositories: limits::written(row.project.as_deref().unwrap_or_default(), limit),
            name: login_of(&row),
            description: row.description,
            disabled: row.disabled,
            expires_at: row.expires_at,
            created_by: row.created_by,
            created_at: row.created_at,
            id: row.id,
        }
    }
}

/// A robot's login name.
pub(crate) fn login_of(row: &RobotRow) -> String {
    robot_login(row.project.as_deref(), &row.name)
}

/// A robot to be kept, whichever API it comes from.
pub(crate) struct RobotToKeep<'a> {
    pub(crate) project: Option<&'a ProjectRow>,
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) disabled: bool,
    /// Days, -1 for a robot without an end.
    pub(crate) duration: i64,
    /// When it stops at the latest.
    pub(crate) ends_by: Option<Timestamp>,
    pub(crate) grants: &'a Grants,
}

impl Registry {
    /// Robots of a project. For its administrators.
    pub async fn robots(
        &self,
        caller: &Caller,
        project: &str,
        page: &PageRequest,
    ) -> Result<Page<Robot>> {
        let mut tx = self.database().read().await?;
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let limit = page.limit();
        let after = page.after_id().unwrap_or(0);
        let rows = metadata::robots::list(&mut tx, project.id, after, limit + 1).await?;
        let rows = rows.into_iter().map(Robot::from).collect();
        Ok(Page::cut(rows, limit, |robot: &Robot| robot.id.to_string()))
    }

    /// Makes a robot. Its secret is told now and never again. For the project's administrators.
    pub async fn create_robot(
        &self,
        caller: &Caller,
        project: &str,
        new: &NewRobot,
    ) -> Result<(Robot, SecretString)> {
        check(new)?;
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let limit = new.repositories.as_deref().map(|text| limits::read(&project.name, text));
        let grant = Grant {
            place: Place::Project(project.id),
            limit: limit.transpose()?.flatten(),
            permissions: Permissions::of_rights(new.rights.iter().copied().collect()),
        };
        let robot = RobotToKeep {
            project: Some(&project),
            name: &new.name,
            description: &new.description,
            disabled: false,
            duration: new.expires_in_days.map_or(-1, i64::from),
            ends_by: None,
            grants: &Grants::new(vec![grant]),
        };
        let (row, secret) = keep_robot(&mut tx, caller, &robot).await?;
        tx.commit().await?;
        Ok((row.into(), secret))
    }

    /// Gives a robot a new secret, by its name within the project or its full name. The former one
    /// and the tokens it got stop at once. For the project's administrators.
    pub async fn renew_robot(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
    ) -> Result<(Robot, SecretString)> {
        let (secret, stored) = fresh_secret()?;
        let mut tx = self.database().write().await?;
        let (project, robot) = self.robot(&mut tx, caller, project, name).await?;
        renew_secret(&mut tx, caller, Some(&project), &robot, &stored).await?;
        tx.commit().await?;
        Ok((robot.into(), secret))
    }

    /// Removes a robot, by its name within the project or its full name; its credentials stop at
    /// once. For the project's administrators.
    pub async fn delete_robot(&self, caller: &Caller, project: &str, name: &str) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (project, robot) = self.robot(&mut tx, caller, project, name).await?;
        remove_robot(&mut tx, caller, Some(&project), &robot).await?;
        Ok(tx.commit().await?)
    }

    /// A robot of a project that the caller administers, by its name there or its full name.
    async fn robot(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: &str,
        name: &str,
    ) -> Result<(ProjectRow, RobotRow)> {
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(tx, caller, project, need).await?;
        let short = match split_robot(name) {
            Some((Some(of), short)) if of == project.name => short,
            _ => name,
        };
        let found = metadata::robots::credentials(tx, Some(&project.name), short).await?;
        Ok((project, found.ok_or_else(|| unknown(name))?.robot))
    }
}

/// Makes a robot with a new secret, and records it.
pub(crate) async fn keep_robot(
    tx: &mut Tx,
    caller: &Caller,
    robot: &RobotToKeep<'_>,
) -> Result<(RobotRow, SecretString)> {
    check_robot_name(robot.name).map_err(refused)?;
    check_description(robot.description)?;
    let (secret, stored) = fresh_secret()?;
    let creator = match &caller.principal {
        Principal::User { id, .. } => ("local", *id),
        Principal::Robot { id, .. } => ("robot", *id),
        Principal::Anonymous => return Err(Error::unauthenticated()),
        Principal::Token { .. } => {
            return Err(Error::forbidden("a personal access token makes no robots; log in"));
        }
    };
    let grants: Vec<NewGrant> = robot.grants.iter().map(Grant::to_row).collect();
    let new = metadata::robots::NewRobot {
        project_id: robot.project.map(|project| project.id),
        name: robot.name,
        description: robot.description,
        secret_hash: stored.as_bytes(),
        disabled: robot.disabled,
        duration: robot.duration,
        expires_at: end_of(tx.now(), robot.duration)?.into_iter().chain(robot.ends_by).min(),
        created_by: &caller.principal.to_string(),
        creator,
        grants: &grants,
    };
    let id = metadata::robots::create(tx, &new).await?;
    let id =
        id.ok_or_else(|| Error::conflict(format!("there is a robot {:?} already", robot.name)))?;
    let row = metadata::robots::get(tx, id).await?;
    let row = row.ok_or_else(|| Error::internal("a robot was made and is not there"))?;
    let event = event(caller, "create-robot", robot.project, &row);
    event.detail("permissions", told(&row)).record(tx).await?;
    Ok((row, secret))
}

/// Stores a new secret, and records it.
pub(crate) async fn renew_secret(
    tx: &mut Tx,
    caller: &Caller,
    project: Option<&ProjectRow>,
    robot: &RobotRow,
    secret: &RobotSecret,
) -> Result<()> {
    let bytes = secret.as_bytes();
    if !metadata::robots::set_secret(tx, robot.project_id, robot.id, bytes).await? {
        return Err(unknown(&robot.name));
    }
    event(caller, "renew-robot", project, robot).record(tx).await
}

/// Removes a robot, and records it.
pub(crate) async fn remove_robot(
    tx: &mut Tx,
    caller: &Caller,
    project: Option<&ProjectRow>,
    robot: &RobotRow,
) -> Result<()> {
    if !metadata::robots::delete(tx, robot.project_id, robot.id).await? {
        return Err(unknown(&robot.name));
    }
    event(caller, "delete-robot", project, robot).record(tx).await
}

/// An event about a robot.
pub(crate) fn event(
    caller: &Caller,
    action: &'static str,
    project: Option<&ProjectRow>,
    robot: &RobotRow,
) -> Event {
    let event = Event::new(caller, action).detail("robot", login_of(robot));
    match project {
        Some(project) => event.project(project),
        None => event,
    }
}

/// What a robot may do, for records: `team/app-*:repository:pull`.
pub(crate) fn told(robot: &RobotRow) -> Vec<String> {
    let words = robot.grants.iter().flat_map(|grant| {
        let place = crate::harbor::namespace_of(grant);
        grant.permissions.iter().map(move |word| format!("{place}:{word}"))
    });
    words.collect()
}

/// A new secret of a robot.
pub(crate) fn fresh_secret() -> Result<(SecretString, RobotSecret)> {
    RobotSecret::generate(&SystemRandomness).map_err(refused)
}

/// When a robot stops that begins at a moment and lives for so many days, -1 for ever.
pub(crate) fn end_of(begin: Timestamp, days: i64) -> Result<Option<Timestamp>> {
    match days {
        -1 => Ok(None),
        1.. if days <= i64::from(MAX_ROBOT_DAYS) => {
            Ok(Some(begin + SignedDuration::from_hours(24 * days)))
        }
        _ => Err(Error::invalid(
            ErrorCode::Unsupported,
            format!(
                "bad request error duration input: {days}; a robot lives 1 to {MAX_ROBOT_DAYS} \
                 days, or for ever with -1"
            ),
        )),
    }
}

pub(crate) fn check_description(description: &str) -> Result<()> {
    match description.len() <= MAX_DESCRIPTION_BYTES {
        true => Ok(()),
        false => Err(Error::invalid(
            ErrorCode::Unsupported,
            format!("a description has at most {MAX_DESCRIPTION_BYTES} bytes"),
        )),
    }
}

fn unknown(name: &str) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no robot {name:?} in this project"))
}

fn check(new: &NewRobot) -> Result<()> {
    let bad = |message: String| Err(Error::invalid(ErrorCode::Unsupported, message));
    check_robot_name(&new.name).map_err(refused)?;
    if new.rights.is_empty() || new.rights.iter().any(|right| !Right::OF_ROBOTS.contains(right)) {
        let words: Vec<_> = Right::OF_ROBOTS.iter().map(|right| right.as_str()).collect();
        return bad(format!("a robot has at least one of the rights {}", words.join(", ")));
    }
    if new.expires_in_days.is_some_and(|days| days == 0 || days > MAX_ROBOT_DAYS) {
        return bad(format!("a robot lives 1 to {MAX_ROBOT_DAYS} days"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_have_no_rights_of_people() {
        let robot = |name: &str, rights: &[Right]| NewRobot {
            name: name.into(),
            rights: rights.to_vec(),
            ..NewRobot::default()
        };
        assert!(check(&robot("ci", &[Right::Pull, Right::Promote])).is_ok());
        for bad in [
            robot("", &[Right::Pull]),
            robot("a+b", &[Right::Pull]),
            robot("CI", &[Right::Pull]),
            robot("ci", &[]),
            robot("ci", &[Right::ManageProject]),
            robot("ci", &[Right::Examine]),
            robot("ci", &[Right::RequestWaiver]),
            NewRobot { expires_in_days: Some(0), ..robot("ci", &[Right::Pull]) },
        ] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_robot_ends_after_its_days() {
        let begin: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        assert_eq!(end_of(begin, -1).unwrap(), None);
        assert_eq!(end_of(begin, 1).unwrap().unwrap().to_string(), "2026-03-02T12:00:00Z");
        for bad in [0, -2, i64::from(MAX_ROBOT_DAYS) + 1, i64::MAX, i64::MIN] {
            assert!(end_of(begin, bad).is_err(), "{bad}");
        }
        assert!(end_of(begin, i64::from(MAX_ROBOT_DAYS)).is_ok());
    }
}
