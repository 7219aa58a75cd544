//! The entry points that fuzzing drives; the kept inputs are replayed by a plain test.
//!
//! Each takes any bytes and must return: no panic, no growth beyond a small multiple of the input.

use crate::{
    Accessory, AccessoryInput, AccessoryKind, Limits, Lookup, PublicKey, Statement, bundle::Bundle,
    dsse::Envelope, json, provenance, simple_signing, verify_accessory,
};
use jiff::Timestamp;
use sealock_oci::{Digest, Manifest, media_type};

/// A Sigstore bundle, parsed and verified as the only layer of an accessory.
pub fn bundle(data: &[u8]) {
    let _ = Bundle::parse(data);
    verify(AccessoryKind::SigstoreBundle, media_type::SIGSTORE_BUNDLE_V03, data);
}

/// A DSSE envelope, parsed and verified as the only layer of an accessory.
pub fn envelope(data: &[u8]) {
    let _ = json::parse::<Envelope<'_>>(data).map(|envelope| envelope.signatures.len());
    verify(AccessoryKind::CosignAttestation, media_type::DSSE_ENVELOPE, data);
}

/// A simple signing payload.
pub fn simple_signing(data: &[u8]) {
    let _ = simple_signing::read(data);
}

/// An in-toto statement, and the provenance in it.
pub fn statement(data: &[u8]) {
    if let Ok(statement) = Statement::parse(data) {
        let _ = provenance(&statement);
        assert!(!statement.subjects.is_empty());
    }
}

/// A public key as PEM. What is accepted must come out the same.
pub fn public_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = PublicKey::from_pem(text) {
        let again = PublicKey::from_pem(&key.to_pem());
        assert_eq!(again.as_ref().map(PublicKey::id), Ok(key.id()));
    }
}

fn verify(kind: AccessoryKind, layer_type: &str, data: &[u8]) {
    let body = serde_json::json!({
        "schemaVersion": 2,
        "config": {
            "mediaType": media_type::OCI_EMPTY, "digest": Digest::sha256(b"{}"), "size": 2,
        },
        "layers": [{
            "mediaType": layer_type, "digest": Digest::sha256(data), "size": data.len(),
            "annotations": { simple_signing::SIGNATURE: "AA==" },
        }],
    })
    .to_string();
    let Ok(manifest) = Manifest::parse(media_type::OCI_MANIFEST, body.as_bytes()) else { return };
    let input = AccessoryInput {
        accessory: Accessory { kind, subject: Digest::sha256(b"subject") },
        digest: Digest::sha256(body.as_bytes()),
        manifest: &manifest,
        subject_bytes: Some(b"subject"),
        blobs: &|_, _| Lookup::Found(data.to_vec()),
    };
    let keys: Vec<_> = PublicKey::from_pem(KEY).into_iter().collect();
    let facts = verify_accessory(&input, &keys, Timestamp::UNIX_EPOCH, &Limits::default());
    assert_eq!(facts.signatures.len() + facts.attestations.len(), 1);
}

/// A key of which nobody has the private part any more.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";
