//! The signed summary of a promotion (SLSA VSA), as a Sigstore bundle on the artifact.

use crate::{
    Error, Registry, Result, gate::Judged, jobs, promote::Move, promotion_plan::Plan,
    shown::Described,
};
use bytes::Bytes;
use sealock_auth::Caller;
use sealock_blobs::{BlobKey, StoredBlob};
use sealock_facts::Tier;
use sealock_metadata::{
    self as metadata, Tx,
    blobs::Inserted,
    manifests::{BlobRole, ManifestBlob, NewManifest, State},
};
use sealock_oci::{Algorithm, Descriptor, Digest, Manifest, media_type};
use sealock_policy::GateInput;
use sealock_signing::{
    BundleManifest, InputAttestation, Summary, VERIFICATION_SUMMARY, bundle_manifest, classify,
};
use std::collections::BTreeMap;

/// A summary whose bytes are durable, and which no row names yet.
pub(crate) struct StoredSummary {
    manifest: BundleManifest,
    blobs: [StoredBlob; 2],
}

impl Registry {
    /// Makes, signs and durably stores the summary of a judgement.
    pub(crate) async fn sign_summary(
        &self,
        step: &Move,
        judged: &Judged,
        plan: &Plan,
    ) -> Result<StoredSummary> {
        let now = self.now();
        let digest = step.row.digest;
        let place = |digest: &Digest| {
            format!("oci://{}/{}@{digest}", self.external_host(), step.target_name)
        };
        let attested = plan.attestations();
        let inputs = attested
            .iter()
            .map(|accessory| InputAttestation { uri: place(accessory), digest: *accessory })
            .collect();
        let summary = Summary {
            subject: digest,
            verifier: self.external_url().to_owned(),
            verifier_version: env!("CARGO_PKG_VERSION").to_owned(),
            time_verified: now,
            resource_uri: place(&digest),
            policy_uri: format!(
                "{}/api/sealock/v1/tiers/{}/policy",
                self.external_url(),
                step.target.tier
            ),
            policy_digest: policy_digest(judged)?,
            inputs,
            passed: true,
            levels: vec![level(step.target.tier)],
        };
        let statement = summary.to_statement();
        let bundle =
            self.product_keys().evidence().sign_statement(&statement).map_err(Error::internal)?;
        let subject = Descriptor {
            media_type: step.row.media_type.clone(),
            digest,
            size: step.row.size,
            artifact_type: None,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
        };
        let manifest = bundle_manifest(&bundle, &subject, VERIFICATION_SUMMARY, now);
        let config = self.store_bytes(Bytes::from_static(BundleManifest::CONFIG)).await?;
        let layer = self.store_bytes(bundle.into()).await?;
        Ok(StoredSummary { manifest, blobs: [config, layer] })
    }

    /// Writes bytes of the product's own making.
    async fn store_bytes(&self, bytes: Bytes) -> Result<StoredBlob> {
        let digest = Digest::sha256(&bytes);
        let mut writer = self.blobs().begin(Algorithm::Sha256)?;
        writer.write(bytes).await?;
        Ok(writer.finish(&digest).await?)
    }

    /// Attaches a stored summary in the target's repository. Its digest, and files that are not
    /// needed once the transaction has committed.
    pub(crate) async fn link_summary(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        step: &Move,
        summary: &StoredSummary,
    ) -> Result<(Digest, Vec<BlobKey>)> {
        let repository =
            metadata::repositories::ensure(tx, step.target.id, &step.target_name).await?;
        let mut spare = Vec::new();
        for blob in &summary.blobs {
            let key = blob.key;
            let kept = metadata::blobs::insert(tx, &key.digest, blob.size, key.generation).await?;
            match kept {
                Inserted::Lost(_) => spare.push(key),
                Inserted::Won { replaced: Some(generation) } => {
                    spare.push(BlobKey { digest: key.digest, generation });
                }
                Inserted::Won { replaced: None } => {}
            }
            metadata::blobs::link(tx, repository.id, &[key.digest]).await?;
        }
        let BundleManifest { bytes, digest, config, layer } = &summary.manifest;
        let parsed = Manifest::parse(media_type::OCI_MANIFEST, bytes)?;
        let blob = |role, descriptor: &Descriptor| ManifestBlob {
            manifest_id: 0,
            role,
            position: 0,
            digest: descriptor.digest,
            media_type: descriptor.media_type.clone(),
            size: descriptor.size,
            diff_id: None,
        };
        let chain = crate::incoming::chain(&parsed, None);
        let (row, _) = metadata::manifests::insert(
            tx,
            &NewManifest {
                repository_id: repository.id,
                digest,
                media_type: &parsed.media_type,
                artifact_type: parsed.referrer_type(),
                kind: metadata::manifests::Kind::Image,
                payload: bytes,
                config: Some((&config.digest, &config.media_type)),
                subject: Some(&step.row.digest),
                annotations: &parsed.annotations,
                chain: chain.as_ref(),
                state: State::Active,
                pushed_by: &caller.principal.to_string(),
                blobs: &[blob(BlobRole::Config, config), blob(BlobRole::Layer, layer)],
                children: &[],
                shown: Described::of(&parsed, None, classify(&parsed, None)).row(),
            },
        )
        .await?;
        if let Some(chain) = &row.chain
            && !self.adopt_contents(tx, chain).await?
        {
            jobs::queue_contents(tx, &row, chain).await?;
        }
        jobs::queue_verify(tx, repository.id, &step.row.digest).await?;
        Ok((*digest, spare))
    }
}

/// One digest for all documents that were evaluated: that of their canonical JSON.
fn policy_digest(judged: &Judged) -> Result<Digest> {
    let bytes = judged.input.1.as_deref().unwrap_or_default();
    let input = GateInput::parse(bytes).map_err(Error::internal)?;
    let documents = serde_json::to_vec(&input.policies).map_err(Error::internal)?;
    Ok(Digest::sha256(&documents))
}

/// The verifier's own word for having passed a tier's gate.
fn level(tier: Tier) -> String {
    format!("SEALOCK_TIER_{}", tier.as_str().to_uppercase())
}
