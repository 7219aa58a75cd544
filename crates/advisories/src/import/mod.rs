//! Feeds in any of their forms → normalised records.

mod archive;
mod collect;
mod document;
mod egress;
mod kev;
mod remote;
mod secdb;
mod tracker;
mod walk;

pub use collect::{EcosystemCount, ImportReport, Skipped};
pub use egress::EgressPolicy;
pub use remote::{Download, Downloaded, FileVersion, download};
pub use walk::{FILE_ENDINGS, file_ending};

pub(crate) use collect::{Collected, Collector};
pub(crate) use document::read_document;
pub(crate) use walk::read_path;

/// Bounds of an import. What exceeds one of a record's is skipped and reported; what exceeds one of
/// the whole ends the import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportLimits {
    /// Longest record, in bytes.
    pub record_bytes: u64,
    /// Longest single JSON document that is not one record (a catalogue, a tracker), in bytes.
    pub document_bytes: u64,
    /// All records together after decompression, in bytes.
    pub total_bytes: u64,
    /// Number of records.
    pub records: u64,
    /// Depth of folders below the one named.
    pub depth: usize,
    /// One download, in bytes.
    pub download_bytes: u64,
    /// One download, in seconds.
    pub download_seconds: u64,
}

impl Default for ImportLimits {
    fn default() -> Self {
        Self {
            record_bytes: 16 << 20,
            document_bytes: 256 << 20,
            total_bytes: 32 << 30,
            records: 4_000_000,
            depth: 16,
            download_bytes: 4 << 30,
            download_seconds: 1800,
        }
    }
}

/// Reads one zip archive of records: the entry point for fuzzing.
#[doc(hidden)]
pub fn fuzz_zip(bytes: &[u8]) {
    let limits = ImportLimits { record_bytes: 1 << 16, total_bytes: 1 << 20, ..Default::default() };
    let Ok(folder) = tempfile::tempdir() else { return };
    let mut collector = Collector::new(folder.path(), limits);
    let _ = archive::read_zip(std::io::Cursor::new(bytes), "fuzz.zip", &mut collector);
}

/// Reads records line by line, plain and as zstd, and writes what is kept: the entry point for
/// fuzzing.
#[doc(hidden)]
pub fn fuzz_lines(bytes: &[u8]) {
    let limits = ImportLimits { record_bytes: 1 << 16, total_bytes: 1 << 20, ..Default::default() };
    let Ok(folder) = tempfile::tempdir() else { return };
    for packed in [false, true] {
        let mut collector = Collector::new(folder.path(), limits);
        let read = walk::unpack(bytes, packed, "fuzz")
            .and_then(|stream| walk::read_lines(stream, "fuzz", &mut collector));
        if read.is_ok() {
            let kept =
                collector.finish(&folder.path().join("segment"), jiff::Timestamp::UNIX_EPOCH);
            assert!(kept.is_ok_and(|kept| kept.report.examples.len() <= 20));
        }
    }
}

/// Reads one document of any kind.
pub(crate) fn fuzz_document(bytes: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let mut collector = Collector::new(folder.path(), ImportLimits::default());
    let _ = read_document("fuzz", bytes, &mut collector);
    let _ = collector.finish(&folder.path().join("segment"), jiff::Timestamp::UNIX_EPOCH);
}

#[cfg(test)]
mod tests;
