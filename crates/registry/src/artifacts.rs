//! Artifacts as people look at them: what they hold, what was found, what is said about them.

use crate::{
    Error, Page, PageRequest, Registry, Result,
    access::{Need, PULLED, Scope},
    contents::StoredContents,
    gate::Question,
    pull::resolve,
};
use sealock_auth::{Caller, Right};
use sealock_facts::{
    AdvisorySnapshot, AttestationFact, Completeness, Distro, Door, Finding, Severity,
    SignatureFact, Verdict,
};
use sealock_metadata::{
    self as metadata, Tx,
    findings::{FindingsCursor, FindingsFilter},
    manifests::{Kind as RowKind, Manifest as ManifestRow, State},
};
use sealock_oci::{Digest, ErrorCode, Reference, RepositoryName};
use sealock_sbom::{SbomSubject, cyclonedx};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most children of an index whose facts are shown together.
const MAX_CHILDREN: usize = 256;
/// Most repositories that are looked at for one in the highest tier.
const MOST_HOLDERS: u32 = 1_000;

/// An artifact in a list.
#[derive(Debug, Clone, Serialize)]
pub struct ArtifactSummary {
    /// Its digest.
    pub digest: Digest,
    /// `image` or `index`.
    pub kind: &'static str,
    /// The media type it was pushed with.
    pub media_type: String,
    /// Declared artifact type, or the config's media type.
    pub artifact_type: Option<String>,
    /// What it refers to.
    pub subject: Option<Digest>,
    /// Size of the manifest in bytes.
    pub size: u64,
    /// Tags that name it, sorted.
    pub tags: Vec<String>,
    /// When it was pushed.
    pub pushed_at: jiff::Timestamp,
    /// By whom.
    pub pushed_by: String,
    /// `active`, or `held` until it is judged.
    pub state: &'static str,
    /// `known`, `pending`, or `none` where there is nothing to read.
    pub facts: &'static str,
}

/// An artifact with what is known about it.
#[derive(Debug, Clone, Serialize)]
pub struct Artifact {
    /// The repository.
    pub repository: RepositoryName,
    /// The artifact itself.
    #[serde(flatten)]
    pub summary: ArtifactSummary,
    /// What it holds; per image of an index.
    pub contents: Vec<ContentsSummary>,
    /// Findings by severity, each finding counted once.
    pub findings: BTreeMap<Severity, u64>,
    /// The advisories that findings agree with.
    pub advisories: Option<AdvisorySnapshot>,
    /// Signatures, verified or not.
    pub signatures: Vec<SignatureFact>,
    /// Attestations, verified or not.
    pub attestations: Vec<AttestationFact>,
}

/// What one image holds.
#[derive(Debug, Clone, Serialize)]
pub struct ContentsSummary {
    /// The image.
    pub digest: Digest,
    /// Its platform, if an index states one.
    pub platform: Option<String>,
    /// `known`, `pending`, or `not_runnable` for an artifact without layers that could run.
    pub state: &'static str,
    /// The operating system.
    pub distro: Option<Distro>,
    /// Number of components.
    pub components: u64,
    /// Components by kind of package.
    pub kinds: BTreeMap<String, u64>,
    /// OSV ecosystems under which its components are matched.
    pub ecosystems: BTreeSet<String>,
    /// Components that no ecosystem is known for: they are not matched.
    pub unmatched: u64,
    /// Whether everything was read.
    pub completeness: Option<Completeness>,
    /// Version of the inspector.
    pub inspector: Option<String>,
}

/// A finding with where it lies.
#[derive(Debug, Clone, Serialize)]
pub struct ArtifactFinding {
    /// The image that holds the component.
    pub digest: Digest,
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// The file that declares the component.
    pub path: String,
    /// The layer that holds this file.
    pub layer: Digest,
    /// The granted waiver that covers it.
    pub waiver: Option<i64>,
}

/// Which findings are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct FindingQuery {
    /// Of this severity and above.
    pub severity: Option<Severity>,
    /// With a fixed version, or without one.
    pub fixable: Option<bool>,
}

/// What a door says.
#[derive(Debug, Clone, Serialize)]
pub struct DoorVerdict {
    /// The door.
    pub door: Door,
    /// Its verdict about the artifact, whoever asks.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// One image of an artifact.
pub(crate) struct Part {
    pub(crate) row: ManifestRow,
    platform: Option<String>,
}

impl Registry {
    /// Where an artifact that is named by its digest alone stands for the caller: of the
    /// repositories that they may read, one in the highest tier, there the one that had it first.
    pub async fn locate(&self, caller: &Caller, digest: &Digest) -> Result<RepositoryName> {
        let mut tx = self.database().read().await?;
        let visible = self.visible(&mut tx, caller, PULLED).await?;
        let holders =
            metadata::repositories::holders(&mut tx, &visible, digest, MOST_HOLDERS).await?;
        let highest = holders.into_iter().rev().max_by_key(|(_, tier)| *tier);
        let Some((name, _)) = highest else {
            return Err(Error::not_found(
                ErrorCode::ManifestUnknown,
                format!(
                    "no repository that you may read holds {digest}; what was done and decided \
                     about it stays: `sealock audit --digest {digest}`, `sealock decision list \
                     --digest {digest}`"
                ),
            ));
        };
        name.parse().map_err(Error::internal)
    }

    /// Artifacts of a repository, newest first.
    pub async fn artifacts(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        page: &PageRequest,
    ) -> Result<Page<ArtifactSummary>> {
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, name, Need::Has(Right::Pull)).await?;
        let repository_id = scope.repository()?.id;
        let limit = page.limit();
        let rows = metadata::manifests::list(&mut tx, repository_id, page.after_id(), limit + 1);
        let page = Page::cut(rows.await?, limit, |row| row.id.to_string());
        let ids: Vec<i64> = page.items.iter().map(|row| row.id).collect();
        let tags = metadata::tags::of_manifests(&mut tx, repository_id, &ids).await?;
        Ok(page.map(|row| {
            let named = tags.iter().filter(|tag| tag.manifest_id == row.id);
            summary(&row, named.map(|tag| tag.name.clone()).collect())
        }))
    }

    /// An artifact with what is known about it.
    pub async fn artifact(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Artifact> {
        let (scope, row) = self.look_at_settled(caller, name, reference).await?;
        let mut tx = self.database().read().await?;
        let parts = parts(&mut tx, &row).await?;
        let mut contents = Vec::with_capacity(parts.len());
        for part in &parts {
            contents.push(self.contents_summary(&mut tx, part).await?);
        }
        let ids: Vec<i64> = parts.iter().map(|part| part.row.id).collect();
        let findings = metadata::findings::count(&mut tx, &ids).await?;
        let evidence =
            metadata::evidence::of_subjects(&mut tx, row.repository_id, &[row.digest]).await?;
        let tags = metadata::tags::of_manifests(&mut tx, row.repository_id, &[row.id]).await?;
        Ok(Artifact {
            repository: scope.name,
            summary: summary(&row, tags.into_iter().map(|tag| tag.name).collect()),
            contents,
            findings,
            advisories: self.matched_snapshot(&mut tx).await?.map(|matched| matched.snapshot),
            signatures: evidence.signatures,
            attestations: evidence.attestations,
        })
    }

    /// Findings of an artifact, worst first; of an index, those of its images.
    pub async fn artifact_findings(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
        query: FindingQuery,
        page: &PageRequest,
    ) -> Result<Page<ArtifactFinding>> {
        let (scope, row) = self.look_at_settled(caller, name, reference).await?;
        let mut tx = self.database().read().await?;
        let parts = parts(&mut tx, &row).await?;
        let waivers = metadata::waivers::in_force(&mut tx, scope.project.id).await?;
        let ids: Vec<i64> = parts.iter().map(|part| part.row.id).collect();
        let filter = FindingsFilter { severity: query.severity, fixable: query.fixable };
        let (after, limit) = (read_cursor(page.after.as_deref())?, page.limit());
        let rows = metadata::findings::page(&mut tx, &ids, filter, &after, limit + 1).await?;
        let page = Page::cut(rows, limit, |(cursor, _)| write_cursor(cursor));
        let holder: HashMap<i64, Digest> =
            parts.iter().map(|part| (part.row.id, part.row.digest)).collect();
        Ok(page.map(|(cursor, found)| {
            let digest = holder.get(&cursor.manifest_id).copied().unwrap_or(row.digest);
            let names = [digest, row.digest];
            let waiver = waivers.iter().find(|waiver| {
                sealock_policy::waiver_covers(&waiver.scope, name.as_str(), &names, &found.finding)
            });
            ArtifactFinding {
                digest,
                path: found.path,
                layer: found.layer,
                waiver: waiver.map(|waiver| waiver.id),
                finding: found.finding,
            }
        }))
    }

    /// The SBOM of an image, as CycloneDX 1.6. An index has one per image: name one of them, or by
    /// its platform.
    pub async fn artifact_sbom(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
        platform: Option<&str>,
    ) -> Result<serde_json::Value> {
        let (_, row) = self.look_at_settled(caller, name, reference).await?;
        let mut tx = self.database().read().await?;
        let parts = parts(&mut tx, &row).await?;
        let part = the_one(&parts, platform)?;
        let Some(id) = part.row.contents_id else {
            return Err(match part.row.chain {
                Some(_) => Error::conflict("the image's layers are still being read; try again"),
                None => Error::not_found(
                    ErrorCode::ManifestUnknown,
                    "the artifact has no layers, so there is nothing to list",
                ),
            });
        };
        let stored = self.read_contents(&mut tx, id).await?;
        let tag = match reference {
            Reference::Tag(tag) => Some(tag.to_string()),
            Reference::Digest(_) => None,
        };
        let subject = SbomSubject {
            name: format!("{}/{name}", self.external_host()),
            tag,
            digest: Some(part.row.digest),
        };
        Ok(cyclonedx(&stored.contents, &subject, stored.inspected_at))
    }

    /// What the doors say about an artifact, whoever asks: "why was this refused?".
    pub async fn artifact_verdicts(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
        door: Option<Door>,
    ) -> Result<Vec<DoorVerdict>> {
        let (scope, row) = self.look_at(caller, name, reference).await?;
        let mut verdicts = Vec::new();
        for each in Door::ALL.into_iter().filter(|each| door.is_none_or(|door| door == *each)) {
            let question = Question { door: each, request: None, cluster: None };
            let judged = self.judge_stored(&scope, &row, &question).await?;
            verdicts.push(DoorVerdict { door: each, verdict: judged.verdict });
        }
        Ok(verdicts)
    }

    /// An artifact that the caller may read about, whatever the doors say about its bytes.
    pub(crate) async fn look_at(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<(Scope, ManifestRow)> {
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, name, Need::Has(Right::Pull)).await?;
        let row = resolve(&mut tx, scope.repository()?.id, reference).await?;
        Ok((scope, row))
    }

    /// The same once what is still queued about it is done, as far as a door would wait: who asks
    /// right after a push or a signature sees what it brought.
    async fn look_at_settled(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<(Scope, ManifestRow)> {
        let (scope, row) = self.look_at(caller, name, reference).await?;
        self.settle(row.repository_id, &row.digest, self.door_wait()).await?;
        let mut tx = self.database().read().await?;
        let row = resolve(&mut tx, row.repository_id, &Reference::Digest(row.digest)).await?;
        Ok((scope, row))
    }

    async fn contents_summary(&self, tx: &mut Tx, part: &Part) -> Result<ContentsSummary> {
        let mut summary = ContentsSummary {
            digest: part.row.digest,
            platform: part.platform.clone(),
            state: facts_word(&part.row),
            distro: None,
            components: 0,
            kinds: BTreeMap::new(),
            ecosystems: BTreeSet::new(),
            unmatched: 0,
            completeness: None,
            inspector: None,
        };
        let Some(id) = part.row.contents_id else { return Ok(summary) };
        let StoredContents { runnable, contents, .. } = self.read_contents(tx, id).await?;
        summary.state = if runnable { "known" } else { "not_runnable" };
        summary.components = contents.components.len() as u64;
        for component in &contents.components {
            let kind = serde_json::to_value(component.kind).map_err(Error::internal)?;
            let kind = kind.as_str().unwrap_or_default().to_owned();
            *summary.kinds.entry(kind).or_insert(0) += 1;
            match &component.match_key {
                Some(key) if summary.ecosystems.contains(&key.ecosystem) => {}
                Some(key) => {
                    summary.ecosystems.insert(key.ecosystem.clone());
                }
                None => summary.unmatched += 1,
            }
        }
        summary.distro = contents.distro;
        summary.completeness = Some(contents.completeness);
        summary.inspector = Some(contents.inspector);
        Ok(summary)
    }
}

fn summary(row: &ManifestRow, tags: Vec<String>) -> ArtifactSummary {
    ArtifactSummary {
        digest: row.digest,
        kind: row.kind.as_str(),
        media_type: row.media_type.clone(),
        artifact_type: row.artifact_type.clone(),
        subject: row.subject,
        size: row.size,
        tags,
        pushed_at: row.pushed_at,
        pushed_by: row.pushed_by.clone(),
        state: match row.state {
            State::Active => "active",
            State::Held => "held",
            State::Isolated => "isolated",
        },
        facts: facts_word(row),
    }
}

fn facts_word(row: &ManifestRow) -> &'static str {
    match (row.contents_id, row.chain) {
        (Some(_), _) => "known",
        (None, Some(_)) => "pending",
        (None, None) => "none",
    }
}

/// The images of an artifact: itself, or what an index lists as far as it is here.
pub(crate) async fn parts(tx: &mut Tx, row: &ManifestRow) -> Result<Vec<Part>> {
    if row.kind == RowKind::Image {
        return Ok(vec![Part { row: row.clone(), platform: None }]);
    }
    let mut parts = Vec::new();
    let mut seen = BTreeSet::from([row.digest]);
    let mut open = vec![row.id];
    while let Some(id) = open.pop() {
        for child in metadata::manifests::children(tx, row.repository_id, &[id]).await? {
            if parts.len() >= MAX_CHILDREN || !seen.insert(child.digest) {
                continue;
            }
            let found = metadata::manifests::find(tx, row.repository_id, &child.digest).await?;
            match found {
                Some(found) if found.kind == RowKind::Index => open.push(found.id),
                Some(found) => parts.push(Part { row: found, platform: child.platform }),
                None => {}
            }
        }
    }
    Ok(parts)
}

fn write_cursor(cursor: &FindingsCursor) -> String {
    let FindingsCursor { severity, vulnerability, finding_id, manifest_id, position } = cursor;
    format!("{severity}.{finding_id}.{manifest_id}.{position}.{vulnerability}")
}

fn read_cursor(text: Option<&str>) -> Result<FindingsCursor> {
    let Some(text) = text else { return Ok(FindingsCursor::default()) };
    let parts: Vec<&str> = text.splitn(5, '.').collect();
    let number = |index: usize| parts.get(index).and_then(|part| part.parse::<i64>().ok());
    match (number(0), number(1), number(2), number(3), parts.get(4)) {
        (Some(severity), Some(finding_id), Some(manifest_id), Some(position), Some(name)) => {
            let vulnerability = (*name).to_owned();
            Ok(FindingsCursor { severity, vulnerability, finding_id, manifest_id, position })
        }
        _ => Err(Error::invalid(
            ErrorCode::Unsupported,
            "`after` must be the `next` of an earlier page",
        )),
    }
}

/// The one image of an artifact that is for a platform. A single image need not state its own.
fn the_one<'a>(parts: &'a [Part], platform: Option<&str>) -> Result<&'a Part> {
    let silent = |part: &&Part| parts.len() == 1 && part.platform.is_none();
    let fits = |part: &&Part| platform.is_none() || part.platform.as_deref() == platform;
    let found: Vec<&Part> = parts.iter().filter(|part| fits(part) || silent(part)).collect();
    if let [one] = found.as_slice() {
        return Ok(one);
    }
    let known: Vec<String> = parts
        .iter()
        .map(|part| format!("{} ({})", part.row.digest, part.platform.as_deref().unwrap_or("-")))
        .collect();
    let what = match platform {
        Some(platform) if found.is_empty() => format!("it has no image for {platform}"),
        _ => "the artifact is an index and has an SBOM for each image".to_owned(),
    };
    Err(Error::invalid(
        ErrorCode::ManifestInvalid,
        format!("{what}; name one of: {}", known.join(", ")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_the_way_through_a_client() {
        let cursor = FindingsCursor {
            severity: 4,
            vulnerability: "GHSA-x.y/z".to_owned(),
            finding_id: 7,
            manifest_id: 8,
            position: 0,
        };
        assert_eq!(read_cursor(Some(&write_cursor(&cursor))).unwrap(), cursor);
        for bad in ["", "1.2.3", "a.b.c.d.e"] {
            assert!(read_cursor(Some(bad)).is_err(), "{bad}");
        }
    }
}
