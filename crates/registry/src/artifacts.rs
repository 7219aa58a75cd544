//! Artifacts as people look at them: what they hold, what was found, who signed, what doors say.

use crate::{
    Error, Page, PageRequest, Registry, Result,
    access::{Need, Scope},
    gate::Question,
    pull::resolve,
};
use sealock_auth::{Caller, Right};
use sealock_facts::{
    AdvisorySnapshot, AttestationFact, Completeness, Coverage, Door, Finding, ImageContents,
    Severity, SignatureFact, Verdict,
};
use sealock_metadata::{
    self as metadata, Tx,
    manifests::{Kind as RowKind, Manifest as ManifestRow, State},
};
use sealock_oci::{Digest, ErrorCode, Reference, RepositoryName};
use sealock_policy::KnownContents;
use sealock_sbom::SbomSubject;
use serde::Serialize;
use std::collections::BTreeMap;

/// Most remarks about what is not known.
const MAX_REMARKS: usize = 50;

/// An artifact in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactSummary {
    /// Full name of the repository.
    pub repository: String,
    /// Digest of the manifest.
    pub digest: Digest,
    /// `image` or `index`.
    pub kind: &'static str,
    /// Media type as pushed.
    pub media_type: String,
    /// Artifact type, for what is not an image.
    pub artifact_type: Option<String>,
    /// Size of the manifest in bytes.
    pub size: u64,
    /// Tags, in order.
    pub tags: Vec<String>,
    /// What it says something about.
    pub subject: Option<Digest>,
    /// When it was pushed.
    pub pushed_at: jiff::Timestamp,
    /// Who pushed it.
    pub pushed_by: String,
    /// `active`, or `held` until it is judged.
    pub state: &'static str,
}

/// An artifact with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// As in a list.
    #[serde(flatten)]
    pub summary: ArtifactSummary,
    /// What is known.
    pub facts: ArtifactFactsView,
}

/// What is known about an artifact, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactFactsView {
    /// Contents; of an index, those of its children together.
    pub contents: ContentsView,
    /// Findings by severity; none while the contents are not known or not matched.
    pub findings: Option<BTreeMap<&'static str, u64>>,
    /// Signatures, verified or not.
    pub signatures: Vec<SignatureFact>,
    /// Attestations, verified or not.
    pub attestations: Vec<AttestationFact>,
}

/// What an artifact holds, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContentsView {
    /// `known`, `partial`, `pending` or `none` (nothing in it could run).
    pub state: &'static str,
    /// Number of components.
    pub components: u64,
    /// Operating systems.
    pub distributions: Vec<String>,
    /// Components per ecosystem.
    pub ecosystems: BTreeMap<String, u64>,
    /// What is not known, in plain words: "no finding" and "no data" are never the same.
    pub remarks: Vec<String>,
}

/// A finding with where its component lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactFinding {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// Whether it is known to be exploited.
    pub known_exploited: bool,
    /// The file that declares the component.
    pub path: String,
    /// The layer that holds this file.
    pub layer: Digest,
}

/// Which findings are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FindingFilter {
    /// At or above this severity.
    pub severity: Option<Severity>,
    /// With a fix only.
    pub fixable: bool,
}

/// What a door says about an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoorVerdict {
    /// The door.
    pub door: Door,
    /// Its answer with reasons.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// An artifact that a caller named and may see.
struct Found {
    scope: Scope,
    row: ManifestRow,
}

impl Registry {
    /// Artifacts of a repository, newest first. Three queries.
    pub async fn artifacts(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        page: &PageRequest,
    ) -> Result<Page<ArtifactSummary>> {
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, name, Need::Has(Right::Pull)).await?;
        let repository = scope.repository()?;
        let limit = page.limit();
        let rows =
            metadata::manifests::list(&mut tx, repository.id, page.after_id(), limit + 1).await?;
        let page = Page::cut(rows, limit, |row| row.id.to_string());
        let items = summaries(&mut tx, &scope, &page.items).await?;
        Ok(Page { items, next: page.next })
    }

    /// One artifact with what is known about it. What is still queued about it is done first.
    pub async fn artifact(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Artifact> {
        let found = self.find_settled(caller, name, reference).await?;
        let mut tx = self.database().read().await?;
        let rows = std::slice::from_ref(&found.row);
        let summary = summaries(&mut tx, &found.scope, rows).await?;
        let summary = summary.into_iter().next().ok_or_else(|| Error::internal("no summary"))?;
        let facts = self.view(&mut tx, &found.row).await?;
        Ok(Artifact { summary, facts })
    }

    /// The findings of an artifact, worst first; of an index, those of its children.
    pub async fn artifact_findings(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
        filter: FindingFilter,
        page: &PageRequest,
    ) -> Result<Page<ArtifactFinding>> {
        let found = self.find_settled(caller, name, reference).await?;
        let mut tx = self.database().read().await?;
        let ids = contents_ids(&mut tx, &found.row).await?;
        if ids.is_empty() && found.row.chain.is_some() {
            return Err(pending());
        }
        let mut rows = metadata::findings::of_contents(&mut tx, &ids).await?;
        rows.retain(|row| {
            let severe = filter.severity.is_none_or(|least| row.finding.severity >= least);
            let fixed = matches!(row.finding.fix, sealock_facts::FixState::Fixed { .. });
            severe && (fixed || !filter.fixable)
        });
        rows.sort_by_key(|row| (std::cmp::Reverse(row.finding.severity), place(row)));
        if let Some(after) = &page.after {
            let at = rows.iter().position(|row| cursor(row) == *after);
            rows.drain(..at.map_or(0, |at| at + 1));
        }
        let page = Page::cut(rows, page.limit(), cursor);
        Ok(page.map(|row| ArtifactFinding {
            known_exploited: row.finding.kev.is_some(),
            finding: row.finding,
            path: row.path,
            layer: row.layer,
        }))
    }

    /// The CycloneDX document of an image. An index has none of its own: name one of its images.
    pub async fn artifact_sbom(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<serde_json::Value> {
        let found = self.find_settled(caller, name, reference).await?;
        if found.row.kind == RowKind::Index {
            return Err(Error::invalid(
                ErrorCode::Unsupported,
                "this is an index; name one of its images by digest",
            ));
        }
        let mut tx = self.database().read().await?;
        let Some(id) = found.row.contents_id else {
            return Err(match found.row.chain {
                Some(_) => pending(),
                None => Error::not_found(ErrorCode::ManifestUnknown, "nothing in it could run"),
            });
        };
        let stored = self.read_contents(&mut tx, id).await?;
        let subject = SbomSubject {
            name: format!("{}/{name}", self.external_host()),
            tag: match reference {
                Reference::Tag(tag) => Some(tag.to_string()),
                Reference::Digest(_) => None,
            },
            digest: Some(found.row.digest),
        };
        Ok(sealock_sbom::cyclonedx(&stored.contents, &subject, stored.inspected_at))
    }

    /// What the doors say about an artifact to anybody, and why. Nothing is recorded.
    pub async fn artifact_verdicts(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
        door: Option<Door>,
    ) -> Result<Vec<DoorVerdict>> {
        let found = self.find_settled(caller, name, reference).await?;
        let doors: Vec<Door> = match door {
            Some(door) => vec![door],
            None => vec![Door::Push, Door::Pull, Door::Promote, Door::Admit],
        };
        let mut verdicts = Vec::new();
        for door in doors {
            let question = Question { door, request: None, cluster: None };
            let judged = self.judge_stored(&found.scope, &found.row, &question).await?;
            verdicts.push(DoorVerdict { door, verdict: judged.verdict });
        }
        Ok(verdicts)
    }

    async fn find_settled(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Found> {
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, name, Need::Has(Right::Pull)).await?;
        let repository_id = scope.repository()?.id;
        let row = resolve(&mut tx, repository_id, reference).await?;
        drop(tx);
        self.settle(repository_id, &row.digest, self.door_wait()).await?;
        let mut tx = self.database().read().await?;
        let row = resolve(&mut tx, repository_id, &Reference::Digest(row.digest)).await?;
        Ok(Found { scope, row })
    }

    async fn view(&self, tx: &mut Tx, row: &ManifestRow) -> Result<ArtifactFactsView> {
        let ids = contents_ids(tx, row).await?;
        let snapshot = self.matched_snapshot(tx).await?.map(|matched| matched.snapshot);
        let mut contents = ContentsView {
            state: if row.chain.is_some() { "pending" } else { "none" },
            components: 0,
            distributions: Vec::new(),
            ecosystems: BTreeMap::new(),
            remarks: Vec::new(),
        };
        for id in &ids {
            let stored = self.read_contents(tx, *id).await?;
            if stored.runnable {
                contents.add(&stored.contents, stored.inspected_at);
            }
        }
        contents.remark_coverage(snapshot.as_ref());
        let state = metadata::components::match_state(tx, &ids).await?;
        let matched = !ids.is_empty() && state.iter().all(|state| state.unmatched == 0);
        let findings = match matched {
            true => Some(count(&metadata::findings::of_contents(tx, &ids).await?)),
            false => None,
        };
        let evidence =
            metadata::evidence::of_subjects(tx, row.repository_id, &[row.digest]).await?;
        Ok(ArtifactFactsView {
            contents,
            findings,
            signatures: evidence.signatures,
            attestations: evidence.attestations,
        })
    }
}

impl ContentsView {
    fn add(&mut self, contents: &ImageContents, at: jiff::Timestamp) {
        let known = KnownContents::of(contents, at);
        self.components += known.components;
        for (ecosystem, count) in known.ecosystems {
            *self.ecosystems.entry(ecosystem).or_default() += count;
        }
        if let Some(distro) = &contents.distro {
            let name = distro.pretty_name.clone();
            let name = name.unwrap_or_else(|| format!("{} {}", distro.id, distro.version_id));
            if !self.distributions.contains(&name) {
                self.distributions.push(name);
            }
        }
        if known.without_ecosystem > 0 {
            self.remarks.push(format!(
                "{} components belong to no known release or ecosystem: they are not matched",
                known.without_ecosystem
            ));
        }
        self.state = match &contents.completeness {
            Completeness::Complete if self.state != "partial" => "known",
            Completeness::Complete => "partial",
            Completeness::Partial { reasons } => {
                let reason = |reason: &sealock_facts::PartialReason| {
                    format!("not read whole: {}: {}", reason.code, reason.detail)
                };
                self.remarks.extend(reasons.iter().map(reason));
                "partial"
            }
        };
        self.remarks.truncate(MAX_REMARKS);
    }

    fn remark_coverage(&mut self, snapshot: Option<&AdvisorySnapshot>) {
        for ecosystem in self.ecosystems.keys() {
            let coverage = snapshot
                .and_then(|snapshot| snapshot.ecosystems.get(ecosystem))
                .map_or(Coverage::None, |covered| covered.coverage);
            self.remarks.extend(match coverage {
                Coverage::Full => None,
                Coverage::Partial => Some(format!(
                    "{ecosystem}: the vulnerability data is a part only; no finding is no statement"
                )),
                Coverage::None => Some(format!("{ecosystem}: there is no vulnerability data")),
            });
        }
    }
}

fn pending() -> Error {
    Error::not_found(
        ErrorCode::ManifestUnknown,
        "its layers are still being read; ask again in a moment",
    )
}

/// The contents of an image, or of the children of an index, as far as they are known.
async fn contents_ids(tx: &mut Tx, row: &ManifestRow) -> Result<Vec<i64>> {
    if row.kind == RowKind::Image {
        return Ok(row.contents_id.into_iter().collect());
    }
    let facts = metadata::manifests::facts(tx, row.repository_id, &row.digest).await?;
    let children = facts.map(|facts| facts.children).unwrap_or_default();
    let mut ids: Vec<i64> = children.iter().filter_map(|(_, row)| row.as_ref()?.contents_id).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn count(rows: &[metadata::findings::PlacedFinding]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for row in rows.iter().filter(|row| seen.insert(row.finding_id)) {
        *counts.entry(row.finding.severity.as_str()).or_default() += 1;
    }
    counts
}

fn place(row: &metadata::findings::PlacedFinding) -> (i64, i64, u32) {
    (row.finding_id, row.contents_id, row.position)
}

fn cursor(row: &metadata::findings::PlacedFinding) -> String {
    let (finding, contents, position) = place(row);
    format!("{finding}.{contents}.{position}")
}

async fn summaries(
    tx: &mut Tx,
    scope: &Scope,
    rows: &[ManifestRow],
) -> Result<Vec<ArtifactSummary>> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let repository_id = scope.repository()?.id;
    let mut tags: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for tag in metadata::tags::of_manifests(tx, repository_id, &ids).await? {
        tags.entry(tag.manifest_id).or_default().push(tag.name);
    }
    let summary = |row: &ManifestRow| ArtifactSummary {
        repository: scope.name.to_string(),
        digest: row.digest,
        kind: match row.kind {
            RowKind::Image => "image",
            RowKind::Index => "index",
        },
        media_type: row.media_type.clone(),
        artifact_type: row.artifact_type.clone(),
        size: row.size,
        tags: tags.get(&row.id).cloned().unwrap_or_default(),
        subject: row.subject,
        pushed_at: row.pushed_at,
        pushed_by: row.pushed_by.clone(),
        state: match row.state {
            State::Active => "active",
            State::Held => "held",
        },
    };
    Ok(rows.iter().map(summary).collect())
}
