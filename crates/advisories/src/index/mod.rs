//! The index: one immutable file, mapped and searched in place.
//!
//! Layout, little-endian: magic (8 bytes), format version (u32), number of sections (u32), length
//! of the whole file (u64), then offset and length (u64 each) of every section; the sections; at
//! the end the SHA-256 of everything before it. A table section is a number of entries (u64), as
//! many plus one offsets (u64) into the blob that follows, and the blob.

mod build;
mod read;
mod table;

pub(crate) use build::{BuildSource, build};
pub(crate) use read::RecordBlob;
pub use read::{Index, Vulnerability};

use sealock_facts::EcosystemCoverage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MAGIC: [u8; 8] = *b"SEALADVI";
const FORMAT: u32 = 1;

/// The sections, in this order.
const META: usize = 0;
/// Records by number, sorted by id.
const RECORDS: usize = 1;
/// Alias groups by number.
const GROUPS: usize = 2;
/// Packages sorted by ecosystem, then name, each with what names it.
const KEYS: usize = 3;
/// Every id, sorted, with its groups.
const IDS: usize = 4;
const SECTIONS: usize = 5;

const HEADER: usize = 8 + 4 + 4 + 8 + SECTIONS * 16;
const TRAILER: usize = 32;

/// What the index says of itself, kept as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) ecosystems: BTreeMap<String, EcosystemCoverage>,
    pub(crate) sources: BTreeMap<String, u64>,
    pub(crate) records: u64,
}

/// Opens hostile bytes as an index and uses it: the entry point for fuzzing. The checksum is made
/// right, else no input would get past it.
#[doc(hidden)]
pub fn fuzz_index(bytes: &[u8]) {
    use sha2::{Digest as _, Sha256};
    let mut bytes = bytes.to_vec();
    if let Some(body) = bytes.len().checked_sub(TRAILER) {
        let hash = Sha256::digest(&bytes[..body]);
        bytes[body..].copy_from_slice(&hash);
    }
    let Ok(index) = Index::from_bytes(bytes) else { return };
    let _ = index.snapshot();
    let _ = index.lookup("CVE-2022-0778");
    let _ = crate::matching::changed_packages(&index, &index);
    for at in 0..index.packages().unwrap_or(0).min(100) {
        let Ok(package) = index.package_at(at) else { continue };
        let (ecosystem, name) = (package.ecosystem.to_owned(), package.name.to_owned());
        let _ = index.ask(&ecosystem, &name, "1.0", jiff::Timestamp::UNIX_EPOCH);
    }
}

#[cfg(test)]
mod tests;
