use super::*;
use sealock_facts::Coverage;
use serde_json::json;

fn at(day: u32) -> Timestamp {
    format!("2027-06-{day:02}T00:00:00Z").parse().unwrap()
}

fn write(folder: &Path, name: &str, ids: std::ops::Range<u32>, fixed: &str) -> PathBuf {
    let mut text = String::new();
    for id in ids {
        let record = json!({
            "id": format!("A-{id:04}"), "modified": "2026-05-01T00:00:00Z",
            "affected": [{"package": {"ecosystem": "npm", "name": format!("p{id}")},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]});
        text.push_str(&record.to_string());
        text.push('\n');
    }
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn request(source: &str, path: &Path) -> ImportRequest {
    ImportRequest { source: source.to_owned(), paths: vec![path.to_owned()], ..Default::default() }
}

struct Bench {
    folder: tempfile::TempDir,
    store: SnapshotStore,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SnapshotStore::open(&folder.path().join("store")).unwrap();
        Self { folder, store }
    }

    fn records(&self) -> u64 {
        self.store.current().unwrap().unwrap().records()
    }
}

#[test]
fn the_starter_comes_once() {
    let bench = Bench::new();
    assert!(bench.store.current().unwrap().is_none());
    let first = bench.store.ensure_starter(at(1)).unwrap();
    assert_eq!(first.records(), starter::records() as u64);
    assert_eq!(first.snapshot().built_at, at(1));
    let second = bench.store.ensure_starter(at(2)).unwrap();
    assert_eq!(second.snapshot(), first.snapshot());
    // An older program's set is replaced.
    let old = write(bench.folder.path(), "old.jsonl", 0..3, "2.0.0");
    let forced = ImportRequest { force: true, ..request(STARTER, &old) };
    bench.store.import(&forced, at(3)).unwrap();
    assert_eq!(bench.records(), 3);
    assert_eq!(bench.store.ensure_starter(at(4)).unwrap().digest(), first.digest());
}

#[test]
fn sources_stand_beside_one_another() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    let a = write(folder, "a.jsonl", 0..10, "2.0.0");
    let b = write(folder, "b.jsonl", 100..110, "2.0.0");
    let more = write(folder, "more.jsonl", 10..12, "2.0.0");
    bench.store.import(&request("a", &a), at(1)).unwrap();
    let imported = bench.store.import(&request("b", &b), at(1)).unwrap();
    assert_eq!(imported.previous.unwrap().records(), 10);
    assert_eq!(bench.records(), 20);
    // Adding keeps, replacing does not.
    let add = ImportRequest { mode: ImportMode::Add, ..request("a", &more) };
    assert_eq!(bench.store.import(&add, at(2)).unwrap().report.records, 2);
    assert_eq!(bench.store.sources().unwrap()["a"].records, 12);
    assert_eq!(bench.records(), 22);
    bench.store.import(&request("a", &a), at(3)).unwrap();
    assert_eq!(bench.records(), 20);
    // The same content has the same name, and keeps its date.
    let again = bench.store.import(&request("a", &a), at(9)).unwrap();
    assert_eq!(again.index.digest(), again.previous.unwrap().digest());
    assert_eq!(again.index.snapshot().built_at, at(1));
    let names: Vec<_> = bench.store.sources().unwrap().into_keys().collect();
    assert_eq!(names, ["a", "b"]);
    bench.store.remove_source("b", true, at(10)).unwrap().unwrap();
    assert_eq!(bench.records(), 10);
}

#[test]
fn shrinking_needs_force() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    let ten = write(folder, "ten.jsonl", 0..10, "2.0.0");
    let nine = write(folder, "nine.jsonl", 0..9, "2.0.0");
    let eight = write(folder, "eight.jsonl", 0..8, "2.0.0");
    bench.store.import(&request("a", &ten), at(1)).unwrap();
    bench.store.import(&request("a", &nine), at(1)).unwrap();
    bench.store.import(&request("a", &ten), at(1)).unwrap();
    let error = bench.store.import(&request("a", &eight), at(1)).unwrap_err();
    assert!(error.to_string().contains("8 of 10 npm records"), "{error}");
    assert_eq!(bench.records(), 10);
    bench.store.import(&ImportRequest { force: true, ..request("a", &eight) }, at(1)).unwrap();
    assert_eq!(bench.records(), 8);
}

#[test]
fn coverage_is_what_the_importer_states() {
    let bench = Bench::new();
    let a = write(bench.folder.path(), "a.jsonl", 0..3, "2.0.0");
    bench.store.import(&request("a", &a), at(1)).unwrap();
    let of = |ecosystem: &str| bench.store.current().unwrap().unwrap().coverage(ecosystem);
    assert_eq!((of("npm"), of("PyPI")), (Coverage::Partial, Coverage::None));
    let named = [("npm".to_owned(), Coverage::Full), ("Debian:12".to_owned(), Coverage::Full)];
    let data_date = Some(at(2));
    let coverage = CoverageStatement { named: named.into(), data_date, ..Default::default() };
    let full = ImportRequest { coverage, ..request("b", &a) };
    bench.store.import(&full, at(3)).unwrap();
    assert_eq!((of("npm"), of("Debian:12")), (Coverage::Full, Coverage::Full));
    let snapshot = bench.store.current().unwrap().unwrap().snapshot();
    assert_eq!(snapshot.ecosystems["npm"].data_date, Some(at(2)));
    assert_eq!(snapshot.ecosystems["npm"].records, 3);
    // A date in the future makes nothing fresher than the import.
    let text = fs::read_to_string(&a).unwrap().replace("2026-05-01", "2099-05-01");
    fs::write(&a, text).unwrap();
    let bench = Bench::new();
    bench.store.import(&request("a", &a), at(5)).unwrap();
    let snapshot = bench.store.current().unwrap().unwrap().snapshot();
    assert_eq!(snapshot.ecosystems["npm"].data_date, Some(at(5)));
}

#[test]
fn a_failed_import_changes_nothing() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    let a = write(folder, "a.jsonl", 0..3, "2.0.0");
    bench.store.import(&request("a", &a), at(1)).unwrap();
    let before = bench.store.current().unwrap().unwrap().digest().to_string();
    let empty = folder.join("empty.jsonl");
    fs::write(&empty, "{\"no\": \"id\"}\nnonsense\n").unwrap();
    let cut = folder.join("cut.jsonl.zst");
    let packed = zstd::encode_all(&fs::read(&a).unwrap()[..], 3).unwrap();
    fs::write(&cut, &packed[..packed.len() - 5]).unwrap();
    let other = folder.join("notes.txt");
    fs::write(&other, "x").unwrap();
    let zip = folder.join("bad.zip");
    fs::write(&zip, "PK\u{3}\u{4}nonsense").unwrap();
    for bad in [&empty, &cut, &other, &zip, &folder.join("absent")] {
        assert!(bench.store.import(&request("a", bad), at(2)).is_err(), "{bad:?}");
    }
    for name in ["", "A", "../x", ".x", "a b"] {
        let error = bench.store.import(&request(name, &a), at(2)).unwrap_err();
        assert!(matches!(error, AdvisoryError::SourceName(_)), "{name}");
    }
    assert_eq!(bench.store.current().unwrap().unwrap().digest().to_string(), before);
    let left = fs::read_dir(folder.join("store/tmp")).unwrap().count();
    assert_eq!(left, 0, "work folders are left behind");
}

#[test]
fn damage_is_told_and_an_import_mends_it() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    let a = write(folder, "a.jsonl", 0..3, "2.0.0");
    let index = bench.store.import(&request("a", &a), at(1)).unwrap().index;
    let path = folder.join("store/snapshots").join(format!("{}.idx", index.digest().hex()));
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // Another file under the name: the mapped one stays as it is.
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let store = SnapshotStore::open(&folder.join("store")).unwrap();
    let error = store.current().unwrap_err().to_string();
    assert!(error.contains("import the advisories again"), "{error}");
    store.import(&request("a", &a), at(2)).unwrap();
    assert_eq!(store.current().unwrap().unwrap().records(), 3);
    fs::write(folder.join("store/current"), "{").unwrap();
    assert!(store.current().is_err());
    store.import(&request("a", &a), at(2)).unwrap();
    assert_eq!(store.current().unwrap().unwrap().records(), 3);
}

#[test]
fn old_snapshots_are_kept_in_number_and_others_see_the_swap() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    let other = SnapshotStore::open(&folder.join("store")).unwrap();
    let mut digests = Vec::new();
    for day in 1..=8 {
        let path = write(folder, "a.jsonl", 0..3, &format!("{day}.0.0"));
        let index = bench.store.import(&request("a", &path), at(day)).unwrap().index;
        assert_eq!(other.current().unwrap().unwrap().digest(), index.digest());
        digests.push(*index.digest());
    }
    let kept = |d: &sealock_oci::Digest| bench.store.get(d).unwrap().is_some();
    assert!(digests[4..].iter().all(kept) && !digests[..4].iter().any(kept));
    let files = fs::read_dir(folder.join("store/sources")).unwrap().count();
    assert_eq!(files, KEPT + 1);
}
