//! Zip archives of records, such as osv.dev's `all.zip`.

use super::Collector;
use super::document::read_document;
use crate::error::{AdvisoryError, Result};
use std::io::{Read, Seek};

pub(crate) fn read_zip(input: impl Read + Seek, origin: &str, into: &mut Collector) -> Result<()> {
    let mut archive = zip::ZipArchive::new(input).map_err(|e| AdvisoryError::input(origin, e))?;
    for at in 0..archive.len() {
        let mut entry = match archive.by_index(at) {
            Ok(entry) => entry,
            Err(e) => {
                into.skip(&format!("{origin}: entry {at}"), "unreadable_entry", e);
                continue;
            }
        };
        let name = entry.name().map_or_else(|_| format!("entry {at}"), |n| n.into_owned());
        if entry.is_dir() || !name.ends_with(".json") {
            continue;
        }
        let from = format!("{origin}: {name}");
        // The size that the archive states is not believed.
        let limit = into.limits.record_bytes;
        let mut json = Vec::new();
        if let Err(e) = entry.by_ref().take(limit + 1).read_to_end(&mut json) {
            into.charge(json.len() as u64)?;
            into.skip(&from, "unreadable_entry", e);
            continue;
        }
        if json.len() as u64 > limit {
            into.charge(limit)?;
            into.skip(&from, "record_too_large", format!("more than {limit} bytes"));
            continue;
        }
        read_document(&from, &json, into)?;
    }
    Ok(())
}
