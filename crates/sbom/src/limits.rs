/// What one inspection may cost. Every limit ends in a partial fact with a reason, never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes that a layer may expand to.
    pub max_expanded_bytes: u64,
    /// Most expanded bytes per compressed byte, judged once `ratio_floor_bytes` have come out.
    pub max_ratio: u64,
    /// Expanded bytes below which the ratio is not judged, so that a sparse file is no bomb.
    pub ratio_floor_bytes: u64,
    /// Most archive entries in a layer.
    pub max_entries: u64,
    /// Longest path in bytes (Linux `PATH_MAX`); longer ones cannot be made by a runtime.
    pub max_path_bytes: usize,
    /// Most bytes in one archive extension header (PAX records, GNU long names).
    pub max_extension_bytes: u64,
    /// Most bytes of a package database (dpkg status, apk installed).
    pub max_database_bytes: u64,
    /// Most bytes of a file that describes one package (`package.json`, os-release, file lists).
    pub max_package_file_bytes: u64,
    /// Most evidence files kept of one layer.
    pub max_evidence: usize,
    /// Most components of one layer, and of the merged image.
    pub max_components: usize,
    /// Most bytes of text kept of one layer.
    pub max_kept_bytes: usize,
    /// Most whiteouts and opaque directories of one layer.
    pub max_whiteouts: usize,
    /// Most symbolic links kept for resolving parents.
    pub max_links: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_expanded_bytes: 64 << 30,
            max_ratio: 300,
            ratio_floor_bytes: 2 << 30,
            max_entries: 4_000_000,
            max_path_bytes: 4096,
            max_extension_bytes: 1 << 20,
            max_database_bytes: 32 << 20,
            max_package_file_bytes: 4 << 20,
            max_evidence: 100_000,
            max_components: 30_000,
            max_kept_bytes: 64 << 20,
            max_whiteouts: 200_000,
            max_links: 20_000,
        }
    }
}
