//! Decisions: what a door answered, kept with the document that it was made from.

use crate::{Error, Refusal, Registry, Result, audit::Event, gate::Judged};
use sealock_auth::Caller;
use sealock_facts::Door;
use sealock_metadata::{self as metadata, Tx, decisions::NewDecision, projects::Project};
use sealock_oci::Digest;

impl Registry {
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
                .record_decision(
                    &mut tx,
                    caller,
                    (project, repository),
                    &digest,
                    (door, ""),
                    &judged,
                )
                .await?;
            Event::new(caller, door.as_str())
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
        };
        Ok(metadata::decisions::record(tx, &decision).await?)
    }
}
