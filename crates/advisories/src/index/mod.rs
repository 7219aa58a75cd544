//! The index: one immutable file, mapped and searched in place.
//!
//! Layout, little-endian: magic (8 bytes), format version (u32), number of sections (u32), length
//! of the whole file (u64), then offset and length (u64 each) of every section; the sections; at
//! the end the SHA-256 of everything before it. A table section is a number of entries (u64), as
//! many plus one offsets (u64) into the blob that follows, and the blob.
//!
//! A file may hold the changes to another only, whose digest its description names: there each
//! entry of the records and groups begins with its number (u32, big-endian), those of the packages
//! and ids stand in place of the other's whole, and an empty one says that there is none any more.

mod build;
mod change;
mod part;
mod read;
mod stored;
mod table;

pub(crate) use build::{BuildSource, build};
pub(crate) use change::{Change, Changes, change};
pub use read::{Index, Vulnerability};
pub(crate) use stored::{RecordBlob, StoredRecord};

use sealock_facts::EcosystemCoverage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MAGIC: [u8; 8] = *b"SEALADVI";
const FORMAT: u32 = 2;

/// The sections, in this order.
const META: usize = 0;
/// Records by number; where nothing was changed, sorted by id.
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
    /// Of changes: the digest of the index that they are made to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<String>,
    /// The next number of a record and of a group that is free.
    pub(crate) free: (u32, u32),
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
    for index in [Index::from_bytes(bytes.clone()), Index::over_itself(bytes)].into_iter().flatten()
    {
        exercise(&index);
    }
}

/// Uses everything that an index offers.
fn exercise(index: &Index) {
    let _ = index.snapshot();
    let _ = index.lookup("CVE-2022-0778");
    let _ = crate::matching::changed_packages(index, index);
    let now = jiff::Timestamp::UNIX_EPOCH;
    if let Ok(mut packages) = index.packages() {
        for _ in 0..100 {
            let Ok(Some(package)) = packages.next() else { break };
            let (ecosystem, name) = (package.ecosystem.to_owned(), package.name.to_owned());
            let _ = index.ask(&ecosystem, &name, "1.0", now);
        }
    }
    let removed =
        [Change { id: "CVE-2022-0778".to_owned(), record: None, source: "x", holders: 0 }];
    if let Ok(folder) = tempfile::tempdir() {
        let _ = change(index, &Changes { list: &removed, ..Changes::default() }, folder.path());
    }
}

#[cfg(test)]
mod tests;
