use crate::{
    PolicyDocument, PolicyError,
    document::{Check, Doors, OnUnknown, Rule},
    locate,
    values::{Keys, MAX_LIST},
};
use sealock_facts::Door;
use std::collections::BTreeSet;

/// Largest policy document, in bytes.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;
/// Most rules of one document.
pub const MAX_RULES: usize = 100;
/// Deepest nesting of mappings and lists.
const MAX_DEPTH: usize = 16;
/// Most values in one document.
const MAX_NODES: usize = 20_000;
/// Longest name of a document or rule, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest description, predicate type or list entry, in bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// Reads a policy document, YAML or JSON (every JSON document is YAML).
///
/// Unknown and repeated fields, anchors, aliases, merge keys, tags and second documents are
/// refused, so that a document means what a reader of its text takes it to mean, and cannot grow on
/// the way.
pub fn parse(text: &str) -> Result<PolicyDocument, PolicyError> {
    if text.len() > MAX_POLICY_BYTES {
        return Err(PolicyError::input(format!(
            "the policy has {} bytes; at most {MAX_POLICY_BYTES} are read",
            text.len()
        )));
    }
    let document = read(text)?;
    validate(&document).map_err(|(path, message)| {
        let (line, column) = locate::position(text, &path).unwrap_or((0, 0));
        PolicyError { line, column, path, message }
    })?;
    Ok(document)
}

/// How policies are read: no aliases, no surprises, small limits.
pub(crate) fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: MAX_NODES * 4,
            max_nodes: MAX_NODES,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_aliases: 0,
            max_anchors: 0,
            max_documents: 1,
            max_merge_keys: 0,
            max_total_scalar_bytes: MAX_POLICY_BYTES,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        strict_booleans: true,
        no_schema: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// The error of the typed reading, with the path that it was met at.
fn read(text: &str) -> Result<PolicyDocument, PolicyError> {
    let mut met_at = String::new();
    let result =
        serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
            serde_path_to_error::deserialize(deserializer).map_err(|error| {
                met_at = error.path().to_string();
                error.into_inner()
            })
        });
    result.map_err(|error| {
        let path = if matches!(met_at.as_str(), "." | "?") { String::new() } else { met_at };
        let message = locate::plain_message(&error);
        let own = error.location().map(|at| (at.line(), at.column())).filter(|at| at.0 > 0);
        // The path names the value more exactly than the reader's place, save where a field itself
        // is wrong; a missing field is reported where its mapping ends, and a reader looks where it
        // begins.
        let by_path = !path.is_empty() && !message.starts_with("unknown field")
            || message.starts_with("missing field");
        let place = if by_path { locate::position(text, &path).or(own) } else { own };
        let (line, column) = place.unwrap_or((0, 0));
        PolicyError { line, column, path, message }
    })
}

type Wrong = (String, String);

fn wrong<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T, Wrong> {
    Err((path.into(), message.into()))
}

/// What the types cannot say.
fn validate(document: &PolicyDocument) -> Result<(), Wrong> {
    name("name", &document.name)?;
    text("description", &document.description)?;
    doors("doors", &document.doors)?;
    list("unscannableArtifactTypes", document.unscannable_artifact_types.len())?;
    access(document)?;
    if document.rules.len() > MAX_RULES {
        return wrong("rules", format!("more than {MAX_RULES} rules"));
    }
    let mut names = BTreeSet::new();
    for (index, rule) in document.rules.iter().enumerate() {
        let path = format!("rules[{index}]");
        check_rule(&path, rule)?;
        if !names.insert(&rule.name) {
            return wrong(
                format!("{path}.name"),
                format!("another rule has the name {:?}; give each its own", rule.name),
            );
        }
    }
    Ok(())
}

fn access(document: &PolicyDocument) -> Result<(), Wrong> {
    let access = &document.access;
    if let Some(sources) = &access.sources {
        list("access.sources.projects", sources.projects.len())?;
        list("access.sources.tiers", sources.tiers.len())?;
    }
    if let Some(consumers) = &access.consumers {
        list("access.consumers.principals", consumers.principals.as_ref().map_or(0, Vec::len))?;
        list("access.consumers.networks", consumers.networks.as_ref().map_or(0, Vec::len))?;
    }
    let robots = access.direct_push.iter().flat_map(|push| &push.robots);
    for (index, robot) in robots.enumerate() {
        list("access.directPush.robots", index)?;
        if !robot.starts_with("robot$") {
            return wrong(
                format!("access.directPush.robots[{index}]"),
                format!(
                    "{robot:?} is not a robot's full name; write it as robot$project+name, or \
                     robot$name for one of the whole system"
                ),
            );
        }
    }
    Ok(())
}

fn check_rule(path: &str, rule: &Rule) -> Result<(), Wrong> {
    name(&format!("{path}.name"), &rule.name)?;
    text(&format!("{path}.description"), &rule.description)?;
    doors(&format!("{path}.doors"), &rule.doors)?;
    match &rule.check {
        Check::Signed(signed) => keys(&format!("{path}.signed"), &signed.by, signed.at_least),
        Check::Attestation(attestation) => {
            let path = format!("{path}.attestation");
            keys(&path, &attestation.by, attestation.at_least)?;
            if attestation.predicate_type.trim().is_empty() {
                return wrong(
                    format!("{path}.predicateType"),
                    "the predicate type is empty; write one such as https://slsa.dev/provenance/v1",
                );
            }
            text(&format!("{path}.predicateType"), &attestation.predicate_type)
        }
        Check::Findings(findings) => match &findings.scanners {
            Some(scanners) if scanners.is_empty() => wrong(
                format!("{path}.findings.scanners"),
                "the list of scanners is empty; name at least one, or leave it out for all",
            ),
            scanners => {
                list(&format!("{path}.findings.scanners"), scanners.as_ref().map_or(0, Vec::len))
            }
        },
        Check::Contents(_) | Check::Advisories(_) | Check::NotQuarantined(_) => Ok(()),
    }
}

fn name(path: &str, name: &str) -> Result<(), Wrong> {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(word) {
        return wrong(
            path,
            format!("a name has 1 to {MAX_NAME_BYTES} letters, digits, '.', '_' or '-'"),
        );
    }
    Ok(())
}

fn text(path: &str, text: &str) -> Result<(), Wrong> {
    if text.len() > MAX_TEXT_BYTES {
        return wrong(path, format!("more than {MAX_TEXT_BYTES} bytes"));
    }
    Ok(())
}

fn list(path: &str, length: usize) -> Result<(), Wrong> {
    if length > MAX_LIST {
        return wrong(path, format!("more than {MAX_LIST} entries"));
    }
    Ok(())
}

fn keys(path: &str, by: &Keys, at_least: u32) -> Result<(), Wrong> {
    if !(1..=100).contains(&at_least) {
        return wrong(format!("{path}.atLeast"), "write a number from 1 to 100");
    }
    if let Keys::Listed(keys) = by
        && keys.len() < at_least as usize
    {
        return wrong(
            format!("{path}.atLeast"),
            format!(
                "{at_least} keys are asked for, but {} are listed; list more or ask for fewer",
                keys.len()
            ),
        );
    }
    Ok(())
}

fn doors(path: &str, doors: &Doors) -> Result<(), Wrong> {
    for door in Door::ALL.into_iter().filter(|door| *door != Door::Push) {
        if doors.get(door).is_some_and(|setting| setting.unknown == Some(OnUnknown::Hold)) {
            return wrong(
                format!("{path}.{door}.unknown"),
                "hold is for the push door only; write allow, warn or deny",
            );
        }
    }
    Ok(())
}

impl PolicyDocument {
    /// A rule by its name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}
