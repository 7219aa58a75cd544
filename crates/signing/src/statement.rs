//! in-toto statements (in-toto/attestation, spec/v1/statement.md; v0.1 too, which cosign writes).

use crate::{
    bundle::{Bundle, Content},
    dsse::{self, Envelope},
    json::{self, JsonError},
};
use sealock_facts::EvidenceFormat;
use sealock_oci::Digest;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The predicate type of cosign 3's signatures. Every other one is an attestation.
pub const COSIGN_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";
pub(crate) const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";
const STATEMENT_V01: &str = "https://in-toto.io/Statement/v0.1";
/// Most subjects in one statement.
const MAX_SUBJECTS: usize = 10_000;
/// Longest predicate type, in bytes.
const MAX_PREDICATE_TYPE_BYTES: usize = 1024;

/// One thing that a statement speaks about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subject {
    /// Its name, free text.
    #[serde(default)]
    pub name: Option<String>,
    /// Its digests: algorithm to lower-case hex.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
}

/// A statement, read but in itself not verified.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What it speaks about, at least one.
    pub subjects: Vec<Subject>,
    /// The type of the predicate, a URI.
    pub predicate_type: String,
    /// The predicate's JSON text; `null` when there is none.
    pub predicate: Box<RawValue>,
    /// SHA-256 of the statement's bytes.
    pub digest: Digest,
}

/// Why bytes are not a statement.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not the JSON it should be.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// `_type` is neither v0.1 nor v1.
    #[error("the statement's _type {0:?} is neither {STATEMENT_V01} nor {STATEMENT_V1}")]
    Type(String),
    /// No subject, or more than 10,000.
    #[error("a statement needs 1 to {MAX_SUBJECTS} subjects")]
    Subjects,
    /// Longer than 1,024 bytes, or empty.
    #[error(
        "the statement's predicateType is empty or has more than {MAX_PREDICATE_TYPE_BYTES} bytes"
    )]
    PredicateType,
    /// The blob that should hold the statement is not an envelope or bundle.
    #[error("the blob holds no statement: {0}")]
    Container(String),
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(default)]
    predicate: Option<Box<RawValue>>,
}

impl Statement {
    /// Reads a statement's bytes. Fields that are not known are ignored, as in-toto's parsing rules
    /// ask.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReadError> {
        let raw: Raw = json::parse(bytes)?;
        if raw.kind != STATEMENT_V1 && raw.kind != STATEMENT_V01 {
            return Err(ReadError::Type(raw.kind.chars().take(100).collect()));
        }
        if raw.subject.is_empty() || raw.subject.len() > MAX_SUBJECTS {
            return Err(ReadError::Subjects);
        }
        if raw.predicate_type.is_empty() || raw.predicate_type.len() > MAX_PREDICATE_TYPE_BYTES {
            return Err(ReadError::PredicateType);
        }
        Ok(Self {
            subjects: raw.subject,
            predicate_type: raw.predicate_type,
            predicate: raw.predicate.unwrap_or_else(|| RawValue::NULL.to_owned()),
            digest: Digest::sha256(bytes),
        })
    }

    /// Whether it speaks about `digest`: any subject that gives this very digest under its
    /// algorithm.
    pub fn is_about(&self, digest: &Digest) -> bool {
        let (name, hex) = (digest.algorithm().name(), digest.hex());
        self.subjects.iter().any(|subject| subject.digest.get(name) == Some(&hex))
    }

    /// Whether it is a signature (and not an attestation).
    pub fn is_signature(&self) -> bool {
        self.predicate_type == COSIGN_SIGNATURE
    }
}

/// Takes the statement out of an accessory's blob, for showing what a fact says. Verifies nothing:
/// call it for evidence whose fact is verified.
pub fn read_statement(format: EvidenceFormat, blob: &[u8]) -> Result<Statement, ReadError> {
    let container = |error: &dyn std::fmt::Display| ReadError::Container(error.to_string());
    let payload = match format {
        EvidenceFormat::CosignLegacy => {
            return Err(container(&"a simple signing payload is not a statement"));
        }
        EvidenceFormat::CosignLegacyAttestation => {
            dsse::decode(&json::parse::<Envelope<'_>>(blob)?.payload)
        }
        EvidenceFormat::SigstoreBundle => {
            match Bundle::parse(blob).map_err(|error| container(&error))?.content {
                Content::Dsse(envelope) => dsse::decode(&envelope.payload),
                Content::Message(_) => return Err(container(&"it signs a digest directly")),
            }
        }
    };
    Statement::parse(&payload.ok_or_else(|| container(&"the payload is not base64"))?)
}
