//! The `Warning` header (distribution-spec, "Warnings"), the seam for warn verdicts.

use http::{HeaderMap, HeaderName, HeaderValue};

const WARNING: HeaderName = HeaderName::from_static("warning");
/// Size of all warnings of one answer, in bytes (the specification's limit).
const MAX_BYTES: usize = 4096;
/// Size of one warning, so that the first does not take all the room.
const MAX_ONE_BYTES: usize = 1024;

/// Adds a `Warning: 299 - "text"` for each text, as far as they fit.
pub(crate) fn add<'a>(headers: &mut HeaderMap, texts: impl IntoIterator<Item = &'a str>) {
    let mut room = MAX_BYTES;
    for text in texts {
        let text = quoted(text);
        let Some(left) = room.checked_sub(text.len()) else { return };
        room = left;
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(WARNING, value);
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("299 - \"");
    for c in text.chars() {
        if quoted.len() >= MAX_ONE_BYTES {
            quoted.push_str("...");
            break;
        }
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            ' '..='~' => quoted.push(c),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted_and_bounded() {
        let mut headers = HeaderMap::new();
        add(&mut headers, ["say \"no\"\r\nx: y \u{e4}"]);
        assert_eq!(headers[WARNING], "299 - \"say \\\"no\\\"??x: y ?\"");
        let long = "a".repeat(5000);
        let mut headers = HeaderMap::new();
        add(&mut headers, std::iter::repeat_n(long.as_str(), 10));
        let total: usize = headers.get_all(WARNING).iter().map(HeaderValue::len).sum();
        assert!(total <= MAX_BYTES && headers.get_all(WARNING).iter().count() == 3);
    }
}
