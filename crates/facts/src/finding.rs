use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Severity, ordered from least to worst. `Unknown` is lowest in order and never means "none".
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No source gives one.
    #[default]
    Unknown,
    /// The distribution says it does not matter.
    Negligible,
    /// CVSS 0.1 to 3.9.
    Low,
    /// CVSS 4.0 to 6.9.
    Medium,
    /// CVSS 7.0 to 8.9.
    High,
    /// CVSS 9.0 to 10.0.
    Critical,
}

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Negligible, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word, lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "unknown" => Self::Unknown,
            "negligible" => Self::Negligible,
            "low" => Self::Low,
            "medium" | "moderate" => Self::Medium,
            "high" => Self::High,
            "critical" => Self::Critical,
            _ => return Err(format!("{text:?} is not a severity")),
        })
    }
}

/// Where a severity comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeveritySource {
    /// The advisory's own publisher, in words.
    Vendor,
    /// A CVSS vector; the score is computed from it, in tenths (98 is 9.8).
    Cvss {
        /// The vector.
        vector: String,
        /// Score in tenths.
        score_tenths: u32,
    },
}

/// Whether a fix can be had.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum FixState {
    /// Fixed in this version of the matched package.
    Fixed {
        /// The smallest fixed version above the installed one in the interval that matched.
        version: String,
    },
    /// No fix is known.
    NotFixed,
    /// The distribution says that it will not fix it.
    WontFix,
}

/// Entry in the catalogue of known exploited vulnerabilities.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kev {
    /// When it was added to the catalogue.
    pub date_added: Timestamp,
    /// Used in ransomware campaigns.
    pub ransomware: bool,
}

/// One component (by its match key) × one alias group of advisories.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Preferred id of the alias group: CVE, else GHSA, else the source's id.
    pub vulnerability: String,
    /// Every other id of the group, sorted.
    pub aliases: Vec<String>,
    /// purl of the component.
    pub purl: String,
    /// Installed version that was compared.
    pub version: String,
    /// Severity.
    pub severity: Severity,
    /// Where the severity comes from; none when unknown.
    pub severity_source: Option<SeveritySource>,
    /// Whether a fix exists.
    pub fix: FixState,
    /// When the earliest record of the group was published.
    pub published: Option<Timestamp>,
    /// Known exploited, if the catalogue lists any id of the group.
    pub kev: Option<Kev>,
    /// One line about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Ids of the records that matched, sorted ("explain this finding").
    pub records: Vec<String>,
    /// The scanner that found it; `sealock` for the built-in one.
    pub scanner: String,
}

impl Finding {
    /// Every id under which a person may know it.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.vulnerability.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

/// How much of an ecosystem's advisories a snapshot holds (decision D12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// Nothing: a component of this ecosystem is unknown, not clean.
    None,
    /// Some records; the absence of a finding is no statement.
    Partial,
    /// The whole feed.
    Full,
}

/// Coverage and age of one ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EcosystemCoverage {
    /// How much.
    pub coverage: Coverage,
    /// The data's own date: the newest `modified` of its records, or what the publisher states.
    pub data_date: Option<Timestamp>,
    /// Number of records that name a package of it.
    pub records: u64,
}

/// What is known about the advisories that findings were made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvisorySnapshot {
    /// Digest of the index file, `sha256:…`.
    pub digest: String,
    /// When it was built.
    pub built_at: Timestamp,
    /// Per OSV ecosystem.
    pub ecosystems: BTreeMap<String, EcosystemCoverage>,
}
