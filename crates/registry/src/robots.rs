//! Robots: the credentials of pipelines, each of one project.

use crate::{Error, Page, PageRequest, Registry, Result, access::Need, audit::Event};
use jiff::{SignedDuration, Timestamp};
use sealock_auth::{Caller, Right, RightSet, SecretString};
use sealock_metadata::{self as metadata, Tx, robots::Robot as RobotRow};
use sealock_oci::{Digest, ErrorCode};

/// Longest life of a robot, in days.
pub const MAX_ROBOT_DAYS: u32 = 3_650;
/// Longest name of a robot within its project, in bytes.
const MAX_NAME_BYTES: usize = 63;
/// Longest description, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 1_024;

/// A robot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Robot {
    /// Full login name, `robot$project+name`.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it may do in its project.
    pub rights: RightSet,
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
    /// Days until it stops; none for never.
    pub expires_in_days: Option<u32>,
}

impl From<RobotRow> for Robot {
    fn from(row: RobotRow) -> Self {
        let rights = row.rights.iter().filter_map(|right| right.parse().ok()).collect();
        Self {
            name: full_name(&row.project, &row.name),
            description: row.description,
            rights,
            disabled: row.disabled,
            expires_at: row.expires_at,
            created_by: row.created_by,
            created_at: row.created_at,
            id: row.id,
        }
    }
}

pub(crate) fn full_name(project: &str, name: &str) -> String {
    format!("robot${project}+{name}")
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
        let secret = fresh_secret();
        let hash = Digest::sha256(secret.expose().as_bytes());
        let expires_at = new.expires_in_days.map(|days| {
            self.now() + SignedDuration::from_hours(24 * i64::from(days.min(MAX_ROBOT_DAYS)))
        });
        let mut rights: Vec<String> = new.rights.iter().map(ToString::to_string).collect();
        rights.sort();
        rights.dedup();
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let id = metadata::robots::create(
            &mut tx,
            &metadata::robots::NewRobot {
                project_id: project.id,
                name: &new.name,
                description: &new.description,
                secret_hash: hash.as_bytes(),
                rights: &rights,
                expires_at,
                created_by: &caller.principal.to_string(),
            },
        )
        .await?
        .ok_or_else(|| Error::conflict(format!("there is a robot {:?} already", new.name)))?;
        let row = metadata::robots::get(&mut tx, project.id, id).await?;
        let row = row.ok_or_else(|| Error::internal("a robot was made and is not there"))?;
        Event::new(caller, "create-robot")
            .project(&project)
            .detail("robot", full_name(&project.name, &new.name))
            .detail("rights", rights)
            .record(&mut tx)
            .await?;
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
        let secret = fresh_secret();
        let hash = Digest::sha256(secret.expose().as_bytes());
        let mut tx = self.database().write().await?;
        let (project, robot) = self.robot(&mut tx, caller, project, name).await?;
        if !metadata::robots::set_secret(&mut tx, project.id, robot.id, hash.as_bytes()).await? {
            return Err(unknown(name));
        }
        Event::new(caller, "renew-robot")
            .project(&project)
            .detail("robot", full_name(&project.name, &robot.name))
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok((robot.into(), secret))
    }

    /// Removes a robot, by its name within the project or its full name; its credentials stop at
    /// once. For the project's administrators.
    pub async fn delete_robot(&self, caller: &Caller, project: &str, name: &str) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (project, robot) = self.robot(&mut tx, caller, project, name).await?;
        if !metadata::robots::delete(&mut tx, project.id, robot.id).await? {
            return Err(unknown(name));
        }
        Event::new(caller, "delete-robot")
            .project(&project)
            .detail("robot", full_name(&project.name, &robot.name))
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// A robot of a project that the caller administers, by its name there or its full name.
    async fn robot(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: &str,
        name: &str,
    ) -> Result<(metadata::projects::Project, RobotRow)> {
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(tx, caller, project, need).await?;
        let short = name.strip_prefix(&full_name(&project.name, "")).unwrap_or(name);
        let found = metadata::robots::credentials(tx, &project.name, short).await?;
        Ok((project, found.ok_or_else(|| unknown(name))?.robot))
    }
}

/// A new random secret: two random UUIDs without their fixed bits hold 244.
pub(crate) fn fresh_secret() -> SecretString {
    let (one, two) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    SecretString::new(format!("{}{}", one.simple(), two.simple()))
}

fn unknown(name: &str) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no robot {name:?} in this project"))
}

fn check(new: &NewRobot) -> Result<()> {
    let bad = |message: String| Err(Error::invalid(ErrorCode::Unsupported, message));
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let begins = new.name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if !begins || new.name.len() > MAX_NAME_BYTES || !new.name.bytes().all(plain) {
        return bad(format!(
            "a robot's name has 1 to {MAX_NAME_BYTES} lower-case letters, digits, '.', '_' or '-' \
             and begins with a letter or digit"
        ));
    }
    if new.description.len() > MAX_DESCRIPTION_BYTES {
        return bad(format!("a description has at most {MAX_DESCRIPTION_BYTES} bytes"));
    }
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
    fn secrets_are_long_and_new() {
        let (one, two) = (fresh_secret(), fresh_secret());
        assert_eq!(one.expose().len(), 64);
        assert!(!one.equals(&two));
    }

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
}
