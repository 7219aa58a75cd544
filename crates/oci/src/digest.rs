use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use std::{fmt, str::FromStr};

/// A hash algorithm that the OCI image specification registers (descriptor.md, "Registered
/// algorithms").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// The other one: the same bytes have a name under each.
    pub const fn other(self) -> Self {
        match self {
            Self::Sha256 => Self::Sha512,
            Self::Sha512 => Self::Sha256,
        }
    }

    /// The name used in a digest string.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the hash in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no digest is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A content digest, `algorithm:hex` with lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: [u8; 64],
}

/// Why a string is not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `:` or one side of it is empty.
    #[error("a digest has the form algorithm:hex, such as sha256:<64 hex digits>")]
    Form,
    /// The algorithm is not one that this registry computes.
    #[error("the digest algorithm is not supported; use sha256 or sha512")]
    Algorithm,
    /// The hex part has another length or holds other characters than `0-9a-f`.
    #[error("the hex part of the digest has a wrong length or is not lower-case hex")]
    Hex,
}

impl Digest {
    /// Makes a digest from a finished hash. `None` when the length is not the algorithm's.
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Option<Self> {
        let mut bytes = [0; 64];
        bytes.get_mut(..hash.len())?.copy_from_slice(hash);
        (hash.len() == algorithm.len()).then_some(Self { algorithm, bytes })
    }

    /// SHA-256 of `content`.
    pub fn sha256(content: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&sha2::Sha256::digest(content));
        Self { algorithm: Algorithm::Sha256, bytes }
    }

    /// SHA-512 of `content`.
    pub fn sha512(content: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(&sha2::Sha512::digest(content));
        Self { algorithm: Algorithm::Sha512, bytes }
    }

    /// The digest of `content` under `algorithm`.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::sha256(content),
            Algorithm::Sha512 => Self::sha512(content),
        }
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw hash, 32 or 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.len()]
    }

    /// The hex part.
    pub fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without a text of its own on the heap: lists write thousands of them.
        let mut hex = [0; 128];
        let hex = &mut hex[..2 * self.algorithm.len()];
        hex::encode_to_slice(self.as_bytes(), hex).map_err(|_| fmt::Error)?;
        f.write_str(self.algorithm.name())?;
        f.write_str(":")?;
        f.write_str(str::from_utf8(hex).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, encoded) = text.split_once(':').ok_or(DigestError::Form)?;
        if name.is_empty() || encoded.is_empty() {
            return Err(DigestError::Form);
        }
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(DigestError::Algorithm),
        };
        let lower = encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !lower || encoded.len() != algorithm.len() * 2 {
            return Err(DigestError::Hex);
        }
        let mut bytes = [0; 64];
        hex::decode_to_slice(encoded, &mut bytes[..algorithm.len()])
            .map_err(|_| DigestError::Hex)?;
        Ok(Self { algorithm, bytes })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for text in [
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
            Digest::sha512(b"x").to_string(),
        ] {
            assert_eq!(text.parse::<Digest>().map(|d| d.to_string()), Ok(text));
        }
        assert_eq!(Digest::sha256(b"").to_string().len(), 7 + 64);
    }

    #[test]
    fn refuses_what_is_not_a_digest() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!("".parse::<Digest>(), Err(DigestError::Form));
        assert_eq!(hex.parse::<Digest>(), Err(DigestError::Form));
        assert_eq!(format!("md5:{hex}").parse::<Digest>(), Err(DigestError::Algorithm));
        for bad in [hex.to_uppercase(), hex[1..].to_owned(), format!("{hex}0"), "../../x".into()] {
            assert_eq!(format!("sha256:{bad}").parse::<Digest>(), Err(DigestError::Hex));
        }
    }
}
