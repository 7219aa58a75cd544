//! The vocabulary of images: digest, name, reference, descriptor, manifest, media types, error
//! codes.
//!
//! No I/O. Everything here is parsed from outside, so every parser returns an error and has a
//! limit.

mod config;
mod digest;
pub mod doublestar;
mod error_code;
mod fuzz;
mod manifest;
pub mod media_type;
mod name;
mod referrers_tag;
mod strict;

pub use config::read_diff_ids;
pub use digest::{Algorithm, Digest, DigestError};
pub use error_code::ErrorCode;
#[doc(hidden)]
pub use fuzz::{fuzz_config, fuzz_manifest, fuzz_reference};
pub use manifest::{
    Descriptor, MAX_DESCRIPTORS, MAX_MANIFEST_BYTES, Manifest, ManifestError, ManifestKind,
    Platform,
};
pub use name::{ImageReference, MAX_REPOSITORY_BYTES, NameError, Reference, RepositoryName, Tag};
pub use referrers_tag::ReferrersTag;
