use std::fmt::Write as _;

/// Builds a package URL in canonical form (purl-spec, "How to build a purl string").
pub(crate) struct Purl<'a> {
    /// Lower-case type.
    pub(crate) kind: &'a str,
    /// Namespace segments joined by `/`, or empty.
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    /// Key and value; keys lower case. Empty values are left out.
    pub(crate) qualifiers: &'a [(&'a str, &'a str)],
}

impl Purl<'_> {
    pub(crate) fn build(&self) -> String {
        let mut out = format!("pkg:{}/", self.kind);
        for segment in self.namespace.split('/').filter(|s| !s.is_empty()) {
            encode(&mut out, segment);
            out.push('/');
        }
        encode(&mut out, self.name);
        if !self.version.is_empty() {
            out.push('@');
            encode(&mut out, self.version);
        }
        let mut qualifiers: Vec<_> =
            self.qualifiers.iter().filter(|(_, value)| !value.is_empty()).collect();
        qualifiers.sort_unstable();
        for (i, (key, value)) in qualifiers.into_iter().enumerate() {
            out.push(if i == 0 { '?' } else { '&' });
            out.push_str(key);
            out.push('=');
            encode(&mut out, value);
        }
        out
    }
}

/// Percent-encodes all but letters, digits, `.-_~` and `:`.
fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                out.push(char::from(byte));
            }
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}
