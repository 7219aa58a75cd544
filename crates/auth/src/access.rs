use crate::{Principal, Right, RightSet, Role};
use sealock_metadata::{
    Result, Tx,
    examiners::{self, Examiner},
    members,
    projects::{self, Project, Visible},
};
use serde::{Deserialize, Serialize};

/// One entry of a token's access list (Docker's token specification), with the number of the
/// project, so that a token for a deleted project opens nothing in its namesake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// `repository`, or `registry` for the catalogue.
    #[serde(rename = "type")]
    pub kind: String,
    /// Full name of the repository.
    pub name: String,
    /// `pull`, `push`, `delete`.
    pub actions: Vec<String>,
    /// The project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<i64>,
}

impl Access {
    /// Whether it speaks of this repository of this project.
    pub fn covers(&self, project_id: i64, repository: &str) -> bool {
        self.kind == "repository" && self.project_id == Some(project_id) && self.name == repository
    }

    /// The rights that its actions name.
    pub fn rights(&self) -> impl Iterator<Item = Right> + '_ {
        self.actions.iter().filter_map(|action| action.parse().ok())
    }
}

/// What a principal may do in a project. A constant number of queries (at most two).
pub async fn project_rights(
    tx: &mut Tx,
    principal: &Principal,
    project: &Project,
) -> Result<RightSet> {
    const READ: RightSet = RightSet::of(&[Right::Pull]);
    let mut rights = if project.public { READ } else { RightSet::NONE };
    match principal {
        Principal::Anonymous => {}
        // All but examining what a door refused.
        Principal::User { sysadmin: true, .. } => {
            rights = Right::ALL.into_iter().filter(|&right| right != Right::Examine).collect();
        }
        Principal::User { id, security_officer, .. } => {
            if *security_officer {
                // Who judges waivers and quarantines everywhere can look everywhere.
                rights = rights.union(RightSet::of(&[Right::Pull, Right::ReadAudit]));
            }
            let role = members::role(tx, project.id, *id).await?.and_then(Role::from_id);
            rights = rights.union(role.map_or(RightSet::NONE, Role::rights));
        }
        Principal::Robot { project_id, rights: own, .. } if *project_id == project.id => {
            rights = rights.union(*own);
            let reads = [Right::Push, Right::Attest, Right::Promote];
            if reads.into_iter().any(|right| own.contains(right)) {
                rights = rights.union(READ);
            }
        }
        Principal::Robot { .. } => {}
    }
    // No role holds it: it is granted by name, and who examines reads (decision D10).
    let examiner = match principal {
        Principal::User { id, .. } => Some(Examiner::User(*id)),
        Principal::Robot { id, project_id, .. } if *project_id == project.id => {
            Some(Examiner::Robot(*id))
        }
        Principal::Anonymous | Principal::Robot { .. } => None,
    };
    match examiner {
        Some(who) if examiners::holds(tx, project.id, who).await? => {
            Ok(rights.union(READ).union(RightSet::of(&[Right::Examine])))
        }
        _ => Ok(rights),
    }
}

/// The projects that a principal may read, for lists and searches.
pub async fn readable_projects(tx: &mut Tx, principal: &Principal) -> Result<Visible> {
    Ok(match principal {
        Principal::User { sysadmin: true, .. } | Principal::User { security_officer: true, .. } => {
            Visible::All
        }
        Principal::User { id, .. } => Visible::Only(projects::readable(tx, Some(*id)).await?),
        Principal::Robot { project_id, .. } => {
            let mut ids = projects::readable(tx, None).await?;
            if !ids.contains(project_id) {
                ids.push(*project_id);
            }
            Visible::Only(ids)
        }
        Principal::Anonymous => Visible::Only(projects::readable(tx, None).await?),
    })
}
