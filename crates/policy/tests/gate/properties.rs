//! Properties that hold for every input.

use crate::build::*;
use proptest::prelude::*;
use sealock_facts::{Action, Door, Finding, FixState, Kev, Severity, Tier};
use sealock_policy::{ArtifactFacts, ContentsFact, GateInput, Scan, Scope, is_quarantined, parse};

/// Rules that make use of everything.
const RULES: [&str; 8] = [
    "signed: {by: any}",
    "signed: {by: [release, other], atLeast: 2, beforeCompromise: count}",
    "attestation: {predicateType: 'https://slsa.dev/provenance/v1'}",
    "findings: {severity: high}",
    "findings: {severity: low, onlyFixed: true, graceDays: 9, unknownSeverity: ignore}",
    "findings: {knownExploitedGraceDays: 5, scanners: [sealock], maxAgeDays: 3}",
    "contents: {maxAgeDays: 20}",
    "advisories: {maxAgeDays: 4}",
];

fn a_policy() -> impl Strategy<Value = String> {
    let rule = (
        0..RULES.len(),
        prop_oneof![
            Just("{mode: enforce}"),
            Just("{mode: warn}"),
            Just("{mode: enforce, afterDays: 33}"),
            Just("{mode: enforce, from: 2026-06-02}"),
        ],
    );
    prop::collection::vec(rule, 0..4).prop_map(|rules| {
        let mut text = document("rules:\n");
        for (index, (rule, mode)) in rules.iter().enumerate() {
            let doors: Vec<_> = Door::ALL.iter().map(|door| format!("{door}: {mode}")).collect();
            let rule = RULES[*rule];
            text.push_str(&format!(
                "- name: r{index}\n  doors: {{{}}}\n  {rule}\n",
                doors.join(", ")
            ));
        }
        text.replace("rules:\n\n", "").replacen(
            "rules:\n",
            if rules.is_empty() { "" } else { "rules:\n" },
            1,
        )
    })
}

fn a_finding() -> impl Strategy<Value = Finding> {
    (0..4u8, 0..6usize, any::<bool>(), prop::option::of(0..20i8), prop::option::of(0..20i8))
        .prop_map(|(id, severity, fixed, published, kev)| {
            let days = |days: i8| at(&format!("2026-05-{:02}T00:00:00Z", days + 10));
            let severities = [
                Severity::Unknown,
                Severity::Negligible,
                Severity::Low,
                Severity::Medium,
                Severity::High,
                Severity::Critical,
            ];
            let mut finding = finding(&format!("CVE-{id}"), severities[severity]);
            finding.published = published.map(days);
            finding.kev = kev.map(|date| Kev { date_added: days(date), ransomware: false });
            if !fixed {
                finding.fix = FixState::NotFixed;
            }
            finding
        })
}

fn an_image(name: &'static str) -> impl Strategy<Value = ArtifactFacts> {
    (prop::collection::vec(a_finding(), 0..4), 0..8u8, any::<[bool; 4]>()).prop_map(
        move |(findings, state, [signed, both, attested, scanned])| {
            let mut facts = image(name);
            facts.findings = findings;
            if state == 0 {
                facts.contents = ContentsFact::Unknown { detail: "queued".into() };
            }
            if !signed {
                facts.signatures.clear();
            }
            if both {
                facts.signatures.push(signature(facts.digest, "other"));
            }
            if !attested {
                facts.attestations.clear();
            }
            if !scanned {
                facts.scans.clear();
            }
            facts
        },
    )
}

fn an_input() -> impl Strategy<Value = GateInput> {
    let artifact = prop_oneof![
        an_image("app"),
        (an_image("app"), an_image("other")).prop_map(|(a, b)| index(vec![a, b])),
    ];
    (
        prop::sample::select(Door::ALL.to_vec()),
        prop::collection::vec(a_policy(), 0..3),
        artifact,
        prop::collection::vec((0..4u8, 1..28u8), 0..3),
        any::<[bool; 3]>(),
        prop::sample::select(Tier::ALL.to_vec()),
    )
        .prop_map(
            |(door, policies, artifact, waivers, [promoted, compromised, advisories], tier)| {
                let scopes = [Scope::Floor, Scope::Tier, Scope::Project];
                let policies = policies.iter().zip(scopes).map(|(text, scope)| {
                    sealock_policy::AppliedPolicy {
                        scope,
                        revision: 1,
                        in_force_since: at("2026-05-01T00:00:00Z"),
                        document: parse(text).unwrap_or_else(|error| panic!("{error}\n{text}")),
                    }
                });
                let mut input = input(door, policies.collect());
                input.subject.tier = tier;
                input.artifact = artifact;
                for (id, day) in waivers {
                    let mut waiver = waiver(i64::from(day), &format!("CVE-{id}"));
                    waiver.expires_at = at(&format!("2026-06-{day:02}T00:00:00Z"));
                    input.waivers.push(waiver);
                }
                if promoted {
                    input.artifact.promoted_at = Some(at("2026-05-02T00:00:00Z"));
                }
                if compromised {
                    input.keys[0].compromised_at = Some(at("2026-05-25T00:00:00Z"));
                }
                if !advisories {
                    input.advisories = None;
                }
                input
            },
        )
}

/// The image of the artifact, or the first child of the index.
fn some_image(input: &mut GateInput) -> &mut ArtifactFacts {
    if input.artifact.children.is_empty() {
        return &mut input.artifact;
    }
    match &mut input.artifact.children[0] {
        sealock_policy::ChildFacts::Present { facts } => facts,
        other => panic!("{other:?}"),
    }
}

/// With every unknown refused as a failure is (not "held" at push), less knowledge is never milder.
fn without_hold(action: Action) -> Action {
    if action == Action::Hold { Action::Deny } else { action }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_finding_more_is_never_milder(input in an_input(), finding in a_finding()) {
        let mut more = input.clone();
        some_image(&mut more).findings.push(finding);
        prop_assert!(verdict(&more).action >= verdict(&input).action);
    }

    #[test]
    fn a_quarantine_always_denies(input in an_input(), blob in any::<bool>()) {
        let mut banned = input.clone();
        let digest = { let image = some_image(&mut banned); if blob { image.blobs[0] } else { image.digest } };
        banned.quarantines.push(quarantine(digest));
        let verdict = verdict(&banned);
        prop_assert_eq!(verdict.action, Action::Deny);
        prop_assert!(is_quarantined(&verdict));
    }

    #[test]
    fn less_evidence_is_never_milder(input in an_input(), what in 0..8u8) {
        let mut less = input.clone();
        match what {
            0 => drop(less.artifact.signatures.pop()),
            1 => drop(less.artifact.attestations.pop()),
            2 => some_image(&mut less).contents = ContentsFact::Unknown { detail: "lost".into() },
            3 => some_image(&mut less).scans.clear(),
            4 => less.advisories = None,
            5 => drop(less.keys.pop()),
            6 => drop(less.waivers.pop()),
            _ => less.keys[0].compromised_at = Some(at("2026-01-01T00:00:00Z")),
        }
        // Up to sandbox unknown is milder than failure by design.
        if input.subject.tier > Tier::Sandbox {
            prop_assert!(
                without_hold(verdict(&less).action) >= without_hold(verdict(&input).action),
                "{}\n---\n{}", told(&verdict(&input)), told(&verdict(&less))
            );
        }
    }

    #[test]
    fn the_order_of_policies_is_no_matter(input in an_input()) {
        let mut turned = input.clone();
        turned.policies.reverse();
        for policy in &mut turned.policies {
            policy.document.rules.reverse();
        }
        let (one, two) = (verdict(&input), verdict(&turned));
        prop_assert_eq!(one.action, two.action);
        prop_assert_eq!(one.valid_until, two.valid_until);
    }

    #[test]
    fn a_policy_more_is_never_milder(input in an_input(), text in a_policy()) {
        let mut more = input.clone();
        let mut extra = policy(Scope::Cluster, "");
        extra.document = parse(&text).unwrap();
        more.policies.push(extra);
        prop_assert!(verdict(&more).action >= verdict(&input).action);
    }

    #[test]
    fn a_verdict_stands_until_its_end_and_grows_no_milder(input in an_input(), days in 0..60i64) {
        let first = verdict(&input);
        let mut later = input.clone();
        later.now = input.now.checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap();
        let second = verdict(&later);
        match first.valid_until {
            Some(end) if later.now >= end => {}
            _ => prop_assert_eq!(&second, &first),
        }
        if let Some(end) = first.valid_until {
            prop_assert!(end > input.now);
            later.now = end.checked_sub(jiff::SignedDuration::from_micros(1)).unwrap();
            prop_assert_eq!(&verdict(&later), &first);
        }
        if input.subject.tier > Tier::Sandbox {
            prop_assert!(without_hold(second.action) >= without_hold(first.action));
        }
    }

    #[test]
    fn the_order_of_facts_is_no_matter(input in an_input()) {
        let mut other = input.clone();
        other.artifact.findings.reverse();
        other.artifact.signatures.reverse();
        other.artifact.attestations.reverse();
        other.waivers.reverse();
        other.keys.reverse();
        other.policies.reverse();
        prop_assert_eq!(verdict(&other), verdict(&input));
    }

    #[test]
    fn equal_inputs_have_equal_bytes_and_verdicts(input in an_input()) {
        let bytes = input.canonical_bytes().unwrap();
        let again = GateInput::parse(&bytes).unwrap();
        prop_assert_eq!(again.canonical_bytes().unwrap(), bytes.clone());
        prop_assert_eq!(verdict(&again), { let mut i = input.clone(); i.normalise(); verdict(&i) });
        let mut shuffled = input.clone();
        shuffled.waivers.reverse();
        shuffled.keys.reverse();
        some_image(&mut shuffled).findings.reverse();
        shuffled.artifact.signatures.reverse();
        prop_assert_eq!(shuffled.canonical_bytes().unwrap(), bytes);
        prop_assert_eq!(verdict(&shuffled).action, verdict(&input).action);
    }

    #[test]
    fn another_scanner_that_reports_is_no_harm(input in an_input()) {
        let mut more = input.clone();
        some_image(&mut more).scans.push(Scan { scanner: "other".into(), as_of: now() });
        prop_assert!(verdict(&more).action <= verdict(&input).action);
    }
}
