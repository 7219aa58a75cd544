//! First cuts of what follows in the next commits.
#![expect(clippy::unused_async, unused_variables, reason = "replaced by the gate and the queue")]
use crate::{
    Error, Kind, Registry, Result,
    access::Scope,
    gate::{Judged, Node, Question},
};
use sealock_auth::Caller;
use sealock_facts::{Door, Verdict};
use sealock_metadata::{Tx, manifests::Manifest as ManifestRow, projects::Project};
use sealock_oci::Digest;
pub(crate) mod jobs {
    use super::*;
    pub(crate) async fn queue_contents(
        tx: &mut Tx,
        repository_id: i64,
        row: &ManifestRow,
        chain: &Digest,
    ) -> Result<()> {
        Ok(())
    }
    pub(crate) async fn queue_verify(
        tx: &mut Tx,
        repository_id: i64,
        digest: &Digest,
        tags: &[sealock_oci::Tag],
    ) -> Result<()> {
        Ok(())
    }
    pub(crate) async fn queue_judge(
        tx: &mut Tx,
        repository_id: i64,
        digest: &Digest,
    ) -> Result<()> {
        Ok(())
    }
}
fn unjudged(node: Digest) -> Judged {
    Judged {
        verdict: Verdict::from_reasons(Vec::new(), None),
        quarantined: false,
        input: (node, None),
    }
}
impl Registry {
    pub(crate) fn wake_jobs(&self) {}
    pub(crate) async fn adopt_contents(&self, tx: &mut Tx, chain: &Digest) -> Result<bool> {
        Ok(false)
    }
    pub(crate) async fn blob_is_quarantined(&self, tx: &mut Tx, digest: &Digest) -> Result<bool> {
        Ok(false)
    }
    pub(crate) async fn verdict(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &ManifestRow,
        question: &Question,
    ) -> Result<Option<Judged>> {
        Ok(Some(unjudged(row.digest)))
    }
    pub(crate) async fn judge_stored(
        &self,
        scope: &Scope,
        row: &ManifestRow,
        question: &Question,
    ) -> Result<Judged> {
        Ok(unjudged(row.digest))
    }
    pub(crate) async fn judge_incoming(
        &self,
        scope: &Scope,
        node: Node,
        question: Question,
    ) -> Result<Judged> {
        Ok(unjudged(node.digest))
    }
    pub(crate) async fn refuse(
        &self,
        caller: &Caller,
        place: (&Project, &str),
        digest: Digest,
        door: Door,
        judged: Judged,
    ) -> Error {
        Error::new(Kind::Policy, sealock_oci::ErrorCode::ProjectPolicyViolation, "refused")
    }
}
pub(crate) mod layer_contents {
    use super::*;
    pub(crate) struct Row {
        pub(crate) contents: Vec<u8>,
    }
    pub(crate) async fn put(
        tx: &mut Tx,
        digest: &Digest,
        inspector: &str,
        bytes: &[u8],
        complete: bool,
    ) -> sealock_metadata::Result<()> {
        Ok(())
    }
    pub(crate) async fn find(tx: &mut Tx, digest: &Digest, inspector: &str) -> Result<Option<Row>> {
        Ok(None)
    }
}
