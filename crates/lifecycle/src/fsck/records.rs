//! Evidence, verdicts, decisions, jobs, keys.

use super::{Check, Example, Kind, PAGE, Step};
use sealock_facts::Verdict;
use sealock_metadata::{fsck::records as rows, jobs, product_keys};
use sealock_oci::Digest;
use sealock_registry::{KEY_PURPOSES, key_opens};

/// Documents of decisions read at a time; each has at most a few megabytes.
const DOCUMENTS: u32 = 16;
/// Most keys of one purpose, retired ones too.
const MAX_KEYS: u32 = 1_000;

impl Check<'_> {
    pub(super) async fn evidence(&mut self) -> Step<()> {
        self.progress.stage("evidence", 0, "rows");
        let mut after = 0;
        loop {
            let mut tx = self.read().await?;
            let page = rows::orphans(&mut tx, after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for orphan in page {
                let mut example =
                    Example::default().digest(&orphan.subject).repository(Some(orphan.repository));
                if self.repair() {
                    let mended = async {
                        let mut tx = self.write().await?;
                        let done = rows::remove_evidence(&mut tx, orphan.id).await?;
                        tx.commit().await?;
                        Ok(done)
                    };
                    example.outcome = self.outcome(mended.await);
                }
                self.report.add(Kind::EvidenceOrphaned, 0, example);
            }
        }
    }

    pub(super) async fn verdicts(&mut self) -> Step<()> {
        self.progress.stage("verdicts", 0, "rows");
        let mut after = (0, String::new(), String::new());
        loop {
            let mut tx = self.read().await?;
            let page = rows::verdicts(&mut tx, &after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.key);
            for verdict in page {
                let unreadable = serde_json::from_str::<Verdict>(&verdict.verdict).is_err();
                if !verdict.ahead && !unreadable {
                    self.report.checked.stale_verdicts += u64::from(verdict.stale);
                    continue;
                }
                let why = if unreadable { "unreadable" } else { "from revisions to come" };
                let (manifest, door, _) = &verdict.key;
                let mut example = Example::of(format!("manifest {manifest}, door {door}: {why}"));
                if self.repair() {
                    let mended = async {
                        let mut tx = self.write().await?;
                        let done = rows::forget_verdict(&mut tx, &verdict.key).await?;
                        tx.commit().await?;
                        Ok(done)
                    };
                    example.outcome = self.outcome(mended.await);
                }
                self.report.add(Kind::VerdictWrong, 0, example);
            }
        }
    }

    pub(super) async fn decisions(&mut self) -> Step<()> {
        if self.quick() {
            return Ok(());
        }
        self.progress.stage("decisions", 0, "documents");
        let mut after = String::new();
        loop {
            let mut tx = self.read().await?;
            let page = rows::inputs(&mut tx, &after, DOCUMENTS).await?;
            drop(tx);
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for (digest, document) in page {
                self.progress.advance(1);
                if Digest::sha256(&document).to_string() == digest {
                    continue;
                }
                let mut tx = self.read().await?;
                let decision = rows::decision_from(&mut tx, &digest).await?;
                drop(tx);
                let detail = decision.map(|id| format!("of decision {id}")).unwrap_or_default();
                self.note(Kind::DecisionDamaged, 0, Example::of(detail).digest(digest));
            }
        }
    }

    pub(super) async fn jobs(&mut self) -> Step<()> {
        self.progress.stage("jobs", 0, "jobs");
        let mut after = 0;
        loop {
            let mut tx = self.read().await?;
            let page = jobs::dead(&mut tx, after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for job in page {
                let error = job.last_error.as_deref().unwrap_or("no error is recorded");
                let mut example = Example::of(format!("{} {}: {error}", job.kind, job.key));
                if self.repair() {
                    let mended = async {
                        let mut tx = self.write().await?;
                        let done = jobs::bury(&mut tx, job.id).await?;
                        let now = tx.shared_now().await?;
                        jobs::enqueue(&mut tx, &job.kind, &job.key, &job.payload, now).await?;
                        tx.commit().await?;
                        Ok(done)
                    };
                    example.outcome = self.outcome(mended.await);
                }
                self.report.add(Kind::JobDead, 0, example);
            }
        }
    }

    pub(super) async fn keys(&mut self) -> Step<()> {
        self.progress.stage("keys", 0, "keys");
        for purpose in KEY_PURPOSES {
            let mut tx = self.read().await?;
            let current = product_keys::current(&mut tx, purpose).await?;
            let all = product_keys::list(&mut tx, purpose, MAX_KEYS).await?;
            drop(tx);
            // A database that no server has ever opened has no projects either.
            if current.is_none() && self.totals.projects > 0 {
                self.note(Kind::KeyMissing, 0, Example::of(format!("no {purpose} key")));
            }
            for key in all {
                let opened = match &self.place.master_key {
                    Ok(master) => key_opens(master, &key),
                    Err(why) => Err(why.clone()),
                };
                if let Err(why) = opened {
                    let example = Example::of(format!("{purpose} key {}: {why}", key.id));
                    self.note(Kind::KeySealed, 0, example);
                }
            }
        }
        Ok(())
    }
}
