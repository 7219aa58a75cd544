//! Promotion: into a higher tier through the gate, in one transaction (decision D7).
//!
//! Judge; sign and durably store the summary; then one transaction compares the revisions that the
//! judgement was made under and links subject, children, verified accessories and the summary. When
//! a revision has changed meanwhile, all of it starts again.

use crate::{
    Error, Page, PageRequest, Registry, Result,
    access::{Need, PULLED, Scope},
    audit::Event,
    gate::{Judged, Node, Question},
    promotion_plan::Plan,
    pull::resolve,
    quarantine::words,
    verdicts::subject,
};
use sealock_auth::{Caller, Principal, Right};
use sealock_facts::{Door, Verdict};
use sealock_metadata::{
    self as metadata, Tx, manifests::Manifest as ManifestRow, projects::Project,
    promotions::NewPromotion,
};
use sealock_oci::{Digest, ErrorCode, Reference, RepositoryName, Tag};
use sealock_policy::GateInput;
use serde::Serialize;

/// How often a promotion starts again because something changed under it.
const ATTEMPTS: usize = 5;

/// Where a promotion goes: `project[/repository][:tag]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionTarget {
    /// The project.
    pub project: String,
    /// The repository within it; none for the source's name.
    pub repository: Option<String>,
    /// The tag; none for the source's, if it was named by one.
    pub tag: Option<Tag>,
}

impl std::str::FromStr for PromotionTarget {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) => (name, Some(tag.parse()?)),
            None => (text, None),
        };
        let name: RepositoryName = name.parse()?;
        Ok(Self {
            project: name.project().to_owned(),
            repository: name.within_project().map(str::to_owned),
            tag,
        })
    }
}

/// What a promotion did.
#[derive(Debug, Clone, Serialize)]
pub struct Promotion {
    /// What was promoted.
    pub digest: Digest,
    /// Where it is now, as `host/repository[:tag]@digest`.
    pub image: String,
    /// The repository it is in now.
    pub repository: RepositoryName,
    /// The tag it got.
    pub tag: Option<Tag>,
    /// Number of the decision, for replay.
    pub decision: i64,
    /// Digest of the manifest of the signed summary (VSA).
    pub vsa: Option<Digest>,
    /// Manifests that were linked: children and verified accessories.
    pub linked: Vec<Digest>,
    /// Accessories that are not verified and stayed behind.
    pub left_behind: Vec<Digest>,
    /// Nothing was left to do: it had been promoted so before.
    pub already: bool,
    /// The verdict, with its warnings.
    pub verdict: Verdict,
}

/// A promotion that was recorded.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedPromotion {
    /// Number.
    pub id: i64,
    /// What was promoted.
    pub digest: Digest,
    /// From which repository.
    pub source: String,
    /// Into which repository.
    pub target: String,
    /// The tag it got.
    pub tag: Option<String>,
    /// The decision.
    pub decision: i64,
    /// The signed summary.
    pub vsa: Option<Digest>,
    /// Accessories that stayed behind.
    pub left_behind: Vec<Digest>,
    /// Who.
    pub actor: String,
    /// When.
    pub at: jiff::Timestamp,
}

/// Source and target, resolved for a caller.
pub(crate) struct Move {
    pub(crate) source_project: Project,
    pub(crate) source_name: RepositoryName,
    pub(crate) row: ManifestRow,
    pub(crate) target: Project,
    pub(crate) target_name: RepositoryName,
    pub(crate) tag: Option<Tag>,
}

/// The revisions that a judgement was made under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    facts: i64,
    policy: i64,
    system: i64,
}

impl Registry {
    /// Promotes an image. The caller needs the right to promote into the target project and to
    /// pull from the source; a robot of the source project needs the right to promote there, and to
    /// be invited by the target's own policy. Doing it again links what has come since, and nothing
    /// twice.
    pub async fn promote(
        &self,
        caller: &Caller,
        source: &RepositoryName,
        reference: &Reference,
        target: &PromotionTarget,
    ) -> Result<Promotion> {
        for _ in 0..ATTEMPTS {
            let step = self.resolve_move(caller, source, reference, target).await?;
            if let Some(done) = self.try_promote(caller, &step).await? {
                self.jobs().wake();
                return Ok(done);
            }
        }
        Err(Error::conflict(
            "facts or policies changed while the image was judged, again and again; try again",
        ))
    }

    /// Promotions into projects that the caller may read, newest first.
    pub async fn promotions(
        &self,
        caller: &Caller,
        project: Option<&str>,
        digest: Option<&Digest>,
        page: &PageRequest,
    ) -> Result<Page<RecordedPromotion>> {
        let mut tx = self.database().read().await?;
        let visible = match project {
            Some(name) => {
                let need = Need::Has(Right::Pull);
                let (project, _) = self.project_scope(&mut tx, caller, name, need).await?;
                metadata::projects::Visible::Only(vec![project.id])
            }
            None => self.visible(&mut tx, caller, PULLED).await?,
        };
        let limit = page.limit();
        let before = page.after_id();
        let rows = metadata::promotions::list(&mut tx, &visible, digest, before, limit + 1).await?;
        let rows = rows.into_iter().map(recorded).collect();
        Ok(Page::cut(rows, limit, |row: &RecordedPromotion| row.id.to_string()))
    }

    async fn resolve_move(
        &self,
        caller: &Caller,
        source: &RepositoryName,
        reference: &Reference,
        target: &PromotionTarget,
    ) -> Result<Move> {
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, source, Need::Has(Right::Pull)).await?;
        let row = resolve(&mut tx, scope.repository()?.id, reference).await?;
        let within = match &target.repository {
            Some(within) => within.as_str(),
            None => source.within_project().unwrap_or_default(),
        };
        let target_name: RepositoryName = format!("{}/{within}", target.project).parse()?;
        let need = Need::Has(Right::Promote);
        let place = (&*target.project, &target_name);
        let project = match self.scope_of(&mut tx, caller, place, need).await {
            Ok(project) => project,
            Err(refused) => {
                let invited = self.invited(&mut tx, caller, &scope, &target.project).await?;
                invited.ok_or(refused)?
            }
        };
        if project.id == scope.project.id {
            return Err(Error::invalid(
                ErrorCode::Unsupported,
                "a promotion goes into another project",
            ));
        }
        let tag = match (&target.tag, reference) {
            (Some(tag), _) => Some(tag.clone()),
            (None, Reference::Tag(tag)) => Some(tag.clone()),
            (None, Reference::Digest(_)) => None,
        };
        let source_project = scope.project;
        Ok(Move {
            source_project,
            source_name: source.clone(),
            row,
            target: project,
            target_name,
            tag,
        })
    }

    /// The target, for a robot of the source project with the right to promote. A robot belongs to
    /// one project, so it has no rights in the target: it may go where the target's own policy
    /// names its project among the sources, literally. A tier's list invites nobody.
    async fn invited(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        source: &Scope,
        target: &str,
    ) -> Result<Option<Project>> {
        let own = matches!(&caller.principal,
            Principal::Robot { project_id, .. } if *project_id == Some(source.project.id));
        if !own || !source.rights.contains(Right::Promote) {
            return Ok(None);
        }
        let Some(project) = metadata::projects::find(tx, target).await? else { return Ok(None) };
        let policies = self.policies_of(tx, &project, None).await?;
        let invites = policies
            .iter()
            .filter(|policy| policy.scope == sealock_policy::Scope::Project)
            .filter_map(|policy| policy.document.access.sources.as_ref())
            .any(|sources| sources.projects.iter().any(|p| p.as_str() == source.project.name));
        Ok(invites.then_some(project))
    }

    /// One attempt. None when something changed under it.
    async fn try_promote(&self, caller: &Caller, step: &Move) -> Result<Option<Promotion>> {
        let repository_id = step.row.repository_id;
        self.settle(repository_id, &step.row.digest, self.door_wait()).await?;
        self.verify_for_target(step).await?;
        let Some((seen, judged)) = self.judge_promotion(caller, step).await? else {
            return Ok(None);
        };
        if !judged.verdict.is_open() {
            let place = (&step.target, step.target_name.as_str());
            return Err(self.refuse(caller, place, step.row.digest, Door::Promote, judged).await);
        }
        let mut tx = self.database().read().await?;
        let plan = Plan::make(&mut tx, &step.row).await?;
        if let Some(done) = self.promoted_before(&mut tx, step, &plan, &judged).await? {
            return Ok(Some(done));
        }
        drop(tx);
        let summary = self.sign_summary(step, &judged, &plan).await?;
        let mut tx = self.database().write().await?;
        if self.lock_seen(&mut tx, step).await? != Some(seen) {
            // The summary's bytes are a leak at worst: no row names them.
            return Ok(None);
        }
        let decision = self.record_promotion_decision(&mut tx, caller, step, &judged).await?;
        let linked = self.link_plan(&mut tx, caller, step, &plan).await?;
        let (vsa, spare) = self.link_summary(&mut tx, caller, step, &summary).await?;
        let left_behind: Vec<Digest> = plan.left_behind.clone();
        metadata::promotions::record(
            &mut tx,
            &NewPromotion {
                digest: &step.row.digest,
                source: (step.source_project.id, step.source_name.as_str()),
                target: (step.target.id, step.target_name.as_str()),
                target_tag: step.tag.as_ref().map(Tag::as_str),
                decision_id: decision,
                summary: Some(&vsa),
                left_behind: &left_behind,
                actor: &caller.principal.to_string(),
            },
        )
        .await?;
        audit(&mut tx, caller, step, decision, &vsa, &left_behind).await?;
        let place = (&step.target, step.target_name.as_str());
        self.commit_within_quota(tx, caller, place).await?;
        for key in spare {
            self.blobs().remove(&key).await?;
        }
        let vsa = Some(vsa);
        Ok(Some(self.outcome(step, (decision, vsa), (linked, left_behind), false, judged.verdict)))
    }

    /// Verifies what does not count yet under the keys of the target, which may list more.
    async fn verify_for_target(&self, step: &Move) -> Result<()> {
        let mut tx = self.database().read().await?;
        let keys = crate::verify::project_keys(&mut tx, step.target.id).await?;
        let rejected = crate::promotion_plan::rejected_accessories(&mut tx, &step.row).await?;
        drop(tx);
        for digest in rejected {
            self.verify_again(step.row.repository_id, &digest, &keys).await?;
        }
        Ok(())
    }

    async fn judge_promotion(
        &self,
        caller: &Caller,
        step: &Move,
    ) -> Result<Option<(Seen, Judged)>> {
        let mut tx = self.database().read().await?;
        let (repository_id, digest) = (step.row.repository_id, step.row.digest);
        let Some(row) = metadata::manifests::find(&mut tx, repository_id, &digest).await? else {
            return Ok(None);
        };
        let Some(target) = metadata::projects::get(&mut tx, step.target.id).await? else {
            return Ok(None);
        };
        let system = metadata::settings::system_rev(&mut tx).await?;
        let node = Node::stored(&mut tx, &row).await?;
        let source = subject(&step.source_project, step.source_name.as_str());
        let request = self.request_facts(caller, |request| {
            request.by_digest = true;
            request.source = Some(source);
        });
        let question = Question { door: Door::Promote, request: Some(request), cluster: None };
        let name = step.target_name.as_str();
        let mut input =
            self.gate_input(&mut tx, &target, name, repository_id, node, &question).await?;
        self.keep_cover(&mut tx, step, &mut input).await?;
        let seen = Seen { facts: row.facts_rev, policy: target.policy_rev, system };
        Ok(Some((seen, Judged::of(&mut input)?)))
    }

    /// Evidence on an index covers a child in the same repository (decision D9). A promotion takes
    /// no index along with its child, so at the way in only those count that are in the target:
    /// else what passes here would be refused at the pull door behind it.
    async fn keep_cover(&self, tx: &mut Tx, step: &Move, input: &mut GateInput) -> Result<()> {
        let target = metadata::repositories::find(tx, step.target.id, &step.target_name).await?;
        for covering in &mut input.artifact.covered_by {
            let there = match &target {
                Some(target) => metadata::manifests::find(tx, target.id, &covering.index).await?,
                None => None,
            };
            // The index itself stays in the document: a ban on it closes what it lists.
            if there.is_none() {
                covering.signatures.clear();
                covering.attestations.clear();
            }
        }
        Ok(())
    }

    /// The revisions as they are now, locked until the transaction ends.
    async fn lock_seen(&self, tx: &mut Tx, step: &Move) -> Result<Option<Seen>> {
        let (repository_id, id) = (step.row.repository_id, step.row.id);
        let facts = metadata::manifests::lock_facts_rev(tx, repository_id, id).await?;
        let policy = metadata::projects::lock_policy_rev(tx, step.target.id).await?;
        let system = metadata::settings::lock_system_rev(tx).await?;
        let (Some(facts), Some(policy)) = (facts, policy) else { return Ok(None) };
        Ok(Some(Seen { facts, policy, system }))
    }

    /// The promotion that did all that this one would do, if there is one.
    async fn promoted_before(
        &self,
        tx: &mut Tx,
        step: &Move,
        plan: &Plan,
        judged: &Judged,
    ) -> Result<Option<Promotion>> {
        let before =
            metadata::promotions::into_project(tx, step.target.id, &step.row.digest).await?;
        let Some(before) = before else { return Ok(None) };
        let found = metadata::repositories::find(tx, step.target.id, &step.target_name).await?;
        let (Some(repository), true) =
            (found, before.target_repository == step.target_name.as_str())
        else {
            return Ok(None);
        };
        if !plan.is_linked_in(tx, repository.id).await? {
            return Ok(None);
        }
        if let Some(tag) = &step.tag {
            let named = metadata::tags::find(tx, repository.id, tag).await?;
            if named.is_none_or(|named| named.digest != step.row.digest) {
                return Ok(None);
            }
        }
        let what = (before.decision_id, before.summary);
        let lists = (plan.linked(), before.left_behind);
        Ok(Some(self.outcome(step, what, lists, true, judged.verdict.clone())))
    }

    async fn record_promotion_decision(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        step: &Move,
        judged: &Judged,
    ) -> Result<i64> {
        let place = (&step.target, step.target_name.as_str());
        let door = (Door::Promote, step.source_name.as_str());
        self.record_decision(tx, caller, place, &step.row.digest, door, judged).await
    }

    fn outcome(
        &self,
        step: &Move,
        (decision, vsa): (i64, Option<Digest>),
        (linked, left_behind): (Vec<Digest>, Vec<Digest>),
        already: bool,
        verdict: Verdict,
    ) -> Promotion {
        let tag = step.tag.as_ref().map_or_else(String::new, |tag| format!(":{tag}"));
        let digest = step.row.digest;
        Promotion {
            digest,
            image: format!("{}/{}{tag}@{digest}", self.external_host(), step.target_name),
            repository: step.target_name.clone(),
            tag: step.tag.clone(),
            decision,
            vsa,
            linked,
            left_behind,
            already,
            verdict,
        }
    }
}

async fn audit(
    tx: &mut Tx,
    caller: &Caller,
    step: &Move,
    decision: i64,
    vsa: &Digest,
    left_behind: &[Digest],
) -> Result<()> {
    let mut event = Event::new(caller, "promote")
        .at((&step.target, step.target_name.as_str()))
        .digest(&step.row.digest)
        .detail("source", step.source_name.as_str())
        .detail("decision", decision)
        .detail("vsa", vsa.to_string())
        .detail("left_behind", words(left_behind));
    if let Some(tag) = &step.tag {
        event = event.tag(tag.as_str());
    }
    event.record(tx).await
}

fn recorded(row: metadata::promotions::Promotion) -> RecordedPromotion {
    RecordedPromotion {
        id: row.id,
        digest: row.digest,
        source: row.source_repository,
        target: row.target_repository,
        tag: row.target_tag,
        decision: row.decision_id,
        vsa: row.summary,
        left_behind: row.left_behind,
        actor: row.actor,
        at: row.at,
    }
}
