//! A good artifact and what it takes to spoil it.

use jiff::Timestamp;
use sealock_facts::{
    AdvisorySnapshot, AttestationFact, Completeness, Coverage, Distro, Door, EcosystemCoverage,
    EvidenceFormat, EvidenceState, Finding, FixState, Kev, Quarantine, QuarantineTarget, Severity,
    SignatureFact, Tier, Verdict, Waiver, WaiverScope, WaiverState,
};
use sealock_oci::{Digest, ManifestKind};
use sealock_policy::{
    AppliedPolicy, ArtifactFacts, ChildFacts, ContentsFact, FORMAT_VERSION, GateInput,
    KnownContents, ListedKey, Scan, Scope, Subject, evaluate, parse,
};

pub(crate) const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn now() -> Timestamp {
    at("2026-06-01T12:00:00Z")
}

pub(crate) fn digest(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

pub(crate) fn document(rules: &str) -> String {
    format!("apiVersion: sealock/v1\nkind: Policy\nname: test\n{rules}")
}

pub(crate) fn policy(scope: Scope, text: &str) -> AppliedPolicy {
    let document = parse(&document(text)).unwrap_or_else(|error| panic!("{error}\n{text}"));
    AppliedPolicy { scope, revision: 1, in_force_since: at("2026-05-01T00:00:00Z"), document }
}

pub(crate) fn key(name: &str) -> ListedKey {
    ListedKey { id: format!("id-of-{name}"), name: name.into(), compromised_at: None }
}

pub(crate) fn signature(subject: Digest, key: &str) -> SignatureFact {
    SignatureFact {
        subject,
        accessory: digest(&format!("signature by {key} of {subject}")),
        position: 0,
        format: EvidenceFormat::SigstoreBundle,
        status: EvidenceState::Verified { key: format!("id-of-{key}") },
        first_seen: at("2026-05-20T00:00:00Z"),
    }
}

pub(crate) fn attestation(subject: Digest, key: &str) -> AttestationFact {
    AttestationFact {
        subject,
        accessory: digest(&format!("attestation by {key} of {subject}")),
        position: 0,
        format: EvidenceFormat::SigstoreBundle,
        predicate_type: PROVENANCE.into(),
        statement: digest("statement"),
        status: EvidenceState::Verified { key: format!("id-of-{key}") },
        first_seen: at("2026-05-20T00:00:00Z"),
    }
}

pub(crate) fn finding(id: &str, severity: Severity) -> Finding {
    Finding {
        vulnerability: id.into(),
        aliases: vec![format!("GHSA-of-{id}")],
        purl: "pkg:deb/debian/openssl@3.0.1-1?arch=amd64".into(),
        version: "3.0.1-1".into(),
        severity,
        severity_source: None,
        fix: FixState::Fixed { version: "3.0.2-1".into() },
        published: Some(at("2026-05-25T00:00:00Z")),
        kev: None,
        summary: String::new(),
        records: vec![id.into()],
        scanner: "sealock".into(),
    }
}

pub(crate) fn exploited(id: &str, since: &str) -> Finding {
    Finding {
        kev: Some(Kev { date_added: at(since), ransomware: false }),
        fix: FixState::NotFixed,
        ..finding(id, Severity::Low)
    }
}

pub(crate) fn contents() -> KnownContents {
    KnownContents {
        inspector: "1".into(),
        inspected_at: at("2026-05-20T00:00:00Z"),
        completeness: Completeness::Complete,
        distro: Some(Distro {
            id: "debian".into(),
            version_id: "12".into(),
            codename: None,
            pretty_name: None,
            ecosystem: Some("Debian:12".into()),
        }),
        components: 2,
        system_packages: 1,
        ecosystems: [("Debian:12".into(), 1), ("PyPI".into(), 1)].into(),
        without_ecosystem: 0,
    }
}

/// An image about which everything good is known: signed and attested by `release`.
pub(crate) fn image(name: &str) -> ArtifactFacts {
    let digest = digest(name);
    ArtifactFacts {
        platform: Some("linux/amd64".into()),
        blobs: vec![self::digest(&format!("layer of {name}"))],
        contents: ContentsFact::Known(contents()),
        scans: vec![Scan { scanner: "sealock".into(), as_of: at("2026-05-31T00:00:00Z") }],
        findings: vec![finding("CVE-2026-1", Severity::Low)],
        signatures: vec![signature(digest, "release")],
        attestations: vec![attestation(digest, "release")],
        ..ArtifactFacts::unknown(digest, ManifestKind::Image, "")
    }
}

pub(crate) fn index(children: Vec<ArtifactFacts>) -> ArtifactFacts {
    let digest = digest("index");
    ArtifactFacts {
        signatures: vec![signature(digest, "release")],
        attestations: vec![attestation(digest, "release")],
        children: children
            .into_iter()
            .map(|facts| ChildFacts::Present { facts: Box::new(facts) })
            .collect(),
        ..ArtifactFacts::unknown(digest, ManifestKind::Index, "an index")
    }
}

pub(crate) fn input(door: Door, policies: Vec<AppliedPolicy>) -> GateInput {
    let coverage = |data: &str| EcosystemCoverage {
        coverage: Coverage::Full,
        data_date: Some(at(data)),
        records: 10,
    };
    GateInput {
        format_version: FORMAT_VERSION,
        door,
        now: now(),
        subject: Subject {
            project: "shop".into(),
            repository: "shop/team/app".into(),
            tier: Tier::Release,
        },
        policies,
        keys: vec![key("release"), key("other")],
        artifact: image("app"),
        waivers: Vec::new(),
        quarantines: Vec::new(),
        advisories: Some(AdvisorySnapshot {
            digest: digest("snapshot").to_string(),
            built_at: at("2026-05-31T00:00:00Z"),
            ecosystems: [
                ("Debian:12".into(), coverage("2026-05-30T00:00:00Z")),
                ("PyPI".into(), coverage("2026-05-29T00:00:00Z")),
            ]
            .into(),
        }),
        request: None,
    }
}

/// The input with one project policy of these rules.
pub(crate) fn with_rules(door: Door, rules: &str) -> GateInput {
    input(door, vec![policy(Scope::Project, rules)])
}

pub(crate) fn waiver(id: i64, vulnerability: &str) -> Waiver {
    Waiver {
        id,
        scope: WaiverScope { vulnerability: vulnerability.into(), ..WaiverScope::default() },
        reason: "not reachable".into(),
        requested_by: "dana".into(),
        requested_at: at("2026-05-30T00:00:00Z"),
        state: WaiverState::Granted,
        decided_by: Some("sofia".into()),
        expires_at: at("2026-07-01T00:00:00Z"),
    }
}

pub(crate) fn quarantine(digest: Digest) -> Quarantine {
    Quarantine {
        digest,
        target: QuarantineTarget::Manifest,
        reason: "malware".into(),
        by: "sofia".into(),
        since: at("2026-05-30T00:00:00Z"),
    }
}

/// The contents of the input's artifact, to be spoiled.
pub(crate) fn known(input: &mut GateInput) -> &mut KnownContents {
    match &mut input.artifact.contents {
        ContentsFact::Known(known) => known,
        other => panic!("{other:?}"),
    }
}

/// The verdict's text, for looking into.
pub(crate) fn told(verdict: &Verdict) -> String {
    let lines = verdict.reasons.iter().map(|reason| {
        format!("{} {:?} {} | {}", reason.rule, reason.outcome, reason.message, reason.remedy)
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn verdict(input: &GateInput) -> Verdict {
    evaluate(input)
}
