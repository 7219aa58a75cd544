//! OSV records (schema 1.7.5) as they come, and how they become [`Record`]s.

use crate::ecosystem;
use crate::record::{Affected, Event, EventKind, Range, Record, Status};
use crate::severity::{AFFECTED_LEVEL, Assessment, CVE_LEVEL, LABEL, RECORD_LEVEL, VENDOR};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// Longest id, ecosystem, package name or version that is kept, in bytes.
const MAX_TEXT: usize = 512;
/// Most aliases or upstream ids of one record.
const MAX_IDS: usize = 5_000;
/// Most characters of a summary.
const MAX_SUMMARY: usize = 160;

/// Why bytes are not a usable record. The code is stable, the detail is for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct RecordError {
    /// `not_json`, `no_id`, `text_too_long`, `too_many_ids`, `bad_withdrawn`, `informational`.
    pub code: &'static str,
    /// What was met.
    pub detail: String,
}

impl RecordError {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// Many producers write `null` for an empty list.
fn null_is_empty<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "null_is_empty")]
    id: String,
    #[serde(default)]
    modified: Option<String>,
    #[serde(default)]
    published: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    upstream: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    summary: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    details: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    severity: Vec<WireSeverity>,
    #[serde(default, deserialize_with = "null_is_empty")]
    affected: Vec<WireAffected>,
    #[serde(default)]
    database_specific: Value,
    #[serde(default)]
    ecosystem_specific: Value,
}

#[derive(Deserialize)]
struct WireSeverity {
    #[serde(rename = "type", default, deserialize_with = "null_is_empty")]
    kind: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    score: String,
}

#[derive(Deserialize)]
struct WireAffected {
    #[serde(default)]
    package: Option<WirePackage>,
    #[serde(default, deserialize_with = "null_is_empty")]
    ranges: Vec<WireRange>,
    #[serde(default, deserialize_with = "null_is_empty")]
    versions: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    severity: Vec<WireSeverity>,
    #[serde(default)]
    database_specific: Value,
    #[serde(default)]
    ecosystem_specific: Value,
}

#[derive(Deserialize)]
struct WirePackage {
    #[serde(default, deserialize_with = "null_is_empty")]
    ecosystem: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    name: String,
}

#[derive(Deserialize)]
struct WireRange {
    #[serde(rename = "type", default, deserialize_with = "null_is_empty")]
    kind: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    events: Vec<WireEvent>,
}

#[derive(Deserialize)]
struct WireEvent {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

/// Reads one OSV record. Never panics; hostile bytes end as an error.
pub fn parse_record(json: &[u8]) -> Result<Record, RecordError> {
    let wire: Wire =
        serde_json::from_slice(json).map_err(|e| RecordError::new("not_json", e.to_string()))?;
    wire.into_record()
}

/// Reads hostile bytes as a record, and as a document of any kind: the entry point for fuzzing.
#[doc(hidden)]
pub fn fuzz_record(bytes: &[u8]) {
    if let Ok(record) = parse_record(bytes) {
        let text = serde_json::to_vec(&record).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<Record>(&text).ok().as_ref(), Some(&record));
    }
    crate::import::fuzz_document(bytes);
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    let text = text?.trim();
    let parsed: Timestamp = text
        .parse()
        .or_else(|_| format!("{text}Z").parse())
        .or_else(|_| {
            // A date alone.
            format!("{text}T00:00:00Z").parse()
        })
        .ok()?;
    // Go's zero time means that there is none.
    (parsed.as_second() > -62_135_596_800).then_some(parsed)
}

fn check(text: &str, what: &str) -> Result<(), RecordError> {
    if text.len() > MAX_TEXT || text.contains(['\0', '\n', '\r']) {
        return Err(RecordError::new("text_too_long", format!("{what} is too long or has breaks")));
    }
    Ok(())
}

/// The first line with something in it, without control characters, cut to a line's length.
fn one_line(summary: &str, details: &str) -> String {
    let first = |text: &str| {
        let line =
            text.lines().map(str::trim).find(|l| !l.trim_matches(['#', ' ', '=']).is_empty());
        line.map(|l| l.trim_start_matches(['#', ' ']).to_owned())
    };
    let Some(line) = first(summary).or_else(|| first(details)) else { return String::new() };
    let mut line: String = line.chars().filter(|c| !c.is_control()).collect();
    if let Some((end, _)) = line.char_indices().nth(MAX_SUMMARY) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// A text at `key` in either of the free-form objects.
fn word<'a>(objects: [&'a Value; 2], key: &str) -> Option<&'a str> {
    objects.into_iter().find_map(|o| o.get(key)?.as_str())
}

impl Wire {
    fn into_record(self) -> Result<Record, RecordError> {
        if self.id.is_empty() {
            return Err(RecordError::new("no_id", "the record has no id"));
        }
        check(&self.id, "the id")?;
        if self.aliases.len() > MAX_IDS || self.upstream.len() > MAX_IDS {
            return Err(RecordError::new("too_many_ids", format!("{} has too many ids", self.id)));
        }
        for id in self.aliases.iter().chain(&self.upstream) {
            check(id, "an alias")?;
        }
        let withdrawn = match &self.withdrawn {
            None => None,
            Some(text) => Some(time(Some(text)).ok_or_else(|| {
                RecordError::new("bad_withdrawn", format!("{}: withdrawn is no time", self.id))
            })?),
        };
        let severity = self.severities();
        let malicious = self.id.starts_with("MAL-");
        let mut affected = Vec::with_capacity(self.affected.len());
        let mut informational = 0;
        for entry in &self.affected {
            if word([&entry.database_specific, &Value::Null], "informational").is_some() {
                informational += 1;
                continue;
            }
            affected.extend(entry.convert(malicious)?);
        }
        if informational > 0 && affected.is_empty() {
            return Err(RecordError::new("informational", format!("{} is a notice", self.id)));
        }
        affected.extend(not_affected(&self.database_specific)?);
        let (aliases, upstream) = join_rule(self.aliases, self.upstream, &affected, &self.id);
        Ok(Record {
            modified: time(self.modified.as_deref()),
            published: time(self.published.as_deref()),
            withdrawn,
            aliases,
            upstream,
            summary: one_line(&self.summary, &self.details),
            severity,
            affected,
            id: self.id,
        })
    }

    fn severities(&self) -> Vec<Assessment> {
        let level = if self.id.starts_with("CVE-") { CVE_LEVEL } else { RECORD_LEVEL };
        let mut found = vectors(&self.severity, level);
        let free = [&self.database_specific, &self.ecosystem_specific];
        let label = word(free, "severity");
        found.extend(label.and_then(|w| Assessment::from_word(level, LABEL, w)));
        if found.is_empty() && self.id.starts_with("MAL-") {
            // Code that means harm, and nobody scores it.
            found.extend(Assessment::from_word(RECORD_LEVEL, VENDOR, "critical"));
        }
        found
    }
}

/// Vectors and the words that stand beside them (`Ubuntu`).
fn vectors(list: &[WireSeverity], level: u8) -> Vec<Assessment> {
    let read = |s: &WireSeverity| match s.kind.as_str() {
        "CVSS_V2" | "CVSS_V3" | "CVSS_V4" => Assessment::from_vector(level, &s.score),
        _ => Assessment::from_word(level, VENDOR, &s.score),
    };
    list.iter().filter_map(read).collect()
}

/// A distribution's advisory about several vulnerabilities lists them as `upstream`; old ones list
/// them as aliases, which would make one group of them.
fn join_rule(
    mut aliases: Vec<String>,
    mut upstream: Vec<String>,
    affected: &[Affected],
    id: &str,
) -> (Vec<String>, Vec<String>) {
    let distribution =
        !affected.is_empty() && affected.iter().all(|a| ecosystem::is_distribution(&a.ecosystem));
    let cves = |list: &[String]| list.iter().filter(|a| a.starts_with("CVE-")).count();
    if distribution && upstream.is_empty() && cves(&aliases) > 1 {
        (upstream, aliases) = aliases.into_iter().partition(|a| a.starts_with("CVE-"));
    }
    for list in [&mut aliases, &mut upstream] {
        list.retain(|a| !a.is_empty() && a != id);
        list.sort_unstable();
        list.dedup();
    }
    (aliases, upstream)
}

/// Packages that the record declares untouched: `database_specific.not_affected`.
fn not_affected(specific: &Value) -> Result<Vec<Affected>, RecordError> {
    let mut found = Vec::new();
    for entry in specific.get("not_affected").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let (Some(ecosystem), Some(name)) = (text("ecosystem"), text("name")) else { continue };
        check(ecosystem, "an ecosystem")?;
        check(name, "a package name")?;
        found.push(Affected {
            ecosystem: ecosystem.to_owned(),
            name: ecosystem::normalise_name(ecosystem, name).into_owned(),
            versions: Vec::new(),
            ranges: Vec::new(),
            status: Status::NotAffected,
            severity: Vec::new(),
        });
    }
    Ok(found)
}

impl WireAffected {
    /// `None` for entries that name no package (commit ranges only).
    fn convert(&self, malicious: bool) -> Result<Option<Affected>, RecordError> {
        let Some(package) = &self.package else { return Ok(None) };
        if package.ecosystem.is_empty() || package.name.is_empty() {
            return Ok(None);
        }
        check(&package.ecosystem, "an ecosystem")?;
        check(&package.name, "a package name")?;
        let mut ranges = Vec::new();
        for range in &self.ranges {
            ranges.extend(range.convert()?);
        }
        for version in &self.versions {
            check(version, "a version")?;
        }
        let mut versions = self.versions.clone();
        versions.sort_unstable();
        versions.dedup();
        let status = self.status(&ranges, malicious);
        Ok(Some(Affected {
            name: ecosystem::normalise_name(&package.ecosystem, &package.name).into_owned(),
            ecosystem: package.ecosystem.clone(),
            versions,
            ranges,
            status,
            severity: self.severities(),
        }))
    }

    fn free(&self) -> [&Value; 2] {
        [&self.ecosystem_specific, &self.database_specific]
    }

    fn severities(&self) -> Vec<Assessment> {
        let mut found = vectors(&self.severity, AFFECTED_LEVEL);
        for (key, kind) in [("urgency", VENDOR), ("ubuntu_priority", VENDOR), ("severity", LABEL)] {
            let word = word(self.free(), key);
            found.extend(word.and_then(|w| Assessment::from_word(AFFECTED_LEVEL, kind, w)));
        }
        found
    }

    fn status(&self, ranges: &[Range], malicious: bool) -> Status {
        if malicious && self.versions.is_empty() && self.ranges.is_empty() {
            return Status::Everything;
        }
        // "Fixed in version 0": never affected.
        let never =
            |r: &Range| r.events.iter().any(|e| e.kind == EventKind::Fixed && e.version == "0");
        if self.versions.is_empty() && !ranges.is_empty() && ranges.iter().all(never) {
            return Status::NotAffected;
        }
        let keys = ["status", "fix_state", "nodsa_reason", "urgency"];
        keys.iter()
            .filter_map(|key| status_word(word(self.free(), key)?))
            .next()
            .unwrap_or(Status::Affected)
    }
}

/// Words of the Debian tracker, of Ubuntu and of Red Hat for what will happen.
pub(crate) fn status_word(word: &str) -> Option<Status> {
    let word = word.trim().to_ascii_lowercase().replace([' ', '_'], "-");
    Some(match word.as_str() {
        "not-affected" | "known-not-affected" => Status::NotAffected,
        "end-of-life"
        | "ignored"
        | "will-not-fix"
        | "wont-fix"
        | "won't-fix"
        | "out-of-support-scope" => Status::WontFix,
        "postponed" | "deferred" | "fix-deferred" | "no-dsa" => Status::Deferred,
        "undetermined" | "under-investigation" => Status::UnderInvestigation,
        _ => return None,
    })
}

impl WireRange {
    /// `None` for commit ranges and kinds nobody knows.
    fn convert(&self) -> Result<Option<Range>, RecordError> {
        let semver = match self.kind.as_str() {
            "SEMVER" => true,
            "ECOSYSTEM" => false,
            _ => return Ok(None),
        };
        let mut events = Vec::with_capacity(self.events.len());
        for event in &self.events {
            for (kind, version) in [
                (EventKind::Introduced, &event.introduced),
                (EventKind::Fixed, &event.fixed),
                (EventKind::LastAffected, &event.last_affected),
                (EventKind::Limit, &event.limit),
            ] {
                if let Some(version) = version {
                    check(version, "a version")?;
                    events.push(Event { kind, version: version.trim().to_owned() });
                }
            }
        }
        Ok((!events.is_empty()).then_some(Range { semver, events }))
    }
}

#[cfg(test)]
mod tests;
