//! What a door needs and a job has not done yet is done before the door answers (decision D4).

use crate::{
    Registry, Result,
    gate::{Node, Question},
    jobs,
    verdicts::within,
};
use jiff::Timestamp;
use sealock_facts::Door;
use sealock_jobs::RunOutcome;
use sealock_metadata::{
    self as metadata, Tx,
    manifests::{Kind as RowKind, Manifest as ManifestRow, State},
};
use sealock_oci::Digest;
use std::{collections::BTreeSet, time::Duration};

/// Most manifests that are settled for one question.
const MAX_SETTLED: usize = 256;

impl Registry {
    /// Does what is still queued about a manifest, its children, the indexes above it and, if it
    /// is an accessory, its subject; then opens what is held of them and the push door would let
    /// pass now. What takes longer than `limit` stays unknown for now, and goes on as a job.
    ///
    /// Of what stays held: when time alone may open it.
    pub(crate) async fn settle(
        &self,
        repository_id: i64,
        digest: &Digest,
        limit: Duration,
    ) -> Result<Option<Timestamp>> {
        let _waiting = self.inspections().pace().door();
        within(limit, self.settle_all(repository_id, digest, limit)).await?;
        Ok(within(limit, self.open_all(repository_id, digest)).await?.flatten())
    }

    async fn open_all(&self, repository_id: i64, digest: &Digest) -> Result<Option<Timestamp>> {
        let mut tx = self.database().read().await?;
        let around = around(&mut tx, repository_id, digest).await?;
        drop(tx);
        let mut opens = None;
        for row in around.iter().filter(|row| row.state == State::Held) {
            let later = self.open_held(repository_id, &row.digest).await?;
            opens = [opens, later].into_iter().flatten().min();
        }
        Ok(opens)
    }

    async fn settle_all(&self, repository_id: i64, digest: &Digest, limit: Duration) -> Result<()> {
        let mut tx = self.database().read().await?;
        let mut pending = Vec::new();
        for row in around(&mut tx, repository_id, digest).await? {
            if let Some(subject) = subject_of(&mut tx, &row).await?
                && self.evidence_is_pending(&mut tx, repository_id, &subject).await?
            {
                pending.push(Work::Evidence(subject));
            }
            if self.evidence_is_pending(&mut tx, repository_id, &row.digest).await? {
                pending.push(Work::Evidence(row.digest));
            }
            if row.chain.is_some() && self.contents_are_open(&mut tx, &row).await? {
                pending.push(Work::Contents(row.digest));
            }
        }
        drop(tx);
        for work in pending {
            match work {
                Work::Evidence(subject) => {
                    let key = jobs::subject_key(repository_id, &subject);
                    let outcome = self.jobs().run_now(jobs::VERIFY, &key, limit).await?;
                    if let RunOutcome::Failed(error) = outcome {
                        tracing::warn!(%subject, error, "evidence could not be verified now");
                    }
                }
                Work::Contents(digest) => {
                    // The queued job then finds nothing left to do.
                    if let Err(error) = self.make_contents(repository_id, &digest).await {
                        let error = error.log().unwrap_or(error.message());
                        tracing::warn!(%digest, error, "contents could not be read now");
                    }
                }
            }
        }
        Ok(())
    }

    async fn contents_are_open(&self, tx: &mut Tx, row: &ManifestRow) -> Result<bool> {
        let Some(id) = row.contents_id else { return Ok(true) };
        let state = metadata::components::match_state(tx, &[id]).await?;
        Ok(state.iter().any(|state| state.unmatched > 0))
    }

    /// Judges an artifact that was stored as held (decision D1): it is opened when the push door
    /// lets it pass now that its facts are known, and stays closed otherwise.
    pub(crate) async fn judge_held(&self, repository_id: i64, digest: &Digest) -> Result<()> {
        self.settle_all(repository_id, digest, self.door_wait()).await?;
        self.open_held(repository_id, digest).await.map(|_| ())
    }

    /// Whatever has changed since a push was held, such as a signature that came or advisories that
    /// were imported, counts the next time that a door is asked.
    async fn open_held(&self, repository_id: i64, digest: &Digest) -> Result<Option<Timestamp>> {
        let mut tx = self.database().read().await?;
        let row = metadata::manifests::find(&mut tx, repository_id, digest).await?;
        let Some(row) = row.filter(|row| row.state == State::Held) else { return Ok(None) };
        let repository = metadata::repositories::get(&mut tx, repository_id).await?;
        let project = metadata::projects::get(&mut tx, row.project_id).await?;
        let (Some(repository), Some(project)) = (repository, project) else { return Ok(None) };
        let seen = metadata::verdicts::revisions(&mut tx, repository_id, row.id).await?;
        let node = Node { held: false, ..Node::stored(&mut tx, &row).await? };
        let question = Question { door: Door::Push, request: None, cluster: None };
        let name = repository.name.as_str();
        let input =
            self.gate_input(&mut tx, &project, name, repository_id, node, &question).await?;
        drop(tx);
        let verdict = sealock_policy::evaluate(&input);
        if !verdict.is_open() {
            return Ok(verdict.valid_until);
        }
        let mut tx = self.database().write().await?;
        if metadata::verdicts::revisions(&mut tx, repository_id, row.id).await? != seen {
            // Something changed meanwhile: who asks next judges anew.
            return Ok(None);
        }
        metadata::manifests::set_state(&mut tx, repository_id, row.id, State::Active).await?;
        metadata::manifests::bump_by_digest(&mut tx, repository_id, &[row.digest]).await?;
        tx.commit().await?;
        Ok(None)
    }
}

enum Work {
    Evidence(Digest),
    Contents(Digest),
}

/// A manifest with what it lists and what lists it, each as far as it is here.
async fn around(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<Vec<ManifestRow>> {
    let Some(root) = metadata::manifests::find(tx, repository_id, digest).await? else {
        return Ok(Vec::new());
    };
    let mut seen = BTreeSet::from([root.digest]);
    let mut all = vec![root];
    let mut at = 0;
    while at < all.len() && all.len() < MAX_SETTLED {
        if all[at].kind == RowKind::Index {
            let children = metadata::manifests::children(tx, repository_id, &[all[at].id]).await?;
            for child in children {
                if seen.insert(child.digest)
                    && let Some(row) =
                        metadata::manifests::find(tx, repository_id, &child.digest).await?
                {
                    all.push(row);
                }
            }
        }
        at += 1;
    }
    for parent in metadata::manifests::parents(tx, repository_id, digest).await? {
        if seen.insert(parent.digest) {
            all.push(parent);
        }
    }
    Ok(all)
}

/// What a manifest speaks about, by its subject field or a legacy tag.
async fn subject_of(tx: &mut Tx, row: &ManifestRow) -> Result<Option<Digest>> {
    if row.subject.is_some() || row.kind == RowKind::Index {
        return Ok(row.subject);
    }
    let tags = metadata::tags::of_manifests(tx, row.repository_id, &[row.id]).await?;
    let named = tags.iter().filter_map(|tag| tag.name.parse().ok());
    Ok(named.filter_map(|tag| crate::incoming::legacy_subject(&tag)).next())
}
