use sealock_oci::{Descriptor, Digest, Manifest, ManifestKind, Tag, media_type};

/// Config or artifact type of cosign 2's experimental OCI 1.1 mode.
const COSIGN_OCI11_SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// Sigstore bundles before the media type of 0.3; the version stands in a parameter.
const SIGSTORE_BUNDLE_OLD: &str = "application/vnd.dev.sigstore.bundle+json";
/// Layers of cosign's `.sbom` tag.
const SBOM_LAYERS: [&str; 5] = [
    "text/spdx",
    "text/spdx+json",
    "application/vnd.cyclonedx+json",
    "application/vnd.cyclonedx+xml",
    "application/vnd.syft+json",
];

/// What a manifest is when it speaks about another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessoryKind {
    /// Cosign's legacy signatures: the tag `sha256-….sig`, or a referrer of cosign 2's OCI 1.1
    /// mode.
    CosignSignature,
    /// DSSE envelopes as layers: cosign's tag `sha256-….att`, or a referrer.
    CosignAttestation,
    /// Cosign's tag `sha256-….sbom`; never signed, so it makes no fact.
    CosignSbom,
    /// A Sigstore bundle as a referrer; whether it is a signature or an attestation only its
    /// verified content says.
    SigstoreBundle,
    /// Any other manifest with a `subject`.
    Referrer,
}

impl AccessoryKind {
    /// Whether [`crate::verify_accessory`] can find facts in it.
    pub const fn holds_evidence(self) -> bool {
        matches!(self, Self::CosignSignature | Self::CosignAttestation | Self::SigstoreBundle)
    }

    /// Whether a layer has the media type that belongs to this kind.
    pub(crate) fn expects(self, layer: &Descriptor) -> bool {
        let layer = media_type::essence(&layer.media_type);
        match self {
            Self::CosignSignature => layer == media_type::COSIGN_SIMPLE_SIGNING,
            Self::CosignAttestation => layer == media_type::DSSE_ENVELOPE,
            Self::CosignSbom => SBOM_LAYERS.contains(&layer.as_str()),
            Self::SigstoreBundle => is_bundle(&layer),
            Self::Referrer => false,
        }
    }
}

/// An accessory and what it speaks about. The subject need not exist (yet).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Accessory {
    /// What it is.
    pub kind: AccessoryKind,
    /// The manifest that it speaks about.
    pub subject: Digest,
}

/// Says what kind of accessory a manifest is, from its own fields and the tag it is pushed under.
///
/// A `subject` field decides before a tag name. A legacy tag counts only when a layer has the
/// media type that belongs to it, so an image cannot be hidden under such a tag. The result says
/// where to look, never that anything is signed.
pub fn classify(manifest: &Manifest, tag: Option<&Tag>) -> Option<Accessory> {
    if let Some(subject) = &manifest.subject {
        return Some(Accessory { kind: referrer_kind(manifest), subject: subject.digest });
    }
    if manifest.kind != ManifestKind::Image {
        return None;
    }
    let (subject, kind) = legacy_tag(tag?.as_str())?;
    manifest.layers.iter().any(|layer| kind.expects(layer)).then_some(Accessory { kind, subject })
}

fn referrer_kind(manifest: &Manifest) -> AccessoryKind {
    let declared = manifest.referrer_type().map(media_type::essence).unwrap_or_default();
    let any = |kind: AccessoryKind| manifest.layers.iter().any(|layer| kind.expects(layer));
    if is_bundle(&declared) || any(AccessoryKind::SigstoreBundle) {
        AccessoryKind::SigstoreBundle
    } else if declared == COSIGN_OCI11_SIGNATURE || any(AccessoryKind::CosignSignature) {
        AccessoryKind::CosignSignature
    } else if any(AccessoryKind::CosignAttestation) {
        AccessoryKind::CosignAttestation
    } else {
        AccessoryKind::Referrer
    }
}

fn is_bundle(essence: &str) -> bool {
    essence == media_type::SIGSTORE_BUNDLE_V03 || essence == SIGSTORE_BUNDLE_OLD
}

/// `sha256-<64 hex>.sig`, `.att` or `.sbom`, the whole tag.
fn legacy_tag(tag: &str) -> Option<(Digest, AccessoryKind)> {
    let (encoded, suffix) = tag.strip_prefix("sha256-")?.split_once('.')?;
    let kind = match suffix {
        "sig" => AccessoryKind::CosignSignature,
        "att" => AccessoryKind::CosignAttestation,
        "sbom" => AccessoryKind::CosignSbom,
        _ => return None,
    };
    Some((format!("sha256:{encoded}").parse().ok()?, kind))
}
