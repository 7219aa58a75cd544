//! A project with very many artifacts, each with all that Harbor's lists show beside one: a tag, a
//! label, an accessory, contents with findings; every tenth is an index of two images.

use anyhow::{Context, Result};
use sealock_facts::{Component, ComponentKind, Finding, FixState, MatchKey, Severity, Tier};
use sealock_metadata::{
    Database, Tx, artifacts, components, contents, findings, labels, manifests,
    manifests::{Child, Kind, NewManifest, Shown, State},
    projects, repositories, settings, tags,
};
use sealock_oci::{Digest, Tag, media_type};
use serde_json::json;
use std::collections::BTreeMap;

/// Different contents; artifacts share them, as images of one house share their bases.
const CONTENTS: u64 = 500;
/// Different components, and how many each of the contents has.
const COMPONENTS: u64 = 2_000;
const IN_EACH: u64 = 150;
/// Every third component has so many findings.
const FINDINGS: u64 = 2;
const INSPECTOR: &str = "bench";

/// Fills the project `decorated`.
pub(crate) async fn fill(database: &Database, count: u64, batch: u64) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    let mut tx = database.write().await?;
    let project = projects::create(&mut tx, "decorated", true, Tier::Sandbox, None).await?;
    let project = project.context("the project decorated is there already")?.id;
    let repository = repositories::ensure(&mut tx, project, &"decorated/app".parse()?).await?.id;
    let words = labels::Words { name: "good", description: "", color: "" };
    let label = labels::create(&mut tx, None, words).await?.context("a label")?.id;
    facts(&mut tx).await?;
    tx.commit().await?;
    for first in (0..count).step_by(batch as usize) {
        let mut tx = database.write().await?;
        for number in first..count.min(first + batch) {
            artifact(&mut tx, repository, label, number).await?;
        }
        tx.commit().await?;
    }
    let mut tx = database.write().await?;
    for number in 0..CONTENTS {
        let chain = chain(number);
        let known = contents::find_image(&mut tx, &chain, INSPECTOR).await?.context("contents")?;
        manifests::set_contents(&mut tx, &chain, known.id).await?;
    }
    Ok(tx.commit().await?)
}

fn chain(number: u64) -> Digest {
    Digest::sha256(format!("chain {}", number % CONTENTS).as_bytes())
}

/// Contents, components and findings, and that advisories were imported.
async fn facts(tx: &mut Tx) -> Result<()> {
    let component = |number: u64| Component {
        kind: ComponentKind::Deb,
        name: format!("package{number}"),
        version: "1.0".to_owned(),
        purl: format!("pkg:deb/debian/package{number}@1.0?arch=amd64"),
        match_key: Some(MatchKey {
            ecosystem: "Debian:12".to_owned(),
            name: format!("package{number}"),
            version: "1.0".to_owned(),
        }),
        architecture: Some("amd64".to_owned()),
        licences: Vec::new(),
        path: "var/lib/dpkg/status".to_owned(),
        layer: Digest::sha256(b"layer"),
        owner: None,
    };
    let mut ids = Vec::new();
    for number in 0..CONTENTS {
        let some: Vec<Component> =
            (0..IN_EACH).map(|at| component((number * 7 + at * 13) % COMPONENTS)).collect();
        ids.push(contents::put_image(tx, &chain(number), INSPECTOR, b"", true, &some).await?.0);
    }
    let finding = |number: i64, at: u64| Finding {
        vulnerability: format!("CVE-2031-{number}{at}"),
        aliases: Vec::new(),
        purl: "pkg:deb/debian/package@1.0".to_owned(),
        version: "1.0".to_owned(),
        severity: Severity::ALL[(number as usize + at as usize) % Severity::ALL.len()],
        severity_source: None,
        fix: FixState::Fixed { version: "1.1".to_owned() },
        published: None,
        kev: None,
        summary: "A finding of the benchmark".to_owned(),
        records: Vec::new(),
        scanner: "sealock".to_owned(),
    };
    let found = |number: i64| match number % 3 {
        0 => (0..FINDINGS).map(|at| finding(number, at)).collect(),
        _ => Vec::new(),
    };
    let made = components::unmatched(tx, &ids, COMPONENTS as u32).await?;
    let results: Vec<(i64, Vec<Finding>)> =
        made.iter().map(|component| (component.id, found(component.id))).collect();
    findings::store(tx, "sealock", "snapshot", &results).await?;
    // As an import leaves it; nothing that lists show opens the snapshot itself.
    let in_force = json!({"digest": "snapshot", "since": tx.now()});
    if settings::get(tx, "advisories.snapshot").await?.is_none() {
        settings::put(tx, "advisories.snapshot", &in_force.to_string()).await?;
    }
    Ok(())
}

async fn artifact(tx: &mut Tx, repository: i64, label: i64, number: u64) -> Result<()> {
    let mut children = Vec::new();
    if number.is_multiple_of(10) {
        for part in ["amd64", "arm64"] {
            let name = format!("{number} {part}");
            children.push(push(tx, repository, (&name, number), (&[], None)).await?.1);
        }
    }
    let name = number.to_string();
    let (id, digest) = push(tx, repository, (&name, number), (&children, None)).await?;
    let tag: Tag = format!("v{number}").parse()?;
    tags::create(tx, repository, &tag, id, false, "bench").await?;
    artifacts::add_label(tx, id, label).await?;
    let about = format!("about {number}");
    push(tx, repository, (&about, number), (&[], Some(&digest))).await?;
    Ok(())
}

async fn push(
    tx: &mut Tx,
    repository_id: i64,
    (name, number): (&str, u64),
    (children, subject): (&[Digest], Option<&Digest>),
) -> Result<(i64, Digest)> {
    let child = |(position, digest): (u32, &Digest)| Child {
        parent_id: 0,
        position,
        digest: *digest,
        media_type: media_type::OCI_MANIFEST.to_owned(),
        size: 500,
        platform: Some("linux/amd64".to_owned()),
    };
    let children: Vec<Child> = (0..).zip(children).map(child).collect();
    let is_index = !children.is_empty();
    let payload = json!({"schemaVersion": 2, "annotations": {"number": name}}).to_string();
    let digest = Digest::sha256(payload.as_bytes());
    let chain = chain(number);
    let said = json!({
        "architecture": "amd64", "os": "linux", "author": "", "created": "2026-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["/bin/app"]},
    });
    let said = said.to_string();
    let accessory = "application/vnd.dev.cosign.artifact.sig.v1+json";
    let new = NewManifest {
        repository_id,
        digest: &digest,
        media_type: if is_index { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST },
        artifact_type: Some(subject.map_or(media_type::OCI_CONFIG, |_| accessory)),
        kind: if is_index { Kind::Index } else { Kind::Image },
        payload: payload.as_bytes(),
        config: None,
        subject,
        annotations: &BTreeMap::from([("number".to_owned(), name.to_owned())]),
        chain: (!is_index && subject.is_none()).then_some(&chain),
        state: State::Active,
        pushed_by: "bench",
        blobs: &[],
        children: &children,
        shown: Shown {
            kind: "IMAGE",
            media_type: media_type::OCI_CONFIG,
            accessory: subject.map(|_| "signature.cosign"),
            attributes: Some(&said),
        },
    };
    Ok((manifests::insert(tx, &new).await?.0.id, digest))
}
