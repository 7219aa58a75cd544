//! What an artifact is decides how it is judged: indexes, evidence, what cannot run, what is banned
//! or held.

use crate::{
    build::*,
    tables::{Spoil, outcome},
};
use sealock_facts::{Action, Door, Outcome, Tier};
use sealock_oci::ManifestKind;
use sealock_policy::{ArtifactFacts, ChildFacts, ContentsFact, Covering};

#[test]
fn not_runnable_is_exempt_only_when_bytes_and_policy_say_so() {
    for (listed, runnable, expected) in [
        (true, false, Outcome::NotApplicable),
        (false, false, Outcome::Unknown),
        (true, true, Outcome::Fail),
    ] {
        let types = if listed { "application/vnd.*" } else { "text/plain" };
        let rules = format!(
            "unscannableArtifactTypes: ['{types}']\nrules:\n- name: r\n  findings: {{severity: low}}\n"
        );
        let mut input = with_rules(Door::Promote, &rules);
        input.artifact.artifact_type = Some("application/vnd.chart".into());
        if !runnable {
            input.artifact.findings.clear();
            input.artifact.contents =
                ContentsFact::NotRunnable { inspector: "1".into(), inspected_at: now() };
        }
        assert_eq!(outcome(&input), Some(expected), "{listed} {runnable}");
    }
}

#[test]
fn evidence_itself_is_judged_by_what_is_inside() {
    let mut input = with_rules(Door::Pull, "rules:\n- name: r\n  signed: {}\n");
    input.artifact.signatures.clear();
    input.artifact.evidence_about = Some(digest("subject"));
    assert_eq!(verdict(&input).action, Action::Deny, "its layers can run, whatever it claims");
    input.artifact.contents =
        ContentsFact::NotRunnable { inspector: "1".into(), inspected_at: now() };
    assert_eq!(verdict(&input).action, Action::Allow);
    input.quarantines.push(quarantine(input.artifact.digest));
    assert_eq!(verdict(&input).action, Action::Deny);
}

#[test]
fn unknown_is_milder_up_to_sandbox() {
    for tier in Tier::ALL {
        let mut input = with_rules(Door::Pull, "rules:\n- name: r\n  contents: {}\n");
        input.subject.tier = tier;
        input.artifact = ArtifactFacts::unknown(digest("x"), ManifestKind::Image, "queued");
        let expected = if tier <= Tier::Sandbox { Action::Warn } else { Action::Deny };
        assert_eq!(verdict(&input).action, expected, "{tier}");
    }
}

#[test]
fn an_index_and_its_children() {
    let rules = "rules:\n- name: r\n  signed: {}\n";
    // The signature on the index covers the child while it is listed and not quarantined.
    let mut input = with_rules(Door::Admit, rules);
    let index = digest("index");
    input.artifact.signatures.clear();
    input.artifact.covered_by = vec![Covering {
        index,
        signatures: vec![signature(index, "release")],
        attestations: Vec::new(),
    }];
    assert_eq!(verdict(&input).action, Action::Allow);
    let mut not_listed = input.clone();
    not_listed.artifact.covered_by.clear();
    assert_eq!(verdict(&not_listed).action, Action::Deny);
    let mut banned = input.clone();
    banned.quarantines.push(quarantine(index));
    let verdict_of_banned = verdict(&banned);
    assert_eq!(verdict_of_banned.action, Action::Deny);
    assert!(sealock_policy::is_quarantined(&verdict_of_banned));
    assert_eq!(outcome(&banned), Some(Outcome::Fail));
    let mut transplanted = input.clone();
    transplanted.artifact.covered_by[0].signatures[0].subject = digest("other index");
    assert_eq!(verdict(&transplanted).action, Action::Deny);
    // Signatures on the children do not sign the index.
    let mut children_only = with_rules(Door::Admit, rules);
    children_only.artifact = crate::build::index(vec![image("a"), image("b")]);
    assert_eq!(verdict(&children_only).action, Action::Allow);
    children_only.artifact.signatures.clear();
    assert_eq!(verdict(&children_only).action, Action::Deny);
}

#[test]
fn quarantine_closes_every_door_both_ways() {
    let spoils: &[(&str, Spoil)] = &[
        ("itself", |i| i.quarantines.push(quarantine(i.artifact.digest))),
        ("a blob", |i| i.quarantines.push(quarantine(i.artifact.blobs[0]))),
        ("a child", |i| {
            i.artifact = index(vec![image("app"), image("bad")]);
            i.quarantines.push(quarantine(digest("bad")));
        }),
        ("a blob of a child", |i| {
            i.artifact = index(vec![image("app"), image("bad")]);
            i.quarantines.push(quarantine(digest("layer of bad")));
        }),
        ("an absent child", |i| {
            i.artifact = index(vec![image("app")]);
            i.artifact.children.push(ChildFacts::Absent { digest: digest("x"), platform: None });
            i.quarantines.push(quarantine(digest("x")));
        }),
        ("an index above", |i| {
            let index = digest("above");
            i.artifact.covered_by =
                vec![Covering { index, signatures: vec![], attestations: vec![] }];
            i.quarantines.push(quarantine(index));
        }),
    ];
    for (what, spoil) in spoils {
        for door in Door::ALL {
            let mut input = input(door, Vec::new());
            spoil(&mut input);
            let verdict = verdict(&input);
            assert_eq!(verdict.action, Action::Deny, "{what} at {door}");
            assert!(sealock_policy::is_quarantined(&verdict), "{what} at {door}");
        }
    }
    let mut other = input(Door::Pull, Vec::new());
    other.quarantines.push(quarantine(digest("something else")));
    assert_eq!(verdict(&other).action, Action::Allow);
}

#[test]
fn what_is_held_stays_closed_until_it_is_judged() {
    for door in Door::ALL {
        let mut input = input(door, Vec::new());
        input.artifact.held = true;
        let expected = if door == Door::Push { Action::Allow } else { Action::Deny };
        assert_eq!(verdict(&input).action, expected, "{door}");
        assert!(!sealock_policy::is_quarantined(&verdict(&input)));
    }
}

#[test]
fn an_index_is_held_while_a_child_of_it_is() {
    for door in Door::ALL {
        let mut held = image("a");
        held.held = true;
        let mut input = input(door, Vec::new());
        input.artifact = index(vec![image("b"), held.clone()]);
        let expected = if door == Door::Push { Action::Allow } else { Action::Deny };
        assert_eq!(verdict(&input).action, expected, "{door}");
        input.artifact = index(vec![index(vec![held])]);
        assert_eq!(verdict(&input).action, expected, "{door}, deeper");
    }
}
