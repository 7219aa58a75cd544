use jiff::Timestamp;
use sealock_oci::Digest;
use serde::{Deserialize, Serialize};

/// Lower-case hex of the SHA-256 of a public key's DER SubjectPublicKeyInfo.
pub type KeyId = String;

/// How evidence was stored by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceFormat {
    /// Cosign's `sha256-….sig` tag, simple signing payload.
    CosignLegacy,
    /// Cosign's `sha256-….att` tag, DSSE layers.
    CosignLegacyAttestation,
    /// Sigstore bundle as a referrer.
    SigstoreBundle,
}

/// Why evidence does not count. Stable codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// No listed key verifies the signature.
    NoKeyMatches,
    /// Names a listed key, but is not that key's signature over these bytes.
    Forged,
    /// A listed key's signature, but over another digest (transplanted).
    SubjectMismatch,
    /// A listed key's signature, but over something that makes no claim about an image.
    OtherPayload,
    /// Not readable: bad JSON, base64, PEM or an unknown version.
    Malformed,
    /// Larger than a named limit, or more entries than a manifest may hold.
    LimitExceeded,
    /// A form that this version cannot judge, such as keyless; not counted, not condemned.
    Unsupported,
    /// The blob is not in this repository.
    Missing,
}

/// The result of looking at one signature or attestation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EvidenceState {
    /// Valid under this key, whether or not a policy lists it.
    Verified {
        /// The key.
        key: KeyId,
    },
    /// Not valid, or not judged.
    Rejected {
        /// Code.
        reason: RejectReason,
        /// For a person.
        detail: String,
    },
}

/// A signature over a digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SignatureFact {
    /// What is signed.
    pub subject: Digest,
    /// The accessory manifest that carries it.
    pub accessory: Digest,
    /// Position of the layer in the accessory.
    pub position: u32,
    /// How it was stored.
    pub format: EvidenceFormat,
    /// Verified or why not.
    pub status: EvidenceState,
    /// When this registry first saw it.
    pub first_seen: Timestamp,
}

/// A signed statement about a digest. Never counts as a signature, and a signature never counts as
/// one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttestationFact {
    /// What the statement is about.
    pub subject: Digest,
    /// The accessory manifest that carries it.
    pub accessory: Digest,
    /// Position of the layer in the accessory.
    pub position: u32,
    /// How it was stored.
    pub format: EvidenceFormat,
    /// Predicate type from the verified payload; for rejected ones, as claimed.
    pub predicate_type: String,
    /// SHA-256 of the statement's bytes.
    pub statement: Digest,
    /// Verified or why not.
    pub status: EvidenceState,
    /// When this registry first saw it.
    pub first_seen: Timestamp,
}

/// What a waiver excuses. All given parts must match.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub struct WaiverScope {
    /// Any id of the alias group.
    pub vulnerability: String,
    /// purl without version (any version) or with one; none means every component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Glob over repository names (`*` one part, `**` any); none means every repository of the
    /// project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// One digest only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// Where a waiver stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaiverState {
    /// Asked for.
    Requested,
    /// Granted by a second person with the security role.
    Granted,
    /// Refused.
    Refused,
    /// Taken back after it was granted.
    Revoked,
}

/// A recorded exception (decision D20).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Waiver {
    /// Its number.
    pub id: i64,
    /// What it excuses.
    pub scope: WaiverScope,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub requested_at: Timestamp,
    /// State.
    pub state: WaiverState,
    /// Who granted or refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When it stops.
    pub expires_at: Timestamp,
}

/// What is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineTarget {
    /// A manifest.
    Manifest,
    /// A blob: every manifest that names it is closed.
    Blob,
}

/// A banned digest, everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Quarantine {
    /// The digest.
    pub digest: Digest,
    /// Manifest or blob.
    pub target: QuarantineTarget,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}
