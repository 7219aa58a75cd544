//! What is known about an artifact, gathered for one decision.

use crate::{
    Registry, Result,
    gate::{Node, Question},
    verdicts::subject,
};
use sealock_advisories::SCANNER;
use sealock_facts::{AttestationFact, EvidenceState, Finding, RejectReason, SignatureFact};
use sealock_metadata::{self as metadata, Tx, projects::Project};
use sealock_oci::{Digest, ManifestKind};
use sealock_policy::{
    ArtifactFacts, ChildFacts, ContentsFact, Covering, FORMAT_VERSION, GateInput, KnownContents,
    ListedKey, Scan,
};
use sealock_sbom::INSPECTOR_VERSION;
use std::{collections::BTreeSet, future::Future, pin::Pin};

/// Deepest nesting of indexes that is looked into; what lies deeper is unknown.
const MAX_DEPTH: usize = 4;
/// Most manifests in one decision; what comes after is unknown.
const MAX_NODES: usize = 256;
/// Most indexes whose evidence covers a manifest.
const MAX_COVERING: usize = 64;
/// Most keys of a project that count.
const MAX_KEYS: u32 = 200;

/// Gathers facts within one transaction, and remembers every digest that it met.
struct Gatherer<'a> {
    registry: &'a Registry,
    project_id: i64,
    repository_id: i64,
    advisories: Option<crate::advisories::Matched>,
    met: BTreeSet<Digest>,
    nodes: usize,
}

impl Registry {
    /// The canonical input of a decision about `node`, which stands or would stand in `repository`
    /// of `project`. Its own evidence is that of the repository `repository_id`.
    pub(crate) async fn gate_input(
        &self,
        tx: &mut Tx,
        project: &Project,
        repository: &str,
        repository_id: i64,
        node: Node,
        question: &Question,
    ) -> Result<GateInput> {
        let advisories = self.matched_snapshot(tx).await?;
        let mut gatherer = Gatherer {
            registry: self,
            project_id: project.id,
            repository_id,
            advisories,
            met: BTreeSet::new(),
            nodes: 0,
        };
        let mut artifact = gatherer.facts(tx, &node, 0).await?;
        artifact.covered_by = gatherer.covering(tx, &node.digest).await?;
        gatherer.promotion(tx, &mut artifact).await?;
        let met: Vec<Digest> = gatherer.met.iter().copied().collect();
        let quarantines = metadata::quarantines::in_force(tx, &met).await?;
        let policies = self.policies_of(tx, project, question.cluster.as_ref()).await?;
        Ok(GateInput {
            format_version: FORMAT_VERSION,
            door: question.door,
            now: self.now(),
            subject: subject(project, repository),
            policies,
            keys: listed_keys(tx, project.id).await?,
            artifact,
            waivers: metadata::waivers::in_force(tx, project.id).await?,
            quarantines,
            advisories: gatherer.advisories.map(|matched| matched.snapshot),
            request: question.request.clone(),
        })
    }
}

impl Gatherer<'_> {
    fn facts<'b>(
        &'b mut self,
        tx: &'b mut Tx,
        node: &'b Node,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<ArtifactFacts>> + Send + 'b>> {
        Box::pin(async move {
            self.nodes += 1;
            self.met.insert(node.digest);
            self.met.extend(&node.blobs);
            let mut facts = ArtifactFacts::unknown(node.digest, node.kind, "not looked at");
            facts.platform.clone_from(&node.platform);
            facts.artifact_type.clone_from(&node.artifact_type);
            facts.blobs.clone_from(&node.blobs);
            facts.held = node.held;
            self.contents(tx, node, &mut facts).await?;
            (facts.signatures, facts.attestations) = self.evidence(tx, &node.digest).await?;
            facts.evidence_about = self.evidence_about(tx, node).await?;
            facts.evidence_pending =
                self.registry.evidence_is_pending(tx, self.repository_id, &node.digest).await?;
            for child in &node.children {
                facts.children.push(self.child(tx, child, depth).await?);
            }
            Ok(facts)
        })
    }

    async fn child(
        &mut self,
        tx: &mut Tx,
        child: &metadata::manifests::Child,
        depth: usize,
    ) -> Result<ChildFacts> {
        self.met.insert(child.digest);
        let row = metadata::manifests::find(tx, self.repository_id, &child.digest).await?;
        let (Some(row), true) = (row, depth < MAX_DEPTH && self.nodes < MAX_NODES) else {
            let (digest, platform) = (child.digest, child.platform.clone());
            return Ok(ChildFacts::Absent { digest, platform });
        };
        let mut node = Node::stored(tx, &row).await?;
        node.platform.clone_from(&child.platform);
        let facts = self.facts(tx, &node, depth + 1).await?;
        Ok(ChildFacts::Present { facts: Box::new(facts) })
    }

    async fn contents(
        &mut self,
        tx: &mut Tx,
        node: &Node,
        facts: &mut ArtifactFacts,
    ) -> Result<()> {
        if node.kind == ManifestKind::Index {
            facts.contents = ContentsFact::Unknown {
                detail: "an index has the contents of its children".into(),
            };
            return Ok(());
        }
        let Some(id) = node.contents_id else {
            facts.contents = match node.chain {
                Some(_) => {
                    ContentsFact::Unknown { detail: "its layers are still being read".into() }
                }
                None => ContentsFact::NotRunnable {
                    inspector: INSPECTOR_VERSION.to_owned(),
                    inspected_at: self.registry.now(),
                },
            };
            return Ok(());
        };
        let stored = self.registry.read_contents(tx, id).await?;
        if !stored.runnable {
            facts.contents = ContentsFact::NotRunnable {
                inspector: stored.contents.inspector,
                inspected_at: stored.inspected_at,
            };
            return Ok(());
        }
        facts.contents =
            ContentsFact::Known(KnownContents::of(&stored.contents, stored.inspected_at));
        if let Some(matched) = &self.advisories {
            let state = metadata::components::match_state(tx, &[id]).await?;
            if state.iter().all(|state| state.unmatched == 0) {
                facts.scans = vec![Scan { scanner: SCANNER.to_owned(), as_of: matched.as_of }];
                facts.findings = distinct_findings(tx, id).await?;
            }
        }
        Ok(())
    }

    async fn evidence(
        &mut self,
        tx: &mut Tx,
        subject: &Digest,
    ) -> Result<(Vec<SignatureFact>, Vec<AttestationFact>)> {
        let found = metadata::evidence::of_subjects(tx, self.repository_id, &[*subject]).await?;
        self.met.extend(found.signatures.iter().map(|fact| fact.accessory));
        self.met.extend(found.attestations.iter().map(|fact| fact.accessory));
        Ok((found.signatures, found.attestations))
    }

    /// What a manifest is evidence about: set when every layer of it was read as evidence,
    /// whether or not it counts.
    async fn evidence_about(&self, tx: &mut Tx, node: &Node) -> Result<Option<Digest>> {
        if node.kind == ManifestKind::Index || node.blobs.is_empty() {
            return Ok(None);
        }
        let found = metadata::evidence::of_accessory(tx, self.repository_id, &node.digest).await?;
        let signatures = found.signatures.iter().map(|fact| (fact.subject, &fact.status));
        let attestations = found.attestations.iter().map(|fact| (fact.subject, &fact.status));
        let mut about = None;
        for (subject, status) in signatures.chain(attestations) {
            if matches!(status, EvidenceState::Rejected { reason: RejectReason::Unsupported, .. }) {
                return Ok(None);
            }
            about = Some(subject);
        }
        Ok(about)
    }

    /// The indexes above a digest, with their evidence (decision D9). A quarantined one closes what
    /// it lists, so it is met here too.
    async fn covering(&mut self, tx: &mut Tx, digest: &Digest) -> Result<Vec<Covering>> {
        let mut covering = Vec::new();
        let mut seen = BTreeSet::from([*digest]);
        let mut level = vec![*digest];
        for _ in 0..MAX_DEPTH {
            let mut above = Vec::new();
            for digest in &level {
                for parent in metadata::manifests::parents(tx, self.repository_id, digest).await? {
                    if covering.len() >= MAX_COVERING || !seen.insert(parent.digest) {
                        continue;
                    }
                    self.met.insert(parent.digest);
                    let (signatures, attestations) = self.evidence(tx, &parent.digest).await?;
                    covering.push(Covering { index: parent.digest, signatures, attestations });
                    above.push(parent.digest);
                }
            }
            level = above;
        }
        Ok(covering)
    }

    /// When the artifact entered this project by promotion, by itself or as part of an index.
    async fn promotion(&self, tx: &mut Tx, artifact: &mut ArtifactFacts) -> Result<()> {
        let mut digests = vec![artifact.digest];
        digests.extend(artifact.covered_by.iter().map(|covering| covering.index));
        for digest in digests {
            let promoted = metadata::promotions::into_project(tx, self.project_id, &digest).await?;
            if let Some(promotion) = promoted {
                artifact.promoted_at = Some(promotion.at);
                spread_promotion(artifact, promotion.at);
                break;
            }
        }
        Ok(())
    }
}

fn spread_promotion(artifact: &mut ArtifactFacts, at: jiff::Timestamp) {
    for child in &mut artifact.children {
        if let ChildFacts::Present { facts } = child {
            facts.promoted_at.get_or_insert(at);
            spread_promotion(facts, at);
        }
    }
}

/// The keys that a project lists, as a decision sees them.
pub(crate) async fn listed_keys(tx: &mut Tx, project_id: i64) -> Result<Vec<ListedKey>> {
    let rows = metadata::project_keys::list(tx, project_id, 0, MAX_KEYS).await?;
    let key = |row: metadata::project_keys::ProjectKey| ListedKey {
        id: row.key_id,
        name: row.name,
        compromised_at: row.compromised_at,
    };
    Ok(rows.into_iter().map(key).collect())
}

/// The findings of some contents, each once however often its component lies in the image.
async fn distinct_findings(tx: &mut Tx, contents_id: i64) -> Result<Vec<Finding>> {
    let rows = metadata::findings::of_contents(tx, &[contents_id]).await?;
    let mut seen = BTreeSet::new();
    Ok(rows.into_iter().filter(|row| seen.insert(row.finding_id)).map(|row| row.finding).collect())
}
