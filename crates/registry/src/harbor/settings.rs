//! Harbor's metadata of a project: which words there are, and what each may say.

use super::{ProjectName, bad, missing};
use crate::{Registry, Result, audit::Event};
use sealock_auth::{Act, Caller, Resource};
use sealock_metadata::{self as metadata, Tx, projects::Project as ProjectRow};

pub use sealock_metadata::project_settings::Settings;

/// Whether anybody may read the project: kept in the project itself.
pub(super) const PUBLIC: &str = "public";
/// Settings that are yes or no.
const SWITCHES: [&str; 3] = ["auto_scan", "auto_sbom_generation", "reuse_sys_cve_allowlist"];
/// Protections. They stand in a project's policy document, the one truth (decision D18): here they
/// can only be said to be off.
const PROTECTIONS: [&str; 3] =
    ["enable_content_trust", "enable_content_trust_cosign", "prevent_vul"];
/// What the vulnerability protection would stop at.
const SEVERITIES: [&str; 5] = ["none", "low", "medium", "high", "critical"];

/// A setting as it is kept, or why it cannot be.
pub(super) fn checked(name: &str, value: &str) -> Result<String> {
    let lower = value.to_ascii_lowercase();
    let switch = || match lower.as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(bad(format!("metadata.{name} is \"true\" or \"false\", not {value:?}"))),
    };
    if name == PUBLIC || SWITCHES.contains(&name) {
        return switch().map(|on| on.to_string());
    }
    if PROTECTIONS.contains(&name) {
        if !switch()? {
            return Ok(false.to_string());
        }
        return Err(bad(format!(
            "metadata.{name} cannot be turned on here yet, and a protection that would not be \
             there is refused; write it into the project's policy, \
             PUT /api/sealock/v1/projects/{{project}}/policy"
        )));
    }
    match name {
        "severity" if SEVERITIES.contains(&lower.as_str()) => Ok(lower),
        "severity" => Err(bad(format!("metadata.severity is one of {}", SEVERITIES.join(", ")))),
        "retention_id" => Err(bad("metadata.retention_id is set by the server only")),
        "proxy_speed_kb" | "max_upstream_conn" => {
            Err(bad(format!("metadata.{name} is for proxy projects, which are not offered")))
        }
        _ => Err(bad(format!("there is no metadata {name:?} of a project"))),
    }
}

/// What a client says of a new or changed project. Empty words and nulls say nothing, as clients
/// send back what they read.
pub(super) fn checked_all<'a>(
    said: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<Settings> {
    let mut all = Settings::new();
    for (name, value) in said {
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        let unlimited = value == "-1" && matches!(name, "proxy_speed_kb" | "max_upstream_conn");
        if !unlimited {
            all.insert(name.to_owned(), checked(name, value)?);
        }
    }
    Ok(all)
}

/// Keeps settings; `public` in the project.
pub(super) async fn keep(tx: &mut Tx, project: &ProjectRow, settings: &Settings) -> Result<()> {
    for (name, value) in settings {
        if name == PUBLIC {
            metadata::projects::set_public(tx, project.id, value == "true").await?;
        } else {
            metadata::project_settings::put(tx, project.id, name, value).await?;
        }
    }
    Ok(())
}

/// The whole metadata of a project.
pub(super) fn whole(project: &ProjectRow, kept: Option<Settings>) -> Settings {
    let mut all = kept.unwrap_or_default();
    all.insert(PUBLIC.to_owned(), project.public.to_string());
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
        let kept =
            metadata::project_settings::of(&mut tx, &[project.id]).await?.remove(&project.id);
        Ok(whole(&project, kept))
    }

    /// One setting of a project.
    pub async fn harbor_setting(
        &self,
        caller: &Caller,
        project: &ProjectName,
        name: &str,
    ) -> Result<String> {
        let mut tx = self.database().read().await?;
        let (project, _) =
            self.harbor_project(&mut tx, caller, project, Resource::Metadata, Act::Read).await?;
        let kept =
            metadata::project_settings::of(&mut tx, &[project.id]).await?.remove(&project.id);
        whole(&project, kept).remove(name).ok_or_else(|| missing("metadata", name))
    }

    /// Adds a setting that is not there, or changes one that is: the other case is refused.
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
        let kept =
            metadata::project_settings::of(&mut tx, &[project.id]).await?.remove(&project.id);
        let there = whole(&project, kept).contains_key(name);
        if new && there {
            return Err(crate::Error::conflict(format!("the project has the metadata {name:?}")));
        }
        if !new && !there {
            return Err(missing("metadata", name));
        }
        let value = checked(name, value)?;
        let settings = Settings::from([(name.to_owned(), value.clone())]);
        keep(&mut tx, &project, &settings).await?;
        let event = Event::new(caller, "update-project").project(&project);
        event.detail("metadata", name).detail("value", value).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a setting. Whether a project is public is none that could be missing.
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
        if !metadata::project_settings::delete(&mut tx, project.id, name).await? {
            return Err(missing("metadata", name));
        }
        let event = Event::new(caller, "update-project").project(&project);
        event.detail("metadata_removed", name).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }
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
            ("prevent_vul", "false", "false"),
        ] {
            assert_eq!(checked(name, value).expect(name), kept);
        }
        for (name, value) in [
            ("public", "perhaps"),
            ("prevent_vul", "true"),
            ("enable_content_trust_cosign", "true"),
            ("severity", "bad"),
            ("retention_id", "1"),
            ("proxy_speed_kb", "10"),
            ("tier", "release"),
            ("", ""),
        ] {
            assert!(checked(name, value).is_err(), "{name}={value}");
        }
        let said = [("severity", Some("")), ("auto_scan", None), ("proxy_speed_kb", Some("-1"))];
        assert!(checked_all(said).expect("nothing is said").is_empty());
    }
}
