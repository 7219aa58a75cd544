//! Conditional requests (RFC 9110, section 13). The entity tag of content is its digest, strong.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sealock_http::{HttpError, Result};
use sealock_oci::{Digest, ErrorCode};
use sealock_registry::{Expected, Precondition};

/// The `ETag` of content.
pub(crate) fn etag(digest: &Digest) -> HeaderValue {
    // A digest is letters, digits and a colon.
    HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether GET and HEAD of this content answer 304, by `If-None-Match`; an error where `If-Match`
/// means other content.
pub(crate) fn reading(headers: &HeaderMap, digest: &Digest) -> Result<bool> {
    let condition = Precondition { none_matches: None, ..precondition(headers) };
    if condition.holds(Some(digest)) {
        return Ok(not_modified(headers, digest));
    }
    Err(HttpError::new(
        StatusCode::PRECONDITION_FAILED,
        ErrorCode::Denied,
        format!("If-Match does not name {digest}, which is here"),
    ))
}

fn not_modified(headers: &HeaderMap, digest: &Digest) -> bool {
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
    values.flat_map(apart).map(str::trim)
}

/// The elements of a list. A comma within a tag's quotes is part of it.
fn apart(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    list.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
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
        assert!(!reading(&exact, &digest).unwrap());
        assert_eq!(reading(&exact, &other).expect_err("other content").status(), 412);

        let exact = precondition(&headers(header::IF_MATCH, &format!("\"{digest}\"")));
        assert!(exact.holds(Some(&digest)));
        assert!(!exact.holds(Some(&other)));
        assert!(!exact.holds(None));
        // The strong comparison: a weak tag never matches.
        let weak = precondition(&headers(header::IF_MATCH, &format!("W/\"{digest}\"")));
        assert!(!weak.holds(Some(&digest)));
        let foreign = precondition(&headers(header::IF_MATCH, "\"v1\", v2"));
        assert!(!foreign.holds(Some(&digest)), "it is a condition all the same");
        // What stands within a tag is no list, and no star.
        let comma = precondition(&headers(header::IF_MATCH, "\"a,*,b\""));
        assert!(!comma.holds(Some(&digest)));
        let comma = format!("\"a,b\" , \"{digest}\"");
        assert!(precondition(&headers(header::IF_MATCH, &comma)).holds(Some(&digest)));
        let absent = precondition(&headers(header::IF_NONE_MATCH, "*"));
        assert!(absent.holds(None));
        assert!(!absent.holds(Some(&digest)));
        assert!(precondition(&HeaderMap::new()).is_empty());
    }
}
