//! Harbor's CVE allowlists: each project's and the system's.
//!
//! One truth (decision D18): what a list excuses are waivers, and the gate weighs them like every
//! other (decision D20). In a sandbox a list counts as it is written. Above, it counts once another
//! person, who holds the security role, has confirmed it; writing more on it takes that back.

use crate::{Error, Registry, Result, access::Need, audit::Event};
use jiff::Timestamp;
use sealock_auth::{Caller, Principal, Right};
use sealock_metadata::{
    self as metadata, Tx,
    cve_allowlists::{self as rows, AllowlistRow, SYSTEM},
    projects::Project,
};
use sealock_oci::ErrorCode;

pub use sealock_metadata::cve_allowlists::MAX_LIST_DAYS;

/// Most entries of a list.
pub const MAX_ALLOWLIST_ITEMS: usize = 1_000;
/// Longest name of a vulnerability, in bytes.
pub const MAX_CVE_BYTES: usize = 128;

/// A list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CveAllowlist {
    /// Number: the project's, 0 for the system's.
    pub id: i64,
    /// Names of vulnerabilities.
    pub items: Vec<String>,
    /// When it ends; without, [`MAX_LIST_DAYS`] after it was written or confirmed.
    pub expires_at: Option<Timestamp>,
    /// Whether the system's list counts in this project instead of its own.
    pub reuse_system: bool,
    /// Who wrote it; none when nobody did yet.
    pub written_by: Option<String>,
    /// Who let it count above sandbox.
    pub granted_by: Option<String>,
    /// When it was first written.
    pub created_at: Option<Timestamp>,
    /// When it was last written or confirmed.
    pub updated_at: Option<Timestamp>,
}

/// What a list is to say from now on; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowlistChange {
    /// Names of vulnerabilities.
    pub items: Option<Vec<String>>,
    /// When it ends, or never.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whether the system's list counts in this project instead of its own.
    pub reuse_system: Option<bool>,
}

/// A list as it stands, or the one that nobody has written yet.
pub(crate) fn shown(id: i64, row: Option<AllowlistRow>) -> CveAllowlist {
    match row {
        Some(row) => CveAllowlist {
            id,
            items: row.items,
            expires_at: row.expires_at,
            reuse_system: row.reuse_system,
            written_by: Some(row.written_by),
            granted_by: row.granted_by,
            created_at: Some(row.created_at),
            updated_at: Some(row.updated_at),
        },
        None => CveAllowlist {
            id,
            items: Vec::new(),
            expires_at: None,
            reuse_system: true,
            written_by: None,
            granted_by: None,
            created_at: None,
            updated_at: None,
        },
    }
}

impl Registry {
    /// The system's list, for everybody who is logged in.
    pub async fn system_cve_allowlist(&self, caller: &Caller) -> Result<CveAllowlist> {
        if caller.principal.is_anonymous() {
            return Err(Error::unauthenticated());
        }
        let mut tx = self.database().read().await?;
        Ok(shown(SYSTEM, rows::get(&mut tx, SYSTEM).await?))
    }

    /// Writes the system's list. For system administrators.
    pub async fn set_system_cve_allowlist(
        &self,
        caller: &Caller,
        change: &AllowlistChange,
    ) -> Result<CveAllowlist> {
        self.require_admin(caller)?;
        let mut tx = self.database().write().await?;
        let done = write_list(&mut tx, caller, None, change).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// The list of a project that the caller may pull from.
    pub async fn cve_allowlist(&self, caller: &Caller, project: &str) -> Result<CveAllowlist> {
        let mut tx = self.database().read().await?;
        let need = Need::Has(Right::Pull);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        Ok(shown(project.id, rows::get(&mut tx, project.id).await?))
    }

    /// Lets a project's list, or the system's, count above sandbox. For the security role, and
    /// another person than the one who wrote it. With `seen`, the moment at which the list that
    /// they looked at was written, another list than that one is a conflict.
    pub async fn grant_cve_allowlist(
        &self,
        caller: &Caller,
        project: Option<&str>,
        seen: Option<Timestamp>,
    ) -> Result<CveAllowlist> {
        self.require_security(caller)?;
        let granter = person(caller)?;
        let mut tx = self.database().write().await?;
        let project = match project {
            Some(name) => Some(metadata::projects::find(&mut tx, name).await?.ok_or_else(none)?),
            None => None,
        };
        let id = project.as_ref().map_or(SYSTEM, |project| project.id);
        let row = rows::lock(&mut tx, id).await?.ok_or_else(none)?;
        if seen.is_some_and(|seen| seen != row.updated_at) {
            return Err(Error::conflict("the list was written anew meanwhile; look at it again"));
        }
        let who = caller.principal.to_string();
        if row.written_by == who || !rows::grant(&mut tx, id, granter, &who).await? {
            return Err(Error::forbidden(
                "a list is confirmed by another person than the one who wrote it",
            ));
        }
        let row = rows::get(&mut tx, id).await?.ok_or_else(none)?;
        changed(&mut tx, caller, "grant-allowlist", project.as_ref(), &row).await?;
        tx.commit().await?;
        Ok(shown(id, Some(row)))
    }
}

/// Writes a list that the caller may change.
pub(crate) async fn write_list(
    tx: &mut Tx,
    caller: &Caller,
    project: Option<&Project>,
    change: &AllowlistChange,
) -> Result<CveAllowlist> {
    let id = project.map_or(SYSTEM, |project| project.id);
    let before = rows::lock(tx, id).await?;
    let stands = shown(id, before.clone());
    let items = match &change.items {
        Some(items) => checked(items)?,
        None => stands.items.clone(),
    };
    let expires_at = change.expires_at.unwrap_or(stands.expires_at);
    let reuse_system = change.reuse_system.unwrap_or(stands.reuse_system);
    let same_words = items == stands.items && expires_at == stands.expires_at;
    if same_words && reuse_system == stands.reuse_system {
        return Ok(stands);
    }
    let writer_id = person(caller)?;
    // Less than what was confirmed is confirmed.
    let sooner = match (expires_at, stands.expires_at) {
        (_, None) => true,
        (Some(now), Some(before)) => now <= before,
        (None, Some(_)) => false,
    };
    let less = sooner && items.iter().all(|item| stands.items.contains(item));
    let keeps = before.filter(|_| less);
    let granted_by = keeps.as_ref().and_then(|row| row.granted_by.clone());
    let kept = keeps.filter(|row| row.granted_by.is_some());
    // Nor does it hold longer than what was confirmed.
    let now = tx.now();
    let (written_by, writer_id, updated_at) = match kept {
        Some(row) => (row.written_by, row.writer_id, row.updated_at),
        None => (caller.principal.to_string(), writer_id, now),
    };
    let row = AllowlistRow {
        project_id: id,
        items,
        expires_at,
        reuse_system,
        written_by,
        writer_id,
        granted_by,
        created_at: now,
        updated_at,
    };
    rows::put(tx, &row).await?;
    changed(tx, caller, "update-allowlist", project, &row).await?;
    Ok(shown(id, rows::get(tx, id).await?))
}

/// Counts a change where verdicts look, and records it.
async fn changed(
    tx: &mut Tx,
    caller: &Caller,
    action: &'static str,
    project: Option<&Project>,
    row: &AllowlistRow,
) -> Result<()> {
    let mut event = Event::new(caller, action);
    match project {
        Some(project) => {
            metadata::projects::bump_policy_rev(tx, project.id).await?;
            event = event.project(project);
        }
        None => _ = metadata::settings::bump_system_rev(tx).await?,
    }
    event
        .detail("items", row.items.clone())
        .detail("expires_at", row.expires_at.map(|at| at.to_string()))
        .detail("reuse_system", row.reuse_system)
        .record(tx)
        .await
}

/// Entries in order, each once.
fn checked(items: &[String]) -> Result<Vec<String>> {
    let mut clean: Vec<String> = items.iter().map(|item| item.trim().to_owned()).collect();
    clean.sort_unstable();
    clean.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    let odd = |item: &&String| {
        item.is_empty() || item.len() > MAX_CVE_BYTES || !item.bytes().all(|b| b.is_ascii_graphic())
    };
    if let Some(odd) = clean.iter().find(odd) {
        return Err(Error::invalid(
            ErrorCode::Unsupported,
            format!("{odd:?} names no vulnerability; write one such as CVE-2024-3094"),
        ));
    }
    if clean.len() > MAX_ALLOWLIST_ITEMS {
        return Err(Error::invalid(
            ErrorCode::Unsupported,
            format!("a CVE allowlist has at most {MAX_ALLOWLIST_ITEMS} entries"),
        ));
    }
    Ok(clean)
}

/// The number of a person; robots neither ask nor grant.
fn person(caller: &Caller) -> Result<i64> {
    match &caller.principal {
        Principal::User { id, .. } => Ok(*id),
        Principal::Anonymous => Err(Error::unauthenticated()),
        Principal::Token { .. } | Principal::Robot { .. } => {
            Err(Error::forbidden("exceptions are a matter of people, who log in"))
        }
    }
}

fn none() -> Error {
    Error::not_found(ErrorCode::NameUnknown, "there is no such CVE allowlist")
}
