//! Decision D20: what a waiver excuses, and what it does not.

use crate::build::*;
use sealock_facts::{Action, Door, Severity, Tier, Waiver, WaiverState};
use sealock_policy::GateInput;

type Change = fn(&mut Waiver);

fn excused(change: impl Fn(&mut Waiver), spoil: impl Fn(&mut GateInput)) -> bool {
    let rules = "rules:\n- name: r\n  findings: {severity: high}\n";
    let mut input = with_rules(Door::Promote, rules);
    input.artifact.findings = vec![finding("CVE-2", Severity::High)];
    let mut waiver = waiver(7, "CVE-2");
    change(&mut waiver);
    input.waivers = vec![waiver];
    spoil(&mut input);
    let verdict = verdict(&input);
    if verdict.action == Action::Allow {
        assert!(told(&verdict).contains("waived by #7"), "{}", told(&verdict));
    }
    verdict.action == Action::Allow
}

#[test]
fn scope() {
    let cases: &[(&str, Change, bool)] = &[
        ("as it is", |_| (), true),
        ("by an alias", |w| w.scope.vulnerability = "GHSA-of-CVE-2".into(), true),
        ("in another case", |w| w.scope.vulnerability = "cve-2".into(), true),
        ("another vulnerability", |w| w.scope.vulnerability = "CVE-20".into(), false),
        ("nothing", |w| w.scope.vulnerability = String::new(), false),
        ("component", |w| w.scope.component = Some("pkg:deb/debian/openssl".into()), true),
        (
            "component with version",
            |w| w.scope.component = Some("pkg:deb/debian/openssl@3.0.1-1".into()),
            true,
        ),
        (
            "component with another version",
            |w| w.scope.component = Some("pkg:deb/debian/openssl@3.0.2-1".into()),
            false,
        ),
        ("another component", |w| w.scope.component = Some("pkg:deb/debian/open".into()), false),
        ("repository", |w| w.scope.repository = Some("shop/team/app".into()), true),
        ("one part", |w| w.scope.repository = Some("shop/*/app".into()), true),
        ("any part", |w| w.scope.repository = Some("shop/**".into()), true),
        ("one part is not two", |w| w.scope.repository = Some("shop/*".into()), false),
        ("a prefix is not enough", |w| w.scope.repository = Some("shop/team".into()), false),
        ("a broken pattern", |w| w.scope.repository = Some("shop/[".into()), false),
        ("digest", |w| w.scope.digest = Some(digest("app")), true),
        ("another digest", |w| w.scope.digest = Some(digest("app2")), false),
        (
            "all parts must match",
            |w| {
                w.scope.repository = Some("shop/**".into());
                w.scope.digest = Some(digest("app2"));
            },
            false,
        ),
    ];
    for (what, change, expected) in cases {
        assert_eq!(excused(change, |_| ()), *expected, "{what}");
    }
}

#[test]
fn state_time_and_persons() {
    for state in [WaiverState::Requested, WaiverState::Refused, WaiverState::Revoked] {
        assert!(!excused(|waiver| waiver.state = state, |_| ()), "{state:?}");
    }
    assert!(!excused(|waiver| waiver.expires_at = now(), |_| ()));
    assert!(!excused(|waiver| waiver.decided_by = None, |_| ()));
    assert!(!excused(|waiver| waiver.decided_by = Some("dana".into()), |_| ()));
    for tier in Tier::ALL {
        let own = excused(
            |waiver| waiver.decided_by = Some("dana".into()),
            |input| {
                input.subject.tier = tier;
            },
        );
        assert_eq!(own, tier <= Tier::Sandbox, "granted to oneself in {tier}");
    }
}

#[test]
fn a_rule_may_accept_none() {
    let without = |input: &mut GateInput| {
        let rules = "rules:\n- name: r\n  findings: {severity: high, acceptWaivers: false}\n";
        input.policies = vec![policy(sealock_policy::Scope::Project, rules)];
    };
    assert!(!excused(|_| (), without));
}

#[test]
fn a_waiver_for_an_index_covers_its_children() {
    let for_index = |waiver: &mut Waiver| waiver.scope.digest = Some(digest("index"));
    let within = |input: &mut GateInput| input.artifact = index(vec![input.artifact.clone()]);
    assert!(excused(for_index, within));
    assert!(!excused(for_index, |_| ()));
}

#[test]
fn a_waiver_excuses_no_other_rule() {
    let mut input = with_rules(Door::Promote, "rules:\n- name: r\n  signed: {}\n");
    input.waivers = vec![waiver(7, "CVE-2")];
    input.artifact.signatures.clear();
    assert_eq!(verdict(&input).action, Action::Deny);
}
