//! Sealing of the product's private keys for storage: AES-256-GCM under a master key (decision
//! D17).

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use sealock_oci::Digest;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Length of a master key in bytes.
const KEY_BYTES: usize = 32;
/// Length of a master key's id in bytes.
const ID_BYTES: usize = 8;
/// First byte of everything sealed in this way.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + ID_BYTES + NONCE_LEN;

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The text is not a master key.
    #[error(
        "a master key is 32 random bytes as base64 or hex; `openssl rand -base64 32` makes one"
    )]
    MasterKey,
    /// Sealed under another master key.
    #[error("it is sealed under the master key {found}, and the configured one is {configured}")]
    OtherMasterKey {
        /// The id of the key that sealed it.
        found: String,
        /// The id of this key.
        configured: String,
    },
    /// Damaged, sealed for another purpose, or not sealed at all.
    #[error("the sealed key is damaged or was sealed for another purpose")]
    Damaged,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Crypto,
}

/// The key under which all keys of the product are sealed. Replicas share it.
pub struct MasterKey {
    key: LessSafeKey,
    id: [u8; ID_BYTES],
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl MasterKey {
    /// Makes a new one.
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = [0; KEY_BYTES];
        rand::fill(&mut bytes).map_err(|_| SealError::Crypto)?;
        let key = Self::new(&bytes);
        bytes.zeroize();
        key
    }

    /// Reads it from the text of a file or variable: base64 or hex of 32 bytes, white space around.
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        let decoded = match text.len() {
            64 => hex::decode(text).ok(),
            _ => crate::dsse::decode(text),
        };
        let decoded = Zeroizing::new(decoded.ok_or(SealError::MasterKey)?);
        let bytes: &[u8; KEY_BYTES] =
            decoded.as_slice().try_into().map_err(|_| SealError::MasterKey)?;
        Self::new(bytes)
    }

    fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| SealError::Crypto)?;
        // The id must not help to guess the key: a hash over a fixed prefix and 256 random bits.
        let mut input = Zeroizing::new(b"sealock master key id".to_vec());
        input.extend_from_slice(bytes);
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&Digest::sha256(&input).as_bytes()[..ID_BYTES]);
        Ok(Self { key: LessSafeKey::new(key), id, bytes: Zeroizing::new(*bytes) })
    }

    /// Base64, to be written into the key file.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(crate::dsse::encode(self.bytes.as_slice()))
    }

    /// Its id, 16 hex digits; not secret.
    pub fn id(&self) -> String {
        hex::encode(self.id)
    }

    /// Seals `secret`. It opens only with the same `purpose`, so name the kind of key and its id
    /// there: a row that is put in another's place does not open.
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError::Crypto)?;
        let mut out = Vec::with_capacity(HEADER_BYTES + secret.len() + AES_256_GCM.tag_len());
        out.push(VERSION);
        out.extend_from_slice(&self.id);
        let aad = Aad::from(associated(&out, purpose));
        out.extend_from_slice(&nonce);
        let mut body = Zeroizing::new(secret.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| SealError::Crypto)?;
        out.extend_from_slice(&body);
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens what [`MasterKey::seal`] made.
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, body) = sealed.split_at_checked(HEADER_BYTES).ok_or(SealError::Damaged)?;
        let (named, nonce) = header.split_at(1 + ID_BYTES);
        if named[0] != VERSION {
            return Err(SealError::Damaged);
        }
        if named[1..] != self.id {
            let found = hex::encode(&named[1..]);
            return Err(SealError::OtherMasterKey { found, configured: self.id() });
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Damaged)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .key
            .open_in_place(nonce, Aad::from(associated(named, purpose)), &mut body)
            .map_err(|_| SealError::Damaged)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

fn associated(named: &[u8], purpose: &str) -> Vec<u8> {
    [named, purpose.as_bytes()].concat()
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, hidden)", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed() {
        let master = MasterKey::generate().unwrap();
        let sealed = master.seal("evidence/1", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(master.unseal("evidence/1", &sealed).unwrap().as_slice(), b"secret");
        let again = MasterKey::from_text(&format!(" {}\n", *master.to_text())).unwrap();
        assert_eq!(again.unseal("evidence/1", &sealed).unwrap().as_slice(), b"secret");
        assert_ne!(master.seal("evidence/1", b"secret").unwrap(), sealed, "nonces differ");
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let master = MasterKey::generate().unwrap();
        let sealed = master.seal("evidence/1", b"secret").unwrap();
        assert_eq!(master.unseal("evidence/2", &sealed).unwrap_err(), SealError::Damaged);
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(master.unseal("evidence/1", &changed).is_err(), "byte {i}");
            assert!(master.unseal("evidence/1", &sealed[..i]).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn another_master_key_is_named() {
        let (one, two) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let sealed = one.seal("x", b"secret").unwrap();
        assert_eq!(
            two.unseal("x", &sealed).unwrap_err(),
            SealError::OtherMasterKey { found: one.id(), configured: two.id() }
        );
    }

    #[test]
    fn short_or_foreign_texts_are_no_master_key() {
        for text in ["", "c2hvcnQ=", "passwordpasswordpasswordpassword", &"zz".repeat(32)] {
            assert_eq!(MasterKey::from_text(text).unwrap_err(), SealError::MasterKey, "{text}");
        }
        assert!(MasterKey::from_text(&"0f".repeat(32)).is_ok());
    }

    #[test]
    fn secrets_do_not_print() {
        let master = MasterKey::generate().unwrap();
        assert!(!format!("{master:?}").contains(master.to_text().as_str()));
    }
}
