//! Harbor's flags of a project: one truth with its policy document (decision D18).

use crate::{
    AllowlistChange, Error, Registry, Result,
    access::Need,
    allowlists::write_list,
    policies::{Found, invalid},
};
use sealock_auth::{Caller, Right};
use sealock_facts::Severity;
use sealock_metadata::{self as metadata, Tx, policies::PolicyScope, projects::Project};
use sealock_policy::{Flags, PolicyDocument};

/// The severity from which the flag `prevent_vul` refuses when nobody states one.
const DEFAULT_SEVERITY: Severity = Severity::Low;

/// What a project's metadata in Harbor's API say of its pull door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct HarborFlags {
    /// `enable_content_trust_cosign`: pulled is only what is signed by a key that the project
    /// lists.
    pub content_trust_cosign: bool,
    /// `prevent_vul` and `severity`: pulled is only what has no finding of this severity or a
    /// higher one. Harbor's `none` is [`Severity::Negligible`].
    pub prevent_vul: Option<Severity>,
    /// `reuse_sys_cve_allowlist`: the system's CVE allowlist counts in the project.
    pub reuse_sys_cve_allowlist: bool,
}

/// Flags to be set; what is absent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HarborFlagChange {
    /// `enable_content_trust_cosign`.
    pub content_trust_cosign: Option<bool>,
    /// `prevent_vul`.
    pub prevent_vul: Option<bool>,
    /// `severity`. It says nothing while `prevent_vul` is off.
    pub severity: Option<Severity>,
    /// `reuse_sys_cve_allowlist`.
    pub reuse_sys_cve_allowlist: Option<bool>,
}

impl Registry {
    /// The flags of a project that the caller may pull from, as its policy document and its CVE
    /// allowlist have them.
    pub async fn harbor_flags(&self, caller: &Caller, project: &str) -> Result<HarborFlags> {
        let mut tx = self.database().read().await?;
        let need = Need::Has(Right::Pull);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let document = own_document(&mut tx, &project).await?;
        flags(&mut tx, &project, document.as_ref()).await
    }

    /// Sets flags: edits the project's policy document, whose other rules stay as they are. What a
    /// rule of somebody's own demands is not switched off by a flag: that is a conflict that names
    /// the rule. For the project's administrators.
    pub async fn set_harbor_flags(
        &self,
        caller: &Caller,
        project: &str,
        change: &HarborFlagChange,
    ) -> Result<HarborFlags> {
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let before = own_document(&mut tx, &project).await?;
        let now = Flags::of(before.as_ref());
        let prevent = match change.prevent_vul.unwrap_or(now.prevent.is_some()) {
            true => Some(change.severity.or(now.prevent).unwrap_or(DEFAULT_SEVERITY)),
            false => None,
        };
        let content_trust = change.content_trust_cosign.unwrap_or(now.content_trust);
        let wanted = Flags { content_trust, prevent };
        let after = wanted
            .set(before.as_ref())
            .map_err(|conflict| Error::conflict(conflict.to_string()))?;
        if after != before {
            let text = match &after {
                Some(document) => {
                    Some(serde_json::to_string_pretty(document).map_err(Error::internal)?)
                }
                None => None,
            };
            if let Some(text) = &text {
                sealock_policy::parse(text).map_err(|error| invalid(&error))?;
            }
            let found = Found::Project(project.clone());
            self.store_policy(&mut tx, caller, &found, text.as_deref()).await?;
        }
        if let Some(reuse) = change.reuse_sys_cve_allowlist {
            let change = AllowlistChange { reuse_system: Some(reuse), ..Default::default() };
            write_list(&mut tx, caller, Some(&project), &change).await?;
        }
        let flags = flags(&mut tx, &project, after.as_ref()).await?;
        tx.commit().await?;
        Ok(flags)
    }
}

/// The project's own document as it stands.
async fn own_document(tx: &mut Tx, project: &Project) -> Result<Option<PolicyDocument>> {
    let target = project.id.to_string();
    let row = metadata::policies::current(tx, PolicyScope::Project, &target).await?;
    let Some(text) = row.and_then(|row| row.document) else { return Ok(None) };
    sealock_policy::parse(&text).map(Some).map_err(Error::internal)
}

async fn flags(
    tx: &mut Tx,
    project: &Project,
    document: Option<&PolicyDocument>,
) -> Result<HarborFlags> {
    let Flags { content_trust, prevent } = Flags::of(document);
    let list = metadata::cve_allowlists::get(tx, project.id).await?;
    Ok(HarborFlags {
        content_trust_cosign: content_trust,
        prevent_vul: prevent,
        reuse_sys_cve_allowlist: list.is_none_or(|list| list.reuse_system),
    })
}
