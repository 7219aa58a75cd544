//! Bytes of a layer to components; components to CycloneDX documents.
//!
//! [`inspect_layer`] reads one layer blob in one pass (decompress, hash, walk, parse) and never
//! fails: what is damaged, ambiguous or too large becomes a reason in [`LayerContents`].
//! [`merge`] lays the layers of an image over one another as a container runtime does and gives
//! [`sealock_facts::ImageContents`]; [`cyclonedx()`] writes that as a document.
//!
//! No network, no global state, nothing is extracted to a path.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod archive;
mod catalogue;
mod collect;
mod components;
mod compression;
mod cyclonedx;
mod distro;
mod evidence;
mod image;
mod inspect;
mod layer;
mod limits;
mod merge;

mod path;
mod path_set;
mod purl;
mod reasons;
mod rootfs;
mod view;

pub use compression::Compression;
pub use cyclonedx::{SbomSubject, cyclonedx};
pub use image::{
    ImageInspection, ImageSelection, InspectError, fuzz_image, inspect_oci_layout, is_image_folder,
};
pub use inspect::{fuzz_layer, inspect_layer};
pub use layer::LayerContents;
pub use limits::Limits;
pub use merge::merge;
pub use reasons::{LayerReason, code};
pub use rootfs::inspect_root_filesystem;

/// Version of what this crate reads and how. Facts are keyed by it: it changes whenever the same
/// bytes may give other contents (decision D5).
pub const INSPECTOR_VERSION: &str = "sealock-sbom/2";
