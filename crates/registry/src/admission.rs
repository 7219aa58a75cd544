//! The admit door: may this image run in this namespace of this cluster?
//!
//! In the steady state the answer is a stored verdict: for a digest one look-up. Every answer about
//! an image that is hosted here is a decision that is kept with its input; the others stand in the
//! audit log. A dry run records nothing. When each is durable, see `admission_log`.

use crate::{
    AskingCluster, Registry, Result,
    access::Scope,
    admission_log::Record,
    asking::normal_host,
    audit::Event,
    gate::{ClusterPolicies, Judged, Question},
    policies::namespace_target,
};
use sealock_auth::{Caller, Principal, RightSet};
use sealock_facts::{Action, Door, Tier};
use sealock_metadata::{self as metadata, Tx, clusters::NamespacePolicy, projects::Project};
use sealock_oci::{Digest, ImageReference, RepositoryName, Tag};
use sealock_policy::Pattern;
use std::{net::IpAddr, sync::Arc};

/// Who asks for what, as the audit log shall have it.
#[derive(Debug, Clone)]
pub struct AdmissionAsk {
    /// The namespace; empty for what has none.
    pub namespace: String,
    /// The cluster's user who asked for the object.
    pub user: String,
    /// The object in words, such as `Pod production/web`.
    pub object: String,
    /// From which address the cluster asks.
    pub address: IpAddr,
    /// With which client.
    pub user_agent: String,
    /// In which request.
    pub request_id: String,
    /// Nothing is to be recorded.
    pub dry_run: bool,
}

/// The answer about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// What was judged; none for an image from elsewhere, or one that is not here.
    pub digest: Option<Digest>,
    /// Whether it may run.
    pub allowed: bool,
    /// Why not, in plain words.
    pub reasons: Vec<String>,
    /// What to know though it may run.
    pub warnings: Vec<String>,
    /// Number of the recorded decision; of a permission that is given again, of the first one.
    pub decision: Option<i64>,
}

/// An image reference by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pinned {
    /// It has a digest, or it is not hosted here: it stays as it is.
    Unchanged,
    /// The reference to write instead.
    To(String),
    /// It is hosted here by its name, but there is nothing. In plain words.
    Unknown(String),
}

/// Where an image comes from.
enum Place {
    Here { name: RepositoryName, tag: Option<Tag>, digest: Option<Digest> },
    Elsewhere { name: String },
}

/// What is asked about an image, with where it leads.
struct Case<'a> {
    cluster: &'a AskingCluster,
    ask: &'a AdmissionAsk,
    image: &'a str,
}

/// An image that is hosted here, as it was asked about.
struct Asked<'a> {
    project: Project,
    name: &'a RepositoryName,
    tag: Option<&'a Tag>,
    digest: Digest,
    /// It was named by a tag that may move.
    movable: bool,
}

impl Registry {
    /// Judges one image. Errors are failures of the registry: the face denies on them too.
    pub async fn admit(
        &self,
        cluster: &AskingCluster,
        ask: &AdmissionAsk,
        image: &str,
    ) -> Result<Admission> {
        let case = Case { cluster, ask, image };
        let Some((entry, rule)) = cluster.rule(&ask.namespace) else {
            let reason = format!(
                "cluster {} runs nothing in the namespace {:?}: it lists no tier for it",
                cluster.name(),
                ask.namespace
            );
            return self.refuse_unjudged(&case, reason).await;
        };
        match place_of(cluster, image) {
            Err(reason) => self.refuse_unjudged(&case, reason).await,
            Ok(Place::Elsewhere { name }) => self.admit_from_elsewhere(&case, &name).await,
            Ok(Place::Here { name, tag, digest }) => {
                self.admit_hosted(&case, (entry, rule), &name, tag.as_ref(), digest).await
            }
        }
    }

    /// The reference by digest, for images that are hosted here and named by a tag.
    pub async fn pin(&self, cluster: &AskingCluster, image: &str) -> Result<Pinned> {
        let Ok(Place::Here { name, tag, digest: None }) = place_of(cluster, image) else {
            // What is no reference at all is refused when it is validated.
            return Ok(Pinned::Unchanged);
        };
        let mut tx = self.database().read().await?;
        match self.hosted(&mut tx, &name, tag.as_ref(), None).await? {
            Some((_, row, _)) => {
                let written = image.rsplit_once('/').map_or(image, |(_, last)| last);
                let tail = written.split_once(':').map_or(0, |(_, tag)| tag.len() + 1);
                let bare = &image[..image.len() - tail];
                Ok(Pinned::To(format!("{bare}@{}", row.digest)))
            }
            None => Ok(Pinned::Unknown(unknown_here(&name, tag.as_ref(), None))),
        }
    }

    async fn admit_from_elsewhere(&self, case: &Case<'_>, name: &str) -> Result<Admission> {
        let listed = case
            .cluster
            .0
            .unlisted_images
            .iter()
            .any(|text| Pattern::new(text).is_ok_and(|pattern| pattern.matches(name)));
        if !listed {
            let reason = format!(
                "{name} is not hosted by this registry, and cluster {} does not list it; push it \
                 here and promote it, or have it listed among the cluster's other images",
                case.cluster.name()
            );
            return self.refuse_unjudged(case, reason).await;
        }
        self.record_admission(case, case.event(), None).await?;
        Ok(Admission {
            digest: None,
            allowed: true,
            reasons: Vec::new(),
            warnings: Vec::new(),
            decision: None,
        })
    }

    async fn admit_hosted(
        &self,
        case: &Case<'_>,
        (entry, rule): (&str, &NamespacePolicy),
        name: &RepositoryName,
        tag: Option<&Tag>,
        digest: Option<Digest>,
    ) -> Result<Admission> {
        let question = question(case.cluster, entry, rule);
        if let Some(digest) = digest
            && let Some((project, judged)) = self.admitted(name, digest, &question).await?
        {
            let asked = Asked { project, name, tag, digest, movable: false };
            return self.answer(case, rule, asked, judged).await;
        }
        let mut tx = self.database().read().await?;
        let Some((scope, row, movable)) = self.hosted(&mut tx, name, tag, digest).await? else {
            drop(tx);
            return self.refuse_unjudged(case, unknown_here(name, tag, digest)).await;
        };
        let judged = match self.verdict(&mut tx, &scope, &row, &question).await? {
            Some(stands) => stands.judged,
            None => {
                drop(tx);
                Box::pin(self.judge_stored(&scope, &row, &question)).await?
            }
        };
        let asked = Asked { project: scope.project, name, tag, digest: row.digest, movable };
        self.answer(case, rule, asked, judged).await
    }

    /// The verdict that stands about a digest: one look-up, or none while it is remembered.
    async fn admitted(
        &self,
        name: &RepositoryName,
        digest: Digest,
        question: &Question,
    ) -> Result<Option<(Project, Judged)>> {
        let remembered = &self.standing().admitted;
        let key = (name.clone(), digest, question.context().to_owned());
        if let Some(known) = remembered.get(&key) {
            return Ok(Some((*known).clone()));
        }
        let mut tx = self.database().read().await?;
        let (door, context) = (question.door, question.context());
        let found =
            metadata::verdicts::fresh_by_name(&mut tx, name, &digest, door, context).await?;
        let Some((project, stored)) = found else { return Ok(None) };
        let until = stored.until;
        let answer = (project, Judged::stored(stored));
        remembered.keep(key, Arc::new(answer.clone()), tx.basis(), until);
        Ok(Some(answer))
    }

    /// Says and records what was judged.
    async fn answer(
        &self,
        case: &Case<'_>,
        rule: &NamespacePolicy,
        asked: Asked<'_>,
        judged: Judged,
    ) -> Result<Admission> {
        let Asked { project, name, tag, digest, movable } = asked;
        let allowed = judged.verdict.is_open();
        let (reasons, mut warnings) = in_words(&judged);
        if !rule.enforce && project.tier < rule.minimum_tier {
            warnings.push(below_tier(project.tier, rule.minimum_tier, &project.name));
        }
        if movable && allowed {
            warnings.push(
                "the tag may move; install the mutating webhook, or name the image by its digest"
                    .to_owned(),
            );
        }
        let mut event = case.event().at((&project, name.as_str())).digest(&digest);
        if let Some(tag) = tag {
            event = event.tag(tag.as_str());
        }
        if !allowed {
            event = event.denied().detail("reasons", reasons.clone());
        }
        let decision = Some((project.id, name.as_str(), digest, judged));
        let decision = self.record_admission(case, event, decision).await?;
        Ok(Admission { digest: Some(digest), allowed, reasons, warnings, decision })
    }

    /// The manifest that a reference names here, and whether it was named by a tag that may move.
    async fn hosted(
        &self,
        tx: &mut Tx,
        name: &RepositoryName,
        tag: Option<&Tag>,
        digest: Option<Digest>,
    ) -> Result<Option<(Scope, metadata::manifests::Manifest, bool)>> {
        if name.within_project().is_none() {
            return Ok(None);
        }
        let Some(project) = metadata::projects::find(tx, name.project()).await? else {
            return Ok(None);
        };
        let Some(repository) = metadata::repositories::find(tx, project.id, name).await? else {
            return Ok(None);
        };
        let latest: Option<Tag> = "latest".parse().ok();
        let (digest, movable) = match (digest, tag.or(latest.as_ref())) {
            (Some(digest), _) => (digest, false),
            (None, Some(tag)) => match metadata::tags::find(tx, repository.id, tag).await? {
                Some(tag) => (tag.digest, !tag.immutable),
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        let Some(row) = metadata::manifests::find(tx, repository.id, &digest).await? else {
            return Ok(None);
        };
        // A cluster asks for a verdict, it reads nothing: it needs no rights.
        let scope = Scope {
            project,
            name: name.clone(),
            repository: Some(repository),
            rights: RightSet::NONE,
            whole: RightSet::NONE,
        };
        Ok(Some((scope, row, movable)))
    }

    /// Denies what no policy was asked about.
    async fn refuse_unjudged(&self, case: &Case<'_>, reason: String) -> Result<Admission> {
        let event = case.event().denied().detail("reasons", vec![reason.clone()]);
        self.record_admission(case, event, None).await?;
        Ok(Admission {
            digest: None,
            allowed: false,
            reasons: vec![reason],
            warnings: Vec::new(),
            decision: None,
        })
    }

    async fn record_admission(
        &self,
        case: &Case<'_>,
        event: Event,
        decision: Option<(i64, &str, Digest, Judged)>,
    ) -> Result<Option<i64>> {
        if case.ask.dry_run {
            return Ok(None);
        }
        let at = self.now();
        let event = event.happened(at);
        let decision = decision.map(|(project_id, repository, digest, judged)| {
            crate::admission_log::Decision {
                project_id,
                repository: repository.to_owned(),
                digest,
                verdict: judged.verdict,
                input: judged.input,
                actor: case.actor(),
                address: case.ask.address.to_string(),
                context: format!("{}/{}", case.cluster.name(), case.ask.namespace),
                at,
            }
        });
        self.admissions().write(Record { decision, event, first: None }).await
    }
}

impl Case<'_> {
    fn actor(&self) -> String {
        format!("cluster:{}", self.cluster.name())
    }

    fn event(&self) -> Event {
        let caller = Caller {
            principal: Principal::Anonymous,
            address: self.ask.address,
            user_agent: self.ask.user_agent.clone(),
            request_id: self.ask.request_id.clone(),
            scope: None,
        };
        Event::new(&caller, "admit")
            .by(self.actor())
            .detail("image", self.image.chars().take(1_000).collect::<String>())
            .detail("cluster", self.cluster.name())
            .detail("namespace", self.ask.namespace.as_str())
            .detail("user", self.ask.user.as_str())
            .detail("object", self.ask.object.as_str())
    }
}

/// Where an image comes from, as container clients read its name.
fn place_of(cluster: &AskingCluster, image: &str) -> Result<Place, String> {
    let reference: ImageReference =
        image.parse().map_err(|error| format!("it is not a reference to an image: {error}"))?;
    let host = normal_host(reference.host.as_deref().unwrap_or_default());
    if cluster.knows(&host) {
        let ImageReference { repository: name, tag, digest, .. } = reference;
        return Ok(Place::Here { name, tag, digest });
    }
    let repository = reference.repository.as_str();
    let official = host == "docker.io" && !repository.contains('/');
    let name = match official {
        true => format!("{host}/library/{repository}"),
        false => format!("{host}/{repository}"),
    };
    Ok(Place::Elsewhere { name })
}

fn question(cluster: &AskingCluster, entry: &str, rule: &NamespacePolicy) -> Question {
    Question {
        door: Door::Admit,
        request: None,
        cluster: Some(ClusterPolicies {
            context: namespace_target(cluster.0.id, entry),
            name: format!("{}/{entry}", cluster.name()),
            minimum_tier: rule.enforce.then_some(rule.minimum_tier),
            updated_at: cluster.0.updated_at,
        }),
    }
}

/// What refuses, with what would change it, and apart from that what only warns.
fn in_words(judged: &Judged) -> (Vec<String>, Vec<String>) {
    let objections = judged.verdict.objections();
    let (refusing, warning): (Vec<_>, Vec<_>) =
        objections.into_iter().partition(|reason| reason.action > Action::Warn);
    let words = |reason: &sealock_facts::Reason| {
        let mut text = format!("[{}/{}] {}", reason.policy, reason.rule, reason.message);
        if !reason.remedy.is_empty() {
            text.push_str(&format!(" ({})", reason.remedy));
        }
        text
    };
    (refusing.into_iter().map(words).collect(), warning.into_iter().map(words).collect())
}

fn below_tier(tier: Tier, minimum: Tier, project: &str) -> String {
    format!("{project} is in the tier {tier}; this namespace asks for {minimum} or above")
}

fn unknown_here(name: &RepositoryName, tag: Option<&Tag>, digest: Option<Digest>) -> String {
    let what = match (tag, digest) {
        (_, Some(digest)) => format!("{name}@{digest}"),
        (Some(tag), None) => format!("{name}:{tag}"),
        (None, None) => format!("{name}:latest"),
    };
    format!("this registry holds no {what}")
}
