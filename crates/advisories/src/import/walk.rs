//! Files and folders of records.

use super::Collector;
use super::archive::read_zip;
use super::document::read_document;
use crate::error::{AdvisoryError, Result};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Largest zstd window that is allocated, as a power of two: 128 MiB.
const MAX_WINDOW: u32 = 27;

/// Reads a file by the end of its name, or everything in a folder.
pub(crate) fn read_path(path: &Path, into: &mut Collector) -> Result<()> {
    let kind = fs::metadata(path).map_err(AdvisoryError::file(path))?;
    if kind.is_dir() {
        return read_folder(path, 0, into);
    }
    if !read_file(path, into)? {
        return Err(AdvisoryError::input(
            path.to_string_lossy(),
            format!("not a known form; give a folder, or a file that ends in {}", endings()),
        ));
    }
    Ok(())
}

/// Links are not followed; names sorted, so that reports are the same each time.
fn read_folder(folder: &Path, depth: usize, into: &mut Collector) -> Result<()> {
    if depth > into.limits.depth {
        let limit = into.limits.depth;
        into.skip(&folder.to_string_lossy(), "too_deep", format!("more than {limit} folders"));
        return Ok(());
    }
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .map_err(AdvisoryError::file(folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, hidden) = (entry.path(), entry.file_name().as_encoded_bytes().starts_with(b"."));
        let kind = entry.file_type().map_err(AdvisoryError::file(&path))?;
        if hidden {
            continue;
        }
        if kind.is_dir() {
            read_folder(&path, depth + 1, into)?;
        } else if kind.is_file() {
            read_file(&path, into)?;
        }
    }
    Ok(())
}

/// The ends of file names, in words.
fn endings() -> String {
    FILE_ENDINGS.map(|ending| format!(".{ending}")).join(", ")
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON document: a record, a list of them, or a feed that is converted.
    Document,
    /// One record a line.
    Lines,
    /// A zip archive of any of these.
    Archive,
}

/// The forms that are read, as the ends of file names behind a dot.
pub const FILE_ENDINGS: [&str; 7] =
    ["zip", "json", "jsonl", "ndjson", "json.zst", "jsonl.zst", "ndjson.zst"];

/// The form that the end of a file's name tells, one of [`FILE_ENDINGS`]. Case does not matter.
pub fn file_ending(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let ends = |ending: &&str| name.strip_suffix(*ending).is_some_and(|stem| stem.ends_with('.'));
    FILE_ENDINGS.into_iter().filter(ends).max_by_key(|ending| ending.len())
}

/// What the end of a name tells: the form, and whether zstd packs it.
pub(super) fn form_of(name: &str) -> Option<(Form, bool)> {
    let ending = file_ending(name)?;
    let (plain, packed) = match ending.strip_suffix(".zst") {
        Some(plain) => (plain, true),
        None => (ending, false),
    };
    let form = match plain {
        "zip" => Form::Archive,
        "json" => Form::Document,
        _ => Form::Lines,
    };
    Some((form, packed))
}

/// Whether the name told a form.
fn read_file(path: &Path, into: &mut Collector) -> Result<bool> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let origin = path.to_string_lossy();
    let Some((form, packed)) = form_of(&name) else { return Ok(false) };
    let file = File::open(path).map_err(AdvisoryError::file(path))?;
    match form {
        Form::Archive => read_zip(BufReader::new(file), &origin, into)?,
        Form::Document => read_whole(unpack(file, packed, &origin)?, &origin, into)?,
        Form::Lines => read_lines(unpack(file, packed, &origin)?, &origin, into)?,
    }
    Ok(true)
}

/// The stream without zstd around it.
pub(super) fn unpack<'a>(
    input: impl Read + 'a,
    packed: bool,
    origin: &str,
) -> Result<Box<dyn Read + 'a>> {
    if !packed {
        return Ok(Box::new(input));
    }
    let error = |e| AdvisoryError::input(origin, e);
    let mut decoder = zstd::Decoder::new(input).map_err(error)?;
    decoder.window_log_max(MAX_WINDOW).map_err(error)?;
    Ok(Box::new(decoder))
}

/// One document, whatever size was stated for it.
pub(super) fn read_whole(input: impl Read, origin: &str, into: &mut Collector) -> Result<()> {
    let limit = into.limits.document_bytes;
    let mut json = Vec::new();
    let most = limit.min(into.room()).saturating_add(1);
    input.take(most).read_to_end(&mut json).map_err(|e| AdvisoryError::input(origin, e))?;
    if json.len() as u64 > limit {
        into.charge(limit)?;
        into.skip(origin, "document_too_large", format!("more than {limit} bytes"));
        return Ok(());
    }
    read_document(origin, &json, into)
}

/// One record a line. A line that is too long is passed over without being held.
pub(super) fn read_lines(input: impl Read, origin: &str, into: &mut Collector) -> Result<()> {
    let mut input = BufReader::with_capacity(1 << 18, input);
    let error = |e| AdvisoryError::input(origin, e);
    let limit = into.limits.record_bytes;
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        number += 1;
        let read = input.by_ref().take(limit + 1).read_until(b'\n', &mut line).map_err(error)?;
        if read == 0 {
            return Ok(());
        }
        into.charge(read as u64)?;
        let from = format!("{origin}:{number}");
        if read as u64 > limit && line.last() != Some(&b'\n') {
            into.skip(&from, "record_too_large", format!("more than {limit} bytes"));
            skip_line(&mut input, into).map_err(error)??;
            continue;
        }
        let record = line.trim_ascii();
        if !record.is_empty() {
            into.osv(&from, record)?;
        }
    }
}

fn skip_line(input: &mut impl BufRead, into: &mut Collector) -> std::io::Result<Result<()>> {
    loop {
        let held = input.fill_buf()?;
        if held.is_empty() {
            return Ok(Ok(()));
        }
        let end = held.iter().position(|&b| b == b'\n');
        let taken = end.map_or(held.len(), |at| at + 1);
        input.consume(taken);
        if let Err(e) = into.charge(taken as u64) {
            return Ok(Err(e));
        }
        if end.is_some() {
            return Ok(Ok(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_tells_the_form() {
        for ending in FILE_ENDINGS {
            assert_eq!(file_ending(&format!("all.{ending}")), Some(ending));
            assert!(form_of(&format!("a.b.{ending}")).is_some());
            assert_eq!(file_ending(ending), None, "no dot");
        }
        assert_eq!(form_of("ALL.ZIP"), Some((Form::Archive, false)));
        assert_eq!(form_of("x.NDJSON.zst"), Some((Form::Lines, true)));
        for other in ["x", "x.zip.zst", "x.zst", "x.jsonx", "x.json.gz", ""] {
            assert_eq!(form_of(other), None, "{other}");
        }
    }
}
