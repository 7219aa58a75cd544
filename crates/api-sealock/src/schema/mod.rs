//! What answers look like, for the OpenAPI document. The types themselves live on lower floors,
//! which know nothing of HTTP; a test compares their fields with these.

#![expect(dead_code, reason = "these types are read by the OpenAPI generator only")]

mod artifacts;
mod collections;

pub(crate) use artifacts::{
    Artifact, ArtifactSummary, Decision, DoorVerdict, Finding, Promotion, RecordedPromotion, Replay,
};
pub(crate) use collections::CollectionRun;
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

/// A user who was given another name.
#[derive(ToSchema)]
pub(crate) struct RenamedUser {
    id: i64,
    name: String,
    email: Option<String>,
    real_name: String,
    admin: bool,
    security_officer: bool,
    disabled: bool,
    #[schema(format = DateTime)]
    created_at: String,
    named_by: Vec<String>,
}

/// A personal access token.
#[derive(ToSchema)]
pub(crate) struct PersonalToken {
    id: i64,
    name: String,
    scopes: Vec<String>,
    projects: Option<Vec<String>>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    used_at: Option<String>,
}

/// A personal access token that was just made.
#[derive(ToSchema)]
pub(crate) struct NewPersonalToken {
    id: i64,
    name: String,
    scopes: Vec<String>,
    projects: Option<Vec<String>>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    used_at: Option<String>,
    secret: String,
}

/// Somebody who is logged in with a browser.
#[derive(ToSchema)]
pub(crate) struct Session {
    id: i64,
    address: String,
    user_agent: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    used_at: String,
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
    /// Pattern of the repositories to which the member is limited; null for all.
    repositories: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

/// Somebody who may read what the pull door of a project refuses.
#[derive(ToSchema)]
pub(crate) struct Examiner {
    /// Login name of the user or robot.
    name: String,
    granted_by: String,
    #[schema(format = DateTime)]
    granted_at: String,
}

/// A robot.
#[derive(ToSchema)]
pub(crate) struct Robot {
    /// Full login name, `robot$project+name`.
    name: String,
    description: String,
    rights: Vec<String>,
    /// Pattern of the repositories to which it is limited; null for all.
    repositories: Option<String>,
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
    /// Pattern of the repositories to which it is limited; null for all.
    repositories: Option<String>,
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
    /// `floor`, `tier`, `project` or `cluster`.
    scope: String,
    /// Which tier or project, or `cluster/namespace`; empty for the floor.
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

/// Vulnerabilities that count for nothing in a project, or in all that go by the system's list.
#[derive(ToSchema)]
pub(crate) struct CveAllowlist {
    /// The project's number; 0 for the system's.
    id: i64,
    items: Vec<String>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The system's list counts instead of this one.
    reuse_system: bool,
    written_by: Option<String>,
    /// Who let it count above sandbox.
    granted_by: Option<String>,
    #[schema(format = DateTime)]
    created_at: Option<String>,
    #[schema(format = DateTime)]
    updated_at: Option<String>,
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
    /// Nothing is newer than what was fetched last: nothing was read. Absent otherwise.
    unchanged: Option<bool>,
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
    /// SHA-256 of the DER of the client certificate with which it asks, in hex.
    client_certificate: Option<String>,
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
    /// SHA-256 of the DER of the client certificate with which it asks, in hex.
    client_certificate: Option<String>,
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
