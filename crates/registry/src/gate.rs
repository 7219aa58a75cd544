//! The gate: facts from the database, policies, a door and a moment give a verdict.
//!
//! A verdict about an artifact alone is stored with the revisions that it was made under and used
//! while they stand (decision D4). What depends on who asks is judged anew each time, from the
//! policies' access settings only, and the worse of the two stands.

use crate::{Error, Registry, Result, incoming::Incoming};
use jiff::Timestamp;
use sealock_auth::{Caller, Principal};
use sealock_facts::{Door, Tier, Verdict};
use sealock_metadata::{
    self as metadata, Tx,
    manifests::{Child, Kind as RowKind, Manifest as ManifestRow, State},
    verdicts::StoredVerdict,
};
use sealock_oci::{Digest, ManifestKind};
use sealock_policy::{
    Access, ApiVersion, AppliedPolicy, Doors, GateInput, Kind, PolicyDocument, RequestFacts, Scope,
    evaluate, is_quarantined,
};

/// What is asked at a door.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) door: Door,
    /// Who asks; none for a verdict about the artifact alone.
    pub(crate) request: Option<RequestFacts>,
    /// The cluster whose policies apply too.
    pub(crate) cluster: Option<ClusterPolicies>,
}

/// What a cluster asks of images in one of its namespaces.
#[derive(Debug, Clone)]
pub(crate) struct ClusterPolicies {
    /// Names it in the cache, and its own policy document.
    pub(crate) context: String,
    /// Name of the cluster and the entry for the namespace, for people.
    pub(crate) name: String,
    /// The lowest tier that images may come from; none where the entry only warns.
    pub(crate) minimum_tier: Option<Tier>,
    /// When the cluster was last changed.
    pub(crate) updated_at: Timestamp,
}

impl ClusterPolicies {
    /// The minimum tier as a document, so that a decision keeps it and a replay knows it.
    pub(crate) fn minimum_tier(&self) -> Option<AppliedPolicy> {
        let access = Access { minimum_tier: Some(self.minimum_tier?), ..Access::default() };
        Some(AppliedPolicy {
            scope: Scope::Cluster,
            revision: self.updated_at.as_microsecond(),
            in_force_since: self.updated_at,
            document: PolicyDocument {
                api_version: ApiVersion::V1,
                kind: Kind::Policy,
                name: self.name.clone(),
                description: String::new(),
                doors: Doors::default(),
                access,
                unscannable_artifact_types: Vec::new(),
                allow_empty_contents: false,
                rules: Vec::new(),
            },
        })
    }
}

impl Question {
    /// The name of the question in the cache: verdicts of a cluster's namespace are its own.
    pub(crate) fn context(&self) -> &str {
        self.cluster.as_ref().map_or("", |cluster| &cluster.context)
    }
}

/// A verdict with what is needed to enforce and record it.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// Whether a quarantine is among the reasons: it closes what rights would open.
    pub(crate) quarantined: bool,
    /// The digest of the canonical input, and its bytes where they are not stored yet.
    pub(crate) input: (Digest, Option<Vec<u8>>),
}

impl Judged {
    /// Evaluates. The input is brought into the order in which it is kept.
    pub(crate) fn of(input: &mut GateInput) -> Result<Self> {
        input.normalise();
        let verdict = evaluate(input);
        let bytes = input.canonical_bytes().map_err(Error::internal)?;
        let digest = Digest::sha256(&bytes);
        Ok(Self { quarantined: is_quarantined(&verdict), verdict, input: (digest, Some(bytes)) })
    }

    /// A verdict that was stored and still stands.
    pub(crate) fn stored(stored: StoredVerdict) -> Self {
        Self {
            quarantined: is_quarantined(&stored.verdict),
            verdict: stored.verdict,
            input: (stored.input_digest, None),
        }
    }

    /// The objections in plain words.
    pub(crate) fn words(&self) -> Vec<String> {
        let objections = self.verdict.objections();
        let words = objections
            .iter()
            .map(|reason| format!("[{}/{}] {}", reason.policy, reason.rule, reason.message));
        words.collect()
    }
}

/// A manifest as the gate looks at it, stored or on its way in.
pub(crate) struct Node {
    pub(crate) digest: Digest,
    pub(crate) kind: ManifestKind,
    pub(crate) platform: Option<String>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) blobs: Vec<Digest>,
    pub(crate) chain: Option<Digest>,
    pub(crate) contents_id: Option<i64>,
    pub(crate) children: Vec<Child>,
    pub(crate) held: bool,
}

impl Node {
    /// A manifest that is being pushed.
    pub(crate) fn incoming(incoming: &Incoming) -> Self {
        let manifest = &incoming.manifest;
        let blobs = manifest.config.iter().chain(&manifest.layers).map(|blob| blob.digest);
        Self {
            digest: incoming.digest,
            kind: manifest.kind,
            platform: None,
            artifact_type: manifest.referrer_type().map(str::to_owned),
            blobs: blobs.collect(),
            chain: incoming.chain(),
            contents_id: None,
            children: incoming.child_rows(),
            held: false,
        }
    }

    /// A manifest that is stored.
    pub(crate) async fn stored(tx: &mut Tx, row: &ManifestRow) -> Result<Self> {
        let blobs = metadata::manifests::blobs(tx, row.repository_id, &[row.id]).await?;
        let children = match row.kind {
            RowKind::Index => {
                metadata::manifests::children(tx, row.repository_id, &[row.id]).await?
            }
            RowKind::Image => Vec::new(),
        };
        Ok(Self {
            digest: row.digest,
            kind: match row.kind {
                RowKind::Image => ManifestKind::Image,
                RowKind::Index => ManifestKind::Index,
            },
            platform: None,
            artifact_type: row.artifact_type.clone(),
            blobs: blobs.into_iter().map(|blob| blob.digest).collect(),
            chain: row.chain,
            contents_id: row.contents_id,
            children,
            held: row.state == State::Held,
        })
    }
}

impl Registry {
    /// Who asks, as policies see them.
    pub(crate) fn request_facts(
        &self,
        caller: &Caller,
        more: impl FnOnce(&mut RequestFacts),
    ) -> RequestFacts {
        let mut request = RequestFacts {
            principal: match &caller.principal {
                Principal::Anonymous => None,
                known => Some(known.to_string()),
            },
            robot: matches!(caller.principal, Principal::Robot { .. }),
            address: Some(caller.address),
            ..RequestFacts::default()
        };
        more(&mut request);
        request
    }

    /// The present moment, by the clock seam.
    pub fn now(&self) -> Timestamp {
        self.database().clock().now()
    }
}
