//! Stored verdicts: a cache (decision D4).

use crate::{
    Result, Tx, params,
    projects::{self, Project},
};
use jiff::{SignedDuration, Timestamp};
use sealock_facts::{Door, Verdict};
use sealock_oci::{Digest, RepositoryName};

/// How far the clocks of replicas may lie apart. A verdict that was made later than that after now
/// was made while a clock ran ahead, and does not hold: what had ended then has not ended yet.
const DISORDER: SignedDuration = SignedDuration::from_mins(1);

/// The latest moment at which a verdict that holds now was made.
fn newest(now: Timestamp) -> Timestamp {
    now.checked_add(DISORDER).unwrap_or(Timestamp::MAX)
}

/// The revisions that a verdict was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revisions {
    /// The artifact's.
    pub facts: i64,
    /// The project's.
    pub policy: i64,
    /// The system's.
    pub system: i64,
}

/// A stored verdict that still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVerdict {
    /// The verdict.
    pub verdict: Verdict,
    /// Digest of its canonical input document.
    pub input_digest: Digest,
    /// The revisions it was made from, which are those of now.
    pub revisions: Revisions,
    /// It holds until then, when time alone may change it.
    pub until: Option<Timestamp>,
}

/// The verdict about a manifest of a repository, if one is stored and every revision, read in the
/// same query, is still the one it was made from, and its time has not run out.
///
/// `context` tells verdicts of one door apart: cluster and namespace, or a promotion's target.
pub async fn fresh(
    tx: &mut Tx,
    repository_id: i64,
    manifest_id: i64,
    door: Door,
    context: &str,
) -> Result<Option<StoredVerdict>> {
    let now = tx.now();
    let sql = "SELECT v.* FROM verdicts v JOIN manifests m ON m.id = v.manifest_id \
               JOIN repositories r ON r.id = m.repository_id \
               JOIN projects p ON p.id = r.project_id \
               JOIN revisions s ON s.name = 'system' \
               WHERE v.manifest_id = $1 AND m.repository_id = $2 AND v.door = $3 \
               AND v.context = $4 AND v.facts_rev = m.facts_rev AND v.policy_rev = p.policy_rev \
               AND v.system_rev = s.value AND (v.valid_until IS NULL OR v.valid_until > $5) \
               AND v.judged_at <= $6";
    tx.find(sql, params![manifest_id, repository_id, door, context, now, newest(now)], |row| {
        Ok(StoredVerdict {
            verdict: row.json("verdict")?,
            input_digest: row.get("input_digest")?,
            revisions: Revisions {
                facts: row.get("facts_rev")?,
                policy: row.get("policy_rev")?,
                system: row.get("system_rev")?,
            },
            until: row.opt("valid_until")?,
        })
    })
    .await
}

/// As [`fresh`], by the full name of the repository and the digest, with the project: all that the
/// admit door asks in the steady state, in one look-up.
pub async fn fresh_by_name(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
    door: Door,
    context: &str,
) -> Result<Option<(Project, StoredVerdict)>> {
    let now = tx.now();
    let sql = "SELECT p.*, v.verdict AS verdict, v.input_digest AS input_digest, \
               v.facts_rev AS facts_rev, v.system_rev AS system_rev, \
               v.valid_until AS valid_until \
               FROM repositories r JOIN projects p ON p.id = r.project_id \
               JOIN manifests m ON m.repository_id = r.id AND m.digest = $2 \
               JOIN verdicts v ON v.manifest_id = m.id AND v.door = $3 AND v.context = $4 \
               JOIN revisions s ON s.name = 'system' \
               WHERE r.name = $1 AND v.facts_rev = m.facts_rev AND v.policy_rev = p.policy_rev \
               AND v.system_rev = s.value AND (v.valid_until IS NULL OR v.valid_until > $5) \
               AND v.judged_at <= $6";
    tx.find(sql, params![repository, digest, door, context, now, newest(now)], |row| {
        let project = projects::read(row)?;
        let stored = StoredVerdict {
            verdict: row.json("verdict")?,
            input_digest: row.get("input_digest")?,
            revisions: Revisions {
                facts: row.get("facts_rev")?,
                policy: project.policy_rev,
                system: row.get("system_rev")?,
            },
            until: row.opt("valid_until")?,
        };
        Ok((project, stored))
    })
    .await
}

/// The three revisions of a manifest of a repository now: one query, before facts are read.
pub async fn revisions(
    tx: &mut Tx,
    repository_id: i64,
    manifest_id: i64,
) -> Result<Option<Revisions>> {
    let sql = "SELECT m.facts_rev AS facts, p.policy_rev AS policy, s.value AS system \
               FROM manifests m JOIN repositories r ON r.id = m.repository_id \
               JOIN projects p ON p.id = r.project_id JOIN revisions s ON s.name = 'system' \
               WHERE m.repository_id = $1 AND m.id = $2";
    tx.find(sql, params![repository_id, manifest_id], |row| {
        Ok(Revisions {
            facts: row.get("facts")?,
            policy: row.get("policy")?,
            system: row.get("system")?,
        })
    })
    .await
}

/// Stores a verdict over the former one.
pub async fn put(
    tx: &mut Tx,
    manifest_id: i64,
    (door, context): (Door, &str),
    stored: &StoredVerdict,
) -> Result<()> {
    let StoredVerdict { verdict, input_digest, revisions, until } = stored;
    let sql = "INSERT INTO verdicts (manifest_id, door, context, facts_rev, policy_rev, \
               system_rev, valid_until, verdict, input_digest, judged_at) \
               SELECT m.id, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM manifests m WHERE m.id = $1 \
               ON CONFLICT (manifest_id, door, context) DO UPDATE SET \
               facts_rev = excluded.facts_rev, policy_rev = excluded.policy_rev, \
               system_rev = excluded.system_rev, valid_until = excluded.valid_until, \
               verdict = excluded.verdict, input_digest = excluded.input_digest, \
               judged_at = excluded.judged_at";
    let values = params![
        manifest_id,
        door,
        context,
        revisions.facts,
        revisions.policy,
        revisions.system,
        *until,
        serde_json::to_string(verdict)?,
        input_digest,
        tx.now()
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Forgets every stored verdict that does more than let pass: what new advisories may open.
pub async fn forget_closed(tx: &mut Tx) -> Result<u64> {
    let sql = "DELETE FROM verdicts WHERE verdict NOT LIKE '{\"action\":\"allow\"%'";
    tx.execute(sql, params![]).await
}
