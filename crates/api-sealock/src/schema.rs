//! What answers look like, for the OpenAPI document. The types themselves live on lower floors,
//! which know nothing of HTTP; a test compares their fields with these.

#![expect(dead_code, reason = "these types are read by the OpenAPI generator only")]

use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An error.
#[derive(ToSchema)]
pub(crate) struct Errors {
    /// One of them.
    errors: Vec<ErrorEntry>,
}

/// One error.
#[derive(ToSchema)]
pub(crate) struct ErrorEntry {
    /// A stable code.
    code: String,
    /// What is wrong and what to do, for a person.
    message: String,
    /// More, such as the verdict of a refusal.
    detail: Option<serde_json::Value>,
}

/// A tier, in order of trust.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Tier {
    External,
    Sandbox,
    Integration,
    Release,
    Mirror,
}

/// A door: where a verdict is enforced.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Door {
    Push,
    Pull,
    Promote,
    Replicate,
    Admit,
}

/// What a door does, from mildest to worst.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Action {
    Allow,
    Warn,
    Hold,
    Deny,
}

/// The outcome of a rule.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Outcome {
    NotApplicable,
    Pass,
    Unknown,
    Fail,
}

/// Severity, from least to worst.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Severity {
    Unknown,
    Negligible,
    Low,
    Medium,
    High,
    Critical,
}

/// A user.
#[derive(ToSchema)]
pub(crate) struct User {
    id: i64,
    name: String,
    email: Option<String>,
    real_name: String,
    admin: bool,
    security_officer: bool,
    disabled: bool,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A project.
#[derive(ToSchema)]
pub(crate) struct Project {
    id: i64,
    name: String,
    public: bool,
    tier: Tier,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A repository.
#[derive(ToSchema)]
pub(crate) struct Repository {
    name: String,
    /// Manifests in it, accessories included.
    artifacts: u64,
    tags: u64,
}

/// A public key that a project lists.
#[derive(ToSchema)]
pub(crate) struct ProjectKey {
    name: String,
    /// SHA-256 of its SubjectPublicKeyInfo, in hex.
    id: String,
    algorithm: String,
    pem: String,
    added_by: String,
    #[schema(format = DateTime)]
    added_at: String,
    /// From when on its signatures do not count.
    #[schema(format = DateTime)]
    compromised_at: Option<String>,
}

/// A member of a project.
#[derive(ToSchema)]
pub(crate) struct Member {
    user: String,
    role: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A robot.
#[derive(ToSchema)]
pub(crate) struct Robot {
    /// Full login name, `robot$project+name`.
    name: String,
    description: String,
    rights: Vec<String>,
    disabled: bool,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A robot that was just made.
#[derive(ToSchema)]
pub(crate) struct RobotWithSecret {
    /// Full login name, `robot$project+name`.
    name: String,
    /// Shown now and never again.
    secret: String,
    description: String,
    rights: Vec<String>,
    disabled: bool,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A policy as it stands.
#[derive(ToSchema)]
pub(crate) struct PolicyText {
    /// `floor`, `tier` or `project`.
    scope: String,
    /// Which tier or project; empty for the floor.
    name: String,
    /// Its version, counted from 1.
    revision: i64,
    /// SHA-256 of the text.
    digest: String,
    /// The text as it was written.
    text: String,
    author: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// What a waiver excuses. All given parts must match.
#[derive(ToSchema)]
pub(crate) struct WaiverScope {
    vulnerability: String,
    component: Option<String>,
    repository: Option<String>,
    digest: Option<String>,
}

/// A recorded exception.
#[derive(ToSchema)]
pub(crate) struct Waiver {
    id: i64,
    scope: WaiverScope,
    reason: String,
    requested_by: String,
    #[schema(format = DateTime)]
    requested_at: String,
    state: WaiverState,
    decided_by: Option<String>,
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Where a waiver stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum WaiverState {
    Requested,
    Granted,
    Refused,
    Revoked,
}

/// What is banned.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum QuarantineTarget {
    Manifest,
    Blob,
}

/// A banned digest.
#[derive(ToSchema)]
pub(crate) struct Quarantine {
    digest: String,
    target: QuarantineTarget,
    reason: String,
    by: String,
    #[schema(format = DateTime)]
    since: String,
}

/// What an eradication did, and who has the artifact all the same.
#[derive(ToSchema)]
pub(crate) struct Eradication {
    digest: String,
    deleted: Vec<DeletedFrom>,
    pulled: Vec<Seen>,
    admitted: Vec<Seen>,
    /// More was found than is listed; the audit events have it all.
    cut: bool,
}

/// A repository that was emptied of a digest.
#[derive(ToSchema)]
pub(crate) struct DeletedFrom {
    repository: String,
    tags: Vec<String>,
    accessories: Vec<String>,
}

/// Somebody who got an artifact.
#[derive(ToSchema)]
pub(crate) struct Seen {
    actor: String,
    address: String,
    user_agent: String,
    repository: Option<String>,
    tag: Option<String>,
    /// Through which index.
    through: Option<String>,
    #[schema(format = DateTime)]
    at: String,
}

/// The advisory data of one ecosystem.
#[derive(ToSchema)]
pub(crate) struct EcosystemCoverage {
    /// `none`, `partial` or `full`.
    coverage: String,
    /// The data's own date.
    #[schema(format = DateTime)]
    data_date: Option<String>,
    records: u64,
}

/// The advisories that findings are made from.
#[derive(ToSchema)]
pub(crate) struct AdvisorySnapshot {
    digest: String,
    #[schema(format = DateTime)]
    built_at: String,
    ecosystems: BTreeMap<String, EcosystemCoverage>,
}

/// Advisory data as it stands.
#[derive(ToSchema)]
pub(crate) struct AdvisoryStatus {
    snapshot: Option<AdvisorySnapshot>,
    /// Since when findings agree with it.
    #[schema(format = DateTime)]
    matched_at: Option<String>,
    /// What it was built from, by name.
    sources: BTreeMap<String, serde_json::Value>,
}

/// The report of an import.
#[derive(ToSchema)]
pub(crate) struct ImportReport {
    records: u64,
    duplicates: u64,
    withdrawn: u64,
    kev: u64,
    ecosystems: BTreeMap<String, serde_json::Value>,
    unknown_ecosystems: BTreeMap<String, u64>,
    unordered_ecosystems: BTreeMap<String, u64>,
    unreadable_ranges: u64,
    /// What was left out, counted by code.
    skipped: BTreeMap<String, u64>,
    /// The first of them.
    examples: Vec<serde_json::Value>,
    snapshot: AdvisorySnapshot,
    rematched: u64,
    new_findings: u64,
}

/// What a cluster asks of the images in one namespace.
#[derive(ToSchema)]
pub(crate) struct NamespaceRule {
    minimum_tier: Tier,
    /// Refuse (when absent); otherwise only warn.
    enforce: Option<bool>,
}

/// A registered cluster.
#[derive(ToSchema)]
pub(crate) struct Cluster {
    name: String,
    host_names: Vec<String>,
    namespaces: BTreeMap<String, NamespaceRule>,
    other_images: Vec<String>,
    disabled: bool,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A cluster that was just registered.
#[derive(ToSchema)]
pub(crate) struct ClusterWithToken {
    name: String,
    /// Shown now and never again.
    token: String,
    host_names: Vec<String>,
    namespaces: BTreeMap<String, NamespaceRule>,
    other_images: Vec<String>,
    disabled: bool,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// An image that holds what was searched for.
#[derive(ToSchema)]
pub(crate) struct AffectedImage {
    repository: String,
    digest: String,
    tags: Vec<String>,
    tier: Tier,
    vulnerability: Option<String>,
    component: String,
    version: String,
    path: String,
    layer: String,
    severity: Option<Severity>,
    /// `{state: fixed, version}`, `{state: not_fixed}` or `{state: wont_fix}`.
    fix: Option<serde_json::Value>,
    /// Known to be exploited.
    kev: Option<bool>,
}

/// An audit event.
#[derive(ToSchema)]
pub(crate) struct AuditEvent {
    id: i64,
    /// Place in the chain, once given.
    sequence: Option<i64>,
    action: String,
    /// `allowed`, `denied` or `failed`.
    result: String,
    actor: String,
    address: String,
    user_agent: String,
    request_id: String,
    project_id: Option<i64>,
    project: Option<String>,
    repository: Option<String>,
    digest: Option<String>,
    tag: Option<String>,
    detail: serde_json::Value,
    #[schema(format = DateTime)]
    at: String,
}

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
