/// What the verifier reads at most from one accessory. All sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Layers that are judged; what follows is one fact with `LimitExceeded`. Cosign's own limit.
    pub layers: usize,
    /// One simple signing payload.
    pub payload_bytes: u64,
    /// One Sigstore bundle or DSSE envelope (attestations may carry whole SBOMs).
    pub attestation_bytes: u64,
    /// All layers of one accessory together.
    pub total_bytes: u64,
    /// Keys that are tried for one signature.
    pub keys: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layers: 1_000,
            payload_bytes: 1024 * 1024,
            attestation_bytes: 64 * 1024 * 1024,
            total_bytes: 256 * 1024 * 1024,
            keys: 200,
        }
    }
}
