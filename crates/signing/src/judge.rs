//! One layer of an accessory in, one judgement out.

use crate::{
    AccessoryInput, COSIGN_SIGNATURE, KeyAlgorithm, Limits, Lookup, PublicKey, Statement,
    bundle::{Bundle, Content, Material, MessageSignature},
    dsse::{self, Envelope},
    key::Convention,
    message::Message,
    simple_signing::{self, Claim},
};
use sealock_facts::{EvidenceFormat, EvidenceState, RejectReason};
use sealock_oci::{Algorithm, Descriptor, Digest};
use std::cell::Cell;

/// Whether something is a signature or an attestation: of verified evidence as signed, of other as
/// claimed.
pub(crate) enum Kind {
    Signature,
    Attestation { predicate_type: String, statement: Digest },
}

pub(crate) struct Judged {
    pub(crate) kind: Kind,
    pub(crate) state: EvidenceState,
}

/// A reason with words, on its way to becoming a state.
type Rejection = (RejectReason, String);

fn reject(reason: RejectReason, detail: impl Into<String>) -> EvidenceState {
    EvidenceState::Rejected { reason, detail: detail.into() }
}

fn to_state(result: Result<&PublicKey, Rejection>) -> EvidenceState {
    match result {
        Ok(key) => EvidenceState::Verified { key: key.id().clone() },
        Err((reason, detail)) => reject(reason, detail),
    }
}

/// What one accessory has cost so far.
#[derive(Default)]
struct Work {
    checks: Cell<u64>,
    hashed_bytes: Cell<u64>,
}

impl Work {
    /// Counts one check of a signature, unless it would go beyond the limits.
    fn allows(&self, key: &PublicKey, message: &Message<'_>, limits: &Limits) -> bool {
        let hashed = match key.algorithm() {
            KeyAlgorithm::Ed25519 => message.bytes().map_or(0, |bytes| bytes.len() as u64),
            _ => 0,
        };
        self.checks.set(self.checks.get().saturating_add(1));
        self.hashed_bytes.set(self.hashed_bytes.get().saturating_add(hashed));
        self.checks.get() <= limits.checks && self.hashed_bytes.get() <= limits.hashed_bytes
    }
}

/// Judges the layers of one accessory.
pub(crate) struct Judge<'a> {
    work: Work,
    input: &'a AccessoryInput<'a>,
    keys: &'a [PublicKey],
    limits: &'a Limits,
    format: EvidenceFormat,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        input: &'a AccessoryInput<'a>,
        keys: &'a [PublicKey],
        limits: &'a Limits,
        format: EvidenceFormat,
    ) -> Self {
        Self { work: Work::default(), input, keys, limits, format }
    }

    /// What is refused without being read.
    pub(crate) fn refused(
        &self,
        layer: &Descriptor,
        reason: RejectReason,
        detail: impl Into<String>,
    ) -> Judged {
        self.by_claim(layer, reject(reason, detail))
    }

    /// Judges one layer; `total` counts the bytes of all layers so far.
    /// `None` when the blob could not be read now.
    pub(crate) fn layer(&self, layer: &Descriptor, total: u64) -> Option<Judged> {
        if !self.input.accessory.kind.expects(layer) {
            let detail =
                format!("a layer of type {:?} holds no evidence", shorten(&layer.media_type));
            return Some(self.by_claim(layer, reject(RejectReason::Unsupported, detail)));
        }
        let limit = match self.format {
            EvidenceFormat::CosignLegacy => self.limits.payload_bytes,
            _ => self.limits.attestation_bytes,
        };
        if layer.size > limit || total > self.limits.total_bytes {
            return Some(self.too_large(layer, limit));
        }
        let bytes = match (self.input.blobs)(&layer.digest, limit) {
            Lookup::Found(bytes) => bytes,
            Lookup::TooLarge => return Some(self.too_large(layer, limit)),
            Lookup::Failed => return None,
            Lookup::Missing => {
                let detail = format!("the blob {} is not in this repository", layer.digest);
                return Some(self.by_claim(layer, reject(RejectReason::Missing, detail)));
            }
        };
        if Digest::of(layer.digest.algorithm(), &bytes) != layer.digest {
            let detail = format!("the blob {} holds other bytes", layer.digest);
            return Some(self.by_claim(layer, reject(RejectReason::Malformed, detail)));
        }
        Some(match self.format {
            EvidenceFormat::CosignLegacy => Judged {
                kind: Kind::Signature,
                state: to_state(self.simple_signing(layer, &bytes)),
            },
            EvidenceFormat::CosignLegacyAttestation => self.legacy_attestation(layer, &bytes),
            EvidenceFormat::SigstoreBundle => self.bundle(layer, &bytes),
        })
    }

    fn too_large(&self, layer: &Descriptor, limit: u64) -> Judged {
        let detail = format!(
            "the blob of {} bytes exceeds the limit of {limit} for one or {} for all",
            layer.size, self.limits.total_bytes
        );
        self.by_claim(layer, reject(RejectReason::LimitExceeded, detail))
    }

    /// For what cannot be read: signature or attestation as the manifest's annotations claim.
    fn by_claim(&self, layer: &Descriptor, state: EvidenceState) -> Judged {
        let annotated = |key: &str| {
            let manifest = &self.input.manifest.annotations;
            layer.annotations.get(key).or_else(|| manifest.get(key)).map(|text| shorten(text))
        };
        let kind = match self.format {
            EvidenceFormat::CosignLegacy => Kind::Signature,
            EvidenceFormat::CosignLegacyAttestation => Kind::Attestation {
                predicate_type: annotated("predicateType").unwrap_or_default(),
                statement: layer.digest,
            },
            EvidenceFormat::SigstoreBundle => {
                match annotated("dev.sigstore.bundle.predicateType").unwrap_or_default() {
                    claimed if claimed == COSIGN_SIGNATURE => Kind::Signature,
                    predicate_type => Kind::Attestation { predicate_type, statement: layer.digest },
                }
            }
        };
        Judged { kind, state }
    }

    /// The first listed key that verifies. A hint moves its key to the front, no more.
    fn find_key(
        &self,
        hint: Option<&str>,
        convention: Convention,
        message: &Message<'_>,
        signature: &[u8],
    ) -> Result<&'a PublicKey, Rejection> {
        let hinted = hint.and_then(|hint| self.keys.iter().find(|key| is_named(key, hint)));
        let tried = self.keys.iter().take(self.limits.keys);
        for key in hinted.into_iter().chain(tried) {
            if !self.work.allows(key, message, self.limits) {
                return Err((
                    RejectReason::LimitExceeded,
                    "the accessory holds more signatures than are checked".to_owned(),
                ));
            }
            if key.verifies(convention, message, signature) {
                return Ok(key);
            }
        }
        Err(match hinted {
            Some(key) => (
                RejectReason::Forged,
                format!("it names the key {} but is not that key's signature", key.id()),
            ),
            None if self.keys.is_empty() => {
                (RejectReason::NoKeyMatches, "the project lists no key".to_owned())
            }
            None if self.keys.len() > self.limits.keys => (
                RejectReason::LimitExceeded,
                format!("none of the first {} listed keys verifies it", self.limits.keys),
            ),
            None => (RejectReason::NoKeyMatches, "no listed key verifies it".to_owned()),
        })
    }

    fn simple_signing(
        &self,
        layer: &Descriptor,
        payload: &[u8],
    ) -> Result<&'a PublicKey, Rejection> {
        let signature = layer
            .annotations
            .get(simple_signing::SIGNATURE)
            .and_then(|text| dsse::decode(text))
            .filter(|signature| !signature.is_empty())
            .ok_or_else(|| malformed("the layer has no signature in base64"))?;
        let certificate = layer.annotations.get(simple_signing::CERTIFICATE);
        let key = self
            .find_key(None, Convention::Legacy, &Message::new(payload), &signature)
            .map_err(|rejection| match certificate {
                // GHSA-fx35-mq7g-6g98: a bare key here must never become the verifier.
                Some(text) if !is_certificate(text) => {
                    malformed("the certificate annotation does not hold a certificate")
                }
                Some(_) => by_certificate(),
                None => rejection,
            })?;
        match simple_signing::read(payload) {
            Ok(Claim::Image(digest)) => self.same_subject(&digest).map(|()| key),
            Ok(Claim::Other) => Err((
                RejectReason::OtherPayload,
                "the signed payload is not a cosign claim about an image".to_owned(),
            )),
            Err(error) => Err(malformed(error)),
        }
    }

    fn same_subject(&self, signed: &str) -> Result<(), Rejection> {
        let subject = self.input.accessory.subject;
        if signed == subject.to_string() {
            return Ok(());
        }
        Err((RejectReason::SubjectMismatch, format!("it signs {}, not {subject}", shorten(signed))))
    }

    fn legacy_attestation(&self, layer: &Descriptor, bytes: &[u8]) -> Judged {
        match crate::json::parse::<Envelope<'_>>(bytes) {
            Ok(envelope) => self.envelope(layer, &envelope, None, |_| Ok(())),
            Err(error) => self.by_claim(layer, reject(RejectReason::Malformed, error.to_string())),
        }
    }

    fn bundle(&self, layer: &Descriptor, bytes: &[u8]) -> Judged {
        let bundle = match Bundle::parse(bytes) {
            Ok(bundle) => bundle,
            Err(error) => {
                return self.by_claim(layer, reject(RejectReason::Malformed, error.to_string()));
            }
        };
        match &bundle.content {
            Content::Message(message) => {
                Judged { kind: Kind::Signature, state: to_state(self.message(&bundle, message)) }
            }
            Content::Dsse(envelope) if envelope.signatures.len() != 1 => {
                let state = reject(
                    RejectReason::Malformed,
                    "the envelope of a bundle needs exactly one signature",
                );
                self.by_claim(layer, state)
            }
            Content::Dsse(envelope) => {
                self.envelope(layer, envelope, Some(&bundle.material), |signature| {
                    let payload = dsse::decode(&envelope.payload).unwrap_or_default();
                    log_agrees(&bundle, signature, Digest::sha256(&payload).as_bytes())
                })
            }
        }
    }

    /// Verifies an envelope. `also` checks what the container says about the signature that
    /// verified.
    fn envelope(
        &self,
        layer: &Descriptor,
        envelope: &Envelope<'_>,
        material: Option<&Material>,
        also: impl Fn(&[u8]) -> Result<(), Rejection>,
    ) -> Judged {
        let Some(payload) = dsse::decode(&envelope.payload) else {
            return self
                .by_claim(layer, reject(RejectReason::Malformed, "the payload is not base64"));
        };
        let verified = self
            .signer(envelope, &payload, material)
            .and_then(|(key, signature)| also(&signature).map(|()| key));
        let statement = if envelope.payload_type == dsse::IN_TOTO {
            Statement::parse(&payload).map_err(malformed)
        } else {
            let kind = shorten(&envelope.payload_type);
            Err((
                RejectReason::OtherPayload,
                format!("the signed payload is of type {kind:?}, not an in-toto statement"),
            ))
        };
        let statement = match statement {
            Ok(statement) => statement,
            Err(rejection) => {
                return self.by_claim(layer, to_state(verified.and(Err(rejection))));
            }
        };
        let kind = if statement.is_signature() {
            Kind::Signature
        } else {
            Kind::Attestation {
                predicate_type: statement.predicate_type.clone(),
                statement: statement.digest,
            }
        };
        let state = to_state(verified.and_then(|key| {
            if statement.is_about(&self.input.accessory.subject) {
                return Ok(key);
            }
            let found = statement.subjects.first().map(|subject| format!("{:?}", subject.digest));
            Err((
                RejectReason::SubjectMismatch,
                format!(
                    "it speaks about {}, not {}",
                    shorten(&found.unwrap_or_default()),
                    self.input.accessory.subject
                ),
            ))
        }));
        Judged { kind, state }
    }

    fn signer(
        &self,
        envelope: &Envelope<'_>,
        payload: &[u8],
        material: Option<&Material>,
    ) -> Result<(&'a PublicKey, Vec<u8>), Rejection> {
        if envelope.signatures.is_empty() || envelope.signatures.len() > dsse::MAX_SIGNATURES {
            return Err(malformed("the envelope has no signature, or too many"));
        }
        let message = dsse::pae(&envelope.payload_type, payload);
        let message = Message::new(&message);
        let mut worst = None;
        for signature in &envelope.signatures {
            let Some(bytes) = dsse::decode(&signature.sig).filter(|bytes| !bytes.is_empty()) else {
                worst.get_or_insert(malformed("the signature is not base64"));
                continue;
            };
            let hint = match material {
                Some(Material::Key { hint }) => Some(hint.as_str()),
                Some(Material::Certificate) => None,
                None => signature.keyid.as_deref(),
            };
            match self.find_key(hint, Convention::Bundle, &message, &bytes) {
                Ok(key) => return Ok((key, bytes)),
                Err(_) if matches!(material, Some(Material::Certificate)) => {
                    return Err(by_certificate());
                }
                Err(rejection) => {
                    worst.get_or_insert(rejection);
                }
            }
        }
        Err(worst.unwrap_or_else(|| malformed("the envelope has no signature")))
    }

    /// A signature directly over the subject's bytes.
    fn message(
        &self,
        bundle: &Bundle<'_>,
        message: &MessageSignature<'_>,
    ) -> Result<&'a PublicKey, Rejection> {
        let signature = dsse::decode(&message.signature)
            .filter(|signature| !signature.is_empty())
            .ok_or_else(|| malformed("the signature is not base64"))?;
        let subject = &self.input.accessory.subject;
        let stated = match &message.digest {
            Some(stated) if stated.algorithm == "SHA2_256" => {
                let hash = dsse::decode(&stated.digest).unwrap_or_default();
                Some(
                    Digest::from_hash(Algorithm::Sha256, &hash)
                        .ok_or_else(|| malformed("the messageDigest is not a SHA-256"))?,
                )
            }
            _ => None,
        };
        let body = self
            .input
            .subject_bytes
            .filter(|bytes| Digest::of(subject.algorithm(), bytes) == *subject);
        // A signature that is transplanted verifies over the digest that it states.
        let signed = stated.unwrap_or(*subject);
        let about_subject =
            signed == *subject || body.is_some_and(|body| Digest::sha256(body) == signed);
        let message = match body {
            Some(body) if about_subject => Message::new(body),
            _ if signed.algorithm() == Algorithm::Sha256 => Message::from_sha256(signed.as_bytes()),
            _ => return Err(needs_subject_bytes()),
        };
        let hint = match &bundle.material {
            Material::Key { hint } => Some(hint.as_str()),
            Material::Certificate => None,
        };
        let key =
            self.find_key(hint, Convention::Bundle, &message, &signature).map_err(|rejection| {
                match bundle.material {
                    Material::Certificate => by_certificate(),
                    Material::Key { .. }
                        if message.bytes().is_none() && self.keys.iter().any(needs_bytes) =>
                    {
                        needs_subject_bytes()
                    }
                    Material::Key { .. } => rejection,
                }
            })?;
        if !about_subject {
            return Err((
                RejectReason::SubjectMismatch,
                format!("it signs {signed}, not {subject}"),
            ));
        }
        log_agrees(bundle, &signature, signed.as_bytes())?;
        Ok(key)
    }
}

fn needs_subject_bytes() -> Rejection {
    (
        RejectReason::Unsupported,
        "it signs the subject's bytes under a hash that is not the subject's digest, \
         and the bytes are not at hand"
            .to_owned(),
    )
}

/// Keys whose usual signature cannot be checked with the SHA-256 of a message alone.
fn needs_bytes(key: &PublicKey) -> bool {
    use KeyAlgorithm::{EcdsaP384, EcdsaP521, Ed25519};
    matches!(key.algorithm(), Ed25519 | EcdsaP384 | EcdsaP521)
}

fn log_agrees(bundle: &Bundle<'_>, signature: &[u8], hash: &[u8]) -> Result<(), Rejection> {
    bundle
        .log_entries
        .iter()
        .try_for_each(|entry| entry.agrees(signature, Some(hash)).map_err(malformed))
}

fn malformed(error: impl std::fmt::Display) -> Rejection {
    (RejectReason::Malformed, error.to_string())
}

fn by_certificate() -> Rejection {
    (
        RejectReason::Unsupported,
        "it is signed with a certificate, which this version does not judge; \
         sign with a key that the project lists"
            .to_owned(),
    )
}

/// Whether an annotation holds PEM certificates and nothing else.
fn is_certificate(text: &str) -> bool {
    pem::parse_many(text).is_ok_and(|blocks| {
        !blocks.is_empty() && blocks.iter().all(|block| block.tag() == "CERTIFICATE")
    })
}

/// Whether a hint or key id names this key: cosign's hint, or the id as hex.
fn is_named(key: &PublicKey, hint: &str) -> bool {
    !hint.is_empty() && (hint == key.id() || hint == key.hint())
}

/// For messages: what came from outside, cut.
fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    text.chars().take(MAX_CHARS).collect()
}
