//! Accessory in, facts out.

use crate::{
    Accessory, AccessoryKind, Limits, PublicKey,
    judge::{Judge, Judged, Kind},
};
use jiff::Timestamp;
use sealock_facts::{AttestationFact, EvidenceFormat, RejectReason, SignatureFact};
use sealock_oci::{Digest, Manifest};

/// What the caller found for a blob that the accessory names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Its bytes.
    Found(Vec<u8>),
    /// It is not in this repository.
    Missing,
    /// It has more bytes than asked for.
    TooLarge,
    /// It could not be read now; no fact is made of it, see [`AccessoryFacts::unread`].
    Failed,
}

/// An accessory to verify.
pub struct AccessoryInput<'a> {
    /// What [`crate::classify`] said.
    pub accessory: Accessory,
    /// Digest of the accessory's manifest.
    pub digest: Digest,
    /// The accessory's manifest.
    pub manifest: &'a Manifest,
    /// The subject's manifest bytes, where at hand. Only signatures made directly over the bytes
    /// (a bundle's `messageSignature`) with other hashes than SHA-256 need them.
    pub subject_bytes: Option<&'a [u8]>,
    /// Reads a blob of the accessory's repository, at most so many bytes. Called for one layer
    /// after the other.
    pub blobs: &'a dyn Fn(&Digest, u64) -> Lookup,
}

/// What an accessory proves, one fact for each layer that was judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessoryFacts {
    /// Signatures.
    pub signatures: Vec<SignatureFact>,
    /// Attestations.
    pub attestations: Vec<AttestationFact>,
    /// Layers that could not be read now. When not 0, ask again later.
    pub unread: usize,
}

/// Verifies every signature and attestation in an accessory against the listed keys.
///
/// Only `keys` can verify; nothing that the accessory carries is ever used as a key. All that can
/// be wrong becomes a fact with a reason, and the number of facts is at most `limits.layers` + 1.
/// Layers whose kind the accessory does not hold make a fact `Unsupported`.
pub fn verify_accessory(
    input: &AccessoryInput<'_>,
    keys: &[PublicKey],
    first_seen: Timestamp,
    limits: &Limits,
) -> AccessoryFacts {
    let mut facts = AccessoryFacts::default();
    let Some(format) = format_of(input.accessory.kind) else { return facts };
    let judge = Judge::new(input, keys, limits, format);
    let mut total = 0_u64;
    for (position, layer) in input.manifest.layers.iter().enumerate() {
        let judged = if position >= limits.layers {
            let (all, judged) = (input.manifest.layers.len(), limits.layers);
            let detail = format!("the accessory has {all} layers; the first {judged} are judged");
            judge.refused(layer, RejectReason::LimitExceeded, detail)
        } else {
            total = total.saturating_add(layer.size);
            match judge.layer(layer, total) {
                Some(judged) => judged,
                None => {
                    facts.unread += 1;
                    continue;
                }
            }
        };
        facts.push(judged, input, position, format, first_seen);
        if position >= limits.layers {
            break;
        }
    }
    facts
}

const fn format_of(kind: AccessoryKind) -> Option<EvidenceFormat> {
    match kind {
        AccessoryKind::CosignSignature => Some(EvidenceFormat::CosignLegacy),
        AccessoryKind::CosignAttestation => Some(EvidenceFormat::CosignLegacyAttestation),
        AccessoryKind::SigstoreBundle => Some(EvidenceFormat::SigstoreBundle),
        AccessoryKind::CosignSbom | AccessoryKind::Referrer => None,
    }
}

impl AccessoryFacts {
    fn push(
        &mut self,
        judged: Judged,
        input: &AccessoryInput<'_>,
        position: usize,
        format: EvidenceFormat,
        first_seen: Timestamp,
    ) {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        let (subject, accessory) = (input.accessory.subject, input.digest);
        let status = judged.state;
        match judged.kind {
            Kind::Signature => self.signatures.push(SignatureFact {
                subject,
                accessory,
                position,
                format,
                status,
                first_seen,
            }),
            Kind::Attestation { predicate_type, statement } => {
                self.attestations.push(AttestationFact {
                    subject,
                    accessory,
                    position,
                    format,
                    predicate_type,
                    statement,
                    status,
                    first_seen,
                });
            }
        }
    }
}
