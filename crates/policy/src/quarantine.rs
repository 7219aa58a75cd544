//! The one rule that no document can soften: what is quarantined passes no door.

use crate::{
    ArtifactFacts, ChildFacts,
    evaluate::{BUILT_IN, MAX_INDEX_DEPTH, Part, RULE_NOT_QUARANTINED, View},
};
use sealock_facts::{Action, Outcome, Quarantine, Reason};
use sealock_oci::Digest;
use std::collections::BTreeMap;

/// Quarantine flows both ways: a manifest is closed by itself, its blobs, its children and the
/// indexes that list it (decision D9).
pub(crate) fn part(view: &View<'_>) -> Part {
    let banned: BTreeMap<Digest, &Quarantine> =
        view.input.quarantines.iter().map(|quarantine| (quarantine.digest, quarantine)).collect();
    let mut hits = Vec::new();
    collect(&view.input.artifact, &banned, 0, &mut hits);
    hits.sort();
    hits.dedup();
    let Some(first) = hits.first().and_then(|digest| banned.get(digest)) else {
        return Part::new(Outcome::Pass, "not quarantined");
    };
    let more =
        if hits.len() > 1 { format!("; and {} more", hits.len() - 1) } else { String::new() };
    let through = if first.digest == view.input.artifact.digest {
        String::new()
    } else {
        format!(", and {} holds it or is listed by it", view.input.artifact.digest)
    };
    let message = format!(
        "{} is quarantined since {} by {}: {}{through}{more}",
        first.digest, first.since, first.by, first.reason
    );
    Part::new(Outcome::Fail, message)
        .evidence(hits.iter().map(Digest::to_string))
        .remedy("use another digest; only the security role lifts a quarantine")
}

fn collect(
    facts: &ArtifactFacts,
    banned: &BTreeMap<Digest, &Quarantine>,
    depth: usize,
    hits: &mut Vec<Digest>,
) {
    let above = facts.covered_by.iter().map(|covering| covering.index);
    let own = std::iter::once(facts.digest).chain(facts.blobs.iter().copied()).chain(above);
    hits.extend(own.filter(|digest| banned.contains_key(digest)));
    for child in &facts.children {
        match child {
            // One level deeper than images are judged: what is too deep is unknown, but banned all
            // the same.
            ChildFacts::Present { facts } if depth <= MAX_INDEX_DEPTH => {
                collect(facts, banned, depth + 1, hits);
            }
            ChildFacts::Present { facts } => {
                hits.extend(Some(facts.digest).filter(|digest| banned.contains_key(digest)));
            }
            ChildFacts::Absent { digest, .. } => {
                hits.extend(Some(*digest).filter(|digest| banned.contains_key(digest)));
            }
        }
    }
}

pub(crate) fn reason(view: &View<'_>) -> Reason {
    let part = part(view);
    let action = if part.outcome == Outcome::Pass { Action::Allow } else { Action::Deny };
    Reason {
        policy: BUILT_IN.to_owned(),
        rule: RULE_NOT_QUARANTINED.to_owned(),
        outcome: part.outcome,
        action,
        message: part.message,
        evidence: part.evidence,
        remedy: part.remedy,
    }
}
