mod docker;
mod select;
mod store;

use crate::{LayerContents, LayerReason, Limits, inspect_layer, merge, reasons::code};
use sealock_facts::ImageContents;
use sealock_oci::{
    Algorithm, Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, ManifestKind, Platform, media_type,
};
use serde::Deserialize;
use sha2::Digest as _;
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};
use store::Store;

/// Largest image configuration read, in bytes.
const MAX_CONFIG_BYTES: u64 = 8 << 20;

/// Which image of a layout is meant. Without either part the layout must hold one image for this
/// machine, or one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSelection {
    /// A manifest digest, or the value of `org.opencontainers.image.ref.name` (for a Docker
    /// archive one of its tags).
    pub reference: Option<String>,
    /// `os/architecture[/variant]`, such as `linux/arm64`; none means linux on this machine's
    /// architecture, else the only one.
    pub platform: Option<String>,
}

/// An image read from a layout.
#[derive(Debug, Clone)]
pub struct ImageInspection {
    /// Digest of the image manifest (never of an index). A Docker archive has no manifest; there it
    /// is the configuration's, which Docker calls the image id.
    pub manifest: Digest,
    /// The name it has in the layout.
    pub name: Option<String>,
    /// Its platform, as its configuration says.
    pub platform: Option<Platform>,
    /// Its layers, lowest first.
    pub layers: Vec<(Digest, LayerContents)>,
    /// Their merge.
    pub contents: ImageContents,
}

/// Why a layout or root filesystem could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The path cannot be opened.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// What was opened.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no OCI layout and no image archive.
    #[error("{path} is not an OCI layout or image archive: {detail}")]
    NotALayout {
        /// What was opened.
        path: PathBuf,
        /// What is missing or wrong.
        detail: String,
    },
    /// The selection names no image, or more than one.
    #[error("{detail}; there is: {}", known.join(", "))]
    Selection {
        /// What does not fit.
        detail: String,
        /// References, digests and platforms to choose from.
        known: Vec<String>,
    },
}

/// The parts of an image configuration that matter (image-spec, config.md).
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    rootfs: Option<RootFs>,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

impl Config {
    fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
        }
    }

    fn diff_ids(&self) -> Option<&[Digest]> {
        self.rootfs.as_ref().map(|rootfs| rootfs.diff_ids.as_slice())
    }
}

/// Reads an image from an OCI layout: a folder, or a tar archive of one (`oci-archive`), or what
/// `docker save` and `podman save` write. Blobs are checked against their digests.
///
/// # Errors
/// When the layout, its manifest or its configuration cannot be read, or the selection fits no
/// image or several. A missing or damaged layer is a partial reason, no error.
pub fn inspect_oci_layout(
    path: &Path,
    selection: &ImageSelection,
    limits: &Limits,
) -> Result<ImageInspection, InspectError> {
    let mut layout = Layout { path, store: Store::open(path, limits)?, flat: false };
    let chosen = match layout.store.small("index.json", MAX_MANIFEST_BYTES as u64) {
        Ok(index) => {
            let index = Manifest::parse(media_type::OCI_INDEX, &index)
                .map_err(|e| layout.wrong(format!("index.json: {e}")))?;
            select::choose(&layout, &index, selection)?
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            layout.flat = layout.store.file(FLAT_VERSION).is_ok();
            if !layout.flat {
                return docker::inspect(&layout, selection, limits);
            }
            flat_manifest(&layout)?
        }
        Err(source) => return Err(InspectError::Unreadable { path: path.to_owned(), source }),
    };
    let config = match &chosen.manifest.config {
        Some(config) if is_image_config(&config.media_type) => {
            let bytes = layout.blob(config, MAX_CONFIG_BYTES)?;
            let parsed = serde_json::from_slice::<Config>(&bytes);
            Some(parsed.map_err(|e| layout.wrong(format!("config {}: {e}", config.digest)))?)
        }
        _ => None,
    };
    let layers: Vec<(Digest, LayerContents)> = chosen
        .manifest
        .layers
        .iter()
        .map(|layer| {
            (layer.digest, layout.layer(&layout.blob_path(&layer.digest), &layer.digest, limits))
        })
        .collect();
    Ok(ImageInspection {
        manifest: chosen.digest,
        name: chosen.name,
        platform: config.as_ref().map(Config::platform),
        contents: merge(&layers, config.as_ref().and_then(Config::diff_ids)),
        layers,
    })
}

/// Entry point of the fuzz target `image`: reads `data` as an image archive of any form.
#[doc(hidden)]
pub fn fuzz_image(data: &[u8]) -> Option<ImageInspection> {
    let mut file = tempfile::NamedTempFile::new().ok()?;
    io::Write::write_all(&mut file, data).ok()?;
    let limits = crate::inspect::small_limits();
    inspect_oci_layout(file.path(), &ImageSelection::default(), &limits).ok()
}

fn is_image_config(kind: &str) -> bool {
    matches!(kind, media_type::OCI_CONFIG | media_type::DOCKER_CONFIG)
}

/// Marks a folder as skopeo's `dir:` and podman's `docker-dir` write it: manifest.json is the
/// image's manifest, and blobs lie beside it, named by their digest.
const FLAT_VERSION: &str = "version";

/// Whether a folder holds an image in one of the forms that [`inspect_oci_layout`] reads.
pub fn is_image_folder(folder: &Path) -> bool {
    let starts = |name: &str, with: &str| {
        let mut head = String::new();
        let file = std::fs::File::open(folder.join(name));
        let read = file.and_then(|file| file.take(64).read_to_string(&mut head));
        read.is_ok() && head.starts_with(with)
    };
    // A Docker archive's manifest.json is a list; other manifest.json files are objects.
    folder.join("oci-layout").is_file()
        || starts(FLAT_VERSION, "Directory Transport Version")
        || starts("manifest.json", "[{\"Config\"")
}

fn flat_manifest(layout: &Layout<'_>) -> Result<select::Chosen, InspectError> {
    let bytes = layout
        .store
        .small("manifest.json", MAX_MANIFEST_BYTES as u64)
        .map_err(|e| layout.wrong(format!("manifest.json: {e}")))?;
    let manifest =
        Manifest::parse("", &bytes).map_err(|e| layout.wrong(format!("manifest.json: {e}")))?;
    if manifest.kind == ManifestKind::Index {
        let what = "manifest.json is an index; copy the image of one platform";
        return Err(layout.wrong(what.to_owned()));
    }
    Ok(select::Chosen { digest: Digest::sha256(&bytes), name: None, manifest })
}

struct Layout<'a> {
    path: &'a Path,
    store: Store,
    /// Blobs lie at the top.
    flat: bool,
}

impl Layout<'_> {
    fn wrong(&self, detail: String) -> InspectError {
        InspectError::NotALayout { path: self.path.to_owned(), detail }
    }

    fn blob_path(&self, digest: &Digest) -> String {
        match self.flat {
            true => digest.hex(),
            false => format!("blobs/{}/{}", digest.algorithm().name(), digest.hex()),
        }
    }

    /// A small blob, checked against its digest.
    fn blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, InspectError> {
        let digest = &descriptor.digest;
        let bytes = self
            .store
            .small(&self.blob_path(digest), limit)
            .map_err(|e| self.wrong(format!("blob {digest}: {e}")))?;
        if Digest::of(digest.algorithm(), &bytes) != *digest {
            return Err(self.wrong(format!("blob {digest} has other content than its digest")));
        }
        Ok(bytes)
    }

    /// Inspects a layer; a missing one or another content than the digest's is a reason.
    fn layer(&self, name: &str, digest: &Digest, limits: &Limits) -> LayerContents {
        match self.store.file(name) {
            Ok(reader) => {
                let (mut contents, own) = inspect_hashed(reader, digest.algorithm(), limits);
                if own != Some(*digest) {
                    add_reason(&mut contents, code::DIGEST_MISMATCH, || match own {
                        Some(own) => format!("the blob's content has the digest {own}"),
                        None => "the blob could not be read to its end".to_owned(),
                    });
                }
                contents
            }
            Err(e) => {
                let mut contents = LayerContents::empty();
                add_reason(&mut contents, code::MISSING_BLOB, || format!("{name}: {e}"));
                contents
            }
        }
    }
}

fn add_reason(contents: &mut LayerContents, code: &str, detail: impl FnOnce() -> String) {
    contents.reasons.push(LayerReason { code: code.to_owned(), detail: detail() });
    contents.reasons.sort_unstable();
}

/// Inspects a layer and hashes the blob as it is stored. No digest when reading failed.
fn inspect_hashed(
    reader: impl Read,
    algorithm: Algorithm,
    limits: &Limits,
) -> (LayerContents, Option<Digest>) {
    let hash = match algorithm {
        Algorithm::Sha256 => Hash::Sha256(sha2::Sha256::new()),
        Algorithm::Sha512 => Hash::Sha512(sha2::Sha512::new()),
    };
    let mut hashing = Hashing { reader, hash };
    let contents = inspect_layer(&mut hashing, limits);
    // The inspector stops early at a fault.
    let whole = io::copy(&mut hashing, &mut io::sink()).is_ok();
    let digest = match hashing.hash {
        Hash::Sha256(hash) => Digest::from_hash(algorithm, &hash.finalize()),
        Hash::Sha512(hash) => Digest::from_hash(algorithm, &hash.finalize()),
    };
    (contents, digest.filter(|_| whole))
}

enum Hash {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

struct Hashing<R> {
    reader: R,
    hash: Hash,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        match &mut self.hash {
            Hash::Sha256(hash) => hash.update(&buffer[..count]),
            Hash::Sha512(hash) => hash.update(&buffer[..count]),
        }
        Ok(count)
    }
}
