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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn canonical_form() {
        let purl = Purl {
            kind: "deb",
            namespace: "debian",
            name: "g++ä",
            version: "4:12.2~rc1-3+b1/x",
            qualifiers: &[("distro", "debian-12"), ("arch", "amd64"), ("upstream", "")],
        };
        assert_eq!(
            purl.build(),
            "pkg:deb/debian/g%2B%2B%C3%A4@4:12.2~rc1-3%2Bb1%2Fx?arch=amd64&distro=debian-12"
        );
        let purl = Purl { kind: "npm", namespace: "@a", name: "b", version: "", qualifiers: &[] };
        assert_eq!(purl.build(), "pkg:npm/%40a/b");
    }

    /// The official "build" cases of the types that are written here.
    #[test]
    fn official_cases() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/testdata/scanning/purl-spec/types");
        if !folder.exists() {
            eprintln!("skipped: the shared test data purl-spec is not beside this checkout");
            return;
        }
        let mut count = 0;
        for kind in ["deb", "apk", "npm", "pypi", "oci"] {
            let text = std::fs::read(folder.join(format!("{kind}-test.json"))).unwrap();
            let cases: Value = serde_json::from_slice(&text).unwrap();
            for case in cases["tests"].as_array().unwrap() {
                let input = &case["input"];
                if case["test_type"] != "build" || case["expected_failure"] == true {
                    continue;
                }
                let text = |key: &str| input[key].as_str().unwrap_or_default().to_owned();
                let name = match kind {
                    "pypi" => crate::catalogue::python::normalised_name(&text("name")),
                    _ => text("name"),
                };
                let qualifiers: Vec<(&str, &str)> = input["qualifiers"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| (key.as_str(), value.as_str().unwrap()))
                    .collect();
                let purl = Purl {
                    kind,
                    namespace: &text("namespace"),
                    name: &name,
                    version: &text("version"),
                    qualifiers: &qualifiers,
                };
                assert_eq!(purl.build(), case["expected_output"].as_str().unwrap());
                count += 1;
            }
        }
        assert!(count >= 15, "only {count} cases");
    }
}
