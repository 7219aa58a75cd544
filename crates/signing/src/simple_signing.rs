//! Cosign's legacy payload (sigstore/cosign, specs/SIGNATURE_SPEC.md; containers/image
//! "simple signing").

use crate::json::{self, JsonError};
use serde::Deserialize;
use std::borrow::Cow;

/// The only `critical.type` that speaks about an image.
const TYPE: &str = "cosign container image signature";

/// Annotation of the layer: base64 of the signature over the layer's bytes.
pub(crate) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Annotation of the layer: PEM of the signer's certificate.
pub(crate) const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    critical: Critical<'a>,
}

#[derive(Deserialize)]
struct Critical<'a> {
    #[serde(borrow)]
    image: Image<'a>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(rename = "docker-manifest-digest", borrow)]
    digest: Cow<'a, str>,
}

/// What a payload says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It signs the manifest with this digest (as written).
    Image(String),
    /// It is JSON, but no claim about an image.
    Other,
}

/// Reads a payload whose signature is already verified.
pub(crate) fn read(payload: &[u8]) -> Result<Claim, JsonError> {
    json::check(payload)?;
    let Ok(payload) = serde_json::from_slice::<Payload<'_>>(payload) else {
        return Ok(Claim::Other);
    };
    if payload.critical.kind != TYPE {
        return Ok(Claim::Other);
    }
    Ok(Claim::Image(payload.critical.image.digest.into_owned()))
}
