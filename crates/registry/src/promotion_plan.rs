//! What a promotion takes along, and how it is linked into the target.

use crate::{
    Error, Registry, Result, immutability::require_movable, incoming::legacy_subject,
    promote::Move, push::immutable_tag, verify::legacy_tags,
};
use sealock_auth::Caller;
use sealock_facts::EvidenceState;
use sealock_metadata::{
    self as metadata, Tx,
    evidence::Evidence,
    manifests::{Kind as RowKind, Manifest as ManifestRow, NewManifest, Shown, State},
    tags::TagSet,
};
use sealock_oci::{Digest, ErrorCode, Tag};
use std::collections::BTreeSet;

/// Most manifests that one promotion links.
const MAX_LINKED: usize = 5_000;
/// Referrers read at a time.
const BATCH: u32 = 200;

/// What goes along, and what stays. The manifests' bytes are read one after the other when they are
/// linked: together they may be gigabytes.
pub(crate) struct Plan {
    /// The subject and its children, children first.
    subjects: Vec<ManifestRow>,
    /// Verified accessories, with the legacy tags that name them.
    accessories: Vec<(ManifestRow, Vec<Tag>)>,
    /// What they prove.
    evidence: Evidence,
    /// Accessories that prove nothing.
    pub(crate) left_behind: Vec<Digest>,
}

impl Plan {
    /// Gathers everything about a stored manifest, within one transaction.
    pub(crate) async fn make(tx: &mut Tx, row: &ManifestRow) -> Result<Self> {
        let subjects = subjects(tx, row).await?;
        let mut plan = Self {
            subjects,
            accessories: Vec::new(),
            evidence: Evidence::default(),
            left_behind: Vec::new(),
        };
        let digests: Vec<Digest> = plan.subjects.iter().map(|s| s.digest).collect();
        let evidence = metadata::evidence::of_subjects(tx, row.repository_id, &digests).await?;
        let verified = verified_accessories(&evidence);
        let mut seen = BTreeSet::new();
        for subject in &digests {
            for (found, tag) in accessories(tx, row.repository_id, subject).await? {
                let digest = found.digest;
                let known = plan.accessories.iter_mut().find(|(known, _)| known.digest == digest);
                if let Some((_, tags)) = known {
                    tags.extend(tag);
                } else if verified.contains(&digest) {
                    plan.accessories.push((found, tag.into_iter().collect()));
                } else if seen.insert(digest) {
                    plan.left_behind.push(digest);
                }
            }
        }
        if plan.subjects.len() + plan.accessories.len() > MAX_LINKED {
            return Err(Error::invalid(
                ErrorCode::ManifestInvalid,
                format!("a promotion links at most {MAX_LINKED} manifests"),
            ));
        }
        plan.evidence = of_accessories(evidence, &verified);
        Ok(plan)
    }

    /// What is linked besides the subject itself.
    pub(crate) fn linked(&self) -> Vec<Digest> {
        let children = self.subjects.iter().rev().skip(1).map(|child| child.digest);
        children.chain(self.accessories.iter().map(|(found, _)| found.digest)).collect()
    }

    /// Digests of accessories that hold verified attestations.
    pub(crate) fn attestations(&self) -> BTreeSet<Digest> {
        let verified = self.evidence.attestations.iter();
        let verified = verified.filter(|fact| is_verified(&fact.status));
        verified.map(|fact| fact.accessory).collect()
    }

    /// Whether a repository holds all of it.
    pub(crate) async fn is_linked_in(&self, tx: &mut Tx, repository_id: i64) -> Result<bool> {
        let all = self.subjects.iter().chain(self.accessories.iter().map(|(found, _)| found));
        let digests: Vec<Digest> = all.map(|row| row.digest).collect();
        for digests in digests.chunks(BATCH as usize) {
            let there = metadata::manifests::find_many(tx, repository_id, digests).await?;
            if there.len() < digests.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Registry {
    /// Links a plan into the target's repository, with tag and evidence. Bytes are shared: nothing
    /// is copied on disk.
    pub(crate) async fn link_plan(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        step: &Move,
        plan: &Plan,
    ) -> Result<Vec<Digest>> {
        let repository =
            metadata::repositories::ensure(tx, step.target.id, &step.target_name).await?;
        let who = caller.principal.to_string();
        let mut root = 0;
        for subject in &plan.subjects {
            root = self.link_manifest(tx, repository.id, subject, &who).await?;
        }
        for (accessory, tags) in &plan.accessories {
            let id = self.link_manifest(tx, repository.id, accessory, &who).await?;
            for tag in tags {
                metadata::tags::set(tx, repository.id, tag, id, false, &who).await?;
            }
        }
        if let Some(tag) = &step.tag {
            if legacy_subject(tag).is_some() {
                return Err(Error::invalid(
                    ErrorCode::ManifestInvalid,
                    "a tag of this form is kept for signatures; promote under another one",
                ));
            }
            let policies = self.policies_of(tx, &step.target, None).await?;
            let documents = policies.iter().map(|policy| &policy.document);
            let immutable = sealock_policy::immutable_tags(step.target.tier, documents);
            let set = metadata::tags::set(tx, repository.id, tag, root, immutable, &who).await?;
            match set {
                TagSet::Immutable { digest } => return Err(immutable_tag(tag, &digest)),
                TagSet::Moved { from } if from != step.row.digest => {
                    let place = (&step.target, &step.target_name);
                    require_movable(tx, place, std::slice::from_ref(tag)).await?;
                }
                TagSet::Moved { .. } | TagSet::Created => {}
            }
        }
        metadata::evidence::put(tx, repository.id, &plan.evidence).await?;
        let digests: Vec<Digest> = plan.subjects.iter().map(|s| s.digest).collect();
        metadata::manifests::bump_by_digest(tx, repository.id, &digests).await?;
        Ok(plan.linked())
    }

    async fn link_manifest(
        &self,
        tx: &mut Tx,
        target_id: i64,
        source: &ManifestRow,
        who: &str,
    ) -> Result<i64> {
        let (repository_id, id) = (source.repository_id, source.id);
        let stored = metadata::manifests::load_id(tx, repository_id, id).await?;
        let stored = stored.ok_or_else(|| {
            let digest = source.digest;
            Error::conflict(format!("{digest} was deleted while it was promoted; promote again"))
        })?;
        let blobs = metadata::manifests::blobs(tx, repository_id, &[id]).await?;
        let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest).collect();
        // Only what the source may show: a blob is linked there, or it was never pushed (foreign).
        let held = metadata::blobs::held(tx, repository_id, &digests).await?;
        let held: Vec<Digest> = held.into_iter().map(|blob| blob.digest).collect();
        let linked = metadata::blobs::link(tx, target_id, &held).await?;
        if linked.len() != held.len() {
            return Err(Error::conflict("a blob of the image is being collected; push it again"));
        }
        let children = metadata::manifests::children(tx, repository_id, &[id]).await?;
        let config = source.config_digest.as_ref().zip(source.config_media_type.as_deref());
        let (row, _) = metadata::manifests::insert(
            tx,
            &NewManifest {
                repository_id: target_id,
                digest: &source.digest,
                media_type: &source.media_type,
                artifact_type: source.artifact_type.as_deref(),
                kind: source.kind,
                payload: &stored.payload,
                config,
                subject: source.subject.as_ref(),
                annotations: &source.annotations,
                chain: source.chain.as_ref(),
                state: State::Active,
                pushed_by: who,
                blobs: &blobs,
                children: &children,
                shown: Shown {
                    kind: &source.shown_type,
                    media_type: &source.shown_media_type,
                    accessory: source.accessory.as_deref(),
                    attributes: stored.attributes.as_deref(),
                },
            },
        )
        .await?;
        if row.state == State::Held {
            metadata::manifests::set_state(tx, target_id, row.id, State::Active).await?;
        }
        if let Some(chain) = &row.chain {
            self.adopt_contents(tx, chain).await?;
        }
        Ok(row.id)
    }
}

/// The manifest and what it lists, as far as it is here: children before their index.
pub(crate) async fn subjects(tx: &mut Tx, row: &ManifestRow) -> Result<Vec<ManifestRow>> {
    let mut order = vec![row.digest];
    let mut seen = BTreeSet::from([row.digest]);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(digest) = order.get(at).copied() {
        at += 1;
        let subject = metadata::manifests::find(tx, row.repository_id, &digest).await?;
        let Some(subject) = subject else { continue };
        if subject.kind == RowKind::Index {
            let ids = [subject.id];
            for child in metadata::manifests::children(tx, row.repository_id, &ids).await? {
                if order.len() < MAX_LINKED && seen.insert(child.digest) {
                    order.push(child.digest);
                }
            }
        }
        found.push(subject);
    }
    found.reverse();
    Ok(found)
}

/// Everything that says something about a subject: referrers, and what legacy tags name.
pub(crate) async fn accessories(
    tx: &mut Tx,
    repository_id: i64,
    subject: &Digest,
) -> Result<Vec<(ManifestRow, Option<Tag>)>> {
    let mut found = Vec::new();
    let mut after = String::new();
    while found.len() < MAX_LINKED {
        let page =
            metadata::manifests::referrers(tx, repository_id, subject, None, &after, BATCH).await?;
        let Some(last) = page.last() else { break };
        after = last.digest.to_string();
        let digests: Vec<Digest> = page.iter().map(|referrer| referrer.digest).collect();
        let rows = metadata::manifests::find_many(tx, repository_id, &digests).await?;
        found.extend(rows.into_iter().map(|row| (row, None)));
    }
    let sbom = format!("{}.sbom", subject.to_string().replacen(':', "-", 1));
    for tag in legacy_tags(subject).chain(sbom.parse().ok()) {
        let Some(named) = metadata::tags::find(tx, repository_id, &tag).await? else { continue };
        let row = metadata::manifests::find(tx, repository_id, &named.digest).await?;
        found.extend(row.map(|row| (row, Some(tag))));
    }
    Ok(found)
}

/// Accessories of a manifest and its children with evidence that does not count.
pub(crate) async fn rejected_accessories(tx: &mut Tx, row: &ManifestRow) -> Result<Vec<Digest>> {
    let mut digests: Vec<Digest> =
        subjects(tx, row).await?.iter().map(|subject| subject.digest).collect();
    let above = metadata::manifests::parents(tx, row.repository_id, &row.digest).await?;
    digests.extend(above.iter().map(|parent| parent.digest));
    let evidence = metadata::evidence::of_subjects(tx, row.repository_id, &digests).await?;
    let signatures = evidence.signatures.iter().map(|fact| (fact.accessory, &fact.status));
    let attestations = evidence.attestations.iter().map(|fact| (fact.accessory, &fact.status));
    let rejected: BTreeSet<Digest> = signatures
        .chain(attestations)
        .filter(|(_, status)| !is_verified(status))
        .map(|(accessory, _)| accessory)
        .collect();
    Ok(rejected.into_iter().collect())
}

fn is_verified(status: &EvidenceState) -> bool {
    matches!(status, EvidenceState::Verified { .. })
}

fn verified_accessories(evidence: &Evidence) -> BTreeSet<Digest> {
    let signatures = evidence.signatures.iter().filter(|fact| is_verified(&fact.status));
    let attestations = evidence.attestations.iter().filter(|fact| is_verified(&fact.status));
    signatures.map(|f| f.accessory).chain(attestations.map(|f| f.accessory)).collect()
}

fn of_accessories(mut evidence: Evidence, accessories: &BTreeSet<Digest>) -> Evidence {
    evidence.signatures.retain(|fact| accessories.contains(&fact.accessory));
    evidence.attestations.retain(|fact| accessories.contains(&fact.accessory));
    evidence
}
