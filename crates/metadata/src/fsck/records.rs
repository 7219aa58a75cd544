//! Evidence, verdicts, decisions, jobs: what was found out and decided.

use crate::{Result, Tx, params};
use sealock_oci::Digest;

/// Evidence of which neither the subject nor the accessory is in the repository any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Number.
    pub id: i64,
    /// Full name of the repository.
    pub repository: String,
    /// What it is about.
    pub subject: String,
}

/// Orphaned evidence by number, after `after`. The subject alone may be absent: what is verified
/// before it arrives counts when it does. So may the accessory: what it proved stays when its tag
/// is overwritten.
pub async fn orphans(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<Orphan>> {
    let sql = "SELECT e.id AS id, r.name AS repository, e.subject_digest AS subject \
               FROM evidence e JOIN repositories r ON r.id = e.repository_id \
               WHERE e.id > $1 AND NOT EXISTS (SELECT 1 FROM manifests m \
               WHERE m.repository_id = e.repository_id AND m.digest = e.subject_digest) \
               AND NOT EXISTS (SELECT 1 FROM manifests m \
               WHERE m.repository_id = e.repository_id AND m.digest = e.accessory_digest) \
               ORDER BY e.id LIMIT $2";
    tx.list(sql, params![after, limit], |row| {
        Ok(Orphan {
            id: row.get("id")?,
            repository: row.get("repository")?,
            subject: row.get("subject")?,
        })
    })
    .await
}

/// Removes a row of evidence.
pub async fn remove_evidence(tx: &mut Tx, id: i64) -> Result<bool> {
    Ok(tx.execute("DELETE FROM evidence WHERE id = $1", params![id]).await? == 1)
}

/// Key of a stored verdict.
pub type VerdictKey = (i64, String, String);

/// A stored verdict, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawVerdict {
    /// Manifest, door and context.
    pub key: VerdictKey,
    /// Should be a verdict, JSON.
    pub verdict: String,
    /// Made from a revision that has not come yet: it would count when that comes.
    pub ahead: bool,
    /// Made from revisions that are over: it counts no more, and is harmless.
    pub stale: bool,
}

/// Stored verdicts, after a key.
pub async fn verdicts(tx: &mut Tx, after: &VerdictKey, limit: u32) -> Result<Vec<RawVerdict>> {
    let sql = "SELECT v.manifest_id AS manifest_id, v.door AS door, v.context AS context, \
               v.verdict AS verdict, CASE WHEN v.facts_rev > m.facts_rev \
               OR v.policy_rev > p.policy_rev OR v.system_rev > s.value THEN 1 ELSE 0 END \
               AS ahead, CASE WHEN v.facts_rev < m.facts_rev OR v.policy_rev < p.policy_rev \
               OR v.system_rev < s.value THEN 1 ELSE 0 END AS stale \
               FROM verdicts v JOIN manifests m ON m.id = v.manifest_id \
               JOIN repositories r ON r.id = m.repository_id \
               JOIN projects p ON p.id = r.project_id JOIN revisions s ON s.name = 'system' \
               WHERE (v.manifest_id, v.door, v.context) > ($1, $2, $3) \
               ORDER BY v.manifest_id, v.door, v.context LIMIT $4";
    tx.list(sql, params![after.0, after.1.as_str(), after.2.as_str(), limit], |row| {
        Ok(RawVerdict {
            key: (row.get("manifest_id")?, row.get("door")?, row.get("context")?),
            verdict: row.get("verdict")?,
            ahead: row.get("ahead")?,
            stale: row.get("stale")?,
        })
    })
    .await
}

/// Forgets a stored verdict; the next question makes it again.
pub async fn forget_verdict(tx: &mut Tx, key: &VerdictKey) -> Result<bool> {
    let sql = "DELETE FROM verdicts WHERE manifest_id = $1 AND door = $2 AND context = $3";
    Ok(tx.execute(sql, params![key.0, key.1.as_str(), key.2.as_str()]).await? == 1)
}

/// Input documents of decisions in the order of their digests, after `after`: digest and bytes.
pub async fn inputs(tx: &mut Tx, after: &str, limit: u32) -> Result<Vec<(String, Vec<u8>)>> {
    let sql = "SELECT digest, document FROM decision_inputs WHERE digest > $1 \
               ORDER BY digest LIMIT $2";
    tx.list(sql, params![after, limit], |row| Ok((row.get("digest")?, row.get("document")?))).await
}

/// The number of a decision that was made from an input document.
pub async fn decision_from(tx: &mut Tx, input: &str) -> Result<Option<i64>> {
    let sql = "SELECT min(id) AS id FROM decisions WHERE input_digest = $1";
    Ok(tx.find(sql, params![input], |row| row.opt("id")).await?.flatten())
}

/// Whether a manifest of this digest is in a repository.
pub async fn is_stored(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<bool> {
    Ok(crate::manifests::find(tx, repository_id, digest).await?.is_some())
}
