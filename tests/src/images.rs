//! The real images that `scripts/images.sh` builds.

use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::skips::cache_dir;

/// A test image as an OCI layout.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its folder.
    pub path: PathBuf,
}

impl Image {
    /// One of the images that `scripts/images.sh` lists: `base`, `app`, `app-rebuilt`,
    /// `app-deleted`, `app-arm64`, `app-index`.
    ///
    /// # Panics
    /// If it has not been built.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let path = cache_dir().join("images").join(name);
        assert!(path.is_dir(), "{} is missing: run scripts/images.sh", path.display());
        Self { path }
    }

    /// As skopeo, podman and buildah name it.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("oci:{}:latest", self.path.display())
    }

    /// Digest of its manifest or index.
    #[must_use]
    pub fn digest(&self) -> String {
        let index = self.json("index.json");
        index["manifests"][0]["digest"].as_str().expect("a digest").to_owned()
    }

    /// Its manifest or index.
    #[must_use]
    pub fn manifest(&self) -> Value {
        serde_json::from_slice(&self.blob(&self.digest())).expect("a manifest")
    }

    /// The bytes of one of its blobs.
    ///
    /// # Panics
    /// If there is no such blob.
    #[must_use]
    pub fn blob(&self, digest: &str) -> Vec<u8> {
        let name = digest.replace(':', "/");
        std::fs::read(self.path.join("blobs").join(name)).expect("a blob of the image")
    }

    fn json(&self, name: &str) -> Value {
        let bytes = std::fs::read(self.path.join(name)).expect("a file of the layout");
        serde_json::from_slice(&bytes).expect("JSON")
    }
}

/// `sha256:...` of some bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// An image made of bytes that differ for every `seed`, for tests that push many and read nothing.
#[derive(Debug, Clone)]
pub struct Made {
    /// Config first, then layers.
    pub blobs: Vec<Vec<u8>>,
    /// The manifest, JSON.
    pub manifest: String,
}

/// Media type of an OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

impl Made {
    /// One layer of `size` bytes.
    #[must_use]
    pub fn new(seed: u64, size: usize) -> Self {
        let config = json!({"architecture": "amd64", "os": "linux", "seed": seed,
            "rootfs": {"type": "layers", "diff_ids": []}});
        let config = config.to_string().into_bytes();
        let layer: Vec<u8> = (0..size as u64 / 32 + 1)
            .flat_map(|block| Sha256::digest([seed, block].map(u64::to_be_bytes).concat()))
            .take(size)
            .collect();
        let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()});
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &layer)]});
        Self { blobs: vec![config, layer], manifest: manifest.to_string() }
    }

    /// Digest of the manifest.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(self.manifest.as_bytes())
    }
}
