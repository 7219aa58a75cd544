//! What an API server is answered.

use crate::{images::Found, review::API_VERSION};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Value, json};

/// Longest warning, in characters; clients print each on a line, and API servers cut beyond this.
const MAX_WARNING_CHARS: usize = 256;
/// Most warnings in an answer.
const MAX_WARNINGS: usize = 12;
/// Longest message of a denial, in characters.
const MAX_MESSAGE_CHARS: usize = 4_000;

/// An answer in the making.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    denials: Vec<String>,
    code: Option<u16>,
    warnings: Vec<String>,
    decisions: Vec<i64>,
    patch: Vec<Operation>,
}

/// One operation of a JSON patch (RFC 6902).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Operation {
    op: &'static str,
    path: String,
    value: String,
}

impl Answer {
    /// Denies with a reason.
    pub(crate) fn deny(&mut self, reason: impl Into<String>) {
        self.denials.push(reason.into());
    }

    /// Denies for now: the reason lies with the registry, not with the image.
    pub(crate) fn unavailable(&mut self, reason: impl Into<String>) {
        self.code = Some(503);
        self.deny(reason);
    }

    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    pub(crate) fn decided(&mut self, decision: Option<i64>) {
        self.decisions.extend(decision);
    }

    pub(crate) fn replace(&mut self, place: &Found, image: &str) {
        self.patch.push(Operation {
            op: "replace",
            path: place.pointer.clone(),
            value: image.to_owned(),
        });
    }

    /// The body of the answer to the request with this uid.
    pub(crate) fn into_review(self, uid: &str) -> Value {
        let allowed = self.denials.is_empty();
        let mut response = json!({ "uid": uid, "allowed": allowed });
        if !allowed {
            let message = shorten(&self.denials.join("; "), MAX_MESSAGE_CHARS);
            let code = self.code.unwrap_or(403);
            let reason = if code == 403 { "Forbidden" } else { "ServiceUnavailable" };
            response["status"] = json!({
                "status": "Failure", "message": message, "reason": reason, "code": code,
            });
        } else if !self.patch.is_empty() {
            let patch = json!(self.patch).to_string();
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(STANDARD.encode(patch));
        }
        let warnings = bounded(self.warnings);
        if !warnings.is_empty() {
            response["warnings"] = json!(warnings);
        }
        if !self.decisions.is_empty() {
            let decisions: Vec<String> =
                self.decisions.iter().take(50).map(ToString::to_string).collect();
            response["auditAnnotations"] = json!({ "decisions": decisions.join(",") });
        }
        json!({ "apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response })
    }
}

fn bounded(warnings: Vec<String>) -> Vec<String> {
    let more = warnings.len().saturating_sub(MAX_WARNINGS);
    let mut kept: Vec<String> = warnings
        .iter()
        .take(MAX_WARNINGS)
        .map(|warning| shorten(warning, MAX_WARNING_CHARS))
        .collect();
    if more > 0 {
        kept.push(format!("and {more} more warnings"));
    }
    kept
}

/// One line of at most so many characters; headers carry warnings, so controls go.
fn shorten(text: &str, limit: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    if text.chars().nth(limit).is_none() {
        return clean.collect();
    }
    clean.take(limit - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded() {
        let mut answer = Answer::default();
        for i in 0..100 {
            answer.warn(format!("{i}\n{}", "é".repeat(1_000)));
        }
        answer.deny("x".repeat(100_000));
        let review = answer.into_review("u");
        let warnings = review["response"]["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), MAX_WARNINGS + 1);
        for warning in warnings {
            let warning = warning.as_str().unwrap();
            assert!(warning.chars().count() <= MAX_WARNING_CHARS && !warning.contains('\n'));
        }
        let message = review["response"]["status"]["message"].as_str().unwrap();
        assert_eq!(message.chars().count(), MAX_MESSAGE_CHARS);
    }

    #[test]
    fn a_denial_carries_no_patch() {
        let place = Found { pointer: "/spec/containers/0/image".to_owned(), image: "a".to_owned() };
        let mut answer = Answer::default();
        answer.replace(&place, "b");
        assert_eq!(answer.into_review("u")["response"]["patchType"], "JSONPatch");
        let mut answer = Answer::default();
        answer.replace(&place, "b");
        answer.deny("no");
        let review = answer.into_review("u");
        assert_eq!(review["response"].get("patch"), None);
        assert_eq!(review["response"]["allowed"], false);
        assert_eq!(review["response"]["status"]["code"], 403);
    }
}
