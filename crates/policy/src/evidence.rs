//! Rules over verified evidence. A signature is not an attestation, and nothing counts by its name.

use crate::{
    AttestationRule, BeforeCompromise, Door, Keys, ListedKey, SignedRule,
    evaluate::{Part, View, short},
};
use jiff::Timestamp;
use sealock_facts::{AttestationFact, EvidenceState, Outcome, SignatureFact};
use sealock_oci::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// One piece of evidence, signature or attestation.
struct Piece<'a> {
    subject: Digest,
    accessory: Digest,
    status: &'a EvidenceState,
    first_seen: Timestamp,
}

/// Signed by enough keys. Evidence on an index covers the images it lists (decision D9).
pub(crate) fn signed(view: &View<'_>, rule: &SignedRule) -> Vec<Part> {
    let artifact = &view.input.artifact;
    let mut pieces = signatures(&artifact.signatures, artifact.digest);
    for covering in coverings(view) {
        pieces.extend(signatures(&covering.signatures, covering.index));
    }
    let want = Want { by: &rule.by, at_least: rule.at_least, before: rule.before_compromise };
    vec![count(view, &want, "signature", &pieces, |key| {
        format!("cosign sign --key {key} <registry>/{}@{}", place(view), artifact.digest)
    })]
}

/// A verified attestation of the type.
pub(crate) fn attested(view: &View<'_>, rule: &AttestationRule) -> Vec<Part> {
    let artifact = &view.input.artifact;
    let of_type = |facts: &'_ [AttestationFact], subject: Digest| {
        let right = |fact: &&AttestationFact| {
            fact.subject == subject && fact.predicate_type == rule.predicate_type
        };
        facts.iter().filter(right).cloned().collect::<Vec<_>>()
    };
    let mut facts = of_type(&artifact.attestations, artifact.digest);
    for covering in coverings(view) {
        facts.extend(of_type(&covering.attestations, covering.index));
    }
    let pieces: Vec<_> = facts
        .iter()
        .map(|fact| Piece {
            subject: fact.subject,
            accessory: fact.accessory,
            status: &fact.status,
            first_seen: fact.first_seen,
        })
        .collect();
    let want = Want { by: &rule.by, at_least: rule.at_least, before: rule.before_compromise };
    let what = format!("attestation of type {}", rule.predicate_type);
    vec![count(view, &want, &what, &pieces, |key| {
        format!(
            "cosign attest --key {key} --type {} --predicate FILE <registry>/{}@{}",
            rule.predicate_type,
            place(view),
            artifact.digest
        )
    })]
}

/// The repository in which evidence is missing: at the way into a project, the one that the
/// artifact comes from.
fn place<'a>(view: &'a View<'_>) -> &'a str {
    let source = view.input.request.as_ref().and_then(|request| request.source.as_ref());
    &source.filter(|_| view.input.door == Door::Promote).unwrap_or(&view.input.subject).repository
}

fn signatures(facts: &[SignatureFact], subject: Digest) -> Vec<Piece<'_>> {
    facts
        .iter()
        .filter(|fact| fact.subject == subject)
        .map(|fact| Piece {
            subject: fact.subject,
            accessory: fact.accessory,
            status: &fact.status,
            first_seen: fact.first_seen,
        })
        .collect()
}

/// The indexes whose evidence covers the artifact: those that are not quarantined.
fn coverings<'a>(view: &'a View<'_>) -> impl Iterator<Item = &'a crate::Covering> {
    let banned = |digest: Digest| view.input.quarantines.iter().any(|q| q.digest == digest);
    view.input.artifact.covered_by.iter().filter(move |covering| !banned(covering.index))
}

struct Want<'a> {
    by: &'a Keys,
    at_least: u32,
    before: BeforeCompromise,
}

impl Want<'_> {
    /// The keys that count, by id: those that the rule names among those that the project lists.
    fn keys<'k>(&self, listed: &'k [ListedKey]) -> BTreeMap<&'k str, &'k ListedKey> {
        let named = |key: &&ListedKey| match self.by {
            Keys::Any => true,
            Keys::Listed(names) => names.iter().any(|name| *name == key.name || *name == key.id),
        };
        let mut keys: BTreeMap<&str, &ListedKey> = BTreeMap::new();
        for key in listed.iter().filter(named) {
            // The same key listed twice: if either entry is compromised, the key is, from the
            // earlier moment.
            let earlier = |old: &&ListedKey| match (old.compromised_at, key.compromised_at) {
                (Some(old), Some(new)) => old <= new,
                (old, new) => old.is_some() || new.is_none(),
            };
            if !keys.get(key.id.as_str()).is_some_and(earlier) {
                keys.insert(&key.id, key);
            }
        }
        keys
    }

    fn describe(&self) -> String {
        match self.by {
            Keys::Any => "the keys that the project lists".to_owned(),
            Keys::Listed(names) => format!("the keys {}", names.join(", ")),
        }
    }
}

fn count(
    view: &View<'_>,
    want: &Want<'_>,
    what: &str,
    pieces: &[Piece<'_>],
    command: impl Fn(&str) -> String,
) -> Part {
    let project = &view.input.subject.project;
    let keys = want.keys(&view.input.keys);
    let mut good: BTreeMap<&str, BTreeSet<Digest>> = BTreeMap::new();
    let mut faults = BTreeSet::new();
    for piece in pieces {
        let where_from = format!("{} on {}", short(&piece.accessory), short(&piece.subject));
        match judge(view, want, &keys, piece) {
            Ok(key) => {
                good.entry(&key.id).or_default().insert(piece.accessory);
            }
            Err(fault) => {
                faults.insert(format!("{where_from}: {fault}"));
            }
        }
    }
    let names = |ids: Vec<&&str>| -> String {
        let names: Vec<_> =
            ids.iter().filter_map(|id| keys.get(**id)).map(|key| key.name.as_str()).collect();
        names.join(", ")
    };
    let evidence = good.values().flatten().map(Digest::to_string).collect::<BTreeSet<_>>();
    let by = names(good.keys().collect());
    if good.len() >= want.at_least as usize {
        return Part::new(Outcome::Pass, format!("verified {what} by {by}")).evidence(evidence);
    }
    let mut message = if keys.is_empty() {
        let lists = match want.by {
            Keys::Any => "lists no keys".to_owned(),
            Keys::Listed(_) => format!("lists none of {}", want.describe()),
        };
        format!("no {what} can be verified: the project {project} {lists}")
    } else if good.is_empty() {
        format!("no verified {what} by any of {}", want.describe())
    } else {
        format!("verified {what} by {by}, but {} of {} are needed", want.at_least, want.describe())
    };
    let seen = faults.iter().take(crate::evaluate::MAX_NAMED).cloned().collect::<Vec<_>>();
    if !seen.is_empty() {
        message.push_str(&format!("; not counted: {}", seen.join("; ")));
    }
    let remedy = match keys.values().next() {
        None => format!("list the signer's public key in project {project}, then sign the digest"),
        Some(key) => {
            format!("sign the digest: {}", command(&format!("<private key of {}>", key.name)))
        }
    };
    if view.input.artifact.evidence_pending {
        let message = format!("{message}; evidence that has just arrived is still being verified");
        return Part::new(Outcome::Unknown, message).evidence(evidence).remedy("ask again soon");
    }
    Part::new(Outcome::Fail, message).evidence(evidence).remedy(remedy)
}

/// The key under which a piece of evidence counts, or why it does not.
fn judge<'k>(
    view: &View<'_>,
    want: &Want<'_>,
    keys: &BTreeMap<&'k str, &'k ListedKey>,
    piece: &Piece<'_>,
) -> Result<&'k ListedKey, String> {
    if view.input.quarantines.iter().any(|quarantine| quarantine.digest == piece.accessory) {
        return Err("the evidence is quarantined".to_owned());
    }
    let id = match piece.status {
        EvidenceState::Verified { key } => key,
        EvidenceState::Rejected { detail, .. } => return Err(detail.clone()),
    };
    let key = keys.get(id.as_str()).copied();
    let key =
        key.ok_or_else(|| format!("signed by the key {}…, which does not count here", head(id)))?;
    match key.compromised_at {
        Some(moment) if piece.first_seen >= moment => {
            Err(format!("first seen after the key {} was compromised at {moment}", key.name))
        }
        Some(moment) if want.before == BeforeCompromise::Ignore => {
            Err(format!("the key {} was compromised at {moment}", key.name))
        }
        _ => Ok(key),
    }
}

fn head(id: &str) -> String {
    id.chars().take(12).collect()
}
