//! Artifacts, verdicts, promotions and decisions.

use super::{Action, AdvisorySnapshot, Door, Outcome, Severity};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An artifact in a list.
#[derive(ToSchema)]
pub(crate) struct ArtifactSummary {
    digest: String,
    /// `image` or `index`.
    kind: String,
    media_type: String,
    artifact_type: Option<String>,
    /// What it refers to.
    subject: Option<String>,
    /// Size of the manifest in bytes.
    size: u64,
    tags: Vec<String>,
    #[schema(format = DateTime)]
    pushed_at: String,
    pushed_by: String,
    /// `active`, or `held` until it is judged.
    state: String,
    /// `known`, `pending`, or `none` where there is nothing to read.
    facts: String,
}

/// An artifact with what is known about it.
#[derive(ToSchema)]
pub(crate) struct Artifact {
    repository: String,
    digest: String,
    /// `image` or `index`.
    kind: String,
    media_type: String,
    artifact_type: Option<String>,
    subject: Option<String>,
    size: u64,
    tags: Vec<String>,
    #[schema(format = DateTime)]
    pushed_at: String,
    pushed_by: String,
    state: String,
    facts: ArtifactFacts,
}

/// What is known about an artifact.
#[derive(ToSchema)]
pub(crate) struct ArtifactFacts {
    contents: Contents,
    /// Each image of it.
    images: Vec<serde_json::Value>,
    /// Findings by severity.
    findings: BTreeMap<String, u64>,
    /// By ecosystem of its components: `full`, `partial`, or `none` where there is no data and the
    /// absence of a finding says nothing.
    coverage: BTreeMap<String, String>,
    /// Components that are not matched, because no ecosystem is known for them.
    unmatched: u64,
    advisories: Option<AdvisorySnapshot>,
    signatures: Vec<SignatureFact>,
    attestations: Vec<AttestationFact>,
}

/// The contents of all images of an artifact together.
#[derive(ToSchema)]
pub(crate) struct Contents {
    /// `known`, `partial`, `pending` or `not_runnable`.
    state: String,
    components: u64,
    distributions: Vec<String>,
    /// Components by kind of package.
    kinds: BTreeMap<String, u64>,
    /// What is not known, in plain words.
    remarks: Vec<String>,
}

/// A signature over a digest.
#[derive(ToSchema)]
pub(crate) struct SignatureFact {
    subject: String,
    /// The accessory manifest that carries it.
    accessory: String,
    position: u32,
    format: String,
    /// `{state: verified, key}` or `{state: rejected, reason, detail}`.
    status: serde_json::Value,
    #[schema(format = DateTime)]
    first_seen: String,
}

/// A signed statement about a digest.
#[derive(ToSchema)]
pub(crate) struct AttestationFact {
    subject: String,
    accessory: String,
    position: u32,
    format: String,
    predicate_type: String,
    /// SHA-256 of the statement.
    statement: String,
    /// `{state: verified, key}` or `{state: rejected, reason, detail}`.
    status: serde_json::Value,
    #[schema(format = DateTime)]
    first_seen: String,
}

/// A finding with where it lies.
#[derive(ToSchema)]
pub(crate) struct Finding {
    /// The image that holds the component.
    digest: String,
    vulnerability: String,
    aliases: Vec<String>,
    purl: String,
    version: String,
    severity: Severity,
    severity_source: Option<serde_json::Value>,
    /// `{state: fixed, version}`, `{state: not_fixed}` or `{state: wont_fix}`.
    fix: serde_json::Value,
    #[schema(format = DateTime)]
    published: Option<String>,
    kev: Option<serde_json::Value>,
    summary: String,
    /// Ids of the records that matched.
    records: Vec<String>,
    scanner: String,
    /// The file that declares the component.
    path: String,
    /// The layer that holds this file.
    layer: String,
    /// The granted waiver that covers it.
    waiver: Option<i64>,
    known_exploited: bool,
}

/// One rule's result.
#[derive(ToSchema)]
pub(crate) struct Reason {
    /// Where the rule stands, as `scope/policy`.
    policy: String,
    rule: String,
    outcome: Outcome,
    action: Action,
    message: String,
    /// Digests and ids.
    evidence: Vec<String>,
    /// What would change it.
    remedy: String,
}

/// The gate's answer: the worst action of all reasons stands.
#[derive(ToSchema)]
pub(crate) struct Verdict {
    action: Action,
    reasons: Vec<Reason>,
    /// The first moment at which time alone may change the answer; null for never.
    #[schema(format = DateTime)]
    valid_until: Option<String>,
}

/// What a door says.
#[derive(ToSchema)]
pub(crate) struct DoorVerdict {
    door: Door,
    action: Action,
    reasons: Vec<Reason>,
    #[schema(format = DateTime)]
    valid_until: Option<String>,
}

/// What a promotion did.
#[derive(ToSchema)]
pub(crate) struct Promotion {
    digest: String,
    /// Where it is now, as `host/repository[:tag]@digest`.
    image: String,
    repository: String,
    tag: Option<String>,
    /// Number of the decision, for replay.
    decision: i64,
    /// Digest of the signed summary's manifest.
    vsa: Option<String>,
    /// Children and verified accessories that were linked.
    linked: Vec<String>,
    /// Accessories that are not verified and stayed behind.
    left_behind: Vec<String>,
    /// It had been promoted so before.
    already: bool,
    verdict: Verdict,
}

/// A promotion on record.
#[derive(ToSchema)]
pub(crate) struct RecordedPromotion {
    id: i64,
    digest: String,
    source: String,
    target: String,
    tag: Option<String>,
    decision: i64,
    vsa: Option<String>,
    left_behind: Vec<String>,
    actor: String,
    #[schema(format = DateTime)]
    at: String,
}

/// A decision on record.
#[derive(ToSchema)]
pub(crate) struct Decision {
    id: i64,
    door: Door,
    repository: String,
    digest: String,
    action: Action,
    verdict: Verdict,
    actor: String,
    address: String,
    /// The source of a promotion, the cluster and namespace of an admission.
    context: Option<String>,
    #[schema(format = DateTime)]
    at: String,
    /// How often the same refusal was repeated to the same caller and is counted here.
    repeats: Option<i64>,
    /// When it was repeated last.
    #[schema(format = DateTime)]
    last_at: Option<String>,
    /// Digest of the canonical input document.
    input_digest: String,
}

/// A decision made again from its own document.
#[derive(ToSchema)]
pub(crate) struct Replay {
    /// The document is the one that was recorded and gives the same verdict.
    same: bool,
    /// The document still has the digest that was recorded.
    intact: bool,
    recorded: Verdict,
    replayed: Verdict,
}
