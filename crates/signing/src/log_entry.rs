//! Entries of a transparency log inside a bundle.
//!
//! A signature by a listed key needs no log. But a bundle whose log entry speaks about another
//! signature is put together from parts (CVE-2026-22703), so what is present must agree.

use crate::dsse;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use std::borrow::Cow;

/// Largest body of an entry, decoded, in bytes. `intoto` entries repeat the envelope.
const MAX_BODY_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogEntry<'a> {
    #[serde(rename = "logIndex", alias = "log_index", default)]
    log_index: Option<ProtoInt<'a>>,
    #[serde(rename = "logId", alias = "log_id", default)]
    _log_id: IgnoredAny,
    #[serde(rename = "kindVersion", alias = "kind_version", default)]
    _kind_version: IgnoredAny,
    #[serde(rename = "integratedTime", alias = "integrated_time", default)]
    integrated_time: Option<ProtoInt<'a>>,
    #[serde(rename = "inclusionPromise", alias = "inclusion_promise", default)]
    _promise: IgnoredAny,
    #[serde(rename = "inclusionProof", alias = "inclusion_proof", default)]
    _proof: IgnoredAny,
    #[serde(rename = "canonicalizedBody", alias = "canonicalized_body", default, borrow)]
    body: Option<Cow<'a, str>>,
}

/// ProtoJSON writes 64-bit integers as text and reads both.
#[derive(Deserialize)]
#[serde(untagged)]
enum ProtoInt<'a> {
    Number(i64),
    Text(#[serde(borrow)] Cow<'a, str>),
}

impl ProtoInt<'_> {
    fn is_natural(&self) -> bool {
        match self {
            Self::Number(number) => *number >= 0,
            Self::Text(text) => text.parse::<i64>().is_ok_and(|number| number >= 0),
        }
    }
}

/// Why an entry does not belong to the bundle that carries it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("an entry of a transparency log is not readable")]
    Malformed,
    #[error("an entry of a transparency log has a negative index or time")]
    Negative,
    #[error("an entry of a transparency log speaks about another signature")]
    OtherSignature,
    #[error("an entry of a transparency log speaks about another payload")]
    OtherPayload,
}

impl LogEntry<'_> {
    /// Compares the entry with what the bundle holds: the raw signature and the SHA-256 of what the
    /// entry's kind hashes (the payload of an envelope, or the artifact).
    /// A kind that is not known says nothing.
    pub(crate) fn agrees(&self, signature: &[u8], hash: Option<&[u8]>) -> Result<(), EntryError> {
        let natural =
            |value: &Option<ProtoInt<'_>>| value.as_ref().is_none_or(ProtoInt::is_natural);
        if !natural(&self.log_index) || !natural(&self.integrated_time) {
            return Err(EntryError::Negative);
        }
        let Some(body) = &self.body else { return Ok(()) };
        if body.len() / 4 * 3 > MAX_BODY_BYTES {
            return Err(EntryError::Malformed);
        }
        let body = dsse::decode(body).ok_or(EntryError::Malformed)?;
        let body: Value = crate::json::parse(&body).map_err(|_| EntryError::Malformed)?;
        let Some(claim) = Claim::read(&body) else { return Ok(()) };
        if !claim.signatures.iter().any(|found| found == signature) {
            return Err(EntryError::OtherSignature);
        }
        match (hash, claim.hash) {
            (Some(hash), Some(claimed)) if claimed != hash => Err(EntryError::OtherPayload),
            _ => Ok(()),
        }
    }
}

/// What an entry's body says.
struct Claim {
    signatures: Vec<Vec<u8>>,
    hash: Option<Vec<u8>>,
}

impl Claim {
    fn read(body: &Value) -> Option<Self> {
        let spec = &body["spec"];
        let text = |value: &Value| value.as_str().and_then(dsse::decode);
        let list = |values: &Value, field: &str| -> Vec<Vec<u8>> {
            let items = values.as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().filter_map(|item| text(&item[field])).collect()
        };
        let hex = |hash: &Value| {
            (hash["algorithm"] == "sha256")
                .then(|| hash["value"].as_str().and_then(|hex| hex::decode(hex).ok()))
                .flatten()
        };
        let raw = |hash: &Value| {
            (hash["algorithm"] == "SHA2_256").then(|| text(&hash["digest"])).flatten()
        };
        let version_1 = body["apiVersion"] == "0.0.1";
        match body["kind"].as_str()? {
            "hashedrekord" if version_1 => Some(Self {
                signatures: text(&spec["signature"]["content"]).into_iter().collect(),
                hash: hex(&spec["data"]["hash"]),
            }),
            "hashedrekord" => {
                let spec = &spec["hashedRekordV002"];
                Some(Self {
                    signatures: text(&spec["signature"]["content"]).into_iter().collect(),
                    hash: raw(&spec["data"]),
                })
            }
            "dsse" if version_1 => Some(Self {
                signatures: list(&spec["signatures"], "signature"),
                hash: hex(&spec["payloadHash"]),
            }),
            "dsse" => {
                let spec = &spec["dsseV002"];
                Some(Self {
                    signatures: list(&spec["signatures"], "content"),
                    hash: raw(&spec["payloadHash"]),
                })
            }
            // Its signatures are base64 of the envelope's base64.
            "intoto" => Some(Self {
                signatures: list(&spec["content"]["envelope"]["signatures"], "sig")
                    .into_iter()
                    .filter_map(|inner| dsse::decode(std::str::from_utf8(&inner).ok()?))
                    .collect(),
                hash: hex(&spec["content"]["payloadHash"]),
            }),
            _ => None,
        }
    }
}
