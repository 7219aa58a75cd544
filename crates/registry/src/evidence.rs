//! The evidence of an artifact: one document that says where it comes from, what was found in it,
//! who signed it, and who decided what about it when.

use crate::{
    Artifact, ArtifactFinding, Decision, DecisionQuery, FindingQuery, MAX_PAGE_ITEMS, PageRequest,
    RecordedPromotion, Registry, Result,
};
use sealock_auth::{Caller, Right};
use sealock_blobs::BlobKey;
use sealock_facts::{AttestationFact, EvidenceState, KeyId, Severity, SignatureFact, Waiver};
use sealock_metadata::{
    self as metadata, Tx, manifests::Manifest as ManifestRow, projects::Visible,
};
use sealock_oci::{Digest, Manifest, Reference, RepositoryName};
use sealock_signing::{Provenance, provenance, read_statement};
use serde::Serialize;
use std::collections::BTreeMap;

/// Largest attestation that is read for its provenance, in bytes.
const MAX_STATEMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Most attestations that are read.
const MAX_STATEMENTS: usize = 100;

/// The evidence of an artifact.
#[derive(Debug, Clone, Serialize)]
pub struct EvidenceDocument {
    /// Version of this form.
    pub format_version: u32,
    /// When it was put together.
    pub generated_at: jiff::Timestamp,
    /// The registry that vouches for it.
    pub registry: String,
    /// The artifact: digest, tags, contents, counts.
    pub artifact: Artifact,
    /// Source and pipeline, from verified attestations only.
    pub provenance: Vec<SourcedProvenance>,
    /// What was found, with the advisories it was found with.
    pub scan: ScanSummary,
    /// Keys that signed it, as the project lists them.
    pub signers: Vec<Signer>,
    /// Waivers that cover findings of it.
    pub waivers: Vec<Waiver>,
    /// Promotions.
    pub promotions: Vec<RecordedPromotion>,
    /// Decisions, newest first.
    pub decisions: Vec<Decision>,
    /// Who pushed, tagged, promoted, waived and quarantined, newest first.
    pub events: Vec<metadata::audit::Event>,
    /// The public key with which the registry's summaries verify, PEM.
    pub evidence_key: String,
}

/// Provenance with the attestation that gives it.
#[derive(Debug, Clone, Serialize)]
pub struct SourcedProvenance {
    /// The accessory.
    pub accessory: Digest,
    /// The predicate type.
    pub predicate_type: String,
    /// The key that it verifies under.
    pub key: KeyId,
    /// Name of that key in the project, if it lists it.
    pub signer: Option<String>,
    /// What it says.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct ScanSummary {
    /// Digest of the advisory snapshot.
    pub snapshot: Option<String>,
    /// Findings by severity.
    pub counts: BTreeMap<Severity, u64>,
    /// The findings, worst first, up to a page's limit.
    pub findings: Vec<ArtifactFinding>,
}

/// A key that signed.
#[derive(Debug, Clone, Serialize)]
pub struct Signer {
    /// The key.
    pub key: KeyId,
    /// Its name in the project, if it lists it.
    pub name: Option<String>,
    /// What it made: `signature`, or the predicate type of an attestation.
    pub what: String,
    /// The accessory.
    pub accessory: Digest,
    /// When the registry first saw it.
    pub first_seen: jiff::Timestamp,
    /// From when on the key's signatures do not count.
    pub compromised_at: Option<jiff::Timestamp>,
}

impl Registry {
    /// The evidence of an artifact. For everybody who may pull it; events, which name people and
    /// addresses, only for those who may read the project's audit log.
    pub async fn evidence(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<EvidenceDocument> {
        let (scope, row) = self.look_at(caller, name, reference).await?;
        self.settle(row.repository_id, &row.digest, self.door_wait()).await?;
        let digest = Reference::Digest(row.digest);
        let artifact = self.artifact(caller, name, &digest).await?;
        let whole = PageRequest { after: None, limit: Some(MAX_PAGE_ITEMS) };
        let findings =
            self.artifact_findings(caller, name, &digest, FindingQuery::default(), &whole).await?;
        let about = DecisionQuery { digest: Some(row.digest), ..DecisionQuery::default() };
        let decisions = self.decisions(caller, &about, &whole).await?;
        let promotions = self.promotions(caller, None, Some(&row.digest), &whole).await?;
        let mut tx = self.database().read().await?;
        let keys = keys(&mut tx, scope.project.id).await?;
        let waivers = metadata::waivers::in_force(&mut tx, scope.project.id).await?;
        let events = match scope.rights.contains(Right::ReadAudit) {
            true => events(&mut tx, scope.project.id, &row).await?,
            false => Vec::new(),
        };
        drop(tx);
        let provenance = self.provenances(&row, &artifact.attestations, &keys).await?;
        let used: Vec<i64> = findings.items.iter().filter_map(|found| found.waiver).collect();
        Ok(EvidenceDocument {
            format_version: 1,
            generated_at: self.now(),
            registry: self.external_url().to_owned(),
            provenance,
            scan: ScanSummary {
                snapshot: artifact.advisories.as_ref().map(|snapshot| snapshot.digest.clone()),
                counts: artifact.findings.clone(),
                findings: findings.items,
            },
            signers: signers(&artifact.signatures, &artifact.attestations, &keys),
            waivers: waivers.into_iter().filter(|waiver| used.contains(&waiver.id)).collect(),
            promotions: promotions.items,
            decisions: decisions.items,
            events,
            evidence_key: self.product_keys().evidence_public().to_pem(),
            artifact,
        })
    }

    /// Source and pipeline where a verified attestation gives them.
    async fn provenances(
        &self,
        row: &ManifestRow,
        facts: &[AttestationFact],
        keys: &Keys,
    ) -> Result<Vec<SourcedProvenance>> {
        let mut found = Vec::new();
        for fact in facts.iter().take(MAX_STATEMENTS) {
            let EvidenceState::Verified { key } = &fact.status else { continue };
            let Some(blob) = self.evidence_blob(row.repository_id, fact).await? else { continue };
            let Ok(statement) = read_statement(fact.format, &blob) else { continue };
            // What was verified, and nothing that came to lie in its place.
            if statement.digest != fact.statement {
                continue;
            }
            if let Some(provenance) = provenance(&statement) {
                found.push(SourcedProvenance {
                    accessory: fact.accessory,
                    predicate_type: fact.predicate_type.clone(),
                    key: key.clone(),
                    signer: keys.get(key).map(|(name, _)| name.clone()),
                    provenance,
                });
            }
        }
        Ok(found)
    }

    async fn evidence_blob(
        &self,
        repository_id: i64,
        fact: &AttestationFact,
    ) -> Result<Option<Vec<u8>>> {
        let mut tx = self.database().read().await?;
        let stored = metadata::manifests::load(&mut tx, repository_id, &fact.accessory).await?;
        let Some(stored) = stored else { return Ok(None) };
        let manifest = Manifest::parse(&stored.manifest.media_type, &stored.payload)?;
        let Some(layer) = manifest.layers.get(fact.position as usize) else { return Ok(None) };
        let blob = metadata::blobs::find(&mut tx, repository_id, &layer.digest).await?;
        drop(tx);
        let Some(blob) = blob.filter(|blob| blob.size <= MAX_STATEMENT_BYTES) else {
            return Ok(None);
        };
        let key = BlobKey { digest: blob.digest, generation: blob.generation };
        let bytes = self.blobs().open_blob(&key).await?.read_all(MAX_STATEMENT_BYTES).await?;
        Ok(Some(bytes.to_vec()))
    }
}

/// Names of a project's keys, and since when they are compromised.
type Keys = BTreeMap<KeyId, (String, Option<jiff::Timestamp>)>;

async fn keys(tx: &mut Tx, project_id: i64) -> Result<Keys> {
    let listed = crate::facts::listed_keys(tx, project_id).await?;
    Ok(listed.into_iter().map(|key| (key.id, (key.name, key.compromised_at))).collect())
}

fn signers(
    signatures: &[SignatureFact],
    attestations: &[AttestationFact],
    keys: &Keys,
) -> Vec<Signer> {
    let signer = |status: &EvidenceState, what: &str, accessory, first_seen| match status {
        EvidenceState::Verified { key } => Some(Signer {
            key: key.clone(),
            name: keys.get(key).map(|(name, _)| name.clone()),
            what: what.to_owned(),
            accessory,
            first_seen,
            compromised_at: keys.get(key).and_then(|(_, at)| *at),
        }),
        EvidenceState::Rejected { .. } => None,
    };
    let signed = signatures
        .iter()
        .filter_map(|fact| signer(&fact.status, "signature", fact.accessory, fact.first_seen));
    let attested = attestations.iter().filter_map(|fact| {
        signer(&fact.status, &fact.predicate_type, fact.accessory, fact.first_seen)
    });
    signed.chain(attested).collect()
}

async fn events(
    tx: &mut Tx,
    project_id: i64,
    row: &ManifestRow,
) -> Result<Vec<metadata::audit::Event>> {
    let filter = metadata::audit::Filter {
        visible: Visible::Only(vec![project_id]),
        digest: Some(row.digest),
        project_id: Some(project_id),
        ..metadata::audit::Filter::default()
    };
    Ok(metadata::audit::list(tx, &filter, None, MAX_PAGE_ITEMS).await?)
}
