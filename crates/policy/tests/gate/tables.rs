//! Truth tables: each rule, each way to spoil a good artifact, each door and mode.

use crate::build::*;
use sealock_facts::{
    Action, Completeness, Coverage, Door, EvidenceState, FixState, Outcome, PartialReason,
    RejectReason, Severity,
};
use sealock_policy::{ChildFacts, ContentsFact, GateInput, Scan};

pub(crate) type Spoil = fn(&mut GateInput);
type Case = (&'static str, Spoil, Outcome);

const GOOD: Case = ("as it is", |_| (), Outcome::Pass);

/// The worst outcome of the rule `r` in a verdict.
pub(crate) fn outcome(input: &GateInput) -> Option<Outcome> {
    verdict(input).reasons.iter().filter(|r| r.rule == "r").map(|r| r.outcome).max()
}

/// Every case at every door in every mode.
fn table(check: &str, cases: &[Case]) {
    for (what, spoil, expected) in cases {
        for door in Door::ALL {
            for (mode, unknown) in
                [("enforce", None), ("warn", None), ("off", None), ("enforce", Some("allow"))]
            {
                let mut setting = format!("mode: {mode}");
                if let Some(unknown) = unknown {
                    setting.push_str(&format!(", unknown: {unknown}"));
                }
                let rules =
                    format!("rules:\n- name: r\n  doors: {{{door}: {{{setting}}}}}\n  {check}\n");
                let mut input = with_rules(door, &rules);
                spoil(&mut input);
                let verdict = verdict(&input);
                let action = match (mode, expected, unknown) {
                    ("off", ..) | (_, Outcome::Pass | Outcome::NotApplicable, _) => Action::Allow,
                    ("warn", ..) => Action::Warn,
                    (_, Outcome::Unknown, Some(_)) => Action::Allow,
                    (_, Outcome::Unknown, None) if door == Door::Push => Action::Hold,
                    _ => Action::Deny,
                };
                let told = told(&verdict);
                assert_eq!(verdict.action, action, "{check}: {what}, {door} {setting}\n{told}");
                let worst = if mode == "off" { None } else { Some(*expected) };
                assert_eq!(outcome(&input), worst, "{check}: {what}, {door} {setting}\n{told}");
                if verdict.action > Action::Allow {
                    for reason in verdict.objections() {
                        assert!(!reason.message.is_empty() && !reason.remedy.is_empty(), "{told}");
                    }
                }
            }
        }
    }
}

#[test]
fn signed() {
    let digest = digest("app");
    assert_eq!(image("app").digest, digest);
    let cases: &[Case] = &[
        GOOD,
        ("no signature", |i| i.artifact.signatures.clear(), Outcome::Fail),
        (
            "over another digest",
            |i| i.artifact.signatures[0].subject = crate::build::digest("else"),
            Outcome::Fail,
        ),
        (
            "rejected",
            |i| {
                i.artifact.signatures[0].status = EvidenceState::Rejected {
                    reason: RejectReason::NoKeyMatches,
                    detail: "no listed key verifies it".into(),
                };
            },
            Outcome::Fail,
        ),
        ("key not listed", |i| i.keys.retain(|key| key.name != "release"), Outcome::Fail),
        ("no keys at all", |i| i.keys.clear(), Outcome::Fail),
        (
            "an attestation is no signature",
            |i| {
                i.artifact.signatures.clear();
                assert!(!i.artifact.attestations.is_empty());
            },
            Outcome::Fail,
        ),
        (
            "compromised before it was seen",
            |i| i.keys[0].compromised_at = Some(at("2026-05-20T00:00:00Z")),
            Outcome::Fail,
        ),
        (
            "compromised after it was seen, and the rule ignores the key",
            |i| i.keys[0].compromised_at = Some(at("2026-05-20T00:00:01Z")),
            Outcome::Fail,
        ),
        (
            "the accessory is quarantined",
            |i| {
                // Not a quarantine of the artifact: it is the evidence that is banned.
                let accessory = i.artifact.signatures[0].accessory;
                i.quarantines.push(quarantine(accessory));
            },
            Outcome::Fail,
        ),
        (
            "verification is still running",
            |i| {
                i.artifact.signatures.clear();
                i.artifact.evidence_pending = true;
            },
            Outcome::Unknown,
        ),
    ];
    table("signed: {by: any}", cases);
    table("signed: {by: [release]}", cases);
    table("signed: {by: [id-of-release]}", cases);
    table("signed: {by: [other]}", &[("by a key that is not asked for", |_| (), Outcome::Fail)]);
    table(
        "signed: {by: any, beforeCompromise: count}",
        &[
            (
                "seen before",
                |i| i.keys[0].compromised_at = Some(at("2026-05-20T00:00:01Z")),
                Outcome::Pass,
            ),
            (
                "seen at that moment",
                |i| i.keys[0].compromised_at = Some(at("2026-05-20T00:00:00Z")),
                Outcome::Fail,
            ),
        ],
    );
}

/// Under whichever of its two names, and in whichever order they stand.
#[test]
fn a_key_listed_twice_is_as_bad_as_its_worse_entry() {
    for names in [["a", "b"], ["b", "a"]] {
        let mut input = with_rules(Door::Pull, "rules:\n- name: r\n  signed: {}\n");
        let id = input.keys[0].id.clone();
        let entry = |name: &str, since: Option<&str>| {
            let compromised_at = since.map(at);
            sealock_policy::ListedKey { id: id.clone(), name: name.into(), compromised_at }
        };
        input.keys = vec![entry(names[0], None), entry(names[1], Some("2020-01-01T00:00:00Z"))];
        assert_eq!(outcome(&input), Some(Outcome::Fail), "{names:?}");
        input.keys.pop();
        assert_eq!(outcome(&input), Some(Outcome::Pass));
    }
}

#[test]
fn signed_by_k_different_keys() {
    let again: Spoil = |i| {
        let mut twice = i.artifact.signatures[0].clone();
        twice.accessory = digest("another accessory");
        i.artifact.signatures.push(twice);
    };
    let other: Spoil = |i| i.artifact.signatures.push(signature(i.artifact.digest, "other"));
    table(
        "signed: {by: [release, other], atLeast: 2}",
        &[
            ("one key", |_| (), Outcome::Fail),
            ("one key twice", again, Outcome::Fail),
            ("two keys", other, Outcome::Pass),
            (
                "one key listed under two names",
                |i| {
                    i.keys[1].id = i.keys[0].id.clone();
                    i.artifact.signatures.push(signature(i.artifact.digest, "release"));
                },
                Outcome::Fail,
            ),
        ],
    );
}

#[test]
fn attested() {
    table(
        &format!("attestation: {{predicateType: '{PROVENANCE}'}}"),
        &[
            GOOD,
            ("none", |i| i.artifact.attestations.clear(), Outcome::Fail),
            (
                "of another type",
                |i| i.artifact.attestations[0].predicate_type.push('1'),
                Outcome::Fail,
            ),
            (
                "about another digest",
                |i| i.artifact.attestations[0].subject = digest("else"),
                Outcome::Fail,
            ),
            (
                "a signature is no attestation",
                |i| {
                    i.artifact.attestations.clear();
                    assert!(!i.artifact.signatures.is_empty());
                },
                Outcome::Fail,
            ),
            ("key not listed", |i| i.keys.remove(0).id.clear(), Outcome::Fail),
        ],
    );
}

fn push(input: &mut GateInput, finding: sealock_facts::Finding) {
    input.artifact.findings.push(finding);
}

/// What makes any rule about contents unknown.
const UNKNOWN_CONTENTS: &[Case] = &[
    (
        "not inspected",
        |i| i.artifact.contents = ContentsFact::Unknown { detail: "queued".into() },
        Outcome::Unknown,
    ),
    (
        "no runnable layer, type not listed",
        |i| {
            i.artifact.contents =
                ContentsFact::NotRunnable { inspector: "1".into(), inspected_at: now() };
            i.artifact.artifact_type = Some("application/vnd.cncf.helm.config.v1+json".into());
            i.artifact.findings.clear();
        },
        Outcome::Unknown,
    ),
    (
        "the index lists a child that is absent",
        |i| {
            i.artifact = index(vec![image("app")]);
            i.artifact.children.push(ChildFacts::Absent { digest: digest("x"), platform: None });
        },
        Outcome::Unknown,
    ),
    ("an empty index", |i| i.artifact = index(Vec::new()), Outcome::Unknown),
    (
        "indexes that never end",
        |i| {
            for _ in 0..10 {
                i.artifact = index(vec![i.artifact.clone()]);
            }
        },
        Outcome::Unknown,
    ),
];

/// What makes contents less than whole.
const PARTIAL_CONTENTS: &[Case] = &[
    (
        "read in part",
        |i| {
            known(i).completeness = Completeness::Partial {
                reasons: vec![PartialReason {
                    code: "truncated_compression".into(),
                    detail: "the layer ends early".into(),
                    layer: digest("layer"),
                }],
            };
        },
        Outcome::Unknown,
    ),
    ("no system package", |i| known(i).system_packages = 0, Outcome::Unknown),
    (
        "no component",
        |i| {
            *known(i) = sealock_policy::KnownContents {
                distro: None,
                components: 0,
                system_packages: 0,
                ecosystems: [].into(),
                ..contents()
            };
        },
        Outcome::Unknown,
    ),
    ("an index of a good image", |i| i.artifact = index(vec![image("app")]), Outcome::Pass),
    (
        "an index with a bad image",
        |i| {
            let mut bad = image("bad");
            bad.contents = ContentsFact::Unknown { detail: "unreadable".into() };
            i.artifact = index(vec![image("app"), bad]);
        },
        Outcome::Unknown,
    ),
];

#[test]
fn contents_are_known() {
    table("contents: {}", UNKNOWN_CONTENTS);
    table("contents: {}", PARTIAL_CONTENTS);
    table(
        "contents: {maxAgeDays: 12}",
        &[
            ("twelve days and a half old", |_| (), Outcome::Unknown),
            ("younger", |i| known(i).inspected_at = at("2026-05-20T12:00:01Z"), Outcome::Pass),
            (
                "dated in the future",
                |i| known(i).inspected_at = at("2026-06-03T00:00:00Z"),
                Outcome::Unknown,
            ),
        ],
    );
}

#[test]
fn findings_at_or_above_a_severity() {
    table("findings: {severity: high}", UNKNOWN_CONTENTS);
    table("findings: {severity: high}", PARTIAL_CONTENTS);
    table(
        "findings: {severity: high}",
        &[
            GOOD,
            ("medium", |i| push(i, finding("CVE-2", Severity::Medium)), Outcome::Pass),
            ("high", |i| push(i, finding("CVE-2", Severity::High)), Outcome::Fail),
            ("critical", |i| push(i, finding("CVE-2", Severity::Critical)), Outcome::Fail),
            ("not rated", |i| push(i, finding("CVE-2", Severity::Unknown)), Outcome::Unknown),
            ("exploited", |i| push(i, exploited("CVE-2", "2026-05-31T00:00:00Z")), Outcome::Fail),
            (
                "high but in a child of the index",
                |i| {
                    let mut bad = image("bad");
                    bad.findings.push(finding("CVE-2", Severity::High));
                    i.artifact = index(vec![image("app"), bad]);
                },
                Outcome::Fail,
            ),
            (
                "high and unknown contents: the failure stands",
                |i| {
                    push(i, finding("CVE-2", Severity::High));
                    i.artifact.contents = ContentsFact::Unknown { detail: "x".into() };
                },
                Outcome::Fail,
            ),
            ("no scanner has judged", |i| i.artifact.scans.clear(), Outcome::Unknown),
            ("no advisories", |i| i.advisories = None, Outcome::Unknown),
            (
                "an ecosystem without coverage",
                |i| {
                    let advisories = i.advisories.as_mut().unwrap();
                    advisories.ecosystems.get_mut("PyPI").unwrap().coverage = Coverage::None;
                },
                Outcome::Unknown,
            ),
            (
                "an ecosystem that the snapshot does not name",
                |i| {
                    i.advisories.as_mut().unwrap().ecosystems.remove("PyPI");
                },
                Outcome::Unknown,
            ),
            (
                "partial coverage is enough unless the rule asks for more",
                |i| {
                    let advisories = i.advisories.as_mut().unwrap();
                    advisories.ecosystems.get_mut("PyPI").unwrap().coverage = Coverage::Partial;
                },
                Outcome::Pass,
            ),
            (
                "a component of no known release",
                |i| known(i).without_ecosystem = 1,
                Outcome::Unknown,
            ),
        ],
    );
}

#[test]
fn findings_options() {
    table(
        "findings: {severity: high, onlyFixed: true}",
        &[
            ("fixable", |i| push(i, finding("CVE-2", Severity::High)), Outcome::Fail),
            (
                "no fix",
                |i| {
                    let mut finding = finding("CVE-2", Severity::High);
                    finding.fix = FixState::NotFixed;
                    push(i, finding);
                },
                Outcome::Pass,
            ),
            (
                "exploited without a fix",
                |i| push(i, exploited("CVE-2", "2026-05-31T00:00:00Z")),
                Outcome::Fail,
            ),
        ],
    );
    table(
        "findings: {severity: high, graceDays: 10, knownExploitedGraceDays: 2}",
        &[
            ("published a week ago", |i| push(i, finding("CVE-2", Severity::High)), Outcome::Pass),
            (
                "published ten days ago to the second",
                |i| {
                    let mut finding = finding("CVE-2", Severity::High);
                    finding.published = Some(at("2026-05-22T12:00:00Z"));
                    push(i, finding);
                },
                Outcome::Fail,
            ),
            (
                "never dated",
                |i| {
                    let mut finding = finding("CVE-2", Severity::High);
                    finding.published = None;
                    push(i, finding);
                },
                Outcome::Fail,
            ),
            (
                "exploited since yesterday",
                |i| push(i, exploited("CVE-2", "2026-05-31T00:00:00Z")),
                Outcome::Pass,
            ),
            (
                "exploited for two days",
                |i| push(i, exploited("CVE-2", "2026-05-30T12:00:00Z")),
                Outcome::Fail,
            ),
        ],
    );
    table(
        "findings: {severity: high, unknownSeverity: ignore}",
        &[("not rated", |i| push(i, finding("CVE-2", Severity::Unknown)), Outcome::Pass)],
    );
    table(
        "findings: {severity: high, unknownSeverity: count}",
        &[("not rated", |i| push(i, finding("CVE-2", Severity::Unknown)), Outcome::Fail)],
    );
    table(
        "findings: {}",
        &[
            ("critical", |i| push(i, finding("CVE-2", Severity::Critical)), Outcome::Pass),
            ("exploited", |i| push(i, exploited("CVE-2", "2026-05-30T12:00:00Z")), Outcome::Fail),
        ],
    );
    table(
        "findings: {severity: high, minimumCoverage: full}",
        &[
            GOOD,
            (
                "partial",
                |i| {
                    let advisories = i.advisories.as_mut().unwrap();
                    advisories.ecosystems.get_mut("PyPI").unwrap().coverage = Coverage::Partial;
                },
                Outcome::Unknown,
            ),
        ],
    );
    table(
        "findings: {severity: high, maxAgeDays: 1}",
        &[
            ("a day and a half", |_| (), Outcome::Unknown),
            ("younger", |i| i.artifact.scans[0].as_of = at("2026-05-31T12:00:01Z"), Outcome::Pass),
        ],
    );
    table(
        "findings: {severity: high, scanners: [other]}",
        &[
            ("another scanner has judged", |_| (), Outcome::Unknown),
            (
                "its findings count, those of others do not",
                |i| {
                    i.artifact.scans.push(Scan { scanner: "other".into(), as_of: now() });
                    push(i, finding("CVE-2", Severity::High));
                },
                Outcome::Pass,
            ),
            (
                "it found something",
                |i| {
                    i.artifact.scans.push(Scan { scanner: "other".into(), as_of: now() });
                    let mut finding = finding("CVE-2", Severity::High);
                    finding.scanner = "other".into();
                    push(i, finding);
                },
                Outcome::Fail,
            ),
        ],
    );
}

#[test]
fn advisories_are_fresh() {
    table(
        "advisories: {maxAgeDays: 3}",
        &[
            ("PyPI is three and a half days old", |_| (), Outcome::Unknown),
            (
                "younger",
                |i| {
                    let data = i.advisories.as_mut().unwrap().ecosystems.get_mut("PyPI").unwrap();
                    data.data_date = Some(at("2026-05-29T12:00:01Z"));
                },
                Outcome::Pass,
            ),
            ("none", |i| i.advisories = None, Outcome::Unknown),
            (
                "no component that advisories could name",
                |i| known(i).ecosystems.clear(),
                Outcome::NotApplicable,
            ),
        ],
    );
    table("advisories: {maxAgeDays: 300}", UNKNOWN_CONTENTS);
}

#[test]
fn what_is_missing_is_said_where_it_is_missing() {
    let mut input = with_rules(Door::Promote, "rules:\n- name: r\n  signed: {}\n");
    input.artifact.signatures.clear();
    let reason = |input: &GateInput| {
        let verdict = verdict(input);
        verdict.objections().first().map(|r| (r.message.clone(), r.remedy.clone())).unwrap()
    };
    let source = sealock_policy::Subject {
        repository: "team/source".into(),
        project: "team".into(),
        tier: sealock_facts::Tier::Sandbox,
    };
    input.request.get_or_insert_default().source = Some(source);
    let (message, remedy) = reason(&input);
    assert!(message.contains("no verified signature by any of the keys that the project lists"));
    assert!(remedy.contains("<registry>/team/source@sha256:"), "{remedy}");
    input.keys.clear();
    let (message, _) = reason(&input);
    assert!(message.ends_with("lists no keys"), "{message}");
}
