//! Conditional requests (RFC 9110, section 13). The entity tag of content is its digest, strong.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use sealock_oci::Digest;

/// The `ETag` of content.
pub(crate) fn etag(digest: &Digest) -> HeaderValue {
    // A digest is letters, digits and a colon.
    HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` names this content, so that GET and HEAD answer 304.
pub(crate) fn not_modified(headers: &HeaderMap, digest: &Digest) -> bool {
    // The weak comparison: W/ does not matter.
    names(headers, &header::IF_NONE_MATCH, Some(digest), true)
}

/// Whether the conditions of a change hold while `current` is what is there.
pub(crate) fn change_is_allowed(headers: &HeaderMap, current: Option<&Digest>) -> bool {
    let matches = !headers.contains_key(header::IF_MATCH)
        || names(headers, &header::IF_MATCH, current, false);
    let none_matches = !names(headers, &header::IF_NONE_MATCH, current, true);
    matches && none_matches
}

/// Whether a change carries conditions at all.
pub(crate) fn is_conditional(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_NONE_MATCH)
}

/// Whether `If-Range` lets `Range` count.
pub(crate) fn range_counts(headers: &HeaderMap, digest: &Digest) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|value| *value == etag(digest))
}

fn names(headers: &HeaderMap, name: &HeaderName, current: Option<&Digest>, weak: bool) -> bool {
    let Some(current) = current else { return false };
    let wanted = format!("\"{current}\"");
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag == wanted || (weak && tag.strip_prefix("W/") == Some(&wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn conditions() {
        let digest = Digest::sha256(b"here");
        let other = Digest::sha256(b"other");
        let list = format!("\"{other}\", W/\"{digest}\"");
        assert!(not_modified(&headers(header::IF_NONE_MATCH, &list), &digest));
        assert!(not_modified(&headers(header::IF_NONE_MATCH, "*"), &digest));
        assert!(!not_modified(&headers(header::IF_NONE_MATCH, &format!("\"{other}\"")), &digest));
        assert!(!not_modified(&HeaderMap::new(), &digest));

        let exact = headers(header::IF_MATCH, &format!("\"{digest}\""));
        assert!(change_is_allowed(&exact, Some(&digest)));
        assert!(!change_is_allowed(&exact, Some(&other)));
        assert!(!change_is_allowed(&exact, None));
        // The strong comparison: a weak tag never matches.
        assert!(!change_is_allowed(
            &headers(header::IF_MATCH, &format!("W/\"{digest}\"")),
            Some(&digest)
        ));
        let absent = headers(header::IF_NONE_MATCH, "*");
        assert!(change_is_allowed(&absent, None));
        assert!(!change_is_allowed(&absent, Some(&digest)));
        assert!(change_is_allowed(&HeaderMap::new(), None));
    }
}
