//! Alpine's security database: `https://secdb.alpinelinux.org/v3.20/main.json`. It lists fixes
//! only; the version `0` says that the package is not affected.

use super::Collector;
use crate::error::{AdvisoryError, Result};
use crate::record::{Affected, Range, Record, Status};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Database {
    #[serde(default)]
    distroversion: String,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    pkg: Fixes,
}

#[derive(Deserialize)]
struct Fixes {
    name: String,
    #[serde(default)]
    secfixes: BTreeMap<String, Option<Vec<String>>>,
}

/// `v3.20`, `edge`.
fn branch(version: &str) -> String {
    match version {
        v if v.starts_with('v') || v == "edge" => v.to_owned(),
        v => format!("v{v}"),
    }
}

pub(super) fn read(origin: &str, json: &[u8], into: &mut Collector) -> Result<()> {
    let database: Database =
        serde_json::from_slice(json).map_err(|e| AdvisoryError::input(origin, e))?;
    if database.distroversion.is_empty() {
        into.skip(origin, "no_release", "the database does not say which branch it is of");
        return Ok(());
    }
    let branch = branch(&database.distroversion);
    // One record per branch and vulnerability, so that branches are imported one by one.
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    for Package { pkg } in database.packages {
        for (version, ids) in pkg.secfixes {
            for line in ids.into_iter().flatten() {
                add(&mut records, &branch, &pkg.name, &version, &line);
            }
        }
    }
    records.values().try_for_each(|record| into.record(record))
}

/// A line names one vulnerability, its aliases after it.
fn add(records: &mut BTreeMap<String, Record>, branch: &str, name: &str, fixed: &str, line: &str) {
    let mut ids = line.split_whitespace().map(|id| id.trim_matches(['(', ')', ',']));
    let Some(id) = ids.next().filter(|id| !id.is_empty()) else { return };
    let ecosystem = format!("Alpine:{branch}");
    let record = records.entry(id.to_owned()).or_insert_with(|| Record {
        id: format!("ALPINE-{branch}-{id}"),
        modified: None,
        published: None,
        withdrawn: None,
        aliases: Vec::new(),
        upstream: vec![id.to_owned()],
        summary: String::new(),
        severity: Vec::new(),
        affected: Vec::new(),
    });
    for alias in ids.filter(|a| a.contains('-')) {
        if !record.upstream.iter().any(|u| u == alias) && alias.starts_with("CVE-") {
            record.upstream.push(alias.to_owned());
        }
    }
    let never = fixed == "0";
    record.affected.push(Affected {
        ecosystem,
        name: name.to_owned(),
        versions: Vec::new(),
        ranges: if never { Vec::new() } else { vec![Range::below(Some(fixed))] },
        status: if never { Status::NotAffected } else { Status::Affected },
        severity: Vec::new(),
    });
}
