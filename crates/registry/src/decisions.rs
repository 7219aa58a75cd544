//! Decisions: what a door answered, kept with the document that it was made from.

use crate::{
    Error, Page, PageRequest, Refusal, Registry, Result,
    access::{Need, PULLED},
    audit::Event,
    gate::Judged,
};
use sealock_auth::{Caller, Right};
use sealock_facts::{Action, Door, Verdict};
use sealock_metadata::{
    self as metadata, Tx,
    decisions::{Decision as Row, Filter, NewDecision},
    projects::{Project, Visible},
};
use sealock_oci::{Digest, ErrorCode};
use sealock_policy::{GateInput, evaluate};
use serde::Serialize;

/// A decision in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Number.
    pub id: i64,
    /// The door.
    pub door: Door,
    /// The repository that was asked for, or would have been entered.
    pub repository: String,
    /// What was judged.
    pub digest: Digest,
    /// The answer.
    pub action: Action,
    /// The answer with every reason.
    pub verdict: Verdict,
    /// Who asked.
    pub actor: String,
    /// From which address.
    pub address: String,
    /// More about the door: the source of a promotion, the cluster and namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// When.
    pub at: jiff::Timestamp,
    /// How often the same refusal was repeated to the same caller and is counted here.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeats: i64,
    /// When it was repeated last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<jiff::Timestamp>,
    /// Digest of the canonical input document.
    pub input_digest: Digest,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(repeats: &i64) -> bool {
    *repeats == 0
}

/// Which decisions are asked for. Every given part must match.
#[derive(Debug, Clone, Default)]
pub struct DecisionQuery {
    /// About this digest.
    pub digest: Option<Digest>,
    /// At this door.
    pub door: Option<Door>,
    /// In this project.
    pub project: Option<String>,
}

/// A decision made again from its own document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// Whether the document is the one that was recorded and gives the same verdict.
    pub same: bool,
    /// Whether the document still has the digest that was recorded.
    pub intact: bool,
    /// What was decided.
    pub recorded: Verdict,
    /// What the document gives now.
    pub replayed: Verdict,
}

/// The verdict that a canonical input document gives: no database, no clock, no network.
pub fn replay_document(document: &[u8]) -> Result<Verdict> {
    let input = GateInput::parse(document).map_err(|error| crate::policies::invalid(&error))?;
    Ok(evaluate(&input))
}

impl Registry {
    /// Records a refusal, with the document it was made from, and makes the error that says why.
    /// The same refusal of the same caller again is counted in the record of the first one. A
    /// refusal that cannot be recorded is refused all the same.
    pub(crate) async fn refuse(
        &self,
        caller: &Caller,
        (project, repository): (&Project, &str),
        digest: Digest,
        door: Door,
        judged: Judged,
    ) -> Error {
        let words = judged.words();
        let (who, whence) = (&caller.principal, caller.address);
        let key = format!("{door} {repository}@{digest} {who} {whence} {}", words.join("\n"));
        let event = Event::new(caller, door.as_str())
            .denied()
            .at((project, repository))
            .digest(&digest)
            .detail("reasons", words);
        let record = async {
            let _one_at_a_time = self.flights().enter(&key).await;
            if let Some(id) = self.count_refusal(&key, &event).await? {
                return Ok(id);
            }
            let mut tx = self.database().write().await?;
            let id = self
                .record_decision(
                    &mut tx,
                    caller,
                    (project, repository),
                    &digest,
                    (door, ""),
                    &judged,
                )
                .await?;
            event.clone().detail("decision", id).record(&mut tx).await?;
            tx.commit().await?;
            self.refusals().remember(key.clone(), id);
            Ok::<_, Error>(id)
        };
        let decision = match record.await {
            Ok(id) => Some(id),
            Err(error) => {
                tracing::error!(%digest, %door, log = error.log(), "a refusal was not recorded");
                None
            }
        };
        let threshold = self.stopping_severity(project, &judged.verdict).await;
        Error::refused(Refusal { digest, verdict: judged.verdict, decision, threshold })
    }

    /// Records a decision with its canonical input. Its number.
    pub(crate) async fn record_decision(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        (project, repository): (&Project, &str),
        digest: &Digest,
        (door, context): (Door, &str),
        judged: &Judged,
    ) -> Result<i64> {
        let (input_digest, input) = &judged.input;
        let decision = NewDecision {
            door,
            project_id: Some(project.id),
            repository,
            digest,
            verdict: &judged.verdict,
            input_digest,
            input: input.as_deref(),
            actor: &caller.principal.to_string(),
            address: &caller.address.to_string(),
            context,
            at: None,
        };
        Ok(metadata::decisions::record(tx, &decision).await?)
    }

    /// Decisions, newest first, in projects that the caller may read.
    pub async fn decisions(
        &self,
        caller: &Caller,
        query: &DecisionQuery,
        page: &PageRequest,
    ) -> Result<Page<Decision>> {
        let mut tx = self.database().read().await?;
        let (visible, project_id) = match &query.project {
            Some(name) => {
                let need = Need::Has(Right::Pull);
                let (project, _) = self.project_scope(&mut tx, caller, name, need).await?;
                (Visible::Only(vec![project.id]), Some(project.id))
            }
            None => (self.visible(&mut tx, caller, PULLED).await?, None),
        };
        let filter = Filter { visible, digest: query.digest, door: query.door, project_id };
        let limit = page.limit();
        let rows = metadata::decisions::list(&mut tx, &filter, page.after_id(), limit + 1).await?;
        let rows = rows.into_iter().map(decision).collect();
        Ok(Page::cut(rows, limit, |row: &Decision| row.id.to_string()))
    }

    /// A decision with its canonical input document.
    pub async fn decision(&self, caller: &Caller, id: i64) -> Result<(Decision, Vec<u8>)> {
        let mut tx = self.database().read().await?;
        let visible = self.visible(&mut tx, caller, PULLED).await?;
        let found = metadata::decisions::get(&mut tx, &visible, id).await?;
        let (row, document) = found.ok_or_else(|| {
            Error::not_found(
                ErrorCode::ManifestUnknown,
                format!("there is no decision {id} that you may see"),
            )
        })?;
        Ok((decision(row), document))
    }

    /// Makes a decision again from its own document.
    pub async fn replay(&self, caller: &Caller, id: i64) -> Result<Replay> {
        let (decision, document) = self.decision(caller, id).await?;
        let intact = Digest::sha256(&document) == decision.input_digest;
        let replayed = replay_document(&document)?;
        let recorded = decision.verdict;
        Ok(Replay { same: intact && replayed == recorded, intact, recorded, replayed })
    }
}

fn decision(row: Row) -> Decision {
    Decision {
        id: row.id,
        door: row.door,
        repository: row.repository,
        digest: row.digest,
        action: row.verdict.action,
        verdict: row.verdict,
        actor: row.actor,
        address: row.address,
        context: row.context,
        at: row.at,
        repeats: row.repeats,
        last_at: row.last_at,
        input_digest: row.input_digest,
    }
}
