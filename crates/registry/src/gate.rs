//! The gate: facts from the database, policies, a door and a moment give a verdict.
//!
//! A verdict about an artifact alone is stored with the revisions that it was made under and used
//! while they stand (decision D4). What depends on who asks is judged anew each time, from the
//! policies' access settings only, and the worse of the two stands.

use crate::{Error, Refusal, Registry, Result, access::Scope, audit::Event, push::Incoming};
use jiff::Timestamp;
use sealock_auth::{Caller, Principal};
use sealock_facts::{Action, Door, Verdict};
use sealock_metadata::{
    self as metadata, Tx,
    decisions::NewDecision,
    manifests::{Child, Kind as RowKind, Manifest as ManifestRow, State},
    projects::Project,
    verdicts::CachedVerdict,
};
use sealock_oci::{Digest, ManifestKind};
use sealock_policy::{
    AppliedPolicy, ArtifactFacts, FORMAT_VERSION, GateInput, RULE_NOT_QUARANTINED, RequestFacts,
    Subject, evaluate,
};
use std::time::Duration;

/// What is asked at a door.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) door: Door,
    /// Who asks; none for a verdict about the artifact alone.
    pub(crate) request: Option<RequestFacts>,
    /// The cluster whose policies apply too.
    pub(crate) cluster: Option<ClusterPolicies>,
}

/// A cluster's own policies, as they apply to one namespace.
#[derive(Debug, Clone)]
pub(crate) struct ClusterPolicies {
    /// Names them in the cache: cluster, namespace.
    pub(crate) context: String,
    pub(crate) policies: Vec<AppliedPolicy>,
}

impl Question {
    /// The question without who asks.
    fn impersonal(&self) -> Self {
        Self { door: self.door, request: None, cluster: self.cluster.clone() }
    }

    fn context(&self) -> &str {
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
    fn of(input: &GateInput) -> Result<Self> {
        let verdict = evaluate(input);
        let bytes = input.canonical_bytes().map_err(Error::internal)?;
        let digest = Digest::sha256(&bytes);
        Ok(Self { quarantined: is_quarantined(&verdict), verdict, input: (digest, Some(bytes)) })
    }

    /// The objections in plain words.
    pub(crate) fn words(&self) -> Vec<String> {
        let objections = self.verdict.objections();
        let words = objections.iter().map(|reason| {
            format!("[{}/{}] {}", reason.policy, reason.rule, reason.message)
        });
        words.collect()
    }
}

fn is_quarantined(verdict: &Verdict) -> bool {
    verdict
        .reasons
        .iter()
        .any(|reason| reason.rule == RULE_NOT_QUARANTINED && reason.action == Action::Deny)
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
    pub(crate) fn incoming(_scope: &Scope, incoming: &Incoming) -> Self {
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
        _project: &Project,
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

    /// The verdict that stands, if one does: one indexed read, and the access settings.
    pub(crate) async fn verdict(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &ManifestRow,
        question: &Question,
    ) -> Result<Option<Judged>> {
        let system_rev = metadata::settings::system_rev(tx).await?;
        let context = question.context();
        let Some(cached) = metadata::verdicts::find(tx, row.id, question.door, context).await?
        else {
            return Ok(None);
        };
        let stands = cached.facts_rev == row.facts_rev
            && cached.policy_rev == scope.project.policy_rev
            && cached.system_rev == system_rev
            && cached.valid_until.is_none_or(|until| self.now() < until);
        if !stands {
            return Ok(None);
        }
        let verdict: Verdict = serde_json::from_str(&cached.verdict).map_err(Error::internal)?;
        let quarantined = is_quarantined(&verdict);
        let judged = Judged { verdict, quarantined, input: (cached.input_digest, None) };
        self.with_access(tx, &scope.project, scope.name.as_str(), question, judged).await
    }

    /// Adds what policies say about who asks. None when that alone refuses: the refusal then needs
    /// an input document of its own.
    async fn with_access(
        &self,
        tx: &mut Tx,
        project: &Project,
        repository: &str,
        question: &Question,
        mut judged: Judged,
    ) -> Result<Option<Judged>> {
        let Some(request) = &question.request else { return Ok(Some(judged)) };
        let cluster = question.cluster.as_ref();
        let mut policies = self.policies_of(tx, project, cluster).await?;
        policies.retain(|policy| !policy.document.access.is_empty());
        if policies.is_empty() {
            return Ok(Some(judged));
        }
        for policy in &mut policies {
            policy.document.rules.clear();
        }
        let asked = GateInput {
            policies,
            request: Some(request.clone()),
            ..self.empty_input(project, repository, question.door, judged.input.0)
        };
        let access = evaluate(&asked);
        if access.action > judged.verdict.action && access.action > Action::Warn {
            return Ok(None);
        }
        judged.verdict.action = judged.verdict.action.max(access.action);
        let objections = access.reasons.into_iter().filter(|r| r.action > Action::Allow);
        judged.verdict.reasons.extend(objections);
        Ok(Some(judged))
    }

    fn empty_input(
        &self,
        project: &Project,
        repository: &str,
        door: Door,
        digest: Digest,
    ) -> GateInput {
        GateInput {
            format_version: FORMAT_VERSION,
            door,
            now: self.now(),
            subject: Subject {
                project: project.name.clone(),
                repository: repository.to_owned(),
                tier: project.tier,
            },
            policies: Vec::new(),
            keys: Vec::new(),
            artifact: ArtifactFacts::unknown(digest, ManifestKind::Image, "not looked at"),
            waivers: Vec::new(),
            quarantines: Vec::new(),
            advisories: None,
            request: None,
        }
    }

    /// Judges a stored manifest anew: what is still queued about it is done first, within the
    /// door's time limit, and the verdict is stored for the next one who asks.
    pub(crate) async fn judge_stored(
        &self,
        scope: &Scope,
        row: &ManifestRow,
        question: &Question,
    ) -> Result<Judged> {
        let flight = format!("{}/{}/{}", row.id, question.door, question.context());
        let _single = self.flights().enter(&flight).await;
        let mut tx = self.database().read().await?;
        let row = self.again(&mut tx, row).await?;
        if let Some(judged) = self.verdict(&mut tx, scope, &row, question).await? {
            return Ok(judged);
        }
        drop(tx);
        self.settle(row.repository_id, &row.digest, self.door_wait()).await?;
        let mut tx = self.database().read().await?;
        let row = self.again(&mut tx, &row).await?;
        let project = metadata::projects::get(&mut tx, scope.project.id)
            .await?
            .ok_or_else(|| crate::access::name_unknown(&scope.name))?;
        let node = Node::stored(&mut tx, &row).await?;
        let mut input = self
            .gate_input(&mut tx, &project, scope.name.as_str(), row.repository_id, node, question)
            .await?;
        let system_rev = metadata::settings::system_rev(&mut tx).await?;
        let request = input.request.take();
        let judged = Judged::of(&input)?;
        drop(tx);
        let revisions = (row.facts_rev, project.policy_rev, system_rev);
        self.keep_verdict(&row, question, revisions, &judged).await?;
        if request.is_none() {
            return Ok(judged);
        }
        input.request = request;
        let personal = Judged::of(&input)?;
        Ok(if personal.verdict.action > judged.verdict.action { personal } else { judged })
    }

    async fn again(&self, tx: &mut Tx, row: &ManifestRow) -> Result<ManifestRow> {
        metadata::manifests::find(tx, row.repository_id, &row.digest).await?.ok_or_else(|| {
            crate::pull::manifest_unknown(&sealock_oci::Reference::Digest(row.digest))
        })
    }

    async fn keep_verdict(
        &self,
        row: &ManifestRow,
        question: &Question,
        (facts_rev, policy_rev, system_rev): (i64, i64, i64),
        judged: &Judged,
    ) -> Result<()> {
        let question = question.impersonal();
        let cached = CachedVerdict {
            facts_rev,
            policy_rev,
            system_rev,
            valid_until: judged.verdict.valid_until,
            verdict: serde_json::to_string(&judged.verdict).map_err(Error::internal)?,
            input_digest: judged.input.0,
        };
        let mut tx = self.database().write().await?;
        // A refusal can be replayed from the first time on; what is allowed is recorded at the
        // doors that record everything.
        if judged.verdict.action > Action::Warn
            && let (digest, Some(bytes)) = &judged.input
        {
            metadata::decisions::put_input(&mut tx, digest, bytes).await?;
        }
        let (door, context) = (question.door, question.context());
        metadata::verdicts::put(&mut tx, row.id, door, context, &cached).await?;
        Ok(tx.commit().await?)
    }

    /// Judges a manifest that is not stored yet (decision D1).
    pub(crate) async fn judge_incoming(
        &self,
        scope: &Scope,
        mut node: Node,
        question: Question,
    ) -> Result<Judged> {
        let mut tx = self.database().read().await?;
        let policies = self.policies_of(&mut tx, &scope.project, None).await?;
        drop(tx);
        let asks = policies.iter().any(|policy| asks_for_contents(policy, question.door));
        if let (true, Some(chain), Some(repository)) = (asks, node.chain, &scope.repository) {
            let work = self.contents_of_incoming(repository.id, &chain, &node);
            node.contents_id = within(self.door_wait(), work).await?.flatten();
        }
        let mut tx = self.database().read().await?;
        let repository_id = scope.repository.as_ref().map_or(0, |repository| repository.id);
        let name = scope.name.as_str();
        let input = self
            .gate_input(&mut tx, &scope.project, name, repository_id, node, &question)
            .await?;
        Judged::of(&input)
    }

    /// Records a refusal, with the document it was made from, and makes the error that says why.
    /// A refusal that cannot be recorded is refused all the same.
    pub(crate) async fn refuse(
        &self,
        caller: &Caller,
        (project, repository): (&Project, &str),
        digest: Digest,
        door: Door,
        judged: Judged,
    ) -> Error {
        let record = async {
            let mut tx = self.database().write().await?;
            let id = self
                .record_decision(&mut tx, caller, (project, repository), &digest, door, &judged)
                .await?;
            Event::new(caller, refusal_action(door))
                .denied()
                .at((project, repository))
                .digest(&digest)
                .detail("decision", id)
                .detail("reasons", judged.words())
                .record(&mut tx)
                .await?;
            tx.commit().await?;
            Ok::<_, Error>(id)
        };
        let decision = match record.await {
            Ok(id) => Some(id),
            Err(error) => {
                tracing::error!(%digest, %door, log = error.log(), "a refusal was not recorded");
                None
            }
        };
        Error::refused(Refusal { digest, verdict: judged.verdict, decision })
    }

    /// Records a decision with its canonical input. Its number.
    pub(crate) async fn record_decision(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        (project, repository): (&Project, &str),
        digest: &Digest,
        door: Door,
        judged: &Judged,
    ) -> Result<i64> {
        if let (digest, Some(bytes)) = &judged.input {
            metadata::decisions::put_input(tx, digest, bytes).await?;
        }
        let verdict = serde_json::to_string(&judged.verdict).map_err(Error::internal)?;
        let id = metadata::decisions::create(
            tx,
            &NewDecision {
                door,
                project_id: Some(project.id),
                repository,
                digest,
                action: action_word(judged.verdict.action),
                verdict: &verdict,
                input_digest: &judged.input.0,
                actor: &caller.principal.to_string(),
                address: &caller.address.to_string(),
                context: "",
            },
        )
        .await?;
        Ok(id)
    }

    /// The present moment, by the clock seam.
    pub(crate) fn now(&self) -> Timestamp {
        self.database().clock().now()
    }
}

/// Whether a document asks at this door for something that is read from an image's bytes.
fn asks_for_contents(policy: &AppliedPolicy, door: Door) -> bool {
    use sealock_policy::{Check, Mode};
    policy.document.rules.iter().any(|rule| {
        let setting = rule.doors.get(door).or_else(|| policy.document.doors.get(door));
        matches!(rule.check, Check::Findings(_) | Check::Contents(_))
            && setting.is_some_and(|setting| setting.mode != Mode::Off)
    })
}

/// The action's word, as it is stored.
pub(crate) const fn action_word(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Warn => "warn",
        Action::Hold => "hold",
        Action::Deny => "deny",
    }
}

const fn refusal_action(door: Door) -> &'static str {
    door.as_str()
}

/// The result of `work` if it comes in time.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<Option<T>> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map(Some),
        Err(_) => Ok(None),
    }
}
