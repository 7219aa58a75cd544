//! DSSE envelopes (secure-systems-lab/dsse, protocol and envelope 1.0.2).

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use serde::Deserialize;
use std::borrow::Cow;

/// The payload type of in-toto statements.
pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Most signatures in one envelope.
pub(crate) const MAX_SIGNATURES: usize = 16;

/// An envelope as it stands in a blob. Fields that are not known are ignored, as its specification
/// asks; the second spelling is ProtoJSON's.
#[derive(Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(rename = "payloadType", alias = "payload_type", borrow)]
    pub(crate) payload_type: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) payload: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) signatures: Vec<Signature<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct Signature<'a> {
    #[serde(borrow)]
    pub(crate) sig: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(crate) keyid: Option<Cow<'a, str>>,
}

/// The bytes that are signed (protocol.md, "Signature Definition").
pub(crate) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

const INDIFFERENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, INDIFFERENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, INDIFFERENT);

/// Base64 in either alphabet, padded or not: what DSSE and ProtoJSON let a writer choose.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// Base64, standard alphabet, padded.
pub(crate) fn encode(bytes: &[u8]) -> String {
    general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pre_authentication_encoding_is_the_specifications() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn base64_in_both_alphabets() {
        for text in ["+/8=", "-_8=", "+/8", "-_8"] {
            assert_eq!(decode(text).as_deref(), Some(&[0xfb, 0xff][..]), "{text}");
        }
        for text in ["+_8=", "+/9=", "+/8==", "a", "!", " +/8="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
