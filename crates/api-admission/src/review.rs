//! What an API server asks (kubernetes, staging/src/k8s.io/api/admission/v1/types.go): the fields
//! that matter here.

use serde::Deserialize;
use serde_json::Value;

/// Largest request body, in bytes: etcd's limit for one object twice (new and old), and the
/// envelope.
pub const MAX_REVIEW_BYTES: usize = 3 * 1024 * 1024;
/// The only version that is spoken.
pub(crate) const API_VERSION: &str = "admission.k8s.io/v1";
/// Longest uid that is echoed, in bytes.
const MAX_UID_BYTES: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    request: Option<Request>,
}

/// One question.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    /// To be echoed.
    pub(crate) uid: String,
    pub(crate) kind: GroupVersionKind,
    #[serde(default)]
    pub(crate) sub_resource: Option<String>,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    pub(crate) operation: Operation,
    #[serde(default)]
    pub(crate) user_info: UserInfo,
    #[serde(default)]
    pub(crate) object: Value,
    #[serde(default)]
    pub(crate) old_object: Value,
    #[serde(default)]
    pub(crate) dry_run: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct GroupVersionKind {
    #[serde(default)]
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct UserInfo {
    #[serde(default)]
    pub(crate) username: String,
}

/// Why a body is not a question.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReviewError {
    #[error("the body is not an AdmissionReview: {0}")]
    Json(#[from] serde_json::Error),
    #[error("only AdmissionReview of {API_VERSION} is answered, not {kind:?} of {api_version:?}")]
    Version { kind: String, api_version: String },
    #[error("the AdmissionReview has no request")]
    NoRequest,
    #[error("the request's uid is empty or has more than {MAX_UID_BYTES} bytes")]
    Uid,
}

impl Request {
    /// Reads a body. Its size is limited before.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ReviewError> {
        let review: Review = serde_json::from_slice(body)?;
        if review.api_version != API_VERSION || review.kind != "AdmissionReview" {
            let cut = |text: String| text.chars().take(100).collect();
            return Err(ReviewError::Version {
                kind: cut(review.kind),
                api_version: cut(review.api_version),
            });
        }
        let request = review.request.ok_or(ReviewError::NoRequest)?;
        if request.uid.is_empty() || request.uid.len() > MAX_UID_BYTES {
            return Err(ReviewError::Uid);
        }
        Ok(request)
    }

    /// The object in words, such as `Pod production/web`.
    pub(crate) fn object_name(&self) -> String {
        let name = |value: &Option<String>| value.clone().filter(|name| !name.is_empty());
        // The name of what a controller makes is still to be given.
        let generated = || self.object["metadata"]["generateName"].as_str().map(str::to_owned);
        let own = name(&self.name).or_else(generated).unwrap_or_else(|| "?".to_owned());
        let text = match name(&self.namespace) {
            Some(namespace) => format!("{} {namespace}/{own}", self.kind.kind),
            None => format!("{} {own}", self.kind.kind),
        };
        text.chars().take(600).collect()
    }
}
