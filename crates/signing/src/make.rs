//! The product's own signatures: Sigstore bundles under a key, as cosign 3 writes and reads them.

use crate::{PublicKey, dsse};
use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use jiff::Timestamp;
use sealock_oci::{Descriptor, Digest, media_type};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt};
use zeroize::Zeroizing;

/// Why a signature could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The bytes are not PKCS #8 of an ECDSA P-256 key.
    #[error("the key is not PKCS #8 of an ECDSA P-256 key")]
    Key,
    /// The cryptographic library failed, for instance for want of randomness.
    #[error("the cryptographic library failed")]
    Crypto,
}

/// A private key of the product, ECDSA P-256 (decision D17). Randomness is AWS-LC's own: it seeds
/// keys and nonces inside its module and takes none from outside.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a new key.
    pub fn generate() -> Result<Self, SigningError> {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
                .map_err(|_| SigningError::Crypto)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// Reads PKCS #8 DER (RFC 5208 or 5958).
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SigningError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
            .map_err(|_| SigningError::Key)?;
        let spki = pair.public_key().as_der().map_err(|_| SigningError::Crypto)?;
        let public = PublicKey::from_spki(spki.as_ref()).map_err(|_| SigningError::Key)?;
        Ok(Self { pair, pkcs8: Zeroizing::new(der.to_vec()), public })
    }

    /// PKCS #8 DER, for sealing.
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// The public part.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs bytes: ECDSA over SHA-256, ASN.1 DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature =
            self.pair.sign(&SystemRandom::new(), message).map_err(|_| SigningError::Crypto)?;
        Ok(signature.as_ref().to_vec())
    }

    /// Signs an in-toto statement's bytes into a Sigstore bundle 0.3 (JSON), with neither
    /// certificate nor log entry; `cosign verify-attestation --key` accepts it.
    pub fn sign_statement(&self, statement: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = self.sign(&dsse::pae(dsse::IN_TOTO, statement))?;
        let bundle = json!({
            "mediaType": media_type::SIGSTORE_BUNDLE_V03,
            "verificationMaterial": { "publicKey": { "hint": self.public.hint() } },
            "dsseEnvelope": {
                "payload": dsse::encode(statement),
                "payloadType": dsse::IN_TOTO,
                "signatures": [{ "sig": dsse::encode(&signature) }],
            },
        });
        Ok(bundle.to_string().into_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, private part hidden)", self.public.id())
    }
}

/// The OCI manifest that attaches a bundle to its subject, with all that must be stored for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleManifest {
    /// The manifest's bytes, of media type `application/vnd.oci.image.manifest.v1+json`.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// The config: the empty JSON object, [`BundleManifest::CONFIG`].
    pub config: Descriptor,
    /// The only layer: the bundle.
    pub layer: Descriptor,
}

impl BundleManifest {
    /// The bytes of the config blob (image-spec, "Guidance for an Empty Descriptor").
    pub const CONFIG: &'static [u8] = b"{}";
}

/// Makes the manifest that cosign 3 writes for a bundle: artifact type, subject, and the
/// annotations by which clients select.
pub fn bundle_manifest(
    bundle: &[u8],
    subject: &Descriptor,
    predicate_type: &str,
    created: Timestamp,
) -> BundleManifest {
    let descriptor = |media_type: &str, content: &[u8]| Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::sha256(content),
        size: content.len() as u64,
        artifact_type: None,
        urls: Vec::new(),
        annotations: BTreeMap::new(),
        platform: None,
    };
    let config = descriptor(media_type::OCI_EMPTY, BundleManifest::CONFIG);
    let layer = descriptor(media_type::SIGSTORE_BUNDLE_V03, bundle);
    let subject = Descriptor {
        media_type: subject.media_type.clone(),
        digest: subject.digest,
        size: subject.size,
        ..descriptor("", b"")
    };
    let content = |descriptor: &Descriptor| -> Value {
        json!({
            "mediaType": descriptor.media_type,
            "digest": descriptor.digest,
            "size": descriptor.size,
        })
    };
    // Whole seconds, as cosign writes them.
    let created = Timestamp::from_second(created.as_second()).unwrap_or(created);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": media_type::SIGSTORE_BUNDLE_V03,
        "config": content(&config),
        "layers": [content(&layer)],
        "subject": content(&subject),
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": predicate_type,
            "org.opencontainers.image.created": created.to_string(),
        },
    });
    let bytes = manifest.to_string().into_bytes();
    BundleManifest { digest: Digest::sha256(&bytes), bytes, config, layer }
}
