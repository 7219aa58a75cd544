//! Zip archives of records, such as osv.dev's `all.zip`, or a folder that was packed.

use super::Collector;
use super::walk::{Form, form_of, read_lines, read_whole, unpack};
use crate::error::{AdvisoryError, Result};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

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
    let folder = into.folder.clone();
    let mut copy = tempfile::tempfile_in(&folder).map_err(AdvisoryError::file(&folder))?;
    let most = into.room().saturating_add(1);
    let bytes = pour(input.take(most), &mut copy, origin, &folder)?;
    into.charge(bytes)?;
    copy.rewind().map_err(AdvisoryError::file(&folder))?;
    Ok(copy)
}

/// Copies an entry, and tells apart whose fault an error is: an entry that cannot be read is passed
/// over, but a disk that takes no more ends the import. How many bytes.
fn pour(mut input: impl Read, output: &mut impl Write, origin: &str, folder: &Path) -> Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(AdvisoryError::input(origin, e)),
        };
        output.write_all(&buffer[..read]).map_err(AdvisoryError::file(folder))?;
        bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::ImportLimits;

    /// Takes so many bytes, and then says that the disk is full.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    #[test]
    fn a_full_disk_is_told_from_an_entry_that_cannot_be_read() {
        let bytes = vec![7; 200_000];
        let pour = |input: &mut dyn Read, room| {
            pour(input, &mut Full(room), "a.zip: b.zip", Path::new("/data"))
        };
        assert_eq!(pour(&mut bytes.as_slice(), 200_000).unwrap(), 200_000);
        let full = pour(&mut bytes.as_slice(), 199_999).unwrap_err();
        assert!(full.is_disk_full(), "{full}");
        let unreadable = pour(&mut Broken, 200_000).unwrap_err();
        assert!(matches!(unreadable, AdvisoryError::Input { .. }), "{unreadable}");
    }

    #[test]
    fn an_import_ends_where_nothing_can_be_copied() {
        let folder = tempfile::tempdir().unwrap();
        let zipped = |entries: &[(&str, &[u8])]| {
            let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
            for (name, bytes) in entries {
                archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
                archive.write_all(bytes).unwrap();
            }
            archive.finish().unwrap().into_inner()
        };
        let inner = zipped(&[("a.json", b"{}")]);
        let outer = zipped(&[("inner.zip", &inner), ("b.json", b"{}")]);
        let read = |folder: &Path| {
            let mut collector = Collector::new(folder, ImportLimits::default());
            read_zip(io::Cursor::new(&outer), "o.zip", &mut collector).map(|()| collector.report)
        };
        assert!(read(folder.path()).is_ok());
        let error = read(&folder.path().join("gone")).unwrap_err();
        assert!(matches!(error, AdvisoryError::File { .. }), "{error}");
    }
}
