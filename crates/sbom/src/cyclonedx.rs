use jiff::Timestamp;
use sealock_facts::ImageContents;
use sealock_oci::Digest;
use serde_json::{Value, json};

/// What an SBOM describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SbomSubject {
    /// Name of the image or root filesystem, such as `registry.example.com/team/app`.
    pub name: String,
    /// Tag, if it is known by one.
    pub tag: Option<String>,
    /// Digest of its manifest.
    pub digest: Option<Digest>,
}

/// Writes contents as a CycloneDX 1.6 document. The same contents, subject and time give the same
/// bytes.
pub fn cyclonedx(contents: &ImageContents, subject: &SbomSubject, at: Timestamp) -> Value {
    json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"timestamp": at.to_string(), "component": {"name": subject.name}}, "properties": [{"name":"x","value":contents.inspector}]})
}
