//! Checks against the shared data, where it lies beside the checkout. Absent data is noted, not
//! failed.

use crate::coverage::CoverageStatement;
use crate::import::{Collector, ImportLimits, read_path};
use crate::index::Index;
use crate::segment::SegmentReader;
use crate::store::{ImportRequest, SnapshotStore, index_of};
use crate::version::Order;
use crate::{EventKind, Record, parse_record};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn shared(part: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(part);
    if !path.exists() {
        eprintln!("note: the shared data are absent, {part} was not checked");
        return None;
    }
    Some(path)
}

fn lines(path: &Path) -> impl Iterator<Item = String> {
    let file = std::fs::File::open(path).unwrap();
    BufReader::new(zstd::Decoder::new(file).unwrap()).lines().map(Result::unwrap)
}

fn index(path: &Path) -> Index {
    let work = tempfile::tempdir().unwrap();
    let mut collector = Collector::new(work.path(), ImportLimits::default());
    read_path(path, &mut collector).unwrap();
    index_of(collector, &CoverageStatement::default(), work.path(), now()).unwrap()
}

#[derive(Deserialize)]
struct Case {
    ecosystem: String,
    db: String,
    name: String,
    version: String,
    expect: BTreeSet<String>,
}

#[test]
fn match_cases() {
    let Some(cases) = shared("testdata/scanning/match/match-cases.jsonl.zst") else { return };
    let Some(feeds) = shared("vulndb") else { return };
    let cases: Vec<Case> = lines(&cases).map(|l| serde_json::from_str(&l).unwrap()).collect();
    for db in ["PyPI-pypa", "npm-retirejs", "npm-nodejs-security-wg", "Go-govulndb"] {
        let index = index(&feeds.join(format!("{db}.jsonl.zst")));
        let mut wrong = Vec::new();
        let mut seen = 0;
        for case in cases.iter().filter(|c| c.db == db) {
            seen += 1;
            let found = index.ask(&case.ecosystem, &case.name, &case.version, now()).unwrap();
            let found: BTreeSet<String> = found.into_iter().collect();
            if found != case.expect {
                wrong.push(format!(
                    "{} {}: expected {:?}, found {found:?}",
                    case.name, case.version, case.expect
                ));
            }
        }
        assert!(seen > 200, "{db}: only {seen} cases");
        assert!(wrong.is_empty(), "{db}: {} of {seen} wrong: {wrong:#?}", wrong.len());
    }
}

/// Every simple range of the distribution feeds: affected just below the fix, not at it.
#[test]
fn distribution_feeds() {
    let Some(feeds) = shared("vulndb") else { return };
    for (db, step) in [
        ("Debian-DSA-DLA-2023", 17),
        ("Debian-changelog-derived", 11),
        ("Alpine-aports-secfixes", 17),
    ] {
        let path = feeds.join(format!("{db}.jsonl.zst"));
        let index = index(&path);
        let mut seen = 0;
        for line in lines(&path).step_by(step) {
            let record = parse_record(line.as_bytes()).unwrap();
            for affected in &record.affected {
                let Some(fix) = affected
                    .ranges
                    .iter()
                    .flat_map(|r| &r.events)
                    .find(|e| e.kind == EventKind::Fixed)
                else {
                    continue;
                };
                let order = Order::of_ecosystem(&affected.ecosystem).unwrap();
                if !order.accepts(&fix.version) {
                    continue;
                }
                let below = match order {
                    Order::Debian => format!("{}~", fix.version),
                    _ => "0_alpha".to_owned(),
                };
                let ask = |version: &str| {
                    index.ask(&affected.ecosystem, &affected.name, version, now()).unwrap()
                };
                assert!(ask(&below).contains(&record.id), "{} below {}", record.id, fix.version);
                let again = record
                    .affected
                    .iter()
                    .filter(|a| a.name == affected.name && a.ecosystem == affected.ecosystem);
                if again.count() == 1 {
                    assert!(
                        !ask(&fix.version).contains(&record.id),
                        "{} at {}",
                        record.id,
                        fix.version
                    );
                }
                seen += 1;
            }
        }
        assert!(seen > 400, "{db}: {seen}");
    }
}

/// Everything at once, through the store: what a `sealock advisories import ../shared/vulndb` does.
#[test]
fn the_whole_folder() {
    let Some(feeds) = shared("vulndb") else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(folder.path()).unwrap();
    store.ensure_starter(now()).unwrap();
    let request =
        ImportRequest { source: "shared".to_owned(), paths: vec![feeds], ..Default::default() };
    let started = std::time::Instant::now();
    let imported = store.import(&request, now()).unwrap();
    eprintln!("imported in {:?}: {:#?}", started.elapsed(), imported.report);
    assert!(imported.report.records > 45_000);
    assert_eq!(imported.report.kev, 1404);
    let snapshot = imported.index.snapshot();
    assert!(snapshot.ecosystems["PyPI"].records > 2_600);
    let opened = std::time::Instant::now();
    let index = SnapshotStore::open(folder.path()).unwrap().current().unwrap().unwrap();
    eprintln!("opened in {:?}", opened.elapsed());
    let components: Vec<_> = sample(&folder.path().join("sources"));
    let time = |components: &[sealock_facts::Component]| {
        let runs = (0..20).map(|_| {
            let started = std::time::Instant::now();
            let found = index.findings(components, now()).unwrap().len();
            (started.elapsed(), found)
        });
        let (best, found) = runs.min().unwrap();
        eprintln!("{found} findings of {} components in {best:?}", components.len());
    };
    time(&components);
    // As many, without those that have findings by the hundred.
    let few = |c: &&sealock_facts::Component| {
        index.findings(std::slice::from_ref(*c), now()).unwrap().len() <= 20
    };
    let calm: Vec<_> = components.iter().filter(few).cycle().take(900).cloned().collect();
    time(&calm);
    let findings = index.findings(&components, now()).unwrap();
    assert!(findings.len() > 90);
    let again = index.findings(&components, now()).unwrap();
    assert_eq!(serde_json::to_vec(&findings).unwrap(), serde_json::to_vec(&again).unwrap());
}

/// One new record on top of the whole folder.
#[test]
fn one_more_record() {
    let Some(feeds) = shared("vulndb") else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(folder.path()).unwrap();
    let names = ["PyPI-pypa", "npm-retirejs", "Debian-changelog-derived", "Alpine-aports-secfixes"];
    let paths = names.map(|n| feeds.join(format!("{n}.jsonl.zst"))).to_vec();
    let request = ImportRequest { source: "shared".to_owned(), paths, ..Default::default() };
    let before = store.import(&request, now()).unwrap().index;
    let file = folder.path().join("new.json");
    let record = r#"{"id": "TEST-1", "modified": "2026-11-22T00:00:00Z", "affected": [{
        "package": {"ecosystem": "PyPI", "name": "requests"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}"#;
    std::fs::write(&file, record).unwrap();
    let request =
        ImportRequest { source: "new".to_owned(), paths: vec![file], ..Default::default() };
    let started = std::time::Instant::now();
    let after = store.import(&request, now()).unwrap().index;
    eprintln!("one record on top of {}: {:?}", before.records(), started.elapsed());
    let changed = crate::changed_packages(&before, &after).unwrap();
    assert_eq!(changed, [("PyPI".to_owned(), "requests".to_owned())]);
}

/// 900 components that advisories name, as an image would have them: one in ten is old.
fn sample(sources: &Path) -> Vec<sealock_facts::Component> {
    let mut components = Vec::new();
    let mut seen = BTreeSet::new();
    let files = std::fs::read_dir(sources).unwrap().flatten().map(|f| f.path());
    let feed = |p: &PathBuf| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("shared") && name.ends_with("jsonl.zst")
    };
    for file in files.filter(feed) {
        for record in SegmentReader::<Record>::open(&file).unwrap().map(Result::unwrap) {
            let Some(a) = record.affected.first() else { continue };
            let wanted = ["Debian:12", "PyPI", "npm"].contains(&a.ecosystem.as_str());
            let mut events = a.ranges.iter().flat_map(|r| &r.events);
            let fix = events.find(|e| e.kind == EventKind::Fixed);
            let Some(fix) = fix.filter(|_| wanted && seen.insert(a.name.clone())) else { continue };
            let version = match components.len() % 10 {
                0 if a.ecosystem == "Debian:12" => format!("{}~", fix.version),
                0 => "0.0.1".to_owned(),
                _ => fix.version.clone(),
            };
            components.push(crate::matching::tests::component(&a.ecosystem, &a.name, &version));
        }
    }
    components.truncate(900);
    assert_eq!(components.len(), 900);
    components
}

/// What we wrote ourselves agrees with the feeds, for every id that both know.
#[test]
fn starter_agrees_with_the_feeds() {
    let Some(feeds) = shared("vulndb") else { return };
    let index = index(&feeds);
    let mut compared = BTreeSet::new();
    for line in crate::starter_records() {
        let record: Record = parse_record(line.as_bytes()).unwrap();
        let ids: BTreeSet<&String> = record.aliases.iter().chain(&record.upstream).collect();
        for affected in &record.affected {
            let events = affected.ranges.iter().flat_map(|r| &r.events);
            for fix in events.filter(|e| e.kind == EventKind::Fixed) {
                let order = Order::of_ecosystem(&affected.ecosystem).unwrap();
                let knows = |version: &str| {
                    let component = crate::matching::tests::component(
                        &affected.ecosystem,
                        &affected.name,
                        version,
                    );
                    let found = index.findings(&[component], now()).unwrap();
                    found.into_iter().find(|f| f.ids().any(|id| ids.iter().any(|i| *i == id)))
                };
                let (below, at) = match order {
                    Order::Debian => (format!("{}~", fix.version), fix.version.clone()),
                    Order::Alpine => continue,
                    _ => (format!("{}.dev0", fix.version), fix.version.clone()),
                };
                let below = if order == Order::Semantic { format!("{at}-0") } else { below };
                if knows(&below).is_some() {
                    compared.insert(record.id.clone());
                    if let Some(still) = knows(&at) {
                        panic!("{} says fixed in {at}, the feeds do not: {still:#?}", record.id);
                    }
                }
            }
        }
    }
    eprintln!("compared {}: {compared:?}", compared.len());
    assert!(compared.len() > 25, "only {} compared", compared.len());
}
