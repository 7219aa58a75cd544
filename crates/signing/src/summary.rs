//! SLSA verification summaries (slsa.dev/spec/v1.2/verification_summary).

use crate::statement::STATEMENT_V1;
use jiff::Timestamp;
use sealock_oci::Digest;
use serde_json::{Value, json};

/// The predicate type.
pub const VERIFICATION_SUMMARY: &str = "https://slsa.dev/verification_summary/v1";
/// The version of the specification whose levels are meant.
const SLSA_VERSION: &str = "1.2";

/// An attestation that a summary is based on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputAttestation {
    /// Where it can be fetched.
    pub uri: String,
    /// The digest of what the URI gives.
    pub digest: Digest,
}

/// The statement by which the product says that an artifact passed a policy, or failed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The artifact.
    pub subject: Digest,
    /// Who verified: the registry's own URL.
    pub verifier: String,
    /// The product's version.
    pub verifier_version: String,
    /// When.
    pub time_verified: Timestamp,
    /// The artifact in its target, such as `oci://host/repository@sha256:…`.
    pub resource_uri: String,
    /// Where the policy stands.
    pub policy_uri: String,
    /// The digest of the policy documents that were evaluated.
    pub policy_digest: Digest,
    /// All attestations that were used, or none are listed.
    pub inputs: Vec<InputAttestation>,
    /// Whether it passed.
    pub passed: bool,
    /// Levels, SLSA's or the verifier's own.
    pub levels: Vec<String>,
}

impl Summary {
    /// The statement's bytes (in-toto Statement v1), ready to be signed. The same summary gives the
    /// same bytes.
    pub fn to_statement(&self) -> Vec<u8> {
        let digest = |digest: &Digest| json!({ digest.algorithm().name(): digest.hex() });
        let inputs: Vec<Value> = self
            .inputs
            .iter()
            .map(|input| json!({ "uri": input.uri, "digest": digest(&input.digest) }))
            .collect();
        let mut predicate = json!({
            "verifier": {
                "id": self.verifier,
                "version": { "sealock": self.verifier_version },
            },
            "timeVerified": self.time_verified,
            "resourceUri": self.resource_uri,
            "policy": { "uri": self.policy_uri, "digest": digest(&self.policy_digest) },
            "verificationResult": if self.passed { "PASSED" } else { "FAILED" },
            "verifiedLevels": self.levels,
            "slsaVersion": SLSA_VERSION,
        });
        if !inputs.is_empty() {
            predicate["inputAttestations"] = Value::Array(inputs);
        }
        json!({
            "_type": STATEMENT_V1,
            "subject": [{ "digest": digest(&self.subject) }],
            "predicateType": VERIFICATION_SUMMARY,
            "predicate": predicate,
        })
        .to_string()
        .into_bytes()
    }
}
