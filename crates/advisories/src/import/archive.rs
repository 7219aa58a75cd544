//! Zip archives of records, such as osv.dev's `all.zip`, or a folder that was packed.

use super::Collector;
use super::walk::{Form, form_of, read_lines, read_whole, unpack};
use crate::error::{AdvisoryError, Result};
use std::fs::File;
use std::io::{self, Read, Seek};

/// Reads an archive, and the archives in it, but none that lies deeper. An entry that cannot be
/// read is passed over and reported; the rest is taken.
pub(crate) fn read_zip(input: impl Read + Seek, origin: &str, into: &mut Collector) -> Result<()> {
    read_level(input, origin, 0, into)
}

fn read_level(
    input: impl Read + Seek,
    origin: &str,
    level: usize,
    into: &mut Collector,
) -> Result<()> {
    let mut archive = zip::ZipArchive::new(input).map_err(|e| AdvisoryError::input(origin, e))?;
    for at in 0..archive.len() {
        let entry = match archive.by_index(at) {
            Ok(entry) => entry,
            Err(e) => {
                into.skip(&format!("{origin}: entry {at}"), "unreadable_entry", e);
                continue;
            }
        };
        let name = entry.name().map_or_else(|_| format!("entry {at}"), |n| n.into_owned());
        let Some((form, packed)) = form_of(&name).filter(|_| !entry.is_dir()) else { continue };
        let from = format!("{origin}: {name}");
        let read = unpack(entry, packed, &from).and_then(|stream| match form {
            Form::Document => read_whole(stream, &from, into),
            Form::Lines => read_lines(stream, &from, into),
            Form::Archive if level == 0 => {
                read_level(spooled(stream, &from, into)?, &from, level + 1, into)
            }
            Form::Archive => {
                into.skip(&from, "nested_archive", "an archive in an archive in an archive");
                Ok(())
            }
        });
        match read {
            Err(AdvisoryError::Input { reason, .. }) => {
                into.skip(&from, "unreadable_entry", reason);
            }
            other => other?,
        }
    }
    Ok(())
}

/// A copy on disk: an archive is read from its end.
fn spooled(input: impl Read, origin: &str, into: &mut Collector) -> Result<File> {
    let error = |e| AdvisoryError::input(origin, e);
    let mut copy = tempfile::tempfile().map_err(error)?;
    let most = into.room().saturating_add(1);
    let bytes = io::copy(&mut input.take(most), &mut copy).map_err(error)?;
    into.charge(bytes)?;
    copy.rewind().map_err(error)?;
    Ok(copy)
}
