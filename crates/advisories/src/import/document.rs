//! A JSON file: one OSV record, several, or one of the feeds that are converted.

use super::{Collector, kev, secdb, tracker};
use crate::error::{AdvisoryError, Result};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The members of an object, values unread.
pub(super) type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Reads a document whose kind is told by its content.
pub(crate) fn read_document(origin: &str, json: &[u8], into: &mut Collector) -> Result<()> {
    into.charge(json.len() as u64)?;
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let first = json.iter().find(|b| !b.is_ascii_whitespace());
    if first == Some(&b'[') {
        return read_list(origin, json, into);
    }
    let members: Members<'_> = match serde_json::from_slice(json) {
        Ok(members) => members,
        Err(e) => {
            into.skip(origin, "not_json", e);
            return Ok(());
        }
    };
    let has = |key: &str| members.contains_key(key);
    if has("id") {
        return into.osv(origin, json);
    }
    if let Some(list) = members.get("vulns") {
        return read_list(origin, list.get().as_bytes(), into);
    }
    if has("catalogVersion") && has("vulnerabilities") {
        kev::read(origin, json, into)
    } else if has("packages") && (has("distroversion") || has("reponame")) {
        secdb::read(origin, json, into)
    } else if tracker::looks_like(&members) {
        tracker::read(origin, &members, into)
    } else {
        into.skip(origin, "unknown_document", "neither an OSV record nor a feed that is known");
        Ok(())
    }
}

fn read_list(origin: &str, json: &[u8], into: &mut Collector) -> Result<()> {
    let list: Vec<&RawValue> =
        serde_json::from_slice(json).map_err(|e| AdvisoryError::input(origin, e))?;
    for (at, record) in list.into_iter().enumerate() {
        into.osv(&format!("{origin}[{at}]"), record.get().as_bytes())?;
    }
    Ok(())
}
