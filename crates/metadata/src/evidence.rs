//! Signatures and attestations as they were judged.

use crate::{Result, Tx, Value, engine::words, params};
use jiff::Timestamp;
use sealock_facts::{AttestationFact, EvidenceState, SignatureFact};
use sealock_oci::Digest;
use std::collections::{BTreeMap, BTreeSet, HashMap};

words! {
    /// What a row of evidence is. A signature is not an attestation.
    pub enum Class {
        /// A signature over a digest.
        Signature = "signature",
        /// A signed statement about a digest.
        Attestation = "attestation",
    }
}

/// Evidence about some digests of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Signatures.
    pub signatures: Vec<SignatureFact>,
    /// Attestations.
    pub attestations: Vec<AttestationFact>,
}

impl Evidence {
    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.signatures.is_empty() && self.attestations.is_empty()
    }
}

const HEAD: &str = "INSERT INTO evidence (repository_id, subject_digest, accessory_digest, class, \
                    position, state, key_id, predicate_type, statement, fact, first_seen)";

/// A verified fact stays as it was first recorded (decision D8); one that did not count is judged
/// anew, for instance after a key was listed, and keeps the time at which it was first seen.
const TAIL: &str = "ON CONFLICT (repository_id, subject_digest, accessory_digest, class, position) \
     DO UPDATE SET state = excluded.state, key_id = excluded.key_id, \
     predicate_type = excluded.predicate_type, statement = excluded.statement, \
     fact = excluded.fact WHERE evidence.state <> 'verified' AND evidence.fact <> excluded.fact \
     RETURNING id";

/// Records what accessories say. How many rows are new or changed: if any, the caller bumps the
/// subjects (`manifests::bump_by_digest`).
///
/// A fact keeps the time at which it was first seen, whatever the given one says.
pub async fn put(tx: &mut Tx, repository_id: i64, evidence: &Evidence) -> Result<usize> {
    let seen = first_seen(tx, repository_id, evidence).await?;
    let mut rows: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
    let mut add = |key: Key, verified: bool, row: Vec<Value>| {
        // One row for each key in one INSERT; what counts goes before what does not.
        if verified || !rows.contains_key(&key) {
            rows.insert(key, row);
        }
    };
    for fact in &evidence.signatures {
        let key = (fact.subject, fact.accessory, Class::Signature, fact.position);
        let mut fact = fact.clone();
        fact.first_seen = seen.get(&key).copied().unwrap_or(fact.first_seen);
        let (state, key_id) = state(&fact.status);
        let (json, none) = (serde_json::to_string(&fact)?, (None::<&str>, None::<Digest>));
        let verified = state == "verified";
        let row = row(repository_id, key, (state, key_id), none, json, fact.first_seen);
        add(key, verified, row);
    }
    for fact in &evidence.attestations {
        let key = (fact.subject, fact.accessory, Class::Attestation, fact.position);
        let mut fact = fact.clone();
        fact.first_seen = seen.get(&key).copied().unwrap_or(fact.first_seen);
        let (state, key_id) = state(&fact.status);
        let about = (Some(fact.predicate_type.as_str()), Some(fact.statement));
        let json = serde_json::to_string(&fact)?;
        let verified = state == "verified";
        let row = row(repository_id, key, (state, key_id), about, json, fact.first_seen);
        add(key, verified, row);
    }
    Ok(tx.insert_many(HEAD, rows.into_values().collect(), TAIL).await?.len())
}

/// Subject, accessory, class and position.
type Key = (Digest, Digest, Class, u32);

fn row(
    repository_id: i64,
    (subject, accessory, class, position): Key,
    (state, key_id): (&str, Option<&str>),
    (predicate_type, statement): (Option<&str>, Option<Digest>),
    fact: String,
    first_seen: Timestamp,
) -> Vec<Value> {
    params![
        repository_id,
        subject,
        accessory,
        class,
        position,
        state,
        key_id,
        predicate_type,
        statement,
        fact,
        first_seen
    ]
}

/// When the recorded facts of the same accessories were first seen.
async fn first_seen(
    tx: &mut Tx,
    repository_id: i64,
    evidence: &Evidence,
) -> Result<HashMap<Key, Timestamp>> {
    let accessories: BTreeSet<Digest> = evidence
        .signatures
        .iter()
        .map(|fact| fact.accessory)
        .chain(evidence.attestations.iter().map(|fact| fact.accessory))
        .collect();
    let accessories: Vec<Digest> = accessories.into_iter().collect();
    let sql = "SELECT subject_digest, accessory_digest, class, position, first_seen FROM evidence \
               WHERE repository_id = $1 AND accessory_digest = ANY($2)";
    let rows = tx.query(sql, params![repository_id, &accessories]).await?;
    rows.iter()
        .map(|row| {
            let key = (
                row.get("subject_digest")?,
                row.get("accessory_digest")?,
                row.get("class")?,
                row.get("position")?,
            );
            Ok((key, row.get("first_seen")?))
        })
        .collect()
}

fn state(state: &EvidenceState) -> (&'static str, Option<&str>) {
    match state {
        EvidenceState::Verified { key } => ("verified", Some(key)),
        EvidenceState::Rejected { .. } => ("rejected", None),
    }
}

/// Evidence about these digests in one repository: the manifest's own and, for a child, that of the
/// indexes that list it (decision D9).
pub async fn of_subjects(tx: &mut Tx, repository_id: i64, subjects: &[Digest]) -> Result<Evidence> {
    let sql = "SELECT class, fact FROM evidence WHERE repository_id = $1 \
               AND subject_digest = ANY($2) ORDER BY id";
    collect(tx, sql, params![repository_id, subjects]).await
}

/// How signatures over some digests were judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The repository.
    pub repository_id: i64,
    /// What is signed.
    pub subject: Digest,
    /// The key under which it is verified; none where it is not.
    pub key: Option<String>,
}

/// Signatures over these digests in these repositories.
pub async fn signatures(
    tx: &mut Tx,
    repository_ids: &[i64],
    subjects: &[Digest],
) -> Result<Vec<Judged>> {
    let sql = "SELECT repository_id, subject_digest, key_id FROM evidence \
               WHERE repository_id = ANY($1) AND subject_digest = ANY($2) \
               AND class = 'signature' ORDER BY id";
    tx.list(sql, params![repository_ids, subjects], |row| {
        Ok(Judged {
            repository_id: row.get("repository_id")?,
            subject: row.get("subject_digest")?,
            key: row.opt("key_id")?,
        })
    })
    .await
}

/// Evidence that one accessory gives.
pub async fn of_accessory(tx: &mut Tx, repository_id: i64, accessory: &Digest) -> Result<Evidence> {
    let sql = "SELECT class, fact FROM evidence WHERE repository_id = $1 \
               AND accessory_digest = $2 ORDER BY id";
    collect(tx, sql, params![repository_id, accessory]).await
}

async fn collect(tx: &mut Tx, sql: &'static str, values: Vec<Value>) -> Result<Evidence> {
    let mut evidence = Evidence::default();
    for row in tx.query(sql, values).await? {
        match row.get("class")? {
            Class::Signature => evidence.signatures.push(row.json("fact")?),
            Class::Attestation => evidence.attestations.push(row.json("fact")?),
        }
    }
    Ok(evidence)
}

/// Accessories in a project with evidence that did not count: what is judged again when a key is
/// listed. Pairs of repository and accessory digest, after a pair.
pub async fn rejected(
    tx: &mut Tx,
    project_id: i64,
    after: (i64, &str),
    limit: u32,
) -> Result<Vec<(i64, Digest)>> {
    let sql = "SELECT DISTINCT e.repository_id AS repository_id, e.accessory_digest AS accessory \
               FROM evidence e JOIN repositories r ON r.id = e.repository_id \
               WHERE r.project_id = $1 AND e.state = 'rejected' \
               AND (e.repository_id, e.accessory_digest) > ($2, $3) \
               ORDER BY e.repository_id, e.accessory_digest LIMIT $4";
    tx.list(sql, params![project_id, after.0, after.1, limit], |row| {
        Ok((row.get("repository_id")?, row.get("accessory")?))
    })
    .await
}
