use crate::{
    Bounds, Limit, Principal, Right, RightSet, Role, Spot, Standing,
    matrix::holders,
    permission::{Permission, is_for_the_limited},
    standing::looks,
};
use sealock_metadata::{
    Result, Tx,
    examiners::{self, Examiner},
    projects::{self, Project, Readable, Visible},
    repositories,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

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

/// What a principal may do at a spot of a project. A constant number of queries (at most two).
pub async fn rights_at(
    tx: &mut Tx,
    principal: &Principal,
    project: &Project,
    spot: Spot<'_>,
) -> Result<RightSet> {
    let standing = Standing::of(tx, principal, project).await?;
    let rights = standing.rights(spot);
    // No role holds it: it is granted by name, and who examines reads (decision D10).
    let examiner = match principal {
        Principal::User { id, .. } => Some(Examiner::User(*id)),
        Principal::Robot { id, project_id: Some(home), .. } if *home == project.id => {
            Some(Examiner::Robot(*id))
        }
        Principal::Anonymous | Principal::Token { .. } | Principal::Robot { .. } => None,
    };
    match examiner {
        Some(who)
            if !standing.is_kept_out(spot) && examiners::holds(tx, project.id, who).await? =>
        {
            Ok(rights.union(RightSet::of(&[Right::Pull, Right::Examine])))
        }
        _ => Ok(rights),
    }
}

/// The projects, and parts of projects, in which a principal may do something: for lists and
/// searches. At most two queries.
pub async fn visible(tx: &mut Tx, principal: &Principal, what: Permission) -> Result<Visible> {
    let bounds = principal.bounds();
    let allowed = bounds.is_none_or(|bounds| bounds.allow(what));
    let everywhere = match principal {
        Principal::User { sysadmin, security_officer, .. }
        | Principal::Token { sysadmin, security_officer, .. } => {
            allowed && (*sysadmin || (*security_officer && looks(what)))
        }
        Principal::Robot { grants, .. } => grants.hold_everywhere(what),
        Principal::Anonymous => false,
    };
    let only = bounds.and_then(Bounds::projects);
    if everywhere && only.is_none() {
        return Ok(Visible::All);
    }
    let open = holders(what).contains('P');
    let mut parts = Parts::default();
    if everywhere {
        parts.whole.extend(only.into_iter().flatten());
    }
    for row in projects::readable(tx, principal.person()).await? {
        let reached = allowed && bounds.is_none_or(|bounds| bounds.reach(row.id));
        match row.role {
            None if open => parts.whole.push(row.id),
            Some(role) if reached && Role::from_id(role).is_some_and(|role| role.may(what)) => {
                parts.add(row, what);
            }
            _ => {}
        }
    }
    if let Principal::Robot { grants, .. } = principal {
        for (row, holds) in robots_projects(tx, grants, what).await? {
            if holds {
                parts.add(row, what);
            }
        }
    }
    parts.read(tx, what).await
}

/// The projects in which a robot was given something, with whether it is this.
async fn robots_projects(
    tx: &mut Tx,
    grants: &crate::Grants,
    what: Permission,
) -> Result<Vec<(Readable, bool)>> {
    let mut rows = Vec::new();
    let mut names: HashMap<i64, String> = HashMap::new();
    let limited: Vec<i64> = grants
        .iter()
        .filter(|grant| grant.limit.is_some())
        .filter_map(|grant| grant.place.project())
        .collect();
    if !limited.is_empty() {
        names.extend(projects::names(tx, &limited).await?);
    }
    for grant in grants.iter() {
        let Some(id) = grant.place.project() else { continue };
        let repositories = grant.limit.as_ref().map_or("", Limit::as_str).to_owned();
        let name = names.get(&id).cloned().unwrap_or_default();
        rows.push((Readable { id, name, role: None, repositories }, grant.permissions.holds(what)));
    }
    Ok(rows)
}

/// What is seen, before the patterns are looked up.
#[derive(Default)]
struct Parts {
    whole: Vec<i64>,
    limited: Vec<(Readable, Limit)>,
}

impl Parts {
    fn add(&mut self, row: Readable, what: Permission) {
        match Limit::stored(&row.repositories) {
            None => self.whole.push(row.id),
            Some(limit) if what.0.is_in_repository() || is_for_the_limited(what) => {
                self.limited.push((row, limit));
            }
            Some(_) => {}
        }
    }

    async fn read(mut self, tx: &mut Tx, what: Permission) -> Result<Visible> {
        self.whole.sort_unstable();
        self.whole.dedup();
        let whole = self.whole;
        self.limited.retain(|(row, _)| whole.binary_search(&row.id).is_err());
        if self.limited.is_empty() {
            return Ok(Visible::Only(whole));
        }
        let limits: Vec<(i64, &str, &Limit)> =
            self.limited.iter().map(|(row, limit)| (row.id, row.name.as_str(), limit)).collect();
        let repositories = match what.0.is_in_repository() || what.0 == crate::Resource::Project {
            true => matching(tx, &limits).await?,
            false => Vec::new(),
        };
        let mut partly: Vec<i64> = limits.iter().map(|(id, ..)| *id).collect();
        partly.sort_unstable();
        partly.dedup();
        Ok(Visible::Parts { projects: whole, partly, repositories })
    }
}

/// What somebody sees of one project, where they may do this in all of its repositories or in some.
/// At most one query.
pub async fn visible_in(
    tx: &mut Tx,
    standing: &Standing,
    project: &Project,
    what: Permission,
) -> Result<Visible> {
    if standing.may_at(Spot::Project, what) {
        return Ok(Visible::Only(vec![project.id]));
    }
    let limits = standing.limits(what);
    let limits: Vec<(i64, &str, &Limit)> =
        limits.into_iter().map(|limit| (project.id, project.name.as_str(), limit)).collect();
    let repositories = match limits.is_empty() {
        true => Vec::new(),
        false => matching(tx, &limits).await?,
    };
    Ok(Visible::Parts { projects: Vec::new(), partly: vec![project.id], repositories })
}

/// The repositories that limits let in, each of a project by number and name: one query.
async fn matching(tx: &mut Tx, limits: &[(i64, &str, &Limit)]) -> Result<Vec<i64>> {
    // Names are of signs below this one.
    const LAST: char = '\u{7f}';
    let from = |name: &str, limit: &Limit| format!("{name}/{}", limit.prefix());
    let begins = limits.iter().map(|(_, name, limit)| from(name, limit));
    let (low, high) = (begins.clone().min(), begins.max());
    let (low, high) = (low.unwrap_or_default(), high.unwrap_or_default());
    let ids: Vec<i64> = limits.iter().map(|(id, ..)| *id).collect();
    let fits = |project: i64, full: &str| {
        let within = full.split_once('/').map_or("", |(_, within)| within);
        limits.iter().any(|(id, _, limit)| *id == project && limit.matches(within))
    };
    repositories::matching(tx, &ids, (&low, &format!("{high}{LAST}")), fits).await
}
