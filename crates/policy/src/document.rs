use crate::values::{Days, DoorSetting, Keys, NetworkText, Pattern};
use schemars::JsonSchema;
use sealock_facts::{Action, Coverage, Door, Severity, Tier};
use serde::{Deserialize, Serialize};

/// One policy document. Documents are never merged: each that applies is evaluated by itself and
/// the worst verdict stands (decision D2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyDocument {
    /// Version of the format: `sealock/v1`.
    pub api_version: ApiVersion,
    /// Always `Policy`.
    pub kind: Kind,
    /// Name of the document, as reasons show it.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What doors do with the rules of this document that do not say it themselves.
    #[serde(default, skip_serializing_if = "Doors::is_empty")]
    pub doors: Doors,
    /// Who may bring bytes in and take them out, and how.
    #[serde(default, skip_serializing_if = "Access::is_empty")]
    pub access: Access,
    /// Artifact types for which contents, findings and advisories do not apply, provided that the
    /// inspected bytes hold no runnable layer. Types that are not listed are unknown, never exempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unscannable_artifact_types: Vec<Pattern>,
    /// Accept images in which no component was recognised (such as one static binary) as known and
    /// without findings. Otherwise they are unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_empty_contents: bool,
    /// The rules; every one is evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// The format's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first.
    #[serde(rename = "sealock/v1")]
    V1,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// A policy.
    Policy,
}

/// A setting per door. A door that neither the rule nor the document names is `enforce`, save
/// `push`, which is `off`: a signature cannot be there before the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Doors {
    /// Uploading a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<DoorSetting>,
    /// Downloading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<DoorSetting>,
    /// Entering a project by promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote: Option<DoorSetting>,
    /// To or from another registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicate: Option<DoorSetting>,
    /// A cluster asks whether it may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admit: Option<DoorSetting>,
}

impl Doors {
    /// Whether no door is named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The setting of one door.
    pub fn get(&self, door: Door) -> Option<&DoorSetting> {
        match door {
            Door::Push => self.push.as_ref(),
            Door::Pull => self.pull.as_ref(),
            Door::Promote => self.promote.as_ref(),
            Door::Replicate => self.replicate.as_ref(),
            Door::Admit => self.admit.as_ref(),
        }
    }
}

/// Who may bring bytes in and take them out. What is absent is not restricted by this document;
/// rights are checked apart from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Access {
    /// From where artifacts may be promoted into the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Sources>,
    /// Who may pull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<Consumers>,
    /// Refuse pulls by tag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pull_by_digest_only: bool,
    /// Refuse direct pushes of artifacts, save by these robots. In the tiers `release` and `mirror`
    /// direct pushes are refused in any case unless the tier's document names the robot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_push: Option<DirectPush>,
    /// A tag, once set, never moves. Always so in the tiers `release` and `mirror`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub immutable_tags: bool,
    /// Admission only: the lowest tier from which images may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::tier")]
    pub minimum_tier: Option<Tier>,
}

impl Access {
    /// Whether nothing is restricted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// From where artifacts may be promoted. A source must match one of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// Globs over project names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<Pattern>,
    /// Tiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::tiers")]
    pub tiers: Vec<Tier>,
}

/// Who may pull: a caller must match both lists, where given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consumers {
    /// Globs over user and robot names; callers without a name match none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principals: Option<Vec<Pattern>>,
    /// Networks in CIDR form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<NetworkText>>,
}

/// Who may push without promotion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectPush {
    /// Full names of robots, such as `robot$release+importer`. No globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub robots: Vec<String>,
}

/// One rule: a name, what doors do with it, and exactly one of the checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", try_from = "RuleFields", into = "RuleFields")]
#[schemars(with = "RuleFields")]
pub struct Rule {
    /// Unique in the document; reasons show it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What doors do with it; a door that is not named follows the document's `doors`.
    pub doors: Doors,
    /// What is checked.
    pub check: Check,
}

/// What a rule checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Enough verified signatures.
    Signed(SignedRule),
    /// Enough verified attestations of one type.
    Attestation(AttestationRule),
    /// No vulnerability that counts.
    Findings(FindingsRule),
    /// Contents are known.
    Contents(ContentsRule),
    /// Advisory data is not too old.
    Advisories(AdvisoriesRule),
    /// Not banned. Holds everywhere without being written.
    NotQuarantined(NotQuarantinedRule),
}

/// A rule as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RuleFields {
    /// Unique in the document; reasons show it.
    name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    /// What doors do with it; a door that is not named follows the document's `doors`.
    #[serde(default, skip_serializing_if = "Doors::is_empty")]
    doors: Doors,
    /// Signed by enough of these keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed: Option<SignedRule>,
    /// A verified attestation of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attestation: Option<AttestationRule>,
    /// No vulnerability that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    findings: Option<FindingsRule>,
    /// Contents are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contents: Option<ContentsRule>,
    /// Advisory data is not too old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    advisories: Option<AdvisoriesRule>,
    /// Not banned. Holds everywhere without being written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_quarantined: Option<NotQuarantinedRule>,
}

/// The names of the checks, as written.
pub(crate) const CHECKS: [&str; 6] =
    ["signed", "attestation", "findings", "contents", "advisories", "notQuarantined"];

impl TryFrom<RuleFields> for Rule {
    type Error = String;

    fn try_from(fields: RuleFields) -> Result<Self, String> {
        let mut checks: Vec<Check> = Vec::new();
        checks.extend(fields.signed.map(Check::Signed));
        checks.extend(fields.attestation.map(Check::Attestation));
        checks.extend(fields.findings.map(Check::Findings));
        checks.extend(fields.contents.map(Check::Contents));
        checks.extend(fields.advisories.map(Check::Advisories));
        checks.extend(fields.not_quarantined.map(Check::NotQuarantined));
        let found = checks.len();
        let (Some(check), 1) = (checks.pop(), found) else {
            return Err(format!(
                "the rule {:?} holds {found} checks; write exactly one of {} in each rule",
                fields.name,
                CHECKS.join(", ")
            ));
        };
        Ok(Self { name: fields.name, description: fields.description, doors: fields.doors, check })
    }
}

impl From<Rule> for RuleFields {
    fn from(rule: Rule) -> Self {
        let mut fields = Self {
            name: rule.name,
            description: rule.description,
            doors: rule.doors,
            ..Self::default()
        };
        match rule.check {
            Check::Signed(rule) => fields.signed = Some(rule),
            Check::Attestation(rule) => fields.attestation = Some(rule),
            Check::Findings(rule) => fields.findings = Some(rule),
            Check::Contents(rule) => fields.contents = Some(rule),
            Check::Advisories(rule) => fields.advisories = Some(rule),
            Check::NotQuarantined(rule) => fields.not_quarantined = Some(rule),
        }
        fields
    }
}

const fn one() -> u32 {
    1
}

/// Signed by at least `atLeast` different keys of `by`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedRule {
    /// Which of the project's listed keys count: `any`, or a list of their names or ids.
    #[serde(default)]
    pub by: Keys,
    /// How many different keys must have signed.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub at_least: u32,
    /// Whether signatures that were seen before their key was compromised count. Those seen after
    /// never do.
    #[serde(default)]
    pub before_compromise: BeforeCompromise,
}

/// An attestation of one predicate type, verified under at least `atLeast` different keys of `by`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttestationRule {
    /// The type, exactly, such as `https://slsa.dev/provenance/v1`.
    pub predicate_type: String,
    /// Which of the project's listed keys count: `any`, or a list of their names or ids.
    #[serde(default)]
    pub by: Keys,
    /// How many different keys must have signed such a statement.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub at_least: u32,
    /// Whether statements that were seen before their key was compromised count. Those seen after
    /// never do.
    #[serde(default)]
    pub before_compromise: BeforeCompromise,
}

/// What a compromised key still proves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BeforeCompromise {
    /// Nothing.
    #[default]
    Ignore,
    /// What this registry had seen before the moment of compromise.
    Count,
}

/// No finding that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FindingsRule {
    /// Findings of this severity and above count: negligible, low, medium, high or critical.
    /// Absent: only those known to be exploited.
    #[serde(
        default,
        deserialize_with = "crate::values::threshold",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(schema_with = "crate::schema::threshold")]
    pub severity: Option<Severity>,
    /// Count only findings for which a fixed version exists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_fixed: bool,
    /// Days after publication before a finding counts. A finding without a date counts at once.
    #[serde(default, skip_serializing_if = "Days::is_zero")]
    pub grace_days: Days,
    /// Known exploited vulnerabilities count whatever their severity and fix, this many days after
    /// they were listed as such.
    #[serde(default, skip_serializing_if = "Days::is_zero")]
    pub known_exploited_grace_days: Days,
    /// What to do with a finding whose severity nobody states.
    #[serde(default)]
    pub unknown_severity: UnknownSeverity,
    /// Scanners that count; absent: every scanner that reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanners: Option<Vec<String>>,
    /// Unknown when a report is older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<Days>,
    /// Advisory coverage that every ecosystem of the image needs; less is unknown.
    #[serde(default)]
    pub minimum_coverage: MinimumCoverage,
    /// Whether granted waivers excuse findings of this rule.
    #[serde(default = "yes")]
    pub accept_waivers: bool,
    /// What pull and admit do with findings on an artifact that has been promoted already. Known
    /// exploited vulnerabilities past their grace are refused in any case.
    #[serde(default)]
    pub after_promotion: AfterPromotion,
}

const fn yes() -> bool {
    true
}

/// What to do with a finding whose severity nobody states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UnknownSeverity {
    /// The rule's outcome is unknown.
    #[default]
    Unknown,
    /// It counts as if it reached the threshold.
    Count,
    /// It does not count.
    Ignore,
}

/// How much of an ecosystem's advisories must be at hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MinimumCoverage {
    /// Some records. The reason says that it is no more.
    #[default]
    Partial,
    /// The whole feed.
    Full,
}

impl From<MinimumCoverage> for Coverage {
    fn from(minimum: MinimumCoverage) -> Self {
        match minimum {
            MinimumCoverage::Partial => Self::Partial,
            MinimumCoverage::Full => Self::Full,
        }
    }
}

/// What pull and admit do with new findings on what was promoted (decision D2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AfterPromotion {
    /// Warn: a node drain must not become an outage.
    #[default]
    Warn,
    /// As before promotion.
    Enforce,
}

/// Contents are known, wholly.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContentsRule {
    /// Unknown when they were read longer ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<Days>,
}

/// Advisory data is not too old. Its age is the data's own date, not the import's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdvisoriesRule {
    /// Oldest acceptable data, in days.
    pub max_age_days: Days,
}

/// Not banned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotQuarantinedRule {}

impl Check {
    /// The check's name, as written.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Signed(_) => CHECKS[0],
            Self::Attestation(_) => CHECKS[1],
            Self::Findings(_) => CHECKS[2],
            Self::Contents(_) => CHECKS[3],
            Self::Advisories(_) => CHECKS[4],
            Self::NotQuarantined(_) => CHECKS[5],
        }
    }
}

/// What a door does with a rule that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// The rule is not evaluated at this door.
    Off,
    /// Say it, and go on.
    Warn,
    /// Refuse.
    Enforce,
}

/// What a door does with a rule whose outcome is unknown. Never more than the rule's failure would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnUnknown {
    /// Go on.
    Allow,
    /// Say it, and go on.
    Warn,
    /// Store it, but closed until it is judged. At the push door only.
    Hold,
    /// Refuse.
    Deny,
}

impl From<OnUnknown> for Action {
    fn from(unknown: OnUnknown) -> Self {
        match unknown {
            OnUnknown::Allow => Self::Allow,
            OnUnknown::Warn => Self::Warn,
            OnUnknown::Hold => Self::Hold,
            OnUnknown::Deny => Self::Deny,
        }
    }
}
