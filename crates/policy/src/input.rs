use crate::{PolicyDocument, PolicyError};
use jiff::Timestamp;
use sealock_facts::{
    AdvisorySnapshot, AttestationFact, Completeness, ComponentKind, Distro, Door, Finding,
    ImageContents, KeyId, Quarantine, SignatureFact, Tier, Waiver,
};
use sealock_oci::{Digest, ManifestKind};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, net::IpAddr};

/// Version of the canonical input document. A document of another version is not read.
pub const FORMAT_VERSION: u32 = 1;
/// Largest canonical input document that is read, in bytes.
pub const MAX_INPUT_BYTES: usize = 64 * 1024 * 1024;

/// Everything that a verdict depends on, and nothing else: the canonical input document of a
/// decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateInput {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Where the question is asked.
    pub door: Door,
    /// When.
    pub now: Timestamp,
    /// What it is asked about; at the promote door, the place that it would enter.
    pub subject: Subject,
    /// The documents that apply. The floor's implicit rules hold even when there is none.
    pub policies: Vec<AppliedPolicy>,
    /// Public keys that the subject's project lists.
    pub keys: Vec<ListedKey>,
    /// Facts about the digest.
    pub artifact: ArtifactFacts,
    /// Waivers of the subject's project.
    pub waivers: Vec<Waiver>,
    /// Quarantines that touch the artifact, its blobs, children, indexes or evidence.
    pub quarantines: Vec<Quarantine>,
    /// The advisory data in force; none when nothing was imported.
    pub advisories: Option<AdvisorySnapshot>,
    /// Who asks and how, for rules on access; none where the verdict is about the artifact alone
    /// (such a verdict may be stored and used for every caller).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestFacts>,
}

/// Where the artifact stands, or would stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Project.
    pub project: String,
    /// Full repository name, the project first.
    pub repository: String,
    /// The project's tier.
    pub tier: Tier,
}

/// Who asks, from where, for what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestFacts {
    /// Full name of the user or robot; none for an anonymous caller.
    pub principal: Option<String>,
    /// Whether the principal is a robot.
    #[serde(default)]
    pub robot: bool,
    /// Address of the caller, if known.
    pub address: Option<IpAddr>,
    /// Whether the artifact was named by digest.
    #[serde(default)]
    pub by_digest: bool,
    /// At the push door: the manifest is an accessory (signature, attestation) of an existing
    /// digest.
    #[serde(default)]
    pub accessory: bool,
    /// At the promote door: where the artifact comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Subject>,
}

/// Where a policy document is set, widest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The whole system. Only the security role edits it.
    Floor,
    /// A tier.
    Tier,
    /// A project.
    Project,
    /// A cluster's namespace, at admission.
    Cluster,
}

impl Scope {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Tier => "tier",
            Self::Project => "project",
            Self::Cluster => "cluster",
        }
    }
}

/// A document with the place where it is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedPolicy {
    /// Where.
    pub scope: Scope,
    /// Which version.
    pub revision: i64,
    /// Since when this scope has had these rules; "enforce after N days" counts from here.
    pub in_force_since: Timestamp,
    /// The document.
    pub document: PolicyDocument,
}

/// A public key that a project lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedKey {
    /// Its id.
    pub id: KeyId,
    /// Its name in the project.
    pub name: String,
    /// Since when it is not to be trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compromised_at: Option<Timestamp>,
}

/// What is known about one manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactFacts {
    /// Its digest.
    pub digest: Digest,
    /// Image or index.
    pub kind: ManifestKind,
    /// Platform, such as `linux/arm64`, if the index or the config states one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Declared artifact type, or the config's media type. Never enough to be exempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Digests of its config and layers.
    pub blobs: Vec<Digest>,
    /// What is inside; of an index, its children's are looked at instead.
    pub contents: ContentsFact,
    /// Which scanners have judged the contents, and as of when.
    pub scans: Vec<Scan>,
    /// What they found.
    pub findings: Vec<Finding>,
    /// Signatures over this digest in this repository, verified or not.
    pub signatures: Vec<SignatureFact>,
    /// Attestations about this digest in this repository, verified or not.
    pub attestations: Vec<AttestationFact>,
    /// An accessory has arrived whose verification has not ended.
    #[serde(default)]
    pub evidence_pending: bool,
    /// Of an index: its children.
    pub children: Vec<ChildFacts>,
    /// Indexes of the same repository that list this digest, directly or through another index.
    pub covered_by: Vec<Covering>,
    /// The digest that this manifest is evidence about. Set only where every layer was read as
    /// evidence (signature, attestation, bundle): what it holds is judged there, so only the
    /// implicit rules apply to it. An accessory with anything else inside is judged as what it is
    /// (decision D6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_about: Option<Digest>,
    /// When this digest was promoted into the subject's project, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_at: Option<Timestamp>,
    /// Stored but not yet judged (decision D1).
    #[serde(default)]
    pub held: bool,
}

/// One entry of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ChildFacts {
    /// Stored in the repository.
    Present {
        /// Its facts.
        facts: Box<ArtifactFacts>,
    },
    /// Listed, but not there: unknown (decision D9).
    Absent {
        /// Its digest.
        digest: Digest,
        /// Platform, if the index states one.
        platform: Option<String>,
    },
}

/// An index that lists the artifact, with the evidence on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covering {
    /// The index.
    pub index: Digest,
    /// Signatures over it.
    pub signatures: Vec<SignatureFact>,
    /// Attestations about it.
    pub attestations: Vec<AttestationFact>,
}

/// What is known about the inside of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ContentsFact {
    /// Nothing yet, or nothing that could be read.
    Unknown {
        /// Why, for a person.
        detail: String,
    },
    /// The layers were read as root file system layers.
    Known(KnownContents),
    /// Every blob was read to its end and none is a layer that could run.
    NotRunnable {
        /// Version of the inspector.
        inspector: String,
        /// When.
        inspected_at: Timestamp,
    },
}

/// A summary of contents: what rules ask, no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownContents {
    /// Version of the inspector.
    pub inspector: String,
    /// When the last layer was read.
    pub inspected_at: Timestamp,
    /// Whether everything was read.
    pub completeness: Completeness,
    /// The operating system, if an os-release was found.
    pub distro: Option<Distro>,
    /// Number of components.
    pub components: u64,
    /// How many of them the operating system's package manager installed.
    pub system_packages: u64,
    /// Components per OSV ecosystem.
    pub ecosystems: BTreeMap<String, u64>,
    /// Components whose ecosystem or release is unknown: no advisory can be looked up.
    pub without_ecosystem: u64,
}

impl KnownContents {
    /// The summary of an image's contents.
    pub fn of(contents: &ImageContents, inspected_at: Timestamp) -> Self {
        let mut ecosystems = BTreeMap::new();
        let (mut system_packages, mut without_ecosystem) = (0, 0);
        for component in &contents.components {
            if matches!(component.kind, ComponentKind::Deb | ComponentKind::Apk) {
                system_packages += 1;
            }
            match &component.match_key {
                Some(key) => *ecosystems.entry(key.ecosystem.clone()).or_insert(0) += 1,
                None => without_ecosystem += 1,
            }
        }
        Self {
            inspector: contents.inspector.clone(),
            inspected_at,
            completeness: contents.completeness.clone(),
            distro: contents.distro.clone(),
            components: contents.components.len() as u64,
            system_packages,
            ecosystems,
            without_ecosystem,
        }
    }
}

/// A scanner's statement that `findings` holds all it knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// The scanner; `sealock` for the built-in one.
    pub scanner: String,
    /// The statement is true for the data as of this moment: the match, or the publishing of a
    /// later snapshot that changed nothing for this artifact.
    pub as_of: Timestamp,
}

impl GateInput {
    /// Brings every list whose order means nothing into one order, so that equal inputs have equal
    /// bytes.
    pub fn normalise(&mut self) {
        self.policies.sort_by(|a, b| {
            (a.scope, &a.document.name, a.revision).cmp(&(b.scope, &b.document.name, b.revision))
        });
        self.keys.sort();
        self.waivers.sort();
        self.quarantines.sort();
        self.artifact.normalise();
    }

    /// The input in its one order: itself where it stands in it already, as after
    /// [`GateInput::normalise`], else a copy.
    pub(crate) fn in_order(&self) -> Cow<'_, Self> {
        if self.is_in_order() {
            return Cow::Borrowed(self);
        }
        let mut copy = self.clone();
        copy.normalise();
        Cow::Owned(copy)
    }

    fn is_in_order(&self) -> bool {
        self.policies.is_sorted_by(|a, b| {
            (a.scope, &a.document.name, a.revision) <= (b.scope, &b.document.name, b.revision)
        }) && self.keys.is_sorted()
            && self.waivers.is_sorted()
            && self.quarantines.is_sorted()
            && self.artifact.is_in_order()
    }

    /// The canonical bytes: normalised, fields in fixed order, no spaces.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, PolicyError> {
        serde_json::to_vec(&*self.in_order()).map_err(|error| PolicyError::input(error.to_string()))
    }

    /// SHA-256 of the canonical bytes: the name of a decision's input.
    pub fn digest(&self) -> Result<Digest, PolicyError> {
        self.canonical_bytes().map(|bytes| Digest::sha256(&bytes))
    }

    /// Reads a canonical input document, such as one that was exported. White space is no matter;
    /// unknown fields and other format versions are refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_INPUT_BYTES {
            return Err(PolicyError::input(format!(
                "the decision document has more than {MAX_INPUT_BYTES} bytes"
            )));
        }
        let input: Self = serde_json::from_slice(bytes).map_err(PolicyError::from_json)?;
        if input.format_version != FORMAT_VERSION {
            return Err(PolicyError::input(format!(
                "the decision document has format version {}, and this version reads {FORMAT_VERSION}",
                input.format_version
            )));
        }
        Ok(input)
    }
}

impl ArtifactFacts {
    /// Facts about a digest of which nothing is known yet.
    pub fn unknown(digest: Digest, kind: ManifestKind, detail: impl Into<String>) -> Self {
        Self {
            digest,
            kind,
            platform: None,
            artifact_type: None,
            blobs: Vec::new(),
            contents: ContentsFact::Unknown { detail: detail.into() },
            scans: Vec::new(),
            findings: Vec::new(),
            signatures: Vec::new(),
            attestations: Vec::new(),
            evidence_pending: false,
            children: Vec::new(),
            covered_by: Vec::new(),
            evidence_about: None,
            promoted_at: None,
            held: false,
        }
    }

    fn is_in_order(&self) -> bool {
        let covering = |covering: &Covering| {
            covering.signatures.is_sorted() && covering.attestations.is_sorted()
        };
        let child = |child: &ChildFacts| match child {
            ChildFacts::Present { facts } => facts.is_in_order(),
            ChildFacts::Absent { .. } => true,
        };
        self.blobs.is_sorted()
            && self.scans.is_sorted()
            && self.findings.is_sorted()
            && self.signatures.is_sorted()
            && self.attestations.is_sorted()
            && self.covered_by.is_sorted_by_key(|covering| covering.index)
            && self.covered_by.iter().all(covering)
            && self.children.iter().all(child)
    }

    fn normalise(&mut self) {
        self.blobs.sort();
        self.scans.sort();
        self.findings.sort();
        self.signatures.sort();
        self.attestations.sort();
        self.covered_by.sort_by_key(|covering| covering.index);
        for covering in &mut self.covered_by {
            covering.signatures.sort();
            covering.attestations.sort();
        }
        for child in &mut self.children {
            if let ChildFacts::Present { facts } = child {
                facts.normalise();
            }
        }
    }
}
