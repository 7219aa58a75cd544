//! Harbor's metadata of a project: which words there are, and what each may say.

use super::{ProjectName, bad};
use crate::{
    Registry, Result,
    audit::Event,
    harbor_flags::{HarborFlagChange, HarborFlags, flags_of},
};
use sealock_auth::{Act, Caller, Resource};
use sealock_facts::Severity;
use sealock_metadata::{self as metadata, Tx, projects::Project as ProjectRow};

pub use sealock_metadata::project_settings::Settings;

/// Whether anybody may read the project: kept in the project itself.
pub(super) const PUBLIC: &str = "public";
/// Settings that are yes or no.
const SWITCHES: [&str; 2] = ["auto_scan", "auto_sbom_generation"];
/// Protections that are yes or no. They stand in the project's policy document, the one truth
/// (decision D18), and the allowlist's in the allowlist: of these is kept only that somebody said
/// them, so that a client which said `false` reads `false`.
const TRUST_COSIGN: &str = "enable_content_trust_cosign";
const TRUST_NOTATION: &str = "enable_content_trust";
const PREVENT: &str = "prevent_vul";
const REUSE: &str = "reuse_sys_cve_allowlist";
const PROTECTIONS: [&str; 4] = [TRUST_COSIGN, TRUST_NOTATION, PREVENT, REUSE];
/// What the vulnerability protection stops at. Kept while it is off, and told from the policy
/// document while it is on.
const SEVERITY: &str = "severity";
/// The policy by which tags go, which the server sets.
const RETENTION: &str = "retention_id";
const SEVERITIES: [(&str, Severity); 5] = [
    ("none", Severity::Negligible),
    ("low", Severity::Low),
    ("medium", Severity::Medium),
    ("high", Severity::High),
    ("critical", Severity::Critical),
];

fn severity(word: &str) -> Option<Severity> {
    SEVERITIES.iter().find(|(known, _)| *known == word).map(|(_, severity)| *severity)
}

fn severity_word(severity: Severity) -> &'static str {
    let found = SEVERITIES.iter().find(|(_, known)| *known == severity);
    found.map_or("none", |(word, _)| word)
}

/// A setting as it is kept, or why it cannot be.
pub(super) fn checked(name: &str, value: &str) -> Result<String> {
    let lower = value.to_ascii_lowercase();
    let switch = || match lower.as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(bad(format!("metadata.{name} is \"true\" or \"false\", not {value:?}"))),
    };
    if name == PUBLIC || SWITCHES.contains(&name) || PROTECTIONS.contains(&name) {
        return switch().map(|on| on.to_string());
    }
    match name {
        SEVERITY if severity(&lower).is_some() => Ok(lower),
        SEVERITY => {
            let words = SEVERITIES.map(|(word, _)| word).join(", ");
            Err(bad(format!("metadata.severity is one of {words}")))
        }
        RETENTION => Err(bad("metadata.retention_id is set by the server only")),
        "proxy_speed_kb" | "max_upstream_conn" => {
            Err(bad(format!("metadata.{name} is for proxy projects, which are not offered")))
        }
        _ => Err(bad(format!("there is no metadata {name:?} of a project"))),
    }
}

/// Whether this is asked of a project that is no proxy.
fn is_known(name: &str) -> bool {
    name == PUBLIC
        || matches!(name, SEVERITY | RETENTION)
        || SWITCHES.contains(&name)
        || PROTECTIONS.contains(&name)
}

/// What a client says of a new or changed project. Empty words and nulls say nothing, as clients
/// send back what they read; nor do words that are not known, or about proxies: clients send each
/// that some version of Harbor has, and Harbor passes over those that it has not.
pub(super) fn checked_all<'a>(
    said: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<Settings> {
    let mut all = Settings::new();
    for (name, value) in said {
        let value = value.filter(|value| !value.is_empty() && is_known(name));
        if let Some(value) = value {
            all.insert(name.to_owned(), checked(name, value)?);
        }
    }
    Ok(all)
}

/// The whole metadata of a project: what is kept, and what its policy and allowlist say.
pub(super) fn whole(project: &ProjectRow, kept: Option<Settings>, flags: HarborFlags) -> Settings {
    let mut all = kept.unwrap_or_default();
    all.insert(PUBLIC.to_owned(), project.public.to_string());
    for (name, on, usual) in [
        (TRUST_COSIGN, flags.content_trust_cosign, false),
        (TRUST_NOTATION, flags.content_trust, false),
        (PREVENT, flags.prevent_vul.is_some(), false),
        (REUSE, flags.reuse_sys_cve_allowlist, true),
    ] {
        if on != usual || all.contains_key(name) {
            all.insert(name.to_owned(), on.to_string());
        }
    }
    if let Some(threshold) = flags.prevent_vul {
        all.insert(SEVERITY.to_owned(), severity_word(threshold).to_owned());
    }
    all
}

impl Registry {
    /// The metadata of a project. As in Harbor no role of a project may list it all, only
    /// administrators of the system may.
    pub async fn harbor_settings(
        &self,
        caller: &Caller,
        project: &ProjectName,
    ) -> Result<Settings> {
        let mut tx = self.database().read().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Metadata, Act::List).await?;
        settings_of(&mut tx, &project).await
    }

    /// Keeps settings: `public` in the project, protections in its policy and its allowlist.
    pub(super) async fn keep_settings(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: &ProjectRow,
        settings: &Settings,
    ) -> Result<()> {
        let before = settings_of(tx, project).await?;
        for (name, value) in settings {
            if name == PUBLIC {
                metadata::projects::set_public(tx, project.id, value == "true").await?;
            } else {
                metadata::project_settings::put(tx, project.id, name, value).await?;
            }
        }
        let said = |name: &str| settings.get(name).map(|value| value == "true");
        let on = said(PREVENT).unwrap_or_else(|| before.get(PREVENT).is_some_and(|v| v == "true"));
        // What was said of the severity before is what counts once the protection is on.
        let stops_at = settings.get(SEVERITY).or(before.get(SEVERITY)).filter(|_| on);
        let change = HarborFlagChange {
            content_trust_cosign: said(TRUST_COSIGN),
            content_trust: said(TRUST_NOTATION),
            prevent_vul: said(PREVENT),
            severity: stops_at.and_then(|word| severity(word)),
            reuse_sys_cve_allowlist: said(REUSE),
        };
        self.change_flags(tx, caller, project, &change).await
    }

    /// One setting of a project; as in Harbor nothing where it is not there.
    pub async fn harbor_setting(
        &self,
        caller: &Caller,
        project: &ProjectName,
        name: &str,
    ) -> Result<Settings> {
        let mut tx = self.database().read().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Metadata, Act::Read).await?;
        let mut all = settings_of(&mut tx, &project).await?;
        all.retain(|one, _| one == name);
        Ok(all)
    }

    /// Sets a setting. A `new` one must not be there yet. Where Harbor says that it has changed one
    /// that is not there, it is there from then on.
    pub async fn put_harbor_setting(
        &self,
        caller: &Caller,
        project: &ProjectName,
        name: &str,
        value: &str,
        new: bool,
    ) -> Result<()> {
        let act = if new { Act::Create } else { Act::Update };
        let mut tx = self.database().write().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Metadata, act).await?;
        let value = checked(name, value)?;
        if new && settings_of(&mut tx, &project).await?.contains_key(name) {
            return Err(crate::Error::conflict(format!("the project has the metadata {name:?}")));
        }
        let settings = Settings::from([(name.to_owned(), value.clone())]);
        self.keep_settings(&mut tx, caller, &project, &settings).await?;
        let event = Event::new(caller, "update-project").project(&project);
        event.detail("metadata", name).detail("value", value).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a setting, if it is there. Whether a project is public is none that could be
    /// missing.
    pub async fn delete_harbor_setting(
        &self,
        caller: &Caller,
        project: &ProjectName,
        name: &str,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Metadata, Act::Delete).await?;
        if name == PUBLIC {
            return Err(bad("a project is public or not; set metadata.public instead"));
        }
        if !settings_of(&mut tx, &project).await?.contains_key(name) {
            return Ok(());
        }
        // A protection that nobody speaks of is as it is in a new project.
        let usual = match name {
            TRUST_COSIGN | TRUST_NOTATION | PREVENT => Some("false"),
            REUSE => Some("true"),
            SEVERITY => Some("low"),
            _ => None,
        };
        if let Some(usual) = usual {
            let usual = Settings::from([(name.to_owned(), usual.to_owned())]);
            self.keep_settings(&mut tx, caller, &project, &usual).await?;
        }
        metadata::project_settings::delete(&mut tx, project.id, name).await?;
        let event = Event::new(caller, "update-project").project(&project);
        event.detail("metadata_removed", name).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

/// The whole metadata of a project, read.
async fn settings_of(tx: &mut Tx, project: &ProjectRow) -> Result<Settings> {
    let kept = metadata::project_settings::of(tx, &[project.id]).await?.remove(&project.id);
    Ok(whole(project, kept, flags_of(tx, project).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_its_words() {
        for (name, value, kept) in [
            ("public", "True", "true"),
            ("auto_scan", "0", "false"),
            ("severity", "High", "high"),
            ("prevent_vul", "1", "true"),
            ("enable_content_trust_cosign", "True", "true"),
        ] {
            assert_eq!(checked(name, value).expect(name), kept);
        }
        for (name, value) in [
            ("public", "perhaps"),
            ("prevent_vul", "high"),
            ("severity", "bad"),
            ("retention_id", "1"),
            ("proxy_speed_kb", "10"),
            ("tier", "release"),
            ("", ""),
        ] {
            assert!(checked(name, value).is_err(), "{name}={value}");
        }
        let said = [
            ("severity", Some("")),
            ("auto_scan", None),
            ("proxy_speed_kb", Some("100")),
            ("proxy_cache_local_on_not_found", Some("false")),
            ("of_a_later_harbor", Some("1")),
        ];
        assert!(checked_all(said).expect("nothing is said").is_empty());
        assert!(checked_all([("retention_id", Some("1"))]).is_err());
        assert!(checked_all([("prevent_vul", Some("high"))]).is_err());
    }
}
