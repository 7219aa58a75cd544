use http::HeaderValue;

/// A `Link` header with `rel="next"` (RFC 8288) to the same list after `last`.
///
/// `path` is the list's path; `query` are the pairs that the next request repeats besides `last`.
/// All are percent-encoded here.
pub fn next_link(path: &str, query: &[(&str, &str)]) -> Option<HeaderValue> {
    let mut text = format!("<{path}");
    for (i, (name, value)) in query.iter().enumerate() {
        text.push(if i == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(&encode(value));
    }
    text.push_str(">; rel=\"next\"");
    HeaderValue::from_str(&text).ok()
}

/// Percent-encodes everything but unreserved characters (RFC 3986) and `:` and `/`, which a query
/// may hold.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_links_are_encoded() {
        let link = next_link("/v2/a/tags/list", &[("n", "2"), ("last", "a>b&c\u{e4}")]).unwrap();
        assert_eq!(link, "</v2/a/tags/list?n=2&last=a%3Eb%26c%C3%A4>; rel=\"next\"");
    }
}
