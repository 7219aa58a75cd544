//! What a source covers, as its importer states it (decision D12).

use crate::import::ImportReport;
use jiff::Timestamp;
use sealock_facts::{Coverage, EcosystemCoverage};
use std::collections::BTreeMap;

/// What a source holds of its ecosystems, as its importer states (decision D12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoverageStatement {
    /// For ecosystems that are not named.
    pub default: Coverage,
    /// By ecosystem, with its release (`Debian:12`) or for all of them (`Debian`).
    pub named: BTreeMap<String, Coverage>,
    /// The data's date, where the publisher states one; else that of the newest record.
    pub data_date: Option<Timestamp>,
}

impl Default for CoverageStatement {
    fn default() -> Self {
        Self { default: Coverage::Partial, named: BTreeMap::new(), data_date: None }
    }
}

impl CoverageStatement {
    fn of(&self, ecosystem: &str) -> Coverage {
        let base = crate::ecosystem::base(ecosystem);
        *self.named.get(ecosystem).or_else(|| self.named.get(base)).unwrap_or(&self.default)
    }
}

/// What a source covers. An ecosystem that is named with its release counts even when it has no
/// record; what an earlier import stated stays when records are added to it.
pub(crate) fn covered(
    statement: &CoverageStatement,
    report: &ImportReport,
    mut stated: BTreeMap<String, EcosystemCoverage>,
) -> BTreeMap<String, EcosystemCoverage> {
    for (ecosystem, before) in &mut stated {
        if before.records > 0 && !report.ecosystems.contains_key(ecosystem) {
            (before.records, before.data_date) = (0, statement.data_date);
        }
    }
    for (ecosystem, count) in &report.ecosystems {
        let data_date = statement.data_date.or(count.newest);
        let before = stated.get(ecosystem).map_or(Coverage::None, |c| c.coverage);
        let coverage = statement.of(ecosystem).max(before);
        let entry = EcosystemCoverage { coverage, data_date, records: count.records };
        stated.insert(ecosystem.clone(), entry);
    }
    for (ecosystem, coverage) in &statement.named {
        let whole = ecosystem.contains(':') || !crate::ecosystem::is_distribution(ecosystem);
        if whole && crate::ecosystem::is_known(ecosystem) {
            stated.entry(ecosystem.clone()).or_insert(EcosystemCoverage {
                coverage: *coverage,
                data_date: statement.data_date,
                records: 0,
            });
        }
    }
    stated
}
