use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why a layer's contents are not whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LayerReason {
    /// A stable code, one of [`code`].
    pub code: String,
    /// For a person: what was met, where.
    pub detail: String,
}

/// The stable codes of [`LayerReason`].
pub mod code {
    /// The compressed stream ends before its end marker.
    pub const TRUNCATED_COMPRESSION: &str = "truncated_compression";
    /// The compressed stream breaks its format, or its checksum differs.
    pub const DAMAGED_COMPRESSION: &str = "damaged_compression";
    /// A compression that container runtimes do not read in a layer.
    pub const UNSUPPORTED_COMPRESSION: &str = "unsupported_compression";
    /// The reader that delivers the layer failed.
    pub const READ_ERROR: &str = "read_error";
    /// The stream expands beyond the total or the ratio that is allowed.
    pub const EXPANSION_LIMIT: &str = "expansion_limit";
    /// The bytes are not a tar archive.
    pub const NOT_A_TAR: &str = "not_a_tar";
    /// The archive ends within an entry.
    pub const TRUNCATED_ARCHIVE: &str = "truncated_archive";
    /// An archive header breaks the format; what follows was not read.
    pub const DAMAGED_ARCHIVE: &str = "damaged_archive";
    /// A header that readers understand in different ways.
    pub const AMBIGUOUS_HEADER: &str = "ambiguous_header";
    /// The archive holds other data after its end marker.
    pub const DATA_AFTER_END: &str = "data_after_end";
    /// An extension header is larger than allowed.
    pub const EXTENSION_LIMIT: &str = "extension_limit";
    /// More entries than allowed.
    pub const TOO_MANY_ENTRIES: &str = "too_many_entries";
    /// A path is longer than any runtime can make.
    pub const PATH_TOO_LONG: &str = "path_too_long";
    /// A path holds a NUL.
    pub const BAD_PATH: &str = "bad_path";
    /// A path climbs out of the root with `..`.
    pub const PATH_OUTSIDE_ROOT: &str = "path_outside_root";
    /// Too many whiteouts.
    pub const TOO_MANY_WHITEOUTS: &str = "too_many_whiteouts";
    /// A layer hides what it holds itself, or puts a file where it has a directory.
    pub const AMBIGUOUS_LAYER: &str = "ambiguous_layer";
    /// More evidence files, components or text than allowed.
    pub const TOO_MANY_COMPONENTS: &str = "too_many_components";
    /// Too many symbolic links near the root.
    pub const TOO_MANY_LINKS: &str = "too_many_links";
    /// A package database or package file is larger than allowed.
    pub const PACKAGE_FILE_TOO_LARGE: &str = "package_file_too_large";
    /// A package database has entries that cannot be read.
    pub const MALFORMED_PACKAGE_DATABASE: &str = "malformed_package_database";
    /// A package file cannot be read.
    pub const MALFORMED_PACKAGE_FILE: &str = "malformed_package_file";
    /// A package file is stored sparse and was not read.
    pub const SPARSE_PACKAGE_FILE: &str = "sparse_package_file";
    /// A package file is a link to a file that was not read, or a loop of links.
    pub const UNREAD_LINK: &str = "unread_link";
    /// The layer's expanded bytes do not have the digest that the image's configuration names.
    pub const DIFF_ID_MISMATCH: &str = "diff_id_mismatch";
    /// The number of layers and of the configuration's diff_ids differ.
    pub const DIFF_ID_COUNT: &str = "diff_id_count";
    /// A blob's bytes do not have its digest.
    pub const DIGEST_MISMATCH: &str = "digest_mismatch";
    /// A blob is missing.
    pub const MISSING_BLOB: &str = "missing_blob";
    /// A file or directory could not be opened.
    pub const UNREADABLE_FILE: &str = "unreadable_file";
}

/// Longest detail kept, in bytes.
const MAX_DETAIL: usize = 400;

/// Gathers reasons: one per code, the first met in full and a count of the others.
#[derive(Debug, Default)]
pub(crate) struct Reasons(BTreeMap<&'static str, (String, u64)>);

impl Reasons {
    pub(crate) fn add(&mut self, code: &'static str, detail: impl FnOnce() -> String) {
        let slot = self.0.entry(code).or_insert_with(|| (clip(detail()), 0));
        slot.1 += 1;
    }

    pub(crate) fn into_list(self) -> Vec<LayerReason> {
        let describe = |(code, (detail, count)): (&str, (String, u64))| LayerReason {
            code: code.to_owned(),
            detail: if count > 1 { format!("{detail} (and {} more)", count - 1) } else { detail },
        };
        self.0.into_iter().map(describe).collect()
    }
}

/// Shortens a detail and makes control characters visible, since paths come from outside.
pub(crate) fn clip(text: String) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_DETAIL + 8));
    for c in text.chars() {
        if out.len() >= MAX_DETAIL {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reason_per_code_with_a_count() {
        let mut reasons = Reasons::default();
        for n in 0..1000 {
            reasons.add(code::BAD_PATH, || format!("entry {n}\u{1b}[2J"));
        }
        reasons.add(code::NOT_A_TAR, || "x".repeat(10_000));
        let list = reasons.into_list();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].detail, "entry 0\\u{1b}[2J (and 999 more)");
        assert!(list[1].detail.len() < MAX_DETAIL + 8);
    }
}
