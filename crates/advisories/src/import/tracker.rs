//! The Debian security tracker's `data/json`: package → vulnerability → release → status.

use super::Collector;
use super::document::Members;
use crate::error::Result;
use crate::osv::status_word;
use crate::record::{Affected, Range, Record, Status};
use crate::severity::{AFFECTED_LEVEL, Assessment, VENDOR};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Issue {
    #[serde(default)]
    description: String,
    #[serde(default)]
    releases: BTreeMap<String, Release>,
}

#[derive(Deserialize)]
struct Release {
    #[serde(default)]
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: String,
    #[serde(default)]
    nodsa: Option<String>,
    #[serde(default)]
    nodsa_reason: Option<String>,
}

/// OSV's names for code names; a release that is not numbered yet keeps its name.
fn release(codename: &str) -> &str {
    match codename {
        "wheezy" => "7",
        "jessie" => "8",
        "stretch" => "9",
        "buster" => "10",
        "bullseye" => "11",
        "bookworm" => "12",
        "trixie" => "13",
        "forky" => "14",
        "duke" => "15",
        other => other,
    }
}

/// Packages on top, vulnerabilities below.
pub(super) fn looks_like(members: &Members<'_>) -> bool {
    members.values().next().is_some_and(|first| {
        serde_json::from_str::<Members<'_>>(first.get()).is_ok_and(|inner| {
            inner.keys().next().is_some_and(|id| id.starts_with("CVE-") || id.starts_with("TEMP-"))
        })
    })
}

pub(super) fn read(origin: &str, members: &Members<'_>, into: &mut Collector) -> Result<()> {
    for (package, issues) in members {
        let issues: BTreeMap<String, Issue> = match serde_json::from_str(issues.get()) {
            Ok(issues) => issues,
            Err(e) => {
                into.skip(&format!("{origin}: {package}"), "not_json", e);
                continue;
            }
        };
        for (id, issue) in issues {
            let affected: Vec<_> =
                issue.releases.iter().map(|(name, r)| r.convert(name, package)).collect();
            // One record per package and vulnerability: packages come one after another.
            into.record(&Record {
                id: format!("DEBIAN-{id}-{package}"),
                modified: None,
                published: None,
                withdrawn: None,
                aliases: Vec::new(),
                upstream: vec![id],
                summary: issue.description.chars().take(160).collect(),
                severity: Vec::new(),
                affected,
            })?;
        }
    }
    Ok(())
}

impl Release {
    fn convert(&self, codename: &str, package: &str) -> Affected {
        let fixed = self.fixed_version.as_deref().filter(|_| self.status == "resolved");
        let never = fixed == Some("0");
        Affected {
            ecosystem: format!("Debian:{}", release(codename)),
            name: package.to_owned(),
            versions: Vec::new(),
            ranges: if never { Vec::new() } else { vec![Range::below(fixed)] },
            status: self.status(never),
            severity: Assessment::from_word(AFFECTED_LEVEL, VENDOR, &self.urgency)
                .into_iter()
                .collect(),
        }
    }

    fn status(&self, never: bool) -> Status {
        if never {
            return Status::NotAffected;
        }
        match self.status.as_str() {
            "resolved" => return Status::Affected,
            "undetermined" => return Status::UnderInvestigation,
            _ => {}
        }
        let reason = self.nodsa_reason.as_deref().and_then(status_word);
        let deferred = self.nodsa.is_some().then_some(Status::Deferred);
        status_word(&self.urgency).or(reason).or(deferred).unwrap_or(Status::Affected)
    }
}
