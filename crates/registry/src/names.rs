//! Names that change hands.
//!
//! What belongs to a person or a project hangs on their number, and numbers are never given again.
//! Policies alone name them in words: `consumers`, `directPush` and `sources`. So whoever would
//! take a name that was another's is refused while a policy in force has it, word for word: they
//! would come to what was meant for somebody else. A glob means whoever it fits, then and now.

use crate::{Error, Registry, Result};
use sealock_auth::ROBOT_PREFIX;
use sealock_metadata::{
    self as metadata, Tx,
    former_names::Named,
    policies::{Policy, PolicyScope},
};
use sealock_policy::{Access, Pattern};

/// Policies that are read at once.
const BATCH: u32 = 100;
/// Most policies that an answer names.
const MAX_TOLD: usize = 20;

impl Registry {
    /// Fails unless a name may become that of a user; `who` is their number where they are here
    /// already. Nobody is called as somebody else is or was before a renaming, in either case.
    pub(crate) async fn require_free_user_name(
        &self,
        tx: &mut Tx,
        name: &str,
        who: Option<i64>,
    ) -> Result<()> {
        let others = metadata::users::called(tx, name).await?;
        if let Some(other) = others.iter().find(|user| Some(user.id) != who) {
            return Err(Error::conflict(match other.name.eq_ignore_ascii_case(name) {
                true => format!("there is a user {:?} already", other.name),
                false => {
                    format!("{:?} had the name {name:?} before, and keeps it", other.name)
                }
            }));
        }
        self.require_not_inherited(tx, Named::User, name, who).await
    }

    /// Fails where a policy names somebody else who had this name before.
    pub(crate) async fn require_not_inherited(
        &self,
        tx: &mut Tx,
        kind: Named,
        name: &str,
        who: Option<i64>,
    ) -> Result<()> {
        let before = metadata::former_names::holder(tx, kind, name).await?;
        if before.is_none() || before == who {
            return Ok(());
        }
        match self.policies_naming(tx, kind, name).await?.first() {
            None => Ok(()),
            Some(policy) => Err(Error::conflict(format!(
                "the policy of {policy} names {name:?}, which was another {} then: take the name \
                 out of it first, or choose another one",
                kind.as_str()
            ))),
        }
    }

    /// Where policies in force name a user or a project, its robots with it, word for word: `the
    /// floor`, `the tier release`, `the project shop`. The first of them.
    pub(crate) async fn policies_naming(
        &self,
        tx: &mut Tx,
        kind: Named,
        name: &str,
    ) -> Result<Vec<String>> {
        let (mut told, mut after) = (Vec::new(), 0);
        loop {
            let rows = metadata::policies::with_text(tx, name, after, BATCH).await?;
            for row in &rows {
                after = row.id;
                let document = self.policy_cache().parse(row)?;
                if names(&document.access, kind, name) {
                    told.push(place(tx, row).await?);
                }
            }
            if rows.len() < BATCH as usize || told.len() >= MAX_TOLD {
                told.truncate(MAX_TOLD);
                return Ok(told);
            }
        }
    }
}

/// Whether a document's rules on access name them.
fn names(access: &Access, kind: Named, name: &str) -> bool {
    let principals = access.consumers.iter().filter_map(|all| all.principals.as_ref()).flatten();
    let mut principals = principals.map(Pattern::as_str);
    match kind {
        Named::User => principals.any(|one| one == name),
        Named::Project => {
            let robots = access.direct_push.iter().flat_map(|push| &push.robots);
            let mut robots = principals.chain(robots.map(String::as_str));
            let mut sources = access.sources.iter().flat_map(|sources| &sources.projects);
            let of_it = format!("{ROBOT_PREFIX}{name}+");
            sources.any(|one| one.as_str() == name) || robots.any(|one| one.starts_with(&of_it))
        }
    }
}

async fn place(tx: &mut Tx, row: &Policy) -> Result<String> {
    let id = row.target.parse().unwrap_or_default();
    Ok(match row.scope {
        PolicyScope::Floor => "the floor".to_owned(),
        PolicyScope::Tier => format!("the tier {}", row.target),
        PolicyScope::Project | PolicyScope::Cluster => {
            let project = metadata::projects::get(tx, id).await?;
            format!("the project {}", project.map_or_else(String::new, |project| project.name))
        }
    })
}
