//! Harbor's flags of a project: one truth with its policy document (decision D18).

use crate::{
    AllowlistChange, Error, Registry, Result,
    allowlists::write_list,
    policies::{Found, invalid},
};
use sealock_auth::Caller;
use sealock_facts::{Severity, Verdict};
use sealock_metadata::{
    self as metadata, Tx, cve_allowlists::AllowlistRow, policies::PolicyScope, projects::Project,
};
use sealock_policy::{Flags, PolicyDocument};

/// The severity from which the flag `prevent_vul` refuses when nobody states one.
const DEFAULT_SEVERITY: Severity = Severity::Low;

/// What a project's metadata in Harbor's API say of its pull door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HarborFlags {
    /// `enable_content_trust_cosign`: pulled is only what is signed by a key that the project
    /// lists.
    pub(crate) content_trust_cosign: bool,
    /// `enable_content_trust`, which is Harbor's for Notation: the same.
    pub(crate) content_trust: bool,
    /// `prevent_vul` and `severity`: pulled is only what has no finding of this severity or a
    /// higher one. Harbor's `none` is [`Severity::Negligible`].
    pub(crate) prevent_vul: Option<Severity>,
    /// `reuse_sys_cve_allowlist`: the system's CVE allowlist counts in the project, and its own
    /// does not.
    pub(crate) reuse_sys_cve_allowlist: bool,
}

/// Flags to be set; what is absent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HarborFlagChange {
    /// `enable_content_trust_cosign`.
    pub(crate) content_trust_cosign: Option<bool>,
    /// `enable_content_trust`.
    pub(crate) content_trust: Option<bool>,
    /// `prevent_vul`.
    pub(crate) prevent_vul: Option<bool>,
    /// `severity`. It says nothing while `prevent_vul` is off.
    pub(crate) severity: Option<Severity>,
    /// `reuse_sys_cve_allowlist`.
    pub(crate) reuse_sys_cve_allowlist: Option<bool>,
}

impl HarborFlags {
    /// The flags that a project's own document and its allowlist say.
    pub(crate) fn of(document: Option<&str>, list: Option<&AllowlistRow>) -> Result<Self> {
        let document = document.map(sealock_policy::parse).transpose().map_err(Error::internal)?;
        let Flags { content_trust, notation_trust, prevent } = Flags::of(document.as_ref());
        Ok(Self {
            content_trust_cosign: content_trust,
            content_trust: notation_trust,
            prevent_vul: prevent,
            reuse_sys_cve_allowlist: list.is_none_or(|list| list.reuse_system),
        })
    }
}

impl Registry {
    /// Sets flags of a project that the caller may change: edits its policy document, whose other
    /// rules stay as they are. What a rule of somebody's own demands is not switched off by a flag:
    /// that is a conflict that names the rule.
    pub(crate) async fn change_flags(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: &Project,
        change: &HarborFlagChange,
    ) -> Result<()> {
        let before = own_document(tx, project).await?;
        let now = Flags::of(before.as_ref());
        let prevent = match change.prevent_vul.unwrap_or(now.prevent.is_some()) {
            true => Some(change.severity.or(now.prevent).unwrap_or(DEFAULT_SEVERITY)),
            false => None,
        };
        let wanted = Flags {
            content_trust: change.content_trust_cosign.unwrap_or(now.content_trust),
            notation_trust: change.content_trust.unwrap_or(now.notation_trust),
            prevent,
        };
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
            self.store_policy(tx, caller, &found, text.as_deref()).await?;
        }
        if let Some(reuse) = change.reuse_sys_cve_allowlist {
            let change = AllowlistChange { reuse_system: Some(reuse), ..Default::default() };
            write_list(tx, caller, Some(project), &change).await?;
        }
        Ok(())
    }

    /// The severity at which a project's flag stops what this verdict refuses; none where it is
    /// not the flag that refuses.
    pub(crate) async fn stopping_severity(
        &self,
        project: &Project,
        verdict: &Verdict,
    ) -> Option<Severity> {
        let objections = verdict.objections();
        objections.iter().find(|reason| reason.rule == sealock_policy::RULE_VULNERABILITIES)?;
        let mut tx = self.database().read().await.ok()?;
        flags_of(&mut tx, project).await.ok()?.prevent_vul
    }
}

/// The project's own document as it stands.
async fn own_document(tx: &mut Tx, project: &Project) -> Result<Option<PolicyDocument>> {
    let Some(text) = own_text(tx, project).await? else { return Ok(None) };
    sealock_policy::parse(&text).map(Some).map_err(Error::internal)
}

async fn own_text(tx: &mut Tx, project: &Project) -> Result<Option<String>> {
    let target = project.id.to_string();
    let row = metadata::policies::current(tx, PolicyScope::Project, &target).await?;
    Ok(row.and_then(|row| row.document))
}

/// The flags of a project.
pub(crate) async fn flags_of(tx: &mut Tx, project: &Project) -> Result<HarborFlags> {
    let text = own_text(tx, project).await?;
    let list = metadata::cve_allowlists::get(tx, project.id).await?;
    HarborFlags::of(text.as_deref(), list.as_ref())
}
