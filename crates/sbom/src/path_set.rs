use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::Digest as _;

/// Bits kept of a path's hash: at a million paths the chance that a look-up is wrong is 4e-9.
const HASH_BITS: u32 = 48;

/// A set of paths that answers only "is it in", 48 bits a path.
///
/// Written as base64 of the sorted hashes' differences in LEB128, about five bytes a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PathSet(Vec<u64>);

impl PathSet {
    /// The hash under which `path` is kept. Stable, since it is stored: the head of its SHA-256.
    pub(crate) fn hash(path: &str) -> u64 {
        let hash = sha2::Sha256::digest(path.as_bytes());
        let head = hash.iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
        head >> (u64::BITS - HASH_BITS)
    }

    pub(crate) fn from_hashes(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        hashes.shrink_to_fit();
        Self(hashes)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64> {
        self.0.iter().copied()
    }

    pub(crate) fn contains_hash(&self, hash: u64) -> bool {
        self.0.binary_search(&hash).is_ok()
    }

    pub(crate) fn contains(&self, path: &str) -> bool {
        self.contains_hash(Self::hash(path))
    }
}

impl Serialize for PathSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.len() * 5);
        let mut last = 0;
        for hash in &self.0 {
            let mut rest = hash - last;
            last = *hash;
            while rest >= 0x80 {
                bytes.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        serializer.serialize_str(&STANDARD_NO_PAD.encode(&bytes))
    }
}

impl<'de> Deserialize<'de> for PathSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let (mut hashes, mut last, mut rest, mut shift) = (Vec::new(), 0u64, 0u64, 0u32);
        for byte in bytes {
            if shift >= HASH_BITS + 7 {
                return Err(D::Error::custom("a path hash has too many bits"));
            }
            rest |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                last = last.checked_add(rest).ok_or_else(|| D::Error::custom("overflow"))?;
                hashes.push(last);
                (rest, shift) = (0, 0);
            }
        }
        if shift != 0 {
            return Err(D::Error::custom("a path hash is cut"));
        }
        Ok(Self(hashes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_membership() {
        let paths: Vec<String> = (0..5000).map(|n| format!("usr/share/{n}")).collect();
        let set = PathSet::from_hashes(paths.iter().map(|p| PathSet::hash(p)).collect());
        let text = serde_json::to_string(&set).unwrap();
        assert!(text.len() < 5000 * 8, "{}", text.len());
        let back: PathSet = serde_json::from_str(&text).unwrap();
        assert_eq!(back, set);
        assert!(paths.iter().all(|p| back.contains(p)));
        assert!(!back.contains("usr/share/5000"));
        assert!(!back.contains("usr/share"));
    }

    #[test]
    fn refuses_what_is_not_a_set() {
        for bad in ["\"/\"", "\"gA\"", "\"////////////////\"", "7"] {
            assert!(serde_json::from_str::<PathSet>(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<PathSet>("\"\"").is_ok());
    }
}
