use super::*;
use crate::store::index_of_records;
use sealock_facts::{ComponentKind, Kev};
use sealock_oci::Digest;
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn component(ecosystem: &str, name: &str, version: &str) -> Component {
    let kind = match ecosystem {
        e if e.starts_with("Debian") => ComponentKind::Deb,
        e if e.starts_with("Alpine") => ComponentKind::Apk,
        "PyPI" => ComponentKind::Python,
        _ => ComponentKind::Npm,
    };
    Component {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        purl: format!("pkg:generic/{name}@{version}?in={ecosystem}"),
        match_key: Some(MatchKey {
            ecosystem: ecosystem.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
        }),
        architecture: None,
        licences: Vec::new(),
        path: "x".to_owned(),
        layer: Digest::sha256(b""),
        owner: None,
    }
}

/// A record about package `x`, changed by the caller.
fn record(id: &str, ecosystem: &str, events: Value) -> Value {
    json!({
        "id": id, "modified": "2024-01-01T00:00:00Z", "published": "2024-01-01T00:00:00Z",
        "affected": [{
            "package": {"ecosystem": ecosystem, "name": "x"},
            "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
    })
}

fn below(id: &str, ecosystem: &str, fixed: &str) -> Value {
    record(id, ecosystem, json!([{"introduced": "0"}, {"fixed": fixed}]))
}

fn with(mut record: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let object = record.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    object.insert(key.to_owned(), value);
    record
}

fn matches(records: &[Value], ecosystem: &str, version: &str, comprehensive: bool) -> Matches {
    let index = index_of_records(records, now()).unwrap();
    let components = [component(ecosystem, "x", version)];
    index.match_components(&components, now(), MatchOptions { comprehensive }).unwrap()
}

fn findings(records: &[Value], ecosystem: &str, version: &str) -> Vec<Finding> {
    matches(records, ecosystem, version, false).findings
}

fn only(records: &[Value], ecosystem: &str, version: &str) -> Finding {
    let found = findings(records, ecosystem, version);
    let [finding] = &found[..] else { panic!("{found:#?}") };
    finding.clone()
}

fn fixed(version: &str) -> FixState {
    FixState::Fixed { version: version.to_owned() }
}

#[test]
fn list_and_ranges_are_a_union() {
    let listed = |v: &str| with(below("A", "PyPI", "1.0"), "/affected/0/versions", json!([v]));
    assert_eq!(only(&[listed("0.1")], "PyPI", "0.9").fix, fixed("1.0"));
    // The list alone, in another spelling.
    assert_eq!(only(&[listed("2.0")], "PyPI", "2.0.0").records, ["A"]);
    assert!(findings(&[listed("2.0")], "PyPI", "2.0.1").is_empty());
    // What is no version matches by list only, and says so.
    let odd = matches(&[listed("0.1.dev-r1716")], "PyPI", "0.1.dev-r1716", false);
    assert_eq!(odd.findings.len(), 1);
    assert_eq!(odd.unmatched.len(), 1);
    let odd = matches(&[listed("0.1")], "PyPI", "0.1.dev-r1716", false);
    assert!(odd.findings.is_empty());
    assert_eq!(odd.unmatched[0].reason, "version");
    // Nothing to compare, nothing unmatched.
    assert!(matches(&[listed("0.1")], "PyPI", "5", false).unmatched.is_empty());
}

#[test]
fn withdrawn_records_match_nothing_and_join_nothing() {
    let good = with(below("A", "npm", "2.0.0"), "/aliases", json!(["CVE-1"]));
    let withdrawn = with(good.clone(), "/withdrawn", json!("2024-02-01T00:00:00Z"));
    assert_eq!(findings(std::slice::from_ref(&good), "npm", "1.0.0").len(), 1);
    assert!(findings(&[withdrawn], "npm", "1.0.0").is_empty());
    let later = with(good, "/withdrawn", json!("2030-01-01T00:00:00Z"));
    assert_eq!(findings(&[later], "npm", "1.0.0").len(), 1);
}

#[test]
fn one_finding_per_alias_group() {
    let a = with(below("PYSEC-1", "PyPI", "2.0"), "/aliases", json!(["CVE-2024-1"]));
    let b = with(below("GHSA-1", "PyPI", "2.1"), "/aliases", json!(["CVE-2024-1"]));
    let c = with(below("GHSA-2", "PyPI", "2.1"), "/related", json!(["CVE-2024-1"]));
    let found = findings(&[a, b, c], "PyPI", "1.0");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].vulnerability, "CVE-2024-1");
    assert_eq!(found[0].aliases, ["GHSA-1", "PYSEC-1"]);
    assert_eq!(found[0].records, ["GHSA-1", "PYSEC-1"]);
    // Only from here on do both agree that it is fixed.
    assert_eq!(found[0].fix, fixed("2.1"));
    assert_eq!(found[1].vulnerability, "GHSA-2");
}

#[test]
fn upstream_joins_for_display_and_not_one_another() {
    let dsa =
        with(below("DSA-1", "Debian:12", "2"), "/upstream", json!(["CVE-2024-1", "CVE-2024-2"]));
    let own =
        with(below("DEBIAN-CVE-2024-2", "Debian:12", "2"), "/upstream", json!(["CVE-2024-2"]));
    let other =
        with(below("ALPINE-CVE-2024-2", "Alpine:v3.20", "9"), "/upstream", json!(["CVE-2024-2"]));
    let nvd = json!({"id": "CVE-2024-2", "modified": "2024-01-01T00:00:00Z",
        "published": "2023-12-01T00:00:00Z", "summary": "two",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]});
    let found = findings(&[dsa, own, other, nvd], "Debian:12", "1");
    let ids: Vec<_> = found.iter().map(|f| f.vulnerability.as_str()).collect();
    assert_eq!(ids, ["CVE-2024-1", "CVE-2024-2"]);
    assert_eq!(found[0].aliases, ["DSA-1"]);
    assert_eq!(found[1].aliases, ["DEBIAN-CVE-2024-2", "DSA-1"]);
    assert_eq!(found[0].severity, Severity::Unknown);
    // The CVE's own record gives what the distribution does not say.
    assert_eq!(found[1].severity, Severity::Critical);
    assert_eq!(found[1].summary, "two");
    assert_eq!(found[1].published, "2023-12-01T00:00:00Z".parse().ok());
    assert_eq!(found[1].fix, fixed("2"));
}

#[test]
fn severity_of_the_matched_feed_comes_first() {
    let vector = |v: &str| json!([{"type": "CVSS_V3", "score": v}]);
    let high = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H";
    let critical = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    let record = with(below("A", "npm", "2.0.0"), "/severity", vector(critical));
    assert_eq!(only(std::slice::from_ref(&record), "npm", "1.0.0").severity, Severity::Critical);
    let label = with(record.clone(), "/database_specific", json!({"severity": "MODERATE"}));
    assert_eq!(only(std::slice::from_ref(&label), "npm", "1.0.0").severity, Severity::Medium);
    let entry = with(label, "/affected/0/severity", vector(high));
    let finding = only(&[entry], "npm", "1.0.0");
    assert_eq!(finding.severity, Severity::High);
    let Some(sealock_facts::SeveritySource::Cvss { score_tenths, .. }) = finding.severity_source
    else {
        panic!("{finding:?}")
    };
    assert_eq!(score_tenths, 75);
}

#[test]
fn malicious_packages() {
    let mut record = below("MAL-2024-1", "npm", "2.0.0");
    record.pointer_mut("/affected/0").unwrap().as_object_mut().unwrap().remove("ranges");
    assert_eq!(only(std::slice::from_ref(&record), "npm", "9.9.9").severity, Severity::Critical);
    let other = with(record, "/id", json!("GHSA-1"));
    assert!(findings(&[other], "npm", "9.9.9").is_empty());
}

#[test]
fn ecosystems_are_exact() {
    let records = [below("A", "Debian:12", "2"), below("B", "Debian", "2")];
    assert_eq!(only(&records, "Debian:12", "1").records, ["A"]);
    assert!(findings(&records, "Debian:13", "1").is_empty());
    let index =
        index_of_records(&[below("A", "Debian:12", "2"), below("C", "Nowhere", "1")], now())
            .unwrap();
    use sealock_facts::Coverage;
    assert_eq!(index.coverage("Debian:12"), Coverage::Partial);
    assert_eq!(index.coverage("Debian:13"), Coverage::None);
    assert_eq!(index.coverage("Nowhere"), Coverage::None);
}

#[test]
fn debian_words() {
    let open = |specific: Value| {
        let record = record("A", "Debian:12", json!([{"introduced": "0"}]));
        let record = with(
            record,
            "/severity",
            json!([{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]),
        );
        with(record, "/affected/0/ecosystem_specific", specific)
    };
    let judge = |specific: Value| {
        let finding = only(&[open(specific)], "Debian:12", "1");
        (finding.severity, finding.fix)
    };
    assert_eq!(judge(json!({})), (Severity::Critical, FixState::NotFixed));
    assert_eq!(
        judge(json!({"urgency": "not yet assigned"})),
        (Severity::Critical, FixState::NotFixed)
    );
    assert_eq!(
        judge(json!({"urgency": "unimportant"})),
        (Severity::Negligible, FixState::NotFixed)
    );
    assert_eq!(judge(json!({"urgency": "end-of-life"})), (Severity::Critical, FixState::WontFix));
    assert_eq!(judge(json!({"nodsa_reason": "ignored"})).1, FixState::WontFix);
    assert_eq!(judge(json!({"nodsa_reason": "postponed"})).1, FixState::NotFixed);
    let unknown = [open(json!({"status": "undetermined"}))];
    assert!(findings(&unknown, "Debian:12", "1").is_empty());
    assert_eq!(matches(&unknown, "Debian:12", "1", true).findings.len(), 1);
}

#[test]
fn binary_rebuilds_are_the_source_version() {
    let records = [below("A", "Debian:12", "1.0-2")];
    assert_eq!(findings(&records, "Debian:12", "1.0-1+b7").len(), 1);
    assert!(findings(&records, "Debian:12", "1.0-2+b1").is_empty());
    // `+b` is not a rebuild when something else follows.
    assert!(findings(&[below("A", "Debian:12", "1.0+beta")], "Debian:12", "1.0+beta1").is_empty());
}

#[test]
fn not_affected_wins_in_its_ecosystem() {
    let fix = with(
        below("ALPINE-CVE-2024-1", "Alpine:v3.20", "2-r0"),
        "/upstream",
        json!(["CVE-2024-1"]),
    );
    let never = json!({"id": "ALPINE2-CVE-2024-1", "upstream": ["CVE-2024-1"], "affected": [],
        "database_specific": {"not_affected": [{"ecosystem": "Alpine:v3.20", "name": "x"}]}});
    assert_eq!(findings(std::slice::from_ref(&fix), "Alpine:v3.20", "1-r0").len(), 1);
    assert!(findings(&[fix.clone(), never.clone()], "Alpine:v3.20", "1-r0").is_empty());
    let elsewhere = with(fix.clone(), "/affected/0/package/ecosystem", json!("Alpine:v3.19"));
    assert_eq!(findings(&[elsewhere, never], "Alpine:v3.19", "1-r0").len(), 1);
    let zero = with(below("Z", "Alpine:v3.20", "0"), "/upstream", json!(["CVE-2024-1"]));
    assert!(findings(&[fix, zero], "Alpine:v3.20", "1-r0").is_empty());
}

#[test]
fn owned_language_packages_are_the_distributions_affair() {
    let python = with(below("PYSEC-1", "PyPI", "2.0"), "/aliases", json!(["CVE-2024-1"]));
    let other = with(below("PYSEC-2", "PyPI", "2.0"), "/aliases", json!(["CVE-2024-2"]));
    let debian = with(
        with(below("D-1", "Debian:12", "1.0-3"), "/upstream", json!(["CVE-2024-1"])),
        "/affected/0/package/name",
        json!("python-x"),
    );
    let index = index_of_records(&[python, other, debian], now()).unwrap();
    let deb = component("Debian:12", "python-x", "1.0-3");
    let mut owned = component("PyPI", "x", "1.0");
    let ids = |list: &[Component], comprehensive: bool| -> Vec<String> {
        let options = MatchOptions { comprehensive };
        let found = index.match_components(list, now(), options).unwrap();
        found.findings.into_iter().map(|f| f.vulnerability).collect()
    };
    assert_eq!(ids(&[deb.clone(), owned.clone()], false), ["CVE-2024-1", "CVE-2024-2"]);
    owned.owner = Some(deb.purl.clone());
    assert!(ids(&[deb.clone(), owned.clone()], false).is_empty());
    // Comprehensive: what the distribution fixed is fixed, what it does not name stays.
    assert_eq!(ids(&[deb, owned.clone()], true), ["CVE-2024-2"]);
    let old = component("Debian:12", "python-x", "1.0-2");
    owned.owner = Some(old.purl.clone());
    assert_eq!(ids(&[old, owned], true), ["CVE-2024-1", "CVE-2024-1", "CVE-2024-2"]);
}

#[test]
fn same_index_same_findings() {
    let records: Vec<Value> = (0..50)
        .map(|n| {
            with(
                below(&format!("A-{n}"), "npm", "2.0.0"),
                "/aliases",
                json!([format!("CVE-{}", n % 7)]),
            )
        })
        .collect();
    let mut reversed = records.clone();
    reversed.reverse();
    let (a, b) =
        (index_of_records(&records, now()).unwrap(), index_of_records(&reversed, now()).unwrap());
    assert_eq!(a.digest(), b.digest());
    let components = [component("npm", "x", "1.0.0"), component("npm", "x", "1.0.0")];
    let json = |i: &Index| serde_json::to_string(&i.findings(&components, now()).unwrap()).unwrap();
    assert_eq!(json(&a), json(&b));
    assert_eq!(a.findings(&components, now()).unwrap().len(), 7);
}

#[test]
fn changes_between_snapshots() {
    let at = |name: &str, fixed: &str| {
        with(below(&format!("ID-{name}"), "npm", fixed), "/affected/0/package/name", json!(name))
    };
    let old = index_of_records(&[at("a", "1.0.0"), at("b", "1.0.0"), at("c", "1.0.0")], now());
    let new = index_of_records(
        &[
            at("a", "1.0.0"),
            at("b", "1.0.1"),
            at("d", "1.0.0"),
            json!({"id": "GHSA-9", "aliases": ["ID-e"]}),
        ],
        now(),
    );
    let (old, new) = (old.unwrap(), new.unwrap());
    let names: Vec<String> =
        changed_packages(&old, &new).unwrap().into_iter().map(|(_, n)| n).collect();
    assert_eq!(names, ["b", "c", "d"]);
    assert!(changed_packages(&new, &new).unwrap().is_empty());
    // An alias or a severity that another record brings counts too.
    let told = json!({"id": "CVE-2024-1", "aliases": ["ID-a"]});
    let more =
        index_of_records(&[at("a", "1.0.0"), at("b", "1.0.1"), at("d", "1.0.0"), told], now());
    let names: Vec<String> =
        changed_packages(&new, &more.unwrap()).unwrap().into_iter().map(|(_, n)| n).collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn known_exploited_by_any_id() {
    let starter = crate::starter_index(now()).unwrap();
    let found =
        starter.findings(&[component("Debian:12", "glibc", "2.36-9+deb12u2")], now()).unwrap();
    let glibc = found.iter().find(|f| f.vulnerability == "CVE-2023-4911").unwrap();
    let date_added = "2023-11-21T00:00:00Z".parse().unwrap();
    assert_eq!(glibc.kev, Some(Kev { date_added, ransomware: false }));
    assert_eq!(glibc.fix, fixed("2.36-9+deb12u3"));
    let [vulnerability] = &starter.lookup("SEALOCK-DEBIAN-CVE-2023-4911").unwrap()[..] else {
        panic!("not one")
    };
    assert_eq!(vulnerability.id, "CVE-2023-4911");
    assert!(starter.lookup("CVE-1999-0").unwrap().is_empty());
}
