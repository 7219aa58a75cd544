//! The starter set: some dozens of well-known vulnerabilities, written for this product from public
//! facts, so that it finds something on a machine that has nothing else. Its coverage is partial.

use crate::coverage::CoverageStatement;
use crate::error::Result;
use crate::import::{Collector, ImportLimits, read_document};
use crate::index::Index;
use crate::store::index_of;
use jiff::Timestamp;

/// OSV records, one a line.
const RECORDS: &str = include_str!("../starter/records.jsonl");
/// Those of them that CISA's catalogue of known exploited vulnerabilities lists.
const KEV: &str = include_str!("../starter/kev.json");

/// Feeds the whole set.
pub(crate) fn feed(collector: &mut Collector) -> Result<()> {
    for (at, line) in lines() {
        collector.osv(&format!("starter:{at}"), line.as_bytes())?;
    }
    read_document("starter: kev", KEV.as_bytes(), collector)
}

pub(crate) fn lines() -> impl Iterator<Item = (usize, &'static str)> {
    let full = |(_, line): &(usize, &str)| !line.trim().is_empty();
    RECORDS.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(full)
}

pub(crate) fn records() -> usize {
    lines().count()
}

/// The records of the starter set, OSV JSON each.
pub fn starter_records() -> impl Iterator<Item = &'static str> {
    lines().map(|(_, line)| line)
}

/// An index of the starter set, in memory.
pub fn starter_index(now: Timestamp) -> Result<Index> {
    let work = tempfile::tempdir().map_err(crate::AdvisoryError::file("."))?;
    let mut collector = Collector::new(work.path(), ImportLimits::default());
    feed(&mut collector)?;
    index_of(collector, &CoverageStatement::default(), work.path(), now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::osv::parse_record;
    use crate::{EventKind, Order, Status};
    use sealock_facts::Coverage;
    use std::collections::BTreeSet;

    #[test]
    fn every_record_is_whole() {
        let mut ids = BTreeSet::new();
        for line in starter_records() {
            let record = parse_record(line.as_bytes()).unwrap();
            assert!(!record.affected.is_empty() && !record.summary.is_empty(), "{line}");
            assert!(record.published.is_some() && record.modified.is_some(), "{line}");
            assert!(!record.severity.is_empty(), "{line}");
            for affected in &record.affected {
                let order = Order::of_ecosystem(&affected.ecosystem).unwrap();
                let events = affected.ranges.iter().flat_map(|r| &r.events);
                for event in events.filter(|e| e.version != "0") {
                    assert!(order.accepts(&event.version), "{line}");
                }
                let says = !affected.ranges.is_empty() || !affected.versions.is_empty();
                assert!(says || affected.status == Status::NotAffected, "{line}");
                for range in &affected.ranges {
                    for pair in range.events.windows(2) {
                        let rising = pair[0].version == "0"
                            || order.compare(&pair[0].version, &pair[1].version).is_lt();
                        assert!(rising, "{line}");
                    }
                    assert_eq!(range.events[0].kind, EventKind::Introduced);
                }
            }
            assert!(ids.insert(record.id));
        }
        assert!(ids.len() >= 40);
    }

    #[test]
    fn finds_what_everyone_knows() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let index = starter_index(now).unwrap();
        for (ecosystem, name, version, id) in [
            ("Debian:12", "openssl", "3.0.11-1~deb12u1", Some("CVE-2023-5363")),
            ("Debian:12", "openssl", "3.0.14-1~deb12u2", None),
            ("Debian:11", "openssl", "1.1.1n-0+deb11u5", None),
            ("Debian:13", "xz-utils", "5.6.1-1", Some("CVE-2024-3094")),
            ("Debian:13", "xz-utils", "5.6.1+really5.4.5-1", None),
            ("Debian:12", "xz-utils", "5.4.1-0.2", None),
            ("Alpine:v3.20", "xz", "5.6.1-r1", Some("CVE-2024-3094")),
            ("Alpine:v3.20", "xz", "5.6.1-r2", None),
            ("PyPI", "requests", "2.19.1", Some("CVE-2018-18074")),
            ("PyPI", "PyYAML", "5.3.1", Some("CVE-2020-14343")),
            ("PyPI", "PyYAML", "6.0", None),
            ("npm", "lodash", "4.17.20", Some("CVE-2021-23337")),
            ("npm", "lodash", "4.17.21", None),
            ("npm", "event-stream", "3.3.6", Some("GHSA-mh6f-8j2x-4483")),
            ("npm", "event-stream", "3.3.5", None),
            ("npm", "qs", "6.9.6", Some("CVE-2022-24999")),
            ("npm", "qs", "6.9.7", None),
        ] {
            let component = crate::matching::tests::component(ecosystem, name, version);
            let found = index.findings(&[component], now).unwrap();
            let ids: Vec<_> = found.iter().map(|f| f.vulnerability.as_str()).collect();
            match id {
                Some(id) => assert!(ids.contains(&id), "{name} {version}: {ids:?}"),
                None => assert!(ids.is_empty(), "{name} {version}: {ids:?}"),
            }
        }
        for ecosystem in ["Debian:11", "Debian:13", "Alpine:v3.18", "Alpine:v3.22", "PyPI", "npm"] {
            assert_eq!(index.coverage(ecosystem), Coverage::Partial, "{ecosystem}");
        }
    }
}
