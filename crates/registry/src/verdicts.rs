//! Verdicts that stand, and verdicts made anew.

use crate::{
    Registry, Result,
    access::Scope,
    contents::Layers,
    gate::{Judged, Node, Question},
};
use jiff::Timestamp;
use sealock_facts::Door;
use sealock_metadata::{
    self as metadata, Tx,
    manifests::Manifest as ManifestRow,
    projects::Project,
    verdicts::{Revisions, StoredVerdict},
};
use sealock_policy::{AppliedPolicy, Subject, evaluate_access};
use std::{sync::Arc, time::Duration};

/// A verdict that stands and refuses nobody for who they are.
pub(crate) struct Stands {
    pub(crate) judged: Judged,
    /// Until when; for ever for none.
    pub(crate) until: Option<Timestamp>,
    /// Whose access settings were asked; none when nobody in particular asks.
    pub(crate) policies: Arc<Vec<AppliedPolicy>>,
}

impl Registry {
    /// The verdict that stands, if one does: one indexed read, and the access settings.
    pub(crate) async fn verdict(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &ManifestRow,
        question: &Question,
    ) -> Result<Option<Stands>> {
        let (door, context) = (question.door, question.context());
        let stored =
            metadata::verdicts::fresh(tx, row.repository_id, row.id, door, context).await?;
        let Some(stored) = stored else { return Ok(None) };
        let (until, revisions) = (stored.until, stored.revisions);
        let judged = Judged::stored(stored);
        let Some(request) = &question.request else {
            return Ok(Some(Stands { judged, until, policies: Arc::default() }));
        };
        // What policies say about who asks. When that alone refuses, the refusal needs an input
        // document of its own.
        let policies = self.policies_at(tx, &scope.project, revisions).await?;
        let subject = subject(&scope.project, scope.name.as_str());
        let access = evaluate_access(question.door, &subject, &policies, request);
        Ok(access.is_open().then_some(Stands { judged, until, policies }))
    }

    /// Judges a stored manifest anew: what is still queued about it is done first, within the
    /// door's time limit, and the verdict is stored for the next one who asks.
    ///
    /// Rare, and a deep future: the doors put it on the heap.
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
        if let Some(stands) = self.verdict(&mut tx, scope, &row, question).await? {
            return Ok(stands.judged);
        }
        drop(tx);
        let opens = self.settle(row.repository_id, &row.digest, self.door_wait()).await?;
        let mut tx = self.database().read().await?;
        let row = self.again(&mut tx, &row).await?;
        let revisions = metadata::verdicts::revisions(&mut tx, row.repository_id, row.id)
            .await?
            .ok_or_else(|| crate::access::name_unknown(&scope.name))?;
        let project = metadata::projects::get(&mut tx, scope.project.id)
            .await?
            .ok_or_else(|| crate::access::name_unknown(&scope.name))?;
        let node = Node::stored(&mut tx, &row).await?;
        let name = scope.name.as_str();
        let mut input =
            self.gate_input(&mut tx, &project, name, row.repository_id, node, question).await?;
        drop(tx);
        let request = input.request.take();
        let judged = Judged::of(&mut input)?;
        let until = [judged.verdict.valid_until, opens].into_iter().flatten().min();
        if let Err(error) = self.keep_verdict(&row, question, revisions, &judged, until).await {
            // A verdict is a cache: who may read notices nothing of a database that cannot be
            // written to. What has to be recorded is not answered without its record.
            if !judged.verdict.is_open() || question.door == Door::Admit {
                return Err(error);
            }
            tracing::warn!(digest = %row.digest, error = error.log(), "a verdict was not kept");
        }
        if request.is_none() {
            return Ok(judged);
        }
        input.request = request;
        let personal = Judged::of(&mut input)?;
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
        revisions: Revisions,
        judged: &Judged,
        until: Option<Timestamp>,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (digest, bytes) = &judged.input;
        // A refusal can be replayed from the first time on; what is allowed is recorded at the
        // doors that record everything. At the admit door a dry run may come first, which records
        // nothing, and the answers after it name this document.
        let recorded = !judged.verdict.is_open() || question.door == Door::Admit;
        if recorded && let Some(bytes) = bytes {
            metadata::decisions::put_document(&mut tx, digest, bytes).await?;
        }
        let (door, context) = (question.door, question.context());
        let stored = StoredVerdict {
            verdict: judged.verdict.clone(),
            input_digest: *digest,
            revisions,
            until,
        };
        metadata::verdicts::put(&mut tx, row.id, (door, context), &stored).await?;
        // What nothing was recorded about is made again when the power goes: the first pull of an
        // image does not wait for a disk that is busy with what was pushed before.
        match recorded {
            true => tx.commit().await?,
            false => tx.commit_soon().await?,
        }
        Ok(())
    }

    /// Judges a manifest that is not stored yet (decision D1).
    pub(crate) async fn judge_incoming(
        &self,
        scope: &Scope,
        mut node: Node,
        layers: &Layers,
        question: Question,
    ) -> Result<Judged> {
        let mut tx = self.database().read().await?;
        let policies = self.policies_of(&mut tx, &scope.project, None).await?;
        let asks = policies.iter().any(|policy| asks_for_contents(policy, question.door));
        if let (true, Some(chain)) = (asks, node.chain) {
            drop(tx);
            let _waiting = self.inspections().pace().door();
            let work = self.contents_of(&chain, layers);
            node.contents_id = within(self.door_wait(), work).await?;
            // What was found out since is to be seen.
            tx = self.database().read().await?;
        }
        let repository_id = scope.repository.as_ref().map_or(0, |repository| repository.id);
        let name = scope.name.as_str();
        let mut input =
            self.gate_input(&mut tx, &scope.project, name, repository_id, node, &question).await?;
        Judged::of(&mut input)
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

/// Where an artifact stands, as policies see it.
pub(crate) fn subject(project: &Project, repository: &str) -> Subject {
    Subject { project: project.name.clone(), repository: repository.to_owned(), tier: project.tier }
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
