//! What time does to a verdict, and that `valid_until` says when.

use crate::build::*;
use jiff::SignedDuration;
use sealock_facts::{Action, Door, Severity};
use sealock_policy::{AppliedPolicy, GateInput, Scope, default_tier};

/// The verdict says itself when it ends: just before, it is the same; then, it is another.
fn flips(input: &GateInput, moment: &str, before: Action, after: Action) {
    let first = verdict(input);
    assert_eq!(first.action, before, "{}", told(&first));
    assert_eq!(first.valid_until, Some(at(moment)), "{}", told(&first));
    let mut later = input.clone();
    later.now = at(moment).checked_sub(SignedDuration::from_micros(1)).unwrap();
    assert_eq!(verdict(&later), first);
    later.now = at(moment);
    assert_eq!(verdict(&later).action, after, "{}", told(&verdict(&later)));
}

#[test]
fn a_verdict_without_time_never_ends() {
    let input = with_rules(Door::Promote, "rules:\n- name: r\n  findings: {severity: high}\n");
    assert_eq!(verdict(&input).valid_until, None);
}

#[test]
fn grace_ends() {
    let rules = "rules:\n- name: r\n  findings: {severity: high, graceDays: 10}\n";
    let mut input = with_rules(Door::Promote, rules);
    input.artifact.findings.push(finding("CVE-2", Severity::High));
    flips(&input, "2026-06-04T00:00:00Z", Action::Allow, Action::Deny);
    let rules = "rules:\n- name: r\n  findings: {knownExploitedGraceDays: 14}\n";
    let mut input = with_rules(Door::Promote, rules);
    input.artifact.findings.push(exploited("CVE-2", "2026-05-25T00:00:00Z"));
    flips(&input, "2026-06-08T00:00:00Z", Action::Allow, Action::Deny);
}

#[test]
fn data_grows_old() {
    let rules = "rules:\n- name: r\n  advisories: {maxAgeDays: 30}\n";
    flips(&with_rules(Door::Admit, rules), "2026-06-28T00:00:00Z", Action::Allow, Action::Deny);
    let rules = "rules:\n- name: r\n  contents: {maxAgeDays: 30}\n";
    flips(
        &with_rules(Door::Push, &rules.replace("contents", "doors: {push: enforce}\n  contents")),
        "2026-06-19T00:00:00Z",
        Action::Allow,
        Action::Hold,
    );
}

#[test]
fn enforcement_begins() {
    let rules =
        "rules:\n- name: r\n  doors: {pull: {mode: enforce, afterDays: 40}}\n  signed: {}\n";
    let mut input = with_rules(Door::Pull, rules);
    input.artifact.signatures.clear();
    flips(&input, "2026-06-10T00:00:00Z", Action::Warn, Action::Deny);
    let rules =
        "rules:\n- name: r\n  doors: {pull: {mode: enforce, from: 2026-06-02}}\n  signed: {}\n";
    let mut input = with_rules(Door::Pull, rules);
    input.artifact.signatures.clear();
    flips(&input, "2026-06-02T00:00:00Z", Action::Warn, Action::Deny);
}

#[test]
fn a_waiver_ends() {
    let rules = "rules:\n- name: r\n  findings: {severity: high}\n";
    let mut input = with_rules(Door::Promote, rules);
    input.artifact.findings.push(finding("CVE-2", Severity::High));
    input.waivers.push(waiver(1, "CVE-2"));
    flips(&input, "2026-07-01T00:00:00Z", Action::Allow, Action::Deny);
    // Of two, the one that ends later counts.
    let mut longer = waiver(2, "CVE-2");
    longer.expires_at = at("2026-08-01T00:00:00Z");
    input.waivers.push(longer);
    flips(&input, "2026-08-01T00:00:00Z", Action::Allow, Action::Deny);
}

#[test]
fn the_earliest_moment_counts() {
    let rules = "rules:\n- name: r\n  findings: {severity: high, graceDays: 10}\n\
                 - name: s\n  advisories: {maxAgeDays: 4}\n";
    let mut input = with_rules(Door::Promote, rules);
    input.artifact.findings.push(finding("CVE-2", Severity::High));
    assert_eq!(verdict(&input).valid_until, Some(at("2026-06-02T00:00:00Z")));
}

fn release(door: Door) -> GateInput {
    let document = default_tier(sealock_facts::Tier::Release);
    let in_force_since = at("2026-01-01T00:00:00Z");
    input(door, vec![AppliedPolicy { scope: Scope::Tier, revision: 1, in_force_since, document }])
}

/// Decision D2: a node drain must not become an outage.
#[test]
fn new_findings_on_what_was_promoted_warn_at_pull_and_admit() {
    for door in Door::ALL {
        let mut input = release(door);
        input.artifact.findings.push(finding("CVE-2", Severity::Critical));
        let fresh = verdict(&input).action;
        assert_eq!(fresh, if door == Door::Push { Action::Allow } else { Action::Deny }, "{door}");
        input.artifact.promoted_at = Some(at("2026-05-01T00:00:00Z"));
        let soft = matches!(door, Door::Pull | Door::Admit);
        let expected = if soft { Action::Warn } else { fresh };
        assert_eq!(verdict(&input).action, expected, "{door}");
        if !soft {
            continue;
        }
        let mut revoked = input.clone();
        revoked.keys[0].compromised_at = Some(at("2026-05-30T00:00:00Z"));
        assert_eq!(verdict(&revoked).action, Action::Deny, "a revoked key at {door}");
        let mut banned = input.clone();
        banned.quarantines.push(quarantine(input.artifact.digest));
        assert_eq!(verdict(&banned).action, Action::Deny, "quarantine at {door}");
        let mut listed = input.clone();
        listed.artifact.findings.push(exploited("CVE-3", "2026-05-20T00:00:00Z"));
        flips(&listed, "2026-06-03T00:00:00Z", Action::Warn, Action::Deny);
    }
}

#[test]
fn a_document_may_enforce_after_promotion_too() {
    let rules = "rules:\n- name: r\n  findings: {severity: high, afterPromotion: enforce}\n";
    let mut input = with_rules(Door::Admit, rules);
    input.artifact.promoted_at = Some(at("2026-05-01T00:00:00Z"));
    input.artifact.findings.push(finding("CVE-2", Severity::High));
    assert_eq!(verdict(&input).action, Action::Deny);
}

#[test]
fn the_release_document_at_its_doors() {
    for door in Door::ALL {
        assert_eq!(verdict(&release(door)).action, Action::Allow, "{door}");
    }
    let mut unsigned = release(Door::Promote);
    unsigned.artifact.signatures.clear();
    unsigned.artifact.findings.push(finding("CVE-2", Severity::High));
    unsigned.artifact.findings.push(finding("CVE-3", Severity::High));
    let verdict = verdict(&unsigned);
    assert_eq!(verdict.action, Action::Deny);
    let told = told(&verdict);
    for word in [
        "no verified signature",
        "cosign sign",
        "2 findings at or above high: CVE-2 (high) in pkg:deb/debian/openssl@3.0.1-1, fixed in 3.0.2-1",
        "sealock waiver request",
    ] {
        assert!(told.contains(word), "{word} in\n{told}");
    }
}
