//! What Harbor's API asks, in its terms: projects by number or name, Harbor's roles, lists with
//! conditions. Rights come from the one table, [`sealock_auth::MATRIX`].

mod additions;
mod artifacts;
mod chart;
mod configuration;
mod copying;
mod counts;
mod groups;
mod labels;
mod log;
mod members;
mod overview;
mod people;
mod projects;
mod repositories;
mod robots;
mod settings;
mod tags;

pub use additions::{Addition, MAX_REPORTED, Report};
pub use artifacts::{
    AccessoryDetail, ArtifactDetail, ArtifactRow, Beside, Child, Signature, TagDetail,
};
pub use configuration::{
    ConfigurationItem, MAX_PREFIX_BYTES, MAX_SESSION_MINUTES, MAX_TOKEN_MINUTES,
};
pub use counts::{Found, Health, Statistics, Volume};
pub use groups::Group;
pub use labels::{Label, LabelScope, LabelWords};
pub use log::{Logged, MAX_LOGGED, MAX_SEARCHED};
pub use members::{Entity, MemberOf};
pub use overview::{Overview, ScanState};
pub use people::{NewPerson, Person, Profile};
pub use projects::{ProjectChange, ProjectDetail, ProjectSummary, ProjectToMake};
pub use repositories::RepositoryDetail;
pub(crate) use robots::namespace_of;
pub use robots::{RobotChange, RobotDetail, RobotLevel, RobotPermission, RobotToMake};
pub use sealock_facts::{Finding, FixState, Severity, SeveritySource};
pub use settings::Settings;

use crate::{Error, Registry, Result};
use sealock_auth::{Act, Caller, Permission, Resource, Spot, Standing};
use sealock_metadata::{self as metadata, Tx, projects::Project as ProjectRow};
use sealock_oci::ErrorCode;
use std::fmt;

/// A project as a client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectName {
    /// By its number.
    Number(i64),
    /// By its name.
    Name(String),
}

impl From<&str> for ProjectName {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Registry {
    /// A project in which the caller may do this, in the project as a whole: who is limited to some
    /// repositories may not. For what is done in one repository, or shown of those that the caller
    /// may see, there is [`Self::harbor_spot`].
    pub(crate) async fn harbor_project(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        name: &ProjectName,
        resource: Resource,
        act: Act,
    ) -> Result<(ProjectRow, Standing)> {
        self.harbor_spot(tx, caller, name, Spot::Project, (resource, act)).await
    }

    /// A project at a spot of which the caller may do this: in a repository, by its name within the
    /// project, or somewhere; then what is shown must be limited (`sealock_auth::visible_in`). Only
    /// who may see all learns that there is no such project: for others it is the answer to what
    /// they may not do, and for nobody in particular it is that they should log in.
    pub(crate) async fn harbor_spot(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        name: &ProjectName,
        spot: Spot<'_>,
        (resource, act): Permission,
    ) -> Result<(ProjectRow, Standing)> {
        let found = match name {
            ProjectName::Number(id) => metadata::projects::get(tx, *id).await?,
            ProjectName::Name(name) => metadata::projects::find(tx, name).await?,
        };
        if let Some(project) = found {
            let standing = Standing::of(tx, &caller.principal, &project).await?;
            if standing.may_at(spot, (resource, act)) {
                return Ok((project, standing));
            }
        } else if caller.principal.may_everywhere((resource, act)) {
            return Err(Error::not_found(
                ErrorCode::NameUnknown,
                format!("there is no project {name}"),
            ));
        }
        if caller.principal.is_anonymous() {
            return Err(Error::unauthenticated());
        }
        Err(Error::forbidden(format!(
            "{} may not {act} the {resource} of project {name}, or there is no such project; ask \
             one of its administrators",
            caller.principal
        )))
    }
}

/// Something in a project that the caller may look into, which is not there.
fn missing(what: &str, id: impl fmt::Display) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no {what} {id}"))
}

/// Something that a request says wrongly.
fn bad(message: impl Into<String>) -> Error {
    Error::invalid(ErrorCode::Unsupported, message)
}

/// Fails unless somebody is logged in.
fn require_login(caller: &Caller) -> Result<()> {
    match caller.principal.is_anonymous() {
        true => Err(Error::unauthenticated()),
        false => Ok(()),
    }
}
