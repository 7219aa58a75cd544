use aws_lc_rs::digest::{self, Digest};
use sha2::Digest as _;
use std::cell::OnceCell;

/// A hash under which keys sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// What is signed. Each hash is computed once, however many keys are tried: an accessory may hold
/// many signatures over many megabytes.
pub(crate) struct Message<'a> {
    bytes: Option<&'a [u8]>,
    sha256: OnceCell<Option<Digest>>,
    sha384: OnceCell<Option<Digest>>,
    sha512: OnceCell<Option<Digest>>,
    prehash: OnceCell<Option<sha2::Sha512>>,
}

impl<'a> Message<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: Some(bytes),
            sha256: OnceCell::new(),
            sha384: OnceCell::new(),
            sha512: OnceCell::new(),
            prehash: OnceCell::new(),
        }
    }

    /// A message of which only the SHA-256 is known: no other hash, and no key that needs the
    /// bytes, can verify it.
    pub(crate) fn from_sha256(hash: &[u8]) -> Self {
        let known = Digest::import_less_safe(hash, &digest::SHA256).ok();
        Self { bytes: None, sha256: OnceCell::from(known), ..Self::new(&[]) }
    }

    pub(crate) fn bytes(&self) -> Option<&'a [u8]> {
        self.bytes
    }

    pub(crate) fn hashed(&self, hash: Hash) -> Option<&Digest> {
        let (cell, algorithm) = match hash {
            Hash::Sha256 => (&self.sha256, &digest::SHA256),
            Hash::Sha384 => (&self.sha384, &digest::SHA384),
            Hash::Sha512 => (&self.sha512, &digest::SHA512),
        };
        cell.get_or_init(|| self.bytes.map(|bytes| digest::digest(algorithm, bytes))).as_ref()
    }

    pub(crate) fn ed25519_prehash(&self) -> Option<sha2::Sha512> {
        self.prehash.get_or_init(|| self.bytes.map(sha2::Sha512::new_with_prefix)).clone()
    }
}
