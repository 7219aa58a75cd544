//! Conditional requests (RFC 9110, section 13). The entity tag of content is its digest, strong.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use sealock_oci::Digest;
use sealock_registry::{Expected, Precondition};

/// The `ETag` of content.
pub(crate) fn etag(digest: &Digest) -> HeaderValue {
    // A digest is letters, digits and a colon.
    HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` names this content, so that GET and HEAD answer 304.
pub(crate) fn not_modified(headers: &HeaderMap, digest: &Digest) -> bool {
    !precondition(headers).none_matches.is_none_or(|expected| {
        let condition = Precondition { matches: None, none_matches: Some(expected) };
        condition.holds(Some(digest))
    })
}

/// The conditions of a change.
pub(crate) fn precondition(headers: &HeaderMap) -> Precondition {
    Precondition {
        // The strong comparison: a weak tag never matches.
        matches: expected(headers, &header::IF_MATCH, false),
        none_matches: expected(headers, &header::IF_NONE_MATCH, true),
    }
}

/// What a header lists; none without the header. A tag that is no digest of ours matches nothing.
fn expected(headers: &HeaderMap, name: &HeaderName, weak: bool) -> Option<Expected> {
    let tags = listed(headers, name);
    if !headers.contains_key(name) {
        return None;
    }
    let mut digests = Vec::new();
    for tag in tags {
        if tag == "*" {
            return Some(Expected::Anything);
        }
        let tag = if weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
        let opaque = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        digests.extend(opaque.and_then(|tag| tag.parse::<Digest>().ok()));
    }
    Some(Expected::OneOf(digests))
}

/// Whether `If-Range` lets `Range` count.
pub(crate) fn range_counts(headers: &HeaderMap, digest: &Digest) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|value| *value == etag(digest))
}

fn listed<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
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

        let exact = precondition(&headers(header::IF_MATCH, &format!("\"{digest}\"")));
        assert!(exact.holds(Some(&digest)));
        assert!(!exact.holds(Some(&other)));
        assert!(!exact.holds(None));
        // The strong comparison: a weak tag never matches.
        let weak = precondition(&headers(header::IF_MATCH, &format!("W/\"{digest}\"")));
        assert!(!weak.holds(Some(&digest)));
        let foreign = precondition(&headers(header::IF_MATCH, "\"v1\", v2"));
        assert!(!foreign.holds(Some(&digest)), "it is a condition all the same");
        let absent = precondition(&headers(header::IF_NONE_MATCH, "*"));
        assert!(absent.holds(None));
        assert!(!absent.holds(Some(&digest)));
        assert!(precondition(&HeaderMap::new()).is_empty());
    }
}
