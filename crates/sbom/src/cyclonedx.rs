use crate::purl::Purl;
use jiff::Timestamp;
use sealock_facts::{Completeness, Component, ComponentKind, Distro, ImageContents};
use sealock_oci::Digest;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What an SBOM describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SbomSubject {
    /// Name of the image or root filesystem, such as `registry.example.com/team/app`.
    pub name: String,
    /// Tag, if it is known by one.
    pub tag: Option<String>,
    /// Digest of its manifest.
    pub digest: Option<Digest>,
}

/// Longest licence text that is tried as an SPDX expression, in bytes.
const MAX_EXPRESSION: usize = 256;

/// Writes contents as a CycloneDX 1.6 JSON document (ECMA-424, first edition).
///
/// The same contents, subject and time give the same bytes. The serial number follows from contents
/// and subject alone, so that a document made again is known to say the same.
///
/// What CycloneDX has no field for is in properties: `sealock:layer` (the layer that brought a
/// component), `sealock:source` (the distribution's source package), `sealock:owner` (the
/// distribution package that owns a language package), and on the document `sealock:inspector`,
/// `sealock:completeness` and `sealock:partial:CODE`.
pub fn cyclonedx(contents: &ImageContents, subject: &SbomSubject, at: Timestamp) -> Value {
    let mut seen = HashMap::new();
    let mut components: Vec<Value> =
        contents.components.iter().map(|component| library(component, &mut seen)).collect();
    if let Some(distro) = &contents.distro {
        components.push(system(distro));
    }
    let references: Vec<Value> =
        components.iter().map(|component| component["bom-ref"].clone()).collect();
    let complete = contents.completeness == Completeness::Complete;
    let subject_ref = "subject";
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(contents, subject),
        "version": 1,
        "metadata": {
            "timestamp": at.to_string(),
            "tools": {"components": [{
                "type": "application",
                "name": "sealock",
                "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": described(subject, subject_ref),
            "properties": document_properties(contents),
        },
        "components": components,
        "dependencies": [{"ref": subject_ref, "dependsOn": references}],
        "compositions": [{
            "aggregate": if complete { "complete" } else { "incomplete" },
            "assemblies": [subject_ref],
        }],
    })
}

fn property(name: impl Into<String>, value: impl Into<String>) -> Value {
    json!({"name": name.into(), "value": value.into()})
}

fn document_properties(contents: &ImageContents) -> Vec<Value> {
    let mut list = vec![property("sealock:inspector", contents.inspector.as_str())];
    match &contents.completeness {
        Completeness::Complete => list.push(property("sealock:completeness", "complete")),
        Completeness::Partial { reasons } => {
            list.push(property("sealock:completeness", "partial"));
            list.extend(reasons.iter().map(|reason| {
                let name = format!("sealock:partial:{}", reason.code);
                property(name, format!("{}: {}", reason.layer, reason.detail))
            }));
        }
    }
    list
}

fn described(subject: &SbomSubject, reference: &str) -> Value {
    let mut component = Map::new();
    component.insert("bom-ref".into(), reference.into());
    component.insert("type".into(), "container".into());
    component.insert("name".into(), subject.name.as_str().into());
    let digest = subject.digest.map(|digest| digest.to_string());
    if let Some(version) = subject.tag.as_deref().or(digest.as_deref()) {
        component.insert("version".into(), version.into());
    }
    if let (Some(digest), Some(text)) = (subject.digest, &digest) {
        let algorithm = match digest.algorithm() {
            sealock_oci::Algorithm::Sha256 => "SHA-256",
            sealock_oci::Algorithm::Sha512 => "SHA-512",
        };
        component.insert("hashes".into(), json!([{"alg": algorithm, "content": digest.hex()}]));
        let name = subject.name.rsplit('/').next().unwrap_or_default().to_lowercase();
        if !name.is_empty() {
            let purl = Purl {
                kind: "oci",
                namespace: "",
                name: &name,
                version: text,
                qualifiers: &[
                    ("repository_url", &subject.name.to_lowercase()),
                    ("tag", subject.tag.as_deref().unwrap_or_default()),
                ],
            };
            component.insert("purl".into(), purl.build().into());
        }
    }
    Value::Object(component)
}

fn library(found: &Component, seen: &mut HashMap<String, u32>) -> Value {
    let (group, name) = match found.kind {
        ComponentKind::Npm => found.name.split_once('/').unwrap_or(("", &found.name)),
        _ => ("", found.name.as_str()),
    };
    let mut component = Map::new();
    component.insert("bom-ref".into(), reference(found, seen).into());
    component.insert("type".into(), "library".into());
    if !group.is_empty() {
        component.insert("group".into(), group.into());
    }
    component.insert("name".into(), name.into());
    component.insert("version".into(), found.version.as_str().into());
    let licences = licences(&found.licences);
    if !licences.is_empty() {
        component.insert("licenses".into(), licences.into());
    }
    component.insert("purl".into(), found.purl.as_str().into());
    component.insert(
        "evidence".into(),
        json!({"occurrences": [{"location": format!("/{}", found.path)}]}),
    );
    let mut properties = vec![property("sealock:layer", found.layer.to_string())];
    if let Some(owner) = &found.owner {
        properties.push(property("sealock:owner", owner.as_str()));
    }
    let system = matches!(found.kind, ComponentKind::Deb | ComponentKind::Apk);
    if let Some(key) = found.match_key.as_ref().filter(|_| system) {
        properties.push(property("sealock:source", format!("{} {}", key.name, key.version)));
    }
    component.insert("properties".into(), properties.into());
    Value::Object(component)
}

/// Unique in the document and the same each time: the purl and a hash of where it was found.
fn reference(found: &Component, seen: &mut HashMap<String, u32>) -> String {
    let place = format!("{:?}\n{}\n{}\n{}", found.kind, found.name, found.path, found.layer);
    let mark = Digest::sha256(place.as_bytes()).hex();
    let base = format!("{}#{}", found.purl, &mark[..16]);
    let count = seen.entry(base.clone()).or_insert(0);
    *count += 1;
    if *count == 1 { base } else { format!("{base}-{count}") }
}

fn system(distro: &Distro) -> Value {
    let mut component = Map::new();
    component.insert("bom-ref".into(), format!("os:{}@{}", distro.id, distro.version_id).into());
    component.insert("type".into(), "operating-system".into());
    component.insert("name".into(), distro.id.as_str().into());
    let version = match distro.version_id.as_str() {
        "" => distro.codename.as_deref().unwrap_or_default(),
        version => version,
    };
    if !version.is_empty() {
        component.insert("version".into(), version.into());
    }
    if let Some(name) = &distro.pretty_name {
        component.insert("description".into(), name.as_str().into());
    }
    if let Some(ecosystem) = &distro.ecosystem {
        let list = vec![property("sealock:ecosystem", ecosystem.as_str())];
        component.insert("properties".into(), list.into());
    }
    Value::Object(component)
}

/// One SPDX expression alone, else a list of SPDX ids and free names: the schema allows no mix.
fn licences(list: &[String]) -> Vec<Value> {
    let is_id = |text: &str| spdx::license_id(text).is_some_and(|id| id.name == text);
    if let [single] = list
        && !is_id(single)
        && single.len() <= MAX_EXPRESSION
        && spdx::Expression::parse(single).is_ok()
    {
        return vec![json!({"expression": single})];
    }
    list.iter()
        .map(|text| match is_id(text) {
            true => json!({"license": {"id": text}}),
            false => json!({"license": {"name": text}}),
        })
        .collect()
}

/// A UUID of version 8 (RFC 9562, section 5.8) from the digest of contents and subject.
fn serial_number(contents: &ImageContents, subject: &SbomSubject) -> String {
    // These types hold strings, lists and enums only: writing them cannot fail.
    let written = serde_json::to_vec(contents).unwrap_or_default();
    let mut seed = Digest::sha256(&written).to_string();
    for part in [Some(subject.name.as_str()), subject.tag.as_deref()] {
        seed.push('\n');
        seed.push_str(part.unwrap_or_default());
    }
    if let Some(digest) = subject.digest {
        seed.push_str(&format!("\n{digest}"));
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::sha256(seed.as_bytes()).as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().urn().to_string()
}
