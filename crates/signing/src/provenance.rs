//! What SLSA provenance says about an artifact's source (slsa.dev/spec, provenance v0.2 and v1).

use crate::Statement;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const V02: &str = "https://slsa.dev/provenance/v0.2";
const V1: &str = "https://slsa.dev/provenance/v1";
/// Longest text taken from a predicate, in characters.
const MAX_TEXT: usize = 2_000;

/// Source and pipeline of an artifact, as an attestation gives them. Believe it as far as you
/// believe the key that signed the attestation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// The source repository, without the `git+` prefix and without the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_repository: Option<String>,
    /// The revision, usually a Git commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_revision: Option<String>,
    /// The branch or tag that was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<String>,
    /// The build platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder_id: Option<String>,
    /// How to read the build's parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_type: Option<String>,
    /// The run of the pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// The pipeline's definition inside the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_point: Option<String>,
}

/// Reads the provenance in a statement. `None` when the statement is something else, or says
/// nothing that is known.
pub fn provenance(statement: &Statement) -> Option<Provenance> {
    let read = match statement.predicate_type.as_str() {
        V02 => read_v02,
        V1 => read_v1,
        _ => return None,
    };
    let predicate: Value = serde_json::from_str(statement.predicate.get()).ok()?;
    Some(read(&predicate)).filter(|found| *found != Provenance::default())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| text.chars().take(MAX_TEXT).collect())
}

/// The commit in a set of digests: Git's own names first, then what older builders write.
fn revision(digest: &Value) -> Option<String> {
    ["gitCommit", "sha1", "sha256"].iter().find_map(|name| text(&digest[*name]))
}

/// `git+https://host/path@refs/heads/main` to repository and ref. A BuildKit source carries its
/// revision as a fragment (`…#<commit or ref>`).
fn split_uri(uri: &str) -> (String, Option<String>) {
    let uri = uri.strip_prefix("git+").unwrap_or(uri);
    let (uri, fragment) = match uri.split_once('#') {
        Some((uri, fragment)) => (uri, Some(fragment)),
        None => (uri, None),
    };
    let host_end = uri.find("://").map_or(0, |start| start + 3);
    let path = uri[host_end..].find('/').map_or(uri.len(), |slash| host_end + slash);
    match uri[path..].rsplit_once('@') {
        Some((rest, reference)) => (
            format!("{}{rest}", &uri[..path]),
            Some(reference.to_owned()).filter(|reference| !reference.is_empty()),
        ),
        None => (uri.to_owned(), fragment.map(str::to_owned)),
    }
}

impl Provenance {
    fn set_source(&mut self, uri: &Value, digest: &Value) {
        if let Some(uri) = text(uri) {
            let (repository, reference) = split_uri(&uri);
            self.source_repository = Some(repository);
            self.source_ref = reference;
        }
        self.source_revision = revision(digest).or(self.source_revision.take());
    }

    fn set_vcs(&mut self, vcs: &Value) {
        if self.source_repository.is_none() {
            self.source_repository = text(&vcs["source"]).map(|uri| split_uri(&uri).0);
        }
        if self.source_revision.is_none() {
            self.source_revision = text(&vcs["revision"]);
        }
    }
}

fn read_v02(predicate: &Value) -> Provenance {
    let mut found = Provenance {
        builder_id: text(&predicate["builder"]["id"]),
        build_type: text(&predicate["buildType"]),
        invocation_id: text(&predicate["metadata"]["buildInvocationID"])
            .or_else(|| text(&predicate["metadata"]["buildInvocationId"])),
        entry_point: text(&predicate["invocation"]["configSource"]["entryPoint"]),
        ..Provenance::default()
    };
    let config = &predicate["invocation"]["configSource"];
    if config["uri"].is_string() {
        found.set_source(&config["uri"], &config["digest"]);
    } else if let Some(material) = git_source(&predicate["materials"]) {
        found.set_source(&material["uri"], &material["digest"]);
    }
    found.set_vcs(&predicate["metadata"]["https://mobyproject.org/buildkit@v1#metadata"]["vcs"]);
    found
}

fn read_v1(predicate: &Value) -> Provenance {
    let definition = &predicate["buildDefinition"];
    let details = &predicate["runDetails"];
    let parameters = &definition["externalParameters"];
    let workflow = &parameters["workflow"];
    let mut found = Provenance {
        builder_id: text(&details["builder"]["id"]),
        build_type: text(&definition["buildType"]),
        invocation_id: text(&details["metadata"]["invocationId"]),
        entry_point: text(&workflow["path"])
            .or_else(|| text(&parameters["configSource"]["path"]))
            .or_else(|| text(&parameters["entryPoint"])),
        ..Provenance::default()
    };
    if let Some(source) = git_source(&definition["resolvedDependencies"]) {
        found.set_source(&source["uri"], &source["digest"]);
    } else if parameters["configSource"]["uri"].is_string() {
        let config = &parameters["configSource"];
        found.set_source(&config["uri"], &config["digest"]);
    }
    if found.source_repository.is_none() {
        found.source_repository = text(&workflow["repository"])
            .or_else(|| text(&parameters["source"]))
            .map(|uri| split_uri(&uri).0);
    }
    if found.source_ref.is_none() {
        found.source_ref = text(&workflow["ref"]);
    }
    found.set_vcs(&details["metadata"]["buildkit_metadata"]["vcs"]);
    found
}

/// The first entry that is a Git source: dependencies list base images and actions beside it.
fn git_source(dependencies: &Value) -> Option<&Value> {
    let list = dependencies.as_array()?;
    let uri = |entry: &Value, prefix: &str| {
        entry["uri"].as_str().is_some_and(|uri| uri.starts_with(prefix))
    };
    list.iter()
        .find(|entry| uri(entry, "git+") || entry["digest"]["gitCommit"].is_string())
        .or_else(|| list.iter().find(|entry| uri(entry, "git://") || uri(entry, "ssh://git@")))
        .or_else(|| {
            list.iter().find(|entry| uri(entry, "https://") && entry["digest"]["sha1"].is_string())
        })
}
