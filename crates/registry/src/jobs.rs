//! What is found out after a push, as durable jobs.

use crate::{Error, Registry, Result};
use sealock_metadata::{Tx, manifests::Manifest as ManifestRow};
use sealock_oci::Digest;
use serde::{Deserialize, Serialize};

/// Reads, merges and matches what an image holds. Key: its chain of layers.
pub const CONTENTS: &str = "contents";
/// Verifies what accessories say about a subject. Key: repository and subject.
pub(crate) const VERIFY: &str = "verify";
/// Verifies again what did not count in a project. Key: the project.
pub(crate) const VERIFY_AGAIN: &str = "verify-again";
/// Judges an artifact that was stored as held. Key: repository and digest.
pub(crate) const JUDGE: &str = "judge";
/// Bans the bytes of a banned blob under their other name. Key: its digest.
pub(crate) const BAN_TWIN: &str = "ban-twin";
/// Every kind that [`Registry::run_job`] knows.
pub(crate) const JOB_KINDS: [&str; 5] = [CONTENTS, VERIFY, VERIFY_AGAIN, JUDGE, BAN_TWIN];

/// What a job is about.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    repository_id: i64,
    digest: Digest,
}

/// The key of jobs about a digest in a repository.
pub(crate) fn subject_key(repository_id: i64, digest: &Digest) -> String {
    format!("{repository_id}/{digest}")
}

async fn queue(tx: &mut Tx, kind: &str, key: &str, about: &About) -> Result<()> {
    Ok(sealock_jobs::enqueue(tx, kind, key, about).await?)
}

/// Queues finding out what an image holds.
pub(crate) async fn queue_contents(tx: &mut Tx, row: &ManifestRow, chain: &Digest) -> Result<()> {
    queue_contents_of(tx, row.repository_id, &row.digest, chain).await
}

/// Queues finding out what the image of this digest in a repository holds. `chain` is the key of
/// its contents, as its row has it.
pub async fn queue_contents_of(
    tx: &mut Tx,
    repository_id: i64,
    digest: &Digest,
    chain: &Digest,
) -> Result<()> {
    let about = About { repository_id, digest: *digest };
    queue(tx, CONTENTS, &chain.to_string(), &about).await
}

/// Queues verifying what is said about a subject.
pub(crate) async fn queue_verify(tx: &mut Tx, repository_id: i64, subject: &Digest) -> Result<()> {
    let about = About { repository_id, digest: *subject };
    queue(tx, VERIFY, &subject_key(repository_id, subject), &about).await
}

/// Queues verifying again what did not count in a project.
pub(crate) async fn queue_verify_again(tx: &mut Tx, project_id: i64) -> Result<()> {
    let nothing = serde_json::Value::Null;
    Ok(sealock_jobs::enqueue(tx, VERIFY_AGAIN, &project_id.to_string(), &nothing).await?)
}

/// Queues banning a blob's bytes under their other name.
pub(crate) async fn queue_ban_twin(tx: &mut Tx, digest: &Digest) -> Result<()> {
    let nothing = serde_json::Value::Null;
    Ok(sealock_jobs::enqueue(tx, BAN_TWIN, &digest.to_string(), &nothing).await?)
}

/// Queues judging what is held.
pub(crate) async fn queue_judge(tx: &mut Tx, row: &ManifestRow) -> Result<()> {
    queue_judge_of(tx, row.repository_id, &row.digest).await
}

/// Queues judging the held manifest of this digest in a repository.
pub async fn queue_judge_of(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<()> {
    let about = About { repository_id, digest: *digest };
    queue(tx, JUDGE, &subject_key(repository_id, digest), &about).await
}

impl Registry {
    /// Does one job. What it is about may be gone by now; then there is nothing to do.
    pub(crate) async fn run_job(&self, kind: &str, key: &str, payload: &str) -> Result<()> {
        let about = || serde_json::from_str::<About>(payload).map_err(Error::internal);
        match kind {
            CONTENTS => {
                let about = about()?;
                self.make_contents(about.repository_id, &about.digest).await
            }
            VERIFY => {
                let about = about()?;
                self.verify_subject(about.repository_id, &about.digest).await
            }
            VERIFY_AGAIN => {
                let project_id = key.parse().map_err(Error::internal)?;
                self.verify_project_again(project_id).await
            }
            JUDGE => {
                let about = about()?;
                self.judge_held(about.repository_id, &about.digest).await
            }
            BAN_TWIN => {
                let digest = key.parse().map_err(Error::internal)?;
                self.ban_blob_by_other_name(&digest).await
            }
            other => Err(Error::internal(format!("{other:?} is no kind of job"))),
        }
    }
}
