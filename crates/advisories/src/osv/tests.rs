use super::*;
use serde_json::json;

fn parse(value: &Value) -> Result<Record, RecordError> {
    parse_record(value.to_string().as_bytes())
}

fn sample() -> Value {
    json!({
        "id": "PYSEC-2018-28", "modified": "2021-06-10T06:51:48.112000Z",
        "published": "2018-10-09T17:29:00", "aliases": ["CVE-2018-18074", "CVE-2018-18074"],
        "summary": "\n# Header sent\u{7} over plain HTTP\nmore", "details": null,
        "severity": [{"type": "CVSS_V3",
            "score": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}],
        "affected": [{
            "package": {"ecosystem": "PyPI", "name": "Requests"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.20.0"}]},
                {"type": "GIT", "events": [{"introduced": "0"}]}],
            "versions": ["2.0", "1.0"], "severity": null,
        }],
    })
}

#[test]
fn reads_what_matters() {
    let record = parse(&sample()).unwrap();
    assert_eq!(record.aliases, ["CVE-2018-18074"]);
    assert_eq!(record.published, "2018-10-09T17:29:00Z".parse().ok());
    assert_eq!(record.summary, "Header sent over plain HTTP");
    assert_eq!(record.severity.len(), 1);
    let [affected] = &record.affected[..] else { panic!("{record:?}") };
    assert_eq!((affected.name.as_str(), affected.ranges.len()), ("requests", 1));
    assert_eq!(affected.versions, ["1.0", "2.0"]);
    let again: Record = serde_json::from_slice(&serde_json::to_vec(&record).unwrap()).unwrap();
    assert_eq!(again, record);
}

#[test]
fn refuses_what_it_cannot_use() {
    assert!(parse(&sample()).is_ok());
    for (pointer, value, code) in [
        ("/id", json!(""), "no_id"),
        ("/id", json!(null), "no_id"),
        ("/id", json!("x".repeat(600)), "text_too_long"),
        ("/id", json!(7), "not_json"),
        ("/withdrawn", json!("soon"), "bad_withdrawn"),
        ("/aliases", json!(vec!["a"; MAX_IDS + 1]), "too_many_ids"),
        ("/affected/0/versions/0", json!("1\n2"), "text_too_long"),
    ] {
        let mut bad = sample();
        if pointer == "/withdrawn" {
            bad["withdrawn"] = json!(null);
        }
        *bad.pointer_mut(pointer).unwrap() = value;
        assert_eq!(parse(&bad).map_err(|e| e.code), Err(code), "{pointer}");
    }
    assert_eq!(parse_record(b"[1").map_err(|e| e.code), Err("not_json"));
    let deep = "[".repeat(100_000);
    assert_eq!(parse_record(deep.as_bytes()).map_err(|e| e.code), Err("not_json"));
}

#[test]
fn status_of_distribution_entries() {
    let with = |extra: Value, events: Value| {
        let mut entry = json!({
            "package": {"ecosystem": "Debian:12", "name": "x"},
            "ranges": [{"type": "ECOSYSTEM", "events": events}]});
        entry.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let record = parse(&json!({"id": "D", "affected": [entry]})).unwrap();
        (record.affected[0].status, record.affected[0].severity.first().map(|a| a.severity))
    };
    let open = json!([{"introduced": "0"}]);
    let urgency = |word: &str| json!({"ecosystem_specific": {"urgency": word}});
    use sealock_facts::Severity;
    assert_eq!(with(urgency("not yet assigned"), open.clone()), (Status::Affected, None));
    assert_eq!(
        with(urgency("unimportant"), open.clone()),
        (Status::Affected, Some(Severity::Negligible))
    );
    assert_eq!(with(urgency("end-of-life"), open.clone()), (Status::WontFix, None));
    let reason = |word: &str| json!({"database_specific": {"nodsa_reason": word}});
    assert_eq!(with(reason("ignored"), open.clone()).0, Status::WontFix);
    assert_eq!(with(reason("postponed"), open.clone()).0, Status::Deferred);
    let never = json!([{"introduced": "0"}, {"fixed": "0"}]);
    assert_eq!(with(json!({}), never).0, Status::NotAffected);
    let state = json!({"database_specific": {"status": "undetermined"}});
    assert_eq!(with(state, open).0, Status::UnderInvestigation);
}

#[test]
fn aliases_and_upstream() {
    let record = |ecosystem: &str| {
        parse(&json!({
            "id": "X-1", "aliases": ["CVE-1", "CVE-2", "Y-1", "X-1"],
            "affected": [{"package": {"ecosystem": ecosystem, "name": "x"}}]}))
        .unwrap()
    };
    assert_eq!(record("Debian:12").upstream, ["CVE-1", "CVE-2"]);
    assert_eq!(record("Debian:12").aliases, ["Y-1"]);
    assert_eq!(record("PyPI").aliases, ["CVE-1", "CVE-2", "Y-1"]);
}

#[test]
fn malicious_packages_without_versions_are_whole() {
    let entry = json!({"package": {"ecosystem": "npm", "name": "x"}});
    let parse_as = |id: &str| parse(&json!({"id": id, "affected": [entry]})).unwrap();
    assert_eq!(parse_as("MAL-2024-1").affected[0].status, Status::Everything);
    assert_eq!(parse_as("GHSA-1").affected[0].status, Status::Affected);
    assert_eq!(parse_as("MAL-2024-1").severity.len(), 1);
    assert!(parse_as("GHSA-1").severity.is_empty());
}
