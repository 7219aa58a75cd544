//! A small import leads to the same answers as building everything.

use super::super::*;
use crate::changed_packages;
use proptest::prelude::*;
use serde_json::{Value, json};

const IDS: [&str; 9] =
    ["CVE-2026-1", "CVE-2026-2", "CVE-2026-3", "GHSA-1", "GHSA-2", "DSA-1", "DSA-2", "A-1", "A-2"];
const PACKAGES: [(&str, &str); 4] = [("npm", "p"), ("npm", "q"), ("Debian:12", "p"), ("PyPI", "r")];
const KNOWN: &str = r#"{"catalogVersion": "1", "vulnerabilities":
    [{"cveID": "CVE-2026-2", "dateAdded": "2026-01-02"}]}"#;

fn now() -> Timestamp {
    "2027-06-01T00:00:00Z".parse().unwrap()
}

fn ids(most: usize) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(IDS.as_slice()), 0..=most)
}

prop_compose! {
    fn record()(
        id in prop::sample::select(IDS.as_slice()),
        aliases in ids(2),
        upstream in ids(2),
        packages in prop::collection::vec((prop::sample::select(PACKAGES.as_slice()), 1..4_u8), 0..3),
        day in 1..4_u8,
        withdrawn in prop::bool::weighted(0.15),
        severe in any::<bool>(),
        text in 0..3_u8,
    ) -> Value {
        let affected: Vec<Value> = packages
            .iter()
            .map(|((ecosystem, name), fixed)| json!({
                "package": {"ecosystem": ecosystem, "name": name},
                "ranges": [{"type": "ECOSYSTEM", "events":
                    [{"introduced": "0"}, {"fixed": format!("{fixed}.0.0")}]}]}))
            .collect();
        let mut record = json!({
            "id": id, "aliases": aliases, "upstream": upstream, "affected": affected,
            "modified": format!("2026-05-0{day}T00:00:00Z"),
            "published": format!("2026-04-0{day}T00:00:00Z"), "summary": format!("text {text}")});
        if withdrawn {
            record["withdrawn"] = json!("2026-05-09T00:00:00Z");
        }
        if severe {
            let score = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H";
            record["severity"] = json!([{"type": "CVSS_V3", "score": score}]);
        }
        record
    }
}

#[derive(Debug, Clone)]
struct Step {
    source: &'static str,
    mode: ImportMode,
    records: Vec<Value>,
}

prop_compose! {
    fn step()(
        source in prop::sample::select(&["a", "b", "ours"][..]),
        add in any::<bool>(),
        records in prop::collection::vec(record(), 1..4),
    ) -> Step {
        Step { source, mode: if add { ImportMode::Add } else { ImportMode::Replace }, records }
    }
}

struct Pair {
    folder: tempfile::TempDir,
    small: SnapshotStore,
    whole: SnapshotStore,
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = |name| SnapshotStore::open(&folder.path().join(name)).unwrap();
        let (small, whole) = (open("small").with_whole_below(0), open("whole"));
        let pair = Self { folder, small, whole };
        fs::write(pair.folder.path().join("kev.json"), KNOWN).unwrap();
        let known = ImportRequest {
            source: "kev".to_owned(),
            paths: vec![pair.folder.path().join("kev.json")],
            ..Default::default()
        };
        for store in [&pair.small, &pair.whole] {
            store.import(&known, now()).unwrap();
        }
        pair
    }

    /// Imports into both; says whether the first was built by a change.
    fn import(&self, step: &Step) -> bool {
        self.import_at(step, now())
    }

    fn import_at(&self, step: &Step, now: Timestamp) -> bool {
        let path = self.folder.path().join("step.json");
        fs::write(&path, Value::Array(step.records.clone()).to_string()).unwrap();
        let request = ImportRequest {
            source: step.source.to_owned(),
            paths: vec![path],
            mode: step.mode,
            force: true,
            ..Default::default()
        };
        let small = self.small.import(&request, now).unwrap();
        let whole = self.whole.import(&request, now).unwrap();
        assert_eq!(small.report, whole.report);
        compare(&small.index, &whole.index);
        let (ours, theirs) = (self.small.sources().unwrap(), self.whole.sources().unwrap());
        for (name, source) in &theirs {
            let own = &ours[name];
            assert_eq!((own.records, &own.ecosystems), (source.records, &source.ecosystems));
        }
        small.index.base_digest().is_some()
    }
}

fn compare(small: &Index, whole: &Index) {
    assert_eq!(whole.base_digest(), None);
    assert_eq!(changed_packages(small, whole).unwrap(), []);
    assert_eq!(small.records(), whole.records());
    assert_eq!(small.snapshot().ecosystems, whole.snapshot().ecosystems);
    assert_eq!(small.sources().collect::<Vec<_>>(), whole.sources().collect::<Vec<_>>());
    for id in IDS {
        assert_eq!(small.lookup(id).unwrap(), whole.lookup(id).unwrap(), "{id}");
    }
    for (ecosystem, name) in PACKAGES {
        for version in ["0.5.0", "1.5.0", "2.5.0"] {
            let component = crate::matching::tests::component(ecosystem, name, version);
            let found =
                |index: &Index| index.findings(std::slice::from_ref(&component), now()).unwrap();
            assert_eq!(found(small), found(whole), "{ecosystem} {name} {version}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn answers_are_those_of_a_whole_build(steps in prop::collection::vec(step(), 1..8)) {
        let pair = Pair::new();
        for step in &steps {
            pair.import(step);
        }
    }
}

fn one(id: &str, aliases: &[&str], package: &str) -> Value {
    json!({"id": id, "aliases": aliases, "modified": "2026-05-01T00:00:00Z", "affected":
        [{"package": {"ecosystem": "npm", "name": package}, "versions": ["1.5.0"]}]})
}

fn replace(source: &'static str, records: Vec<Value>) -> Step {
    Step { source, mode: ImportMode::Replace, records }
}

#[test]
fn an_alias_joins_groups_and_its_end_parts_them() {
    let pair = Pair::new();
    let first = replace("a", vec![one("CVE-2026-1", &[], "p"), one("GHSA-1", &[], "p")]);
    pair.import(&first);
    let shown = |id: &str| {
        let index = pair.small.current().unwrap().unwrap();
        index.lookup(id).unwrap().iter().map(|v| v.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(shown("GHSA-1"), ["GHSA-1"]);
    let joins = replace("ours", vec![one("A-1", &["GHSA-1", "CVE-2026-1"], "q")]);
    assert!(pair.import(&joins));
    assert_eq!(shown("GHSA-1"), ["CVE-2026-1"]);
    assert_eq!(shown("A-1"), ["CVE-2026-1"]);
    assert!(pair.import(&replace("ours", vec![one("A-2", &[], "q")])));
    assert_eq!(shown("GHSA-1"), ["GHSA-1"]);
    assert!(shown("A-1").is_empty());
    // Another process reads the same, and so does one that starts later.
    let other = SnapshotStore::open(&pair.folder.path().join("small")).unwrap();
    compare(&other.current().unwrap().unwrap(), &pair.whole.current().unwrap().unwrap());
}

#[test]
fn only_what_a_small_import_names_is_changed() {
    let pair = Pair::new();
    pair.import(&replace("a", vec![one("CVE-2026-1", &[], "p"), one("CVE-2026-2", &[], "q")]));
    let before = pair.small.current().unwrap().unwrap();
    assert!(pair.import(&replace("ours", vec![one("A-1", &["CVE-2026-1"], "r")])));
    let after = pair.small.current().unwrap().unwrap();
    let changed = changed_packages(&before, &after).unwrap();
    // `p` too: its finding has one more alias now.
    assert_eq!(changed, [("npm", "p"), ("npm", "r")].map(|(e, n)| (e.to_owned(), n.to_owned())));
    // Again: the same snapshot.
    pair.import(&replace("ours", vec![one("A-1", &["CVE-2026-1"], "r")]));
    assert_eq!(pair.small.current().unwrap().unwrap().digest(), after.digest());
}

#[test]
fn bases_stay_as_long_as_changes_stand_on_them() {
    let pair = Pair::new();
    pair.import(&replace("a", vec![one("CVE-2026-1", &[], "p")]));
    let base = *pair.small.current().unwrap().unwrap().base_digest().unwrap();
    let mut digests = Vec::new();
    for at in 0..8 {
        let id = format!("A-{at}");
        let at = now() + jiff::SignedDuration::from_hours(at);
        assert!(pair.import_at(&replace("ours", vec![one(&id, &[], "q")]), at));
        digests.push(*pair.small.current().unwrap().unwrap().digest());
    }
    // Read afresh, as a later start does.
    let store = SnapshotStore::open(&pair.folder.path().join("small")).unwrap();
    assert!(store.get(&base).unwrap().is_some());
    assert!(store.get(&digests[7]).unwrap().is_some());
    assert!(store.get(&digests[0]).unwrap().is_none());
    // Without its base an index cannot be read, and the next import mends that.
    fs::remove_file(store.index_path(&base.hex())).unwrap();
    let store = SnapshotStore::open(&pair.folder.path().join("small")).unwrap();
    assert!(store.current().is_err());
    let again = SnapshotStore::open(&pair.folder.path().join("small")).unwrap();
    let path = pair.folder.path().join("step.json");
    let request =
        ImportRequest { source: "ours".to_owned(), paths: vec![path], ..Default::default() };
    assert_eq!(again.import(&request, now()).unwrap().index.base_digest(), None);
}

#[test]
fn many_additions_are_written_as_one() {
    let pair = Pair::new();
    pair.import(&replace("a", vec![one("CVE-2026-1", &[], "p")]));
    let mut built = 0;
    for at in 0..40 {
        let id = format!("A-{at}");
        let records = vec![one(&id, &[], "q")];
        built += usize::from(!pair.import(&Step { source: "a", mode: ImportMode::Add, records }));
    }
    assert_eq!(built, 1);
    assert_eq!(pair.small.sources().unwrap()["a"].records, 41);
}
