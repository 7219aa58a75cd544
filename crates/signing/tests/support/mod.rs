//! Keys and accessories made on the spot, so that every negative case is a small change of a
//! positive one.
#![allow(missing_docs, unreachable_pub, dead_code, reason = "each test uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use sealock_facts::{EvidenceState, RejectReason};
use sealock_oci::{Digest, Manifest, media_type};
use sealock_signing::{
    Accessory, AccessoryFacts, AccessoryInput, Limits, Lookup, PublicKey, classify,
    verify_accessory,
};
use serde_json::{Value, json};
use std::collections::HashMap;

pub const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
pub const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A private key of any kind that clients use.
pub enum TestKey {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    /// Signs prehashed, as cosign 3 does for bundles.
    Ed25519ph(Box<ed25519_dalek::SigningKey>),
    Rsa(RsaKeyPair),
}

impl TestKey {
    pub fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING);
        Self::Ecdsa(pair.expect("key"))
    }

    pub fn p384() -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_ASN1_SIGNING);
        Self::Ecdsa(pair.expect("key"))
    }

    pub fn p521_sha512() -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_ASN1_SIGNING);
        Self::Ecdsa(pair.expect("key"))
    }

    pub fn p521_sha256() -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA256_ASN1_SIGNING);
        Self::Ecdsa(pair.expect("key"))
    }

    pub fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().expect("key"))
    }

    pub fn ed25519ph() -> Self {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).expect("randomness");
        Self::Ed25519ph(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)))
    }

    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(rsa::KeySize::Rsa2048).expect("key"))
    }

    pub fn spki(&self) -> Vec<u8> {
        match self {
            Self::Ecdsa(pair) => pair.public_key().as_der().expect("der").as_ref().to_vec(),
            Self::Ed25519(pair) => pair.public_key().as_der().expect("der").as_ref().to_vec(),
            Self::Ed25519ph(pair) => {
                let header = hex::decode("302a300506032b6570032100").expect("hex");
                [&header[..], pair.verifying_key().as_bytes()].concat()
            }
            Self::Rsa(pair) => pair.public_key().as_der().expect("der").as_ref().to_vec(),
        }
    }

    pub fn public(&self) -> PublicKey {
        PublicKey::from_spki(&self.spki()).expect("a key that clients make")
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match self {
            Self::Ecdsa(pair) => pair.sign(&rng, message).expect("sign").as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Ed25519ph(pair) => {
                use sha2::Digest as _;
                let hash = sha2::Sha512::new_with_prefix(message);
                pair.sign_prehashed(hash, None).expect("sign").to_bytes().to_vec()
            }
            Self::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &rng, message, &mut out).expect("sign");
                out
            }
        }
    }
}

pub fn b64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

pub fn subject() -> Digest {
    Digest::sha256(b"the image that is signed")
}

pub fn other_subject() -> Digest {
    Digest::sha256(b"another image")
}

pub fn simple_payload(subject: &Digest) -> Value {
    json!({
        "critical": {
            "identity": { "docker-reference": "registry.example/app" },
            "image": { "docker-manifest-digest": subject.to_string() },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
}

pub fn statement(predicate_type: &str, subject: &Digest) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { subject.algorithm().name(): subject.hex() } }],
        "predicateType": predicate_type,
        "predicate": {},
    })
}

pub fn envelope(key: &TestKey, payload_type: &str, payload: &[u8]) -> Value {
    json!({
        "payloadType": payload_type,
        "payload": b64(payload),
        "signatures": [{ "sig": b64(&key.sign(&pae(payload_type, payload))) }],
    })
}

pub fn bundle_with_hint(hint: &str, envelope: Value) -> Value {
    json!({
        "mediaType": media_type::SIGSTORE_BUNDLE_V03,
        "verificationMaterial": { "publicKey": { "hint": hint } },
        "dsseEnvelope": envelope,
    })
}

/// A key-signed bundle as cosign 3 writes it.
pub fn bundle(key: &TestKey, statement: &Value) -> Value {
    let payload = statement.to_string();
    bundle_with_hint(&key.public().hint(), envelope(key, IN_TOTO, payload.as_bytes()))
}

pub struct Layer {
    pub media_type: &'static str,
    pub content: Vec<u8>,
    pub annotations: Value,
}

impl Layer {
    pub fn simple(key: &TestKey, payload: &Value) -> Self {
        let content = payload.to_string().into_bytes();
        let signature = b64(&key.sign(&content));
        Self {
            media_type: media_type::COSIGN_SIMPLE_SIGNING,
            content,
            annotations: json!({ "dev.cosignproject.cosign/signature": signature }),
        }
    }

    pub fn dsse(envelope: &Value) -> Self {
        Self {
            media_type: media_type::DSSE_ENVELOPE,
            content: envelope.to_string().into_bytes(),
            annotations: json!({ "predicateType": VULN }),
        }
    }

    pub fn bundle(content: impl Into<Vec<u8>>) -> Self {
        Self {
            media_type: media_type::SIGSTORE_BUNDLE_V03,
            content: content.into(),
            annotations: json!({}),
        }
    }
}

/// An accessory in a repository of its own.
pub struct Stored {
    pub digest: Digest,
    pub manifest: Manifest,
    pub accessory: Accessory,
    pub blobs: HashMap<Digest, Vec<u8>>,
}

/// Stores layers under a legacy tag, or as a referrer when the suffix is empty.
pub fn store(layers: Vec<Layer>, subject: &Digest, suffix: &str) -> Stored {
    let mut body = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": {
            "mediaType": media_type::OCI_EMPTY, "digest": Digest::sha256(b"{}"), "size": 2,
        },
        "layers": layers.iter().map(|layer| json!({
            "mediaType": layer.media_type,
            "digest": Digest::sha256(&layer.content),
            "size": layer.content.len(),
            "annotations": layer.annotations,
        })).collect::<Vec<_>>(),
    });
    if suffix.is_empty() {
        body["artifactType"] = json!(media_type::SIGSTORE_BUNDLE_V03);
        body["subject"] = json!({
            "mediaType": media_type::OCI_MANIFEST, "digest": subject, "size": 7,
        });
    }
    let body = body.to_string().into_bytes();
    let manifest = Manifest::parse(media_type::OCI_MANIFEST, &body).expect("a manifest");
    let tag = format!("sha256-{}{suffix}", subject.hex()).parse().expect("a tag");
    let accessory =
        classify(&manifest, (!suffix.is_empty()).then_some(&tag)).expect("an accessory");
    let blobs = layers.into_iter().map(|layer| (Digest::sha256(&layer.content), layer.content));
    Stored { digest: Digest::sha256(&body), manifest, accessory, blobs: blobs.collect() }
}

pub fn verify_with(stored: &Stored, keys: &[PublicKey], limits: &Limits) -> AccessoryFacts {
    verify_all(stored, keys, limits, None)
}

pub fn verify_with_subject(
    stored: &Stored,
    keys: &[PublicKey],
    subject_bytes: Option<&[u8]>,
) -> AccessoryFacts {
    verify_all(stored, keys, &Limits::default(), subject_bytes)
}

fn verify_all(
    stored: &Stored,
    keys: &[PublicKey],
    limits: &Limits,
    subject_bytes: Option<&[u8]>,
) -> AccessoryFacts {
    let input = AccessoryInput {
        accessory: stored.accessory,
        digest: stored.digest,
        manifest: &stored.manifest,
        subject_bytes,
        blobs: &|digest, limit| match stored.blobs.get(digest) {
            None => Lookup::Missing,
            Some(bytes) if bytes.len() as u64 > limit => Lookup::TooLarge,
            Some(bytes) => Lookup::Found(bytes.clone()),
        },
    };
    verify_accessory(&input, keys, Timestamp::UNIX_EPOCH, limits)
}

pub fn verify(stored: &Stored, keys: &[PublicKey]) -> AccessoryFacts {
    verify_with(stored, keys, &Limits::default())
}

/// What the only fact says: whether it is a signature, and its state.
pub fn only(facts: &AccessoryFacts) -> (bool, &EvidenceState) {
    assert_eq!(facts.unread, 0);
    match (facts.signatures.as_slice(), facts.attestations.as_slice()) {
        ([fact], []) => (true, &fact.status),
        ([], [fact]) => (false, &fact.status),
        _ => panic!("one fact is expected: {facts:?}"),
    }
}

pub fn verified(key: &TestKey) -> EvidenceState {
    EvidenceState::Verified { key: key.public().id().clone() }
}

pub fn reason(state: &EvidenceState) -> Option<RejectReason> {
    match state {
        EvidenceState::Verified { .. } => None,
        EvidenceState::Rejected { reason, detail } => {
            assert!(!detail.is_empty());
            Some(*reason)
        }
    }
}

/// The reason of a bundle's only fact.
pub fn bundle_reason(content: &Value, keys: &[PublicKey]) -> Option<RejectReason> {
    let stored = store(vec![Layer::bundle(content.to_string())], &subject(), "");
    reason(only(&verify(&stored, keys)).1)
}
