use crate::{Compression, INSPECTOR_VERSION, LayerReason, evidence::Evidence, path_set::PathSet};
use sealock_oci::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What one layer holds and what it does to the layers below it.
///
/// Depends on nothing but the layer's bytes and [`INSPECTOR_VERSION`], so it is kept by the
/// layer's digest and shared by every image that has the layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerContents {
    /// The inspector that read it.
    pub inspector: String,
    /// How the blob is compressed.
    pub compression: Compression,
    /// SHA-256 of the expanded bytes; none when they were not read to the end.
    pub diff_id: Option<Digest>,
    /// Bytes of the blob that were read.
    pub compressed_bytes: u64,
    /// Bytes that came out of it.
    pub expanded_bytes: u64,
    /// Archive entries that were read.
    pub entries: u64,
    /// Why it is not whole; at most one per code.
    pub reasons: Vec<LayerReason>,
    pub(crate) evidence: BTreeMap<String, Evidence>,
    /// Paths of lower layers that this one removes.
    pub(crate) whiteouts: BTreeSet<String>,
    /// Directories whose lower contents this one hides.
    pub(crate) opaque: BTreeSet<String>,
    /// Symbolic links at depth 1 and 2 with their targets, through which later paths may lead.
    pub(crate) links: BTreeMap<String, String>,
    /// Directories at depth 1 and 2, which replace links.
    pub(crate) directories: BTreeSet<String>,
    /// Every path that is no directory, hashed: what lies below it in lower layers is gone.
    pub(crate) covers: PathSet,
}

impl LayerContents {
    pub(crate) fn empty() -> Self {
        Self {
            inspector: INSPECTOR_VERSION.to_owned(),
            compression: Compression::None,
            diff_id: None,
            compressed_bytes: 0,
            expanded_bytes: 0,
            entries: 0,
            reasons: Vec::new(),
            evidence: BTreeMap::new(),
            whiteouts: BTreeSet::new(),
            opaque: BTreeSet::new(),
            links: BTreeMap::new(),
            directories: BTreeSet::new(),
            covers: PathSet::default(),
        }
    }

    /// Whether the whole layer and every package file in it was read.
    pub fn is_complete(&self) -> bool {
        self.reasons.is_empty() && self.evidence.values().all(|e| e.damage.is_none())
    }

    /// Number of files kept that describe software.
    pub fn evidence_files(&self) -> usize {
        self.evidence.len()
    }
}
