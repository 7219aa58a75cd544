//! Accessories to verified facts or reasons, and making signatures.
//!
//! A library without I/O, database or global state. The ways in:
//! - [`classify`] says what kind of accessory a manifest is and what it speaks about;
//! - [`verify_accessory`] turns an accessory into signature and attestation facts, each verified
//!   under a key or with a reason why not; it never fails and never panics;
//! - [`read_statement`] and [`provenance`] read what a (verified) attestation says;
//! - [`SigningKey`], [`bundle_manifest`] and [`Summary`] make the product's own evidence;
//! - [`MasterKey`] seals the product's private keys for storage.
//!
//! Two rules stand over everything here. A key that comes with an accessory is never used: only
//! keys that the caller lists can verify. And the kind of a fact comes from the signed payload: a
//! signature is not an attestation, whatever annotations, tags or media types say.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod accessory;
mod bundle;
mod dsse;
pub mod fuzz;
mod json;
mod judge;
mod key;
mod limits;
mod log_entry;
mod make;
mod message;
mod provenance;
mod seal;
mod simple_signing;
mod statement;
mod summary;
mod verify;

pub use accessory::{Accessory, AccessoryKind, classify};
pub use json::JsonError;
pub use key::{KeyAlgorithm, KeyError, PublicKey};
pub use limits::Limits;
pub use make::{BundleManifest, SigningError, SigningKey, bundle_manifest};
pub use provenance::{Provenance, provenance};
pub use seal::{MasterKey, SealError};
pub use statement::{COSIGN_SIGNATURE, ReadError, Statement, Subject, read_statement};
pub use summary::{InputAttestation, Summary, VERIFICATION_SUMMARY};
pub use verify::{AccessoryFacts, AccessoryInput, Lookup, verify_accessory};
