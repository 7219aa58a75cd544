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
    /// Signatures that are checked in one accessory, counting each key that is tried: some seconds
    /// of one processor.
    pub checks: u64,
    /// Bytes that are hashed for keys that hash by themselves (Ed25519) in one accessory.
    pub hashed_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layers: 1_000,
            payload_bytes: 1024 * 1024,
            attestation_bytes: 64 * 1024 * 1024,
            total_bytes: 256 * 1024 * 1024,
            keys: 200,
            checks: 100_000,
            hashed_bytes: 4 * 1024 * 1024 * 1024,
        }
    }
}
