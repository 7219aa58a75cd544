//! Sigstore bundles 0.1 to 0.3 (sigstore/protobuf-specs, sigstore_bundle.proto), as ProtoJSON.

use crate::{
    dsse::Envelope,
    json::{self, JsonError},
    log_entry::LogEntry,
};
use sealock_oci::media_type;
use serde::{Deserialize, de::IgnoredAny};
use std::borrow::Cow;

/// What stands in `verificationMaterial`, of which exactly one is given.
pub(crate) enum Material {
    /// A hint to a key that the verifier must know itself.
    Key { hint: String },
    /// A certificate, or a chain of them.
    Certificate,
}

/// The content, of which exactly one is given.
pub(crate) enum Content<'a> {
    Dsse(Envelope<'a>),
    Message(MessageSignature<'a>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageSignature<'a> {
    #[serde(rename = "messageDigest", alias = "message_digest", borrow)]
    pub(crate) digest: Option<MessageDigest<'a>>,
    #[serde(borrow)]
    pub(crate) signature: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageDigest<'a> {
    #[serde(default, borrow)]
    pub(crate) algorithm: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(crate) digest: Cow<'a, str>,
}

/// A bundle, read but not verified.
pub(crate) struct Bundle<'a> {
    pub(crate) material: Material,
    pub(crate) content: Content<'a>,
    pub(crate) log_entries: Vec<LogEntry<'a>>,
}

/// Why bytes are not a bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("the bundle's media type {0:?} is not one of versions 0.1 to 0.3")]
    Version(String),
    #[error("the bundle needs exactly one of publicKey, certificate and x509CertificateChain")]
    Material,
    #[error("the bundle needs exactly one of dsseEnvelope and messageSignature")]
    Content,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<'a> {
    #[serde(rename = "mediaType", alias = "media_type", borrow)]
    media_type: Cow<'a, str>,
    #[serde(rename = "verificationMaterial", alias = "verification_material", borrow)]
    material: RawMaterial<'a>,
    #[serde(rename = "dsseEnvelope", alias = "dsse_envelope", default, borrow)]
    dsse: Option<Envelope<'a>>,
    #[serde(rename = "messageSignature", alias = "message_signature", default, borrow)]
    message: Option<MessageSignature<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMaterial<'a> {
    #[serde(rename = "publicKey", alias = "public_key", default, borrow)]
    public_key: Option<PublicKeyIdentifier<'a>>,
    #[serde(default, borrow)]
    certificate: Option<Certificate<'a>>,
    #[serde(rename = "x509CertificateChain", alias = "x509_certificate_chain", default, borrow)]
    chain: Option<Chain<'a>>,
    #[serde(rename = "tlogEntries", alias = "tlog_entries", default, borrow)]
    log_entries: Option<Vec<LogEntry<'a>>>,
    #[serde(rename = "timestampVerificationData", alias = "timestamp_verification_data", default)]
    _timestamps: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKeyIdentifier<'a> {
    #[serde(default, borrow)]
    hint: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificate<'a> {
    #[serde(rename = "rawBytes", alias = "raw_bytes", borrow)]
    _raw: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain<'a> {
    #[serde(borrow)]
    certificates: Vec<Certificate<'a>>,
}

/// Most entries of a transparency log in one bundle.
const MAX_LOG_ENTRIES: usize = 32;

impl<'a> Bundle<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, BundleError> {
        let raw: Raw<'a> = json::parse(bytes)?;
        if !is_known_version(&raw.media_type) {
            return Err(BundleError::Version(raw.media_type.chars().take(100).collect()));
        }
        let material = match (raw.material.public_key, raw.material.certificate, raw.material.chain)
        {
            (Some(key), None, None) => Material::Key { hint: key.hint.into_owned() },
            (None, Some(_), None) => Material::Certificate,
            (None, None, Some(chain)) if !chain.certificates.is_empty() => Material::Certificate,
            _ => return Err(BundleError::Material),
        };
        let content = match (raw.dsse, raw.message) {
            (Some(envelope), None) => Content::Dsse(envelope),
            (None, Some(message)) => Content::Message(message),
            _ => return Err(BundleError::Content),
        };
        let log_entries = raw.material.log_entries.unwrap_or_default();
        if log_entries.len() > MAX_LOG_ENTRIES {
            return Err(BundleError::Material);
        }
        Ok(Self { material, content, log_entries })
    }
}

fn is_known_version(text: &str) -> bool {
    text == media_type::SIGSTORE_BUNDLE_V03
        || ["0.1", "0.2", "0.3"].iter().any(|version| {
            text.strip_prefix("application/vnd.dev.sigstore.bundle+json;version=") == Some(version)
        })
}
