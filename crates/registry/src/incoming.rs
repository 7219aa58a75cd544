//! A pushed manifest as it was read, before anything is decided about it.

use crate::{Error, Kind, ManifestPush, Result, push::MAX_TAGS, shown::Described};
use bytes::Bytes;
use sealock_metadata::{
    self as metadata,
    manifests::{BlobRole, Child, ManifestBlob, NewManifest, State},
};
use sealock_oci::{
    Descriptor, Digest, ErrorCode, Manifest, ManifestKind, Reference, Tag, read_diff_ids,
};
use sealock_signing::{Accessory, classify};

/// A push that was read and not yet judged.
pub(crate) struct Incoming {
    pub(crate) manifest: Manifest,
    pub(crate) digest: Digest,
    pub(crate) payload: Bytes,
    pub(crate) tags: Vec<Tag>,
    pub(crate) accessory: Option<Accessory>,
    /// diff_ids of an image's configuration, where it has one.
    pub(crate) diff_ids: Option<Vec<Digest>>,
    /// What lists show of it.
    pub(crate) shown: Described,
}

impl Incoming {
    /// Reads a push: form, size, media type, digest.
    pub(crate) fn read(push: &ManifestPush<'_>) -> Result<Self> {
        let manifest = Manifest::parse(push.content_type, &push.payload)?;
        let (digest, tags) = match push.reference {
            Reference::Digest(expected) => {
                let actual = Digest::of(expected.algorithm(), &push.payload);
                if actual != *expected {
                    return Err(Error::invalid(
                        ErrorCode::DigestInvalid,
                        format!("the manifest's digest is {actual}, not {expected}"),
                    ));
                }
                (actual, push.tags.to_vec())
            }
            Reference::Tag(tag) => (Digest::sha256(&push.payload), vec![tag.clone()]),
        };
        if tags.len() > MAX_TAGS {
            return Err(Error::new(
                Kind::TooLarge,
                ErrorCode::ManifestInvalid,
                format!("one push sets at most {MAX_TAGS} tags"),
            ));
        }
        let accessory = match tags.as_slice() {
            [] => classify(&manifest, None),
            tags => tags.iter().find_map(|tag| classify(&manifest, Some(tag))),
        };
        let payload = push.payload.clone();
        let shown = Described::of(&manifest, None, accessory);
        Ok(Self { manifest, digest, payload, tags, accessory, diff_ids: None, shown })
    }

    /// Takes in what the configuration says, where its bytes are here.
    pub(crate) fn configured(&mut self, config: Option<&[u8]>) {
        self.diff_ids = config.filter(|_| !self.manifest.layers.is_empty()).and_then(read_diff_ids);
        self.shown = Described::of(&self.manifest, config, self.accessory);
    }

    /// The key of an image's contents: its layers in order with what they claim to expand to. Two
    /// images of the same layers under configurations that differ there are judged apart.
    pub(crate) fn chain(&self) -> Option<Digest> {
        chain(&self.manifest, self.diff_ids.as_deref())
    }

    pub(crate) fn blob_rows(&self) -> Vec<ManifestBlob> {
        blob_rows(&self.manifest, self.diff_ids.as_deref())
    }

    pub(crate) fn child_rows(&self) -> Vec<Child> {
        child_rows(&self.manifest)
    }
}

/// What a push records of a manifest besides its bytes, made from these alone and from the bytes of
/// its configuration: a check of the whole registry compares rows with it.
#[derive(Debug, Clone)]
pub struct ManifestRows {
    /// The manifest as it reads.
    pub manifest: Manifest,
    /// The blobs that it names.
    pub blobs: Vec<ManifestBlob>,
    /// The children that it names.
    pub children: Vec<Child>,
    digest: Digest,
    chain: Option<Digest>,
    shown: Described,
}

impl ManifestRows {
    /// Of a manifest with this digest whose configuration has these bytes; none when it has no
    /// configuration that says what layers expand to, or one longer than
    /// [`crate::MAX_CONFIG_BYTES`].
    pub fn new(manifest: Manifest, digest: Digest, config: Option<&[u8]>) -> Self {
        let diff_ids = config.filter(|_| !manifest.layers.is_empty()).and_then(read_diff_ids);
        Self {
            blobs: blob_rows(&manifest, diff_ids.as_deref()),
            children: child_rows(&manifest),
            chain: chain(&manifest, diff_ids.as_deref()),
            shown: Described::of(&manifest, config, classify(&manifest, None)),
            manifest,
            digest,
        }
    }

    /// As a push of these bytes would store it.
    pub fn as_new<'a>(&'a self, repository_id: i64, payload: &'a [u8]) -> NewManifest<'a> {
        let manifest = &self.manifest;
        NewManifest {
            repository_id,
            digest: &self.digest,
            media_type: &manifest.media_type,
            artifact_type: manifest.referrer_type(),
            kind: row_kind(manifest.kind),
            payload,
            config: manifest.config.as_ref().map(|c| (&c.digest, c.media_type.as_str())),
            subject: manifest.subject.as_ref().map(|subject| &subject.digest),
            annotations: &manifest.annotations,
            chain: self.chain.as_ref(),
            state: State::Held,
            pushed_by: "",
            blobs: &self.blobs,
            children: &self.children,
            shown: self.shown.row(),
        }
    }
}

fn blob_rows(manifest: &Manifest, diff_ids: Option<&[Digest]>) -> Vec<ManifestBlob> {
    let row = |role, position: usize, blob: &Descriptor, diff_id| ManifestBlob {
        manifest_id: 0,
        role,
        position: u32::try_from(position).unwrap_or(u32::MAX),
        digest: blob.digest,
        media_type: blob.media_type.clone(),
        size: blob.size,
        diff_id,
    };
    let diff_id = |position: usize| diff_ids.and_then(|list| list.get(position).copied());
    let config = manifest.config.iter().map(|blob| row(BlobRole::Config, 0, blob, None));
    let layers = manifest.layers.iter().enumerate();
    let layers = layers.map(|(i, blob)| row(BlobRole::Layer, i, blob, diff_id(i)));
    config.chain(layers).collect()
}

fn child_rows(manifest: &Manifest) -> Vec<Child> {
    let children = manifest.manifests.iter().enumerate();
    children
        .map(|(position, child)| Child {
            parent_id: 0,
            position: u32::try_from(position).unwrap_or(u32::MAX),
            digest: child.digest,
            media_type: child.media_type.clone(),
            size: child.size,
            platform: platform_words(child),
        })
        .collect()
}

/// `os/architecture[/variant]` of an index entry.
pub(crate) fn platform_words(child: &Descriptor) -> Option<String> {
    let platform = child.platform.as_ref()?;
    let mut words = format!("{}/{}", platform.os, platform.architecture);
    if let Some(variant) = &platform.variant {
        words.push('/');
        words.push_str(variant);
    }
    Some(words)
}

pub(crate) fn row_kind(kind: ManifestKind) -> metadata::manifests::Kind {
    match kind {
        ManifestKind::Image => metadata::manifests::Kind::Image,
        ManifestKind::Index => metadata::manifests::Kind::Index,
    }
}

/// The key of an image's contents; none without layers.
pub(crate) fn chain(manifest: &Manifest, diff_ids: Option<&[Digest]>) -> Option<Digest> {
    if manifest.layers.is_empty() {
        return None;
    }
    let mut text = String::new();
    for layer in &manifest.layers {
        text.push_str(&format!("{}\n", layer.digest));
    }
    // The count matters too: a configuration may name more or fewer than there are layers.
    if let Some(diff_ids) = diff_ids {
        text.push_str("diff_ids\n");
        for diff_id in diff_ids {
            text.push_str(&format!("{diff_id}\n"));
        }
    }
    Some(Digest::sha256(text.as_bytes()))
}

/// The subject of cosign's legacy tags. They exist for SHA-256 only: no tag is long enough for
/// another digest, and accessories of such a subject name it in their `subject` field.
pub(crate) fn legacy_subject(tag: &Tag) -> Option<Digest> {
    let (hex, suffix) = tag.as_str().strip_prefix("sha256-")?.split_once('.')?;
    matches!(suffix, "sig" | "att" | "sbom").then_some(())?;
    format!("sha256:{hex}").parse().ok()
}
