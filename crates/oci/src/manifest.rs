use crate::{Digest, media_type, strict};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use std::collections::BTreeMap;

/// Largest manifest accepted, in bytes (the specification asks for at least 4 MiB).
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;
/// Most layers or children in one manifest.
pub const MAX_DESCRIPTORS: usize = 10_000;
/// Longest media type, artifact type or part of a platform, in bytes (RFC 6838, section 4.2, needs
/// 255 with both names at their longest).
const MAX_WORD_BYTES: usize = 255;

/// Annotations, in key order.
type Annotations = BTreeMap<String, String>;

/// A typed pointer to content (image-spec, descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a descriptor")]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// Type of the artifact when the descriptor points to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Where else the bytes lie (non-distributable layers).
    #[serde(default, deserialize_with = "none_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free annotations.
    #[serde(
        default,
        deserialize_with = "none_is_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: Annotations,
    /// The platform of an index entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// `null` as some writers put it where there is nothing.
fn none_is_empty<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The platform of an index entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub struct Platform {
    /// CPU architecture in Go's words, such as `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// Operating system in Go's words.
    #[serde(default)]
    pub os: String,
    /// CPU variant, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// What a manifest is, decided by its media type and its fields together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManifestKind {
    /// An image manifest, OCI or Docker schema 2; artifacts are of this kind too.
    Image,
    /// An index or manifest list.
    Index,
}

/// A parsed manifest. The bytes that were pushed stay the truth; this is a reading of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Image or index.
    pub kind: ManifestKind,
    /// The media type it was pushed with, without parameters.
    pub media_type: String,
    /// Declared artifact type; for an image without one, the config's media type applies to
    /// referrers.
    pub artifact_type: Option<String>,
    /// The configuration (image only).
    pub config: Option<Descriptor>,
    /// The layers in order, lowest first (image only).
    pub layers: Vec<Descriptor>,
    /// The children (index only).
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one says something about.
    pub subject: Option<Descriptor>,
    /// Annotations.
    pub annotations: Annotations,
}

/// Why bytes are not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Larger than [`MAX_MANIFEST_BYTES`].
    #[error("the manifest has more than {MAX_MANIFEST_BYTES} bytes")]
    TooLarge,
    /// A media type that is none of OCI and Docker schema 2.
    #[error("the media type {0:?} is not a manifest type that this registry knows")]
    UnknownMediaType(String),
    /// `Content-Type` and the body's `mediaType` differ.
    #[error("Content-Type {header:?} and the body's mediaType {body:?} differ")]
    MediaTypeMismatch {
        /// From the request.
        header: String,
        /// From the body.
        body: String,
    },
    /// `schemaVersion` is not 2.
    #[error("schemaVersion must be 2")]
    SchemaVersion,
    /// Not JSON, or a field has another type.
    #[error("the manifest is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// Too many layers or children.
    #[error("the manifest lists more than {MAX_DESCRIPTORS} descriptors")]
    TooMany,
    /// A field that belongs to the other kind, or a missing one (an ambiguous document).
    #[error("{0}")]
    Shape(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Raw {
    schema_version: u32,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<Annotations>,
    /// Layers of Docker's schema 1: a client that still reads them would see another image.
    fs_layers: Option<IgnoredAny>,
}

impl Manifest {
    /// Reads manifest bytes that were sent as `content_type` (parameters ignored; empty means "see
    /// the body").
    ///
    /// A document with both `layers` and `manifests`, or with a field that is not spelled exactly,
    /// is refused: two readers could take it for two things.
    pub fn parse(content_type: &str, bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge);
        }
        strict::check(bytes)?;
        let raw: Raw = serde_json::from_slice(bytes)?;
        if raw.schema_version != 2 {
            return Err(ManifestError::SchemaVersion);
        }
        let header = media_type::essence(content_type);
        let body = raw.media_type.as_deref().map(media_type::essence).unwrap_or_default();
        if !header.is_empty() && !body.is_empty() && header != body {
            return Err(ManifestError::MediaTypeMismatch { header, body });
        }
        let media_type = if header.is_empty() { body } else { header };
        let kind = match media_type.as_str() {
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => ManifestKind::Image,
            media_type::OCI_INDEX | media_type::DOCKER_MANIFEST_LIST => ManifestKind::Index,
            _ => return Err(ManifestError::UnknownMediaType(media_type)),
        };
        match kind {
            ManifestKind::Image if raw.manifests.is_some() => {
                return Err(ManifestError::Shape("an image manifest must not list manifests"));
            }
            ManifestKind::Image if raw.config.is_none() => {
                return Err(ManifestError::Shape("an image manifest needs a config"));
            }
            ManifestKind::Index if raw.layers.is_some() || raw.config.is_some() => {
                return Err(ManifestError::Shape("an index must not have layers or a config"));
            }
            _ if raw.fs_layers.is_some() => {
                return Err(ManifestError::Shape("fsLayers belongs to schema 1 only"));
            }
            _ => {}
        }
        let manifest = Self {
            kind,
            media_type,
            artifact_type: raw.artifact_type,
            config: raw.config,
            layers: raw.layers.unwrap_or_default(),
            manifests: raw.manifests.unwrap_or_default(),
            subject: raw.subject,
            annotations: raw.annotations.unwrap_or_default(),
        };
        manifest.check_limits()?;
        Ok(manifest)
    }

    fn check_limits(&self) -> Result<(), ManifestError> {
        if self.layers.len().max(self.manifests.len()) > MAX_DESCRIPTORS {
            return Err(ManifestError::TooMany);
        }
        let descriptors =
            self.config.iter().chain(&self.layers).chain(&self.manifests).chain(&self.subject);
        let words = descriptors.flat_map(|descriptor| {
            let platform = descriptor.platform.iter();
            let platform =
                platform.flat_map(|p| [Some(&p.architecture), Some(&p.os), p.variant.as_ref()]);
            platform.chain([Some(&descriptor.media_type), descriptor.artifact_type.as_ref()])
        });
        let mut words = words.chain([self.artifact_type.as_ref()]).flatten();
        match words.all(|word| is_word(word)) {
            true => Ok(()),
            false => Err(ManifestError::Shape(
                "media types, artifact types and platforms are at most 255 printable characters",
            )),
        }
    }

    /// The artifact type under which this manifest is listed as a referrer (distribution-spec,
    /// "Listing Referrers"): its own, else the config's media type; none for an index without one.
    pub fn referrer_type(&self) -> Option<&str> {
        self.artifact_type
            .as_deref()
            .filter(|t| !t.is_empty())
            .or_else(|| self.config.as_ref().map(|c| c.media_type.as_str()))
    }
}

fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD_BYTES && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

    #[test]
    fn parses_an_image() {
        let body = format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":[],"x":1}}"#);
        let manifest = Manifest::parse(
            "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
            body.as_bytes(),
        )
        .expect("valid");
        assert_eq!(manifest.kind, ManifestKind::Image);
        assert_eq!(manifest.referrer_type(), Some(media_type::OCI_CONFIG));
    }

    #[test]
    fn refuses_ambiguous_documents() {
        let both = format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":[],"manifests":[]}}"#);
        for media_type in [media_type::OCI_MANIFEST, media_type::OCI_INDEX] {
            assert!(matches!(
                Manifest::parse(media_type, both.as_bytes()),
                Err(ManifestError::Shape(_))
            ));
        }
        let other = format!(r#"{{"schemaVersion":2,"mediaType":"{}"}}"#, media_type::OCI_INDEX);
        assert!(matches!(
            Manifest::parse(media_type::OCI_MANIFEST, other.as_bytes()),
            Err(ManifestError::MediaTypeMismatch { .. })
        ));
    }

    #[test]
    fn refuses_what_clients_could_read_otherwise() {
        let parse = |more: &str| {
            let body = format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":[]{more}}}"#);
            Manifest::parse(media_type::OCI_MANIFEST, body.as_bytes())
        };
        assert!(parse("").is_ok());
        for bad in [
            r#","Layers":[]"#.to_owned(),
            r#","fsLayers":[]"#.to_owned(),
            r#","artifactType":"a\u0000b""#.to_owned(),
            format!(r#","artifactType":"{}""#, "a".repeat(256)),
            r#","subject":{"mediaType":"a\nb","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#.to_owned(),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn null_stands_for_nothing() {
        let digest = Digest::sha256(b"{}");
        let body = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{digest}","size":2,"urls":null,"annotations":null,"platform":null}},"layers":null,"subject":null,"annotations":null}}"#
        );
        let parsed = Manifest::parse(media_type::OCI_MANIFEST, body.as_bytes()).expect("valid");
        assert!(parsed.layers.is_empty() && parsed.subject.is_none());
    }
}
