use crate::AuthError;
use aws_lc_rs::rand::SecureRandom as _;

/// The seam of randomness.
pub trait Randomness: Send + Sync {
    /// Fills `out` with bytes that nobody can foresee.
    fn fill(&self, out: &mut [u8]) -> Result<(), AuthError>;
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, out: &mut [u8]) -> Result<(), AuthError> {
        aws_lc_rs::rand::SystemRandom::new()
            .fill(out)
            .map_err(|_| AuthError::Crypto("no randomness"))
    }
}
