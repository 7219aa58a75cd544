use crate::{Algorithm, Digest, Tag};

/// Longest part of a digest's encoded side that a referrers tag carries, in characters.
const ENCODED_CHARS: usize = 64;

/// A tag under which clients of registries without the referrers API keep a list of referrers
/// themselves (distribution-spec, "Referrers Tag Schema"): the algorithm and the first 64
/// characters of the subject's digest, `sha256-<hex>`. A SHA-512 digest is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrersTag {
    algorithm: Algorithm,
    encoded: String,
}

impl ReferrersTag {
    /// The tag for a subject.
    pub fn of(subject: &Digest) -> Self {
        let mut encoded = subject.hex();
        encoded.truncate(ENCODED_CHARS);
        Self { algorithm: subject.algorithm(), encoded }
    }

    /// Reads a tag. `None` when it is not one of these, as a whole.
    pub fn parse(tag: &Tag) -> Option<Self> {
        let (name, encoded) = tag.as_str().split_once('-')?;
        let algorithm = [Algorithm::Sha256, Algorithm::Sha512].into_iter();
        let algorithm = algorithm.into_iter().find(|algorithm| algorithm.name() == name)?;
        let hex = encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (hex && encoded.len() == ENCODED_CHARS)
            .then(|| Self { algorithm, encoded: encoded.to_owned() })
    }

    /// Whether it is the tag for this subject.
    pub fn stands_for(&self, subject: &Digest) -> bool {
        *self == Self::of(subject)
    }

    /// What the digests of its subjects begin with: all of a SHA-256 digest.
    pub fn digest_prefix(&self) -> String {
        format!("{}:{}", self.algorithm.name(), self.encoded)
    }

    /// Its text.
    pub fn text(&self) -> String {
        format!("{}-{}", self.algorithm.name(), self.encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_cut_to_what_a_tag_can_carry() {
        for digest in [Digest::sha256(b"x"), Digest::sha512(b"x")] {
            let tag = ReferrersTag::of(&digest);
            assert_eq!(
                tag.text(),
                format!("{}-{}", digest.algorithm().name(), &digest.hex()[..64])
            );
            assert!(digest.to_string().starts_with(&tag.digest_prefix()));
            let parsed = ReferrersTag::parse(&tag.text().parse().unwrap()).unwrap();
            assert!(parsed == tag && parsed.stands_for(&digest));
            assert!(!parsed.stands_for(&Digest::sha256(b"y")));
            assert!(!parsed.stands_for(&Digest::sha512(b"y")));
        }
    }

    #[test]
    fn only_whole_names_count() {
        let hex = Digest::sha256(b"x").hex();
        for no in [
            format!("sha256-{hex}.sig"),
            format!("sha256-{}", &hex[1..]),
            format!("sha512-{hex}0"),
            format!("sha256-{}", hex.to_uppercase().replace(char::is_numeric, "A")),
            format!("md5-{hex}"),
            format!("sha256_{hex}"),
            "v1".to_owned(),
        ] {
            assert_eq!(ReferrersTag::parse(&no.parse().unwrap()), None, "{no}");
        }
    }
}
