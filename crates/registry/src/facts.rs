//! What is known about an artifact, gathered for one decision.

use crate::{
    Error, Registry, Result,
    contents::StoredContents,
    gate::{Node, Question},
};
use sealock_facts::{AttestationFact, Quarantine, SignatureFact, Waiver};
use sealock_metadata::{
    self as metadata, Tx,
    evidence::{Class, Evidence},
    manifests::Kind as RowKind,
    projects::Project,
};
use sealock_oci::{Digest, ManifestKind};
use sealock_policy::{
    ArtifactFacts, ChildFacts, ContentsFact, Covering, FORMAT_VERSION, GateInput, KnownContents,
    ListedKey, Scan, Subject,
};
use sealock_sbom::INSPECTOR_VERSION;
use std::{collections::BTreeSet, future::Future, pin::Pin};

/// Deepest nesting of indexes that is looked into; what lies deeper is unknown.
const MAX_DEPTH: usize = 4;
/// Most manifests in one decision; what comes after is unknown.
const MAX_NODES: usize = 256;
/// Most indexes whose evidence covers a manifest.
const MAX_COVERING: usize = 64;
/// Most waivers of a project in one decision.
const MAX_WAIVERS: u32 = 10_000;

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
        let quarantines = metadata::quarantines::among(tx, &met).await?;
        let policies = self.policies_of(tx, project, question.cluster.as_ref()).await?;
        Ok(GateInput {
            format_version: FORMAT_VERSION,
            door: question.door,
            now: self.now(),
            subject: Subject {
                project: project.name.clone(),
                repository: repository.to_owned(),
                tier: project.tier,
            },
            policies,
            keys: listed_keys(tx, project.id).await?,
            artifact,
            waivers: granted_waivers(tx, project.id).await?,
            quarantines: quarantines.into_iter().map(quarantine).collect(),
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
            facts.contents =
                ContentsFact::Unknown { detail: "an index has the contents of its children".into() };
            return Ok(());
        }
        let Some(id) = node.contents_id else {
            facts.contents = match node.chain {
                Some(_) => ContentsFact::Unknown { detail: "its layers are still being read".into() },
                None => ContentsFact::NotRunnable {
                    inspector: INSPECTOR_VERSION.to_owned(),
                    inspected_at: jiff::Timestamp::UNIX_EPOCH,
                },
            };
            return Ok(());
        };
        let row = metadata::image_contents::get(tx, id)
            .await?
            .ok_or_else(|| Error::internal(format!("contents {id} are gone")))?;
        let stored: StoredContents = crate::inspect::unpack(&row.contents)?;
        if !stored.runnable {
            facts.contents = ContentsFact::NotRunnable {
                inspector: stored.contents.inspector,
                inspected_at: row.created_at,
            };
            return Ok(());
        }
        facts.contents = ContentsFact::Known(KnownContents::of(&stored.contents, row.created_at));
        if let Some(matched) = &self.advisories {
            let (findings, unmatched) = metadata::findings::of_contents(tx, id).await?;
            if unmatched == 0 {
                facts.scans =
                    vec![Scan { scanner: crate::SCANNER.to_owned(), as_of: matched.as_of }];
                facts.findings = findings;
            }
        }
        Ok(())
    }

    async fn evidence(
        &mut self,
        tx: &mut Tx,
        subject: &Digest,
    ) -> Result<(Vec<SignatureFact>, Vec<AttestationFact>)> {
        let rows = metadata::evidence::of_subject(tx, self.repository_id, subject).await?;
        let (mut signatures, mut attestations) = (Vec::new(), Vec::new());
        for row in rows {
            self.met.insert(row.accessory);
            match read_fact(&row)? {
                Fact::Signature(fact) => signatures.push(fact),
                Fact::Attestation(fact) => attestations.push(fact),
            }
        }
        Ok((signatures, attestations))
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
                    debug_assert_eq!(parent.kind, RowKind::Index);
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
        artifact.promoted_at =
            metadata::promotions::first_into(tx, self.project_id, &digests).await?;
        if let Some(at) = artifact.promoted_at {
            spread_promotion(artifact, at);
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

/// A recorded fact of either class.
pub(crate) enum Fact {
    Signature(SignatureFact),
    Attestation(AttestationFact),
}

/// Reads a row of evidence.
pub(crate) fn read_fact(row: &Evidence) -> Result<Fact> {
    Ok(match row.class {
        Class::Signature => {
            Fact::Signature(serde_json::from_str(&row.fact).map_err(Error::internal)?)
        }
        Class::Attestation => {
            Fact::Attestation(serde_json::from_str(&row.fact).map_err(Error::internal)?)
        }
    })
}

/// The keys that a project lists, as a decision sees them.
pub(crate) async fn listed_keys(tx: &mut Tx, project_id: i64) -> Result<Vec<ListedKey>> {
    let rows = metadata::project_keys::all(tx, project_id).await?;
    let key = |row: metadata::project_keys::ProjectKey| ListedKey {
        id: row.key_id,
        name: row.name,
        compromised_at: row.compromised_at,
    };
    Ok(rows.into_iter().map(key).collect())
}

async fn granted_waivers(tx: &mut Tx, project_id: i64) -> Result<Vec<Waiver>> {
    Ok(metadata::waivers::granted(tx, project_id, MAX_WAIVERS).await?)
}

fn quarantine(row: metadata::quarantines::QuarantineRow) -> Quarantine {
    row.quarantine
}
