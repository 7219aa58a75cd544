//! What the tests build their stories from.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use jiff::Timestamp;
use sealock_facts::{Component, ComponentKind, Finding, FixState, MatchKey, Severity, Tier};
use sealock_metadata::{
    Tx, blobs,
    manifests::{self, BlobRole, Child, Kind, Manifest, ManifestBlob, NewManifest, Shown, State},
    projects::{self, Project},
    repositories::{self, Repository},
    tags,
};
use sealock_oci::Digest;
use std::collections::BTreeMap;

pub async fn project(tx: &mut Tx, name: &str, tier: Tier) -> Project {
    projects::create(tx, name, false, tier, None).await.unwrap().unwrap()
}

pub async fn repository(tx: &mut Tx, project: &Project, name: &str) -> Repository {
    let name = format!("{}/{name}", project.name).parse().unwrap();
    repositories::ensure(tx, project.id, &name).await.unwrap()
}

pub fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

/// What a manifest is made of; its bytes are its name.
#[derive(Default)]
pub struct Parts<'a> {
    pub layers: &'a [&'a str],
    pub children: &'a [&'a str],
    pub subject: Option<&'a str>,
    pub artifact_type: Option<&'a str>,
    pub tag: Option<&'a str>,
}

pub async fn push(tx: &mut Tx, repository: &Repository, name: &str, parts: Parts<'_>) -> Manifest {
    let layers: Vec<Digest> = parts.layers.iter().map(|layer| digest(layer)).collect();
    for layer in &layers {
        blobs::insert(tx, layer, 1, 1).await.unwrap();
    }
    blobs::link(tx, repository.id, &layers).await.unwrap();
    let blobs: Vec<ManifestBlob> = (0..)
        .zip(&layers)
        .map(|(position, layer)| ManifestBlob {
            manifest_id: 0,
            role: BlobRole::Layer,
            position,
            digest: *layer,
            media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
            size: 1,
            diff_id: None,
        })
        .collect();
    let children: Vec<Child> = (0..)
        .zip(parts.children)
        .map(|(position, child)| Child {
            parent_id: 0,
            position,
            digest: digest(child),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            size: 1,
            platform: Some("linux/amd64".to_owned()),
        })
        .collect();
    let chain = (!layers.is_empty()).then(|| digest(&format!("{layers:?}")));
    let subject = parts.subject.map(digest);
    let new = NewManifest {
        repository_id: repository.id,
        digest: &digest(name),
        media_type: "application/vnd.oci.image.manifest.v1+json",
        artifact_type: parts.artifact_type,
        kind: if children.is_empty() { Kind::Image } else { Kind::Index },
        payload: name.as_bytes(),
        config: None,
        subject: subject.as_ref(),
        annotations: &BTreeMap::from([("name".to_owned(), name.to_owned())]),
        chain: chain.as_ref(),
        state: State::Active,
        pushed_by: "ann",
        blobs: &blobs,
        children: &children,
        shown: Shown::default(),
    };
    let (manifest, fresh) = manifests::insert(tx, &new).await.unwrap();
    assert!(fresh, "{name}");
    if let Some(tag) = parts.tag {
        tag_it(tx, repository, &manifest, tag, false).await;
    }
    manifest
}

pub async fn tag_it(
    tx: &mut Tx,
    repository: &Repository,
    manifest: &Manifest,
    tag: &str,
    immutable: bool,
) -> tags::TagSet {
    let tag = tag.parse().unwrap();
    tags::set(tx, repository.id, &tag, manifest.id, immutable, "ann").await.unwrap()
}

pub async fn facts_rev(tx: &mut Tx, manifest: &Manifest) -> i64 {
    manifests::get(tx, manifest.id).await.unwrap().unwrap().facts_rev
}

pub fn component(name: &str, version: &str) -> Component {
    Component {
        kind: ComponentKind::Deb,
        name: name.to_owned(),
        version: version.to_owned(),
        purl: format!("pkg:deb/debian/{name}@{version}?arch=amd64"),
        match_key: Some(MatchKey {
            ecosystem: "Debian:12".to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
        }),
        architecture: Some("amd64".to_owned()),
        licences: Vec::new(),
        path: "var/lib/dpkg/status".to_owned(),
        layer: digest("layer"),
        owner: None,
    }
}

pub fn finding(id: &str, aliases: &[&str], severity: Severity) -> Finding {
    Finding {
        vulnerability: id.to_owned(),
        aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        purl: "pkg:deb/debian/openssl@3.0.1?arch=amd64".to_owned(),
        version: "3.0.1".to_owned(),
        severity,
        severity_source: None,
        fix: FixState::Fixed { version: "3.0.2".to_owned() },
        published: Some("2025-01-01T00:00:00Z".parse::<Timestamp>().unwrap()),
        kev: None,
        summary: String::new(),
        records: vec![id.to_owned()],
        scanner: "sealock".to_owned(),
    }
}
