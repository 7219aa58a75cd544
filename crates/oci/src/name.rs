use crate::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// Why a string is not a name, tag or reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a repository name (distribution-spec, "Pulling manifests").
    #[error(
        "a repository name is made of lower-case letters and digits, separated by . _ __ - or /"
    )]
    Repository,
    /// Not a tag.
    #[error(
        "a tag has at most 128 characters of letters, digits, . _ - and does not begin with . or -"
    )]
    Tag,
    /// Not a reference to an image.
    #[error("an image is referred to as [host/]repository[:tag][@digest]")]
    Image,
}

macro_rules! text_type {
    ($(#[$meta:meta])* $name:ident, $check:path, $error:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                if $check(text) { Ok(Self(text.into())) } else { Err($error) }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_type!(
    /// A repository name: the project first, then at least one more part in this registry.
    RepositoryName, is_repository_name, NameError::Repository
);
text_type!(
    /// A tag.
    Tag, is_tag, NameError::Tag
);

impl RepositoryName {
    /// The first part, which is the project's name.
    pub fn project(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// What follows the project's name, if anything does.
    pub fn within_project(&self) -> Option<&str> {
        self.0.split_once('/').map(|(_, rest)| rest)
    }
}

/// Longest repository name, in bytes; clients limit host and name together to 255.
pub const MAX_REPOSITORY_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;

fn is_repository_name(text: &str) -> bool {
    text.len() <= MAX_REPOSITORY_BYTES && text.split('/').all(is_path_component)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let bytes = part.as_bytes();
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !alnum(*first) || !alnum(*last) {
        return false;
    }
    let mut i = 0;
    while i < bytes.len() {
        if alnum(bytes[i]) {
            i += 1;
            continue;
        }
        let start = i;
        while i < bytes.len() && !alnum(bytes[i]) {
            i += 1;
        }
        let separator = &part[start..i];
        if !matches!(separator, "." | "_" | "__") && !separator.bytes().all(|b| b == b'-') {
            return false;
        }
    }
    true
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=MAX_TAG_BYTES).contains(&text.len())
        && word(text.as_bytes()[0])
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// What a client names inside a repository: a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A mutable name.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.contains(':') {
            return text.parse().map(Self::Digest).map_err(|_| NameError::Tag);
        }
        text.parse().map(Self::Tag)
    }
}

/// An image as a person or a Pod names it: `[host/]repository[:tag][@digest]`.
///
/// The host is taken as present when the first part holds a `.` or `:` or is `localhost`,
/// the rule that every container client follows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    /// The registry host with its port, lower case, if the text names one.
    pub host: Option<String>,
    /// The repository.
    pub repository: RepositoryName,
    /// The tag, if given.
    pub tag: Option<Tag>,
    /// The digest, if given; it decides when both are given.
    pub digest: Option<Digest>,
}

impl FromStr for ImageReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse::<Digest>().map_err(|_| NameError::Image)?))
            }
            None => (text, None),
        };
        let (host, rest) = match rest.split_once('/') {
            Some((first, tail))
                if first.contains(['.', ':']) || first.eq_ignore_ascii_case("localhost") =>
            {
                (Some(first.to_ascii_lowercase()), tail)
            }
            _ => (None, rest),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) => (name, Some(tag.parse().map_err(|_| NameError::Image)?)),
            None => (rest, None),
        };
        let repository = name.parse().map_err(|_| NameError::Image)?;
        Ok(Self { host, repository, tag, digest })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}/")?;
        }
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names() {
        for good in ["a", "library/app", "a.b/c_d/e__f/g---h", "0/1"] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        for bad in
            ["", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a-_b", "-a", "a-", "..", "a/../b"]
        {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
        assert!("a".repeat(256).parse::<RepositoryName>().is_err());
    }

    #[test]
    fn tags() {
        for good in ["latest", "v1.2-3_x", "_x", &"a".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a/b", "a:b", &"a".repeat(129), "ä"] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn image_references() {
        let full: ImageReference = "Localhost:5000/a/b:v1".parse().expect("valid");
        assert_eq!(full.host.as_deref(), Some("localhost:5000"));
        assert_eq!(full.tag.as_ref().map(Tag::as_str), Some("v1"));
        let bare: ImageReference = "library/app".parse().expect("valid");
        assert_eq!((bare.host, bare.tag, bare.digest), (None, None, None));
        assert!("a@sha256:1".parse::<ImageReference>().is_err());
    }
}
