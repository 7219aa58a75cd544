//! Signing and verifying beside the clients that users have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cosign;
mod recorded;

use jiff::Timestamp;
use sealock_oci::{Descriptor, Digest, Manifest, media_type};
use sealock_signing::{
    AccessoryFacts, AccessoryInput, Limits, Lookup, PublicKey, bundle_manifest, classify,
    verify_accessory,
};

fn descriptor(subject: &Digest) -> Descriptor {
    let text =
        format!(r#"{{"mediaType":"{}","digest":"{subject}","size":7}}"#, media_type::OCI_MANIFEST);
    serde_json::from_str(&text).unwrap()
}

/// The facts in a bundle once it is attached to `subject`.
fn attached(bundle: &[u8], subject: &Digest, keys: &[PublicKey]) -> AccessoryFacts {
    let made = bundle_manifest(bundle, &descriptor(subject), "", Timestamp::UNIX_EPOCH);
    let manifest = Manifest::parse(media_type::OCI_MANIFEST, &made.bytes).unwrap();
    let input = AccessoryInput {
        accessory: classify(&manifest, None).unwrap(),
        digest: made.digest,
        manifest: &manifest,
        subject_bytes: None,
        blobs: &|_, _| Lookup::Found(bundle.to_vec()),
    };
    verify_accessory(&input, keys, Timestamp::UNIX_EPOCH, &Limits::default())
}
