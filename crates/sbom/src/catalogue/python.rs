use super::{Parsed, add_licence, is_word, lines};
use crate::{
    evidence::{Found, LanguagePackage},
    path::split,
};

/// Longest `License` value that is a name and not the licence's text.
const MAX_NAME: usize = 100;

/// Reads the head of a METADATA or PKG-INFO file (core metadata, RFC 822 form). Where it names no
/// package the directory's name does, and that is a damaged file.
pub(crate) fn metadata(path: &str, bytes: &[u8]) -> Parsed {
    let (mut name, mut version) = (String::new(), String::new());
    let (mut expression, mut plain, mut classes) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines(bytes) {
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.to_ascii_lowercase().as_str() {
            "name" if name.is_empty() => value.clone_into(&mut name),
            "version" if version.is_empty() => value.clone_into(&mut version),
            "license-expression" => add_licence(&mut expression, value),
            "license" if value.len() <= MAX_NAME && !value.eq_ignore_ascii_case("unknown") => {
                add_licence(&mut plain, value);
            }
            "classifier" => {
                let licence = value.strip_prefix("License ::").unwrap_or_default();
                let last = licence.rsplit("::").next().unwrap_or_default().trim();
                if last != "OSI Approved" {
                    add_licence(&mut classes, last);
                }
            }
            _ => {}
        }
    }
    let licences =
        [expression, plain, classes].into_iter().find(|l| !l.is_empty()).unwrap_or_default();
    if is_word(&name) && is_word(&version) {
        return Parsed::whole(Found::Python(LanguagePackage { name, version, licences }));
    }
    let detail = format!("{path} names no package and version");
    match from_directory(path) {
        Some((name, version)) => {
            let package = LanguagePackage { name, version, licences };
            Parsed::malformed(Found::Python(package), detail)
        }
        None => Parsed::malformed(Found::Nothing, detail),
    }
}

/// `NAME-VERSION[-pyX.Y].dist-info` or `.egg-info` in the path.
fn from_directory(path: &str) -> Option<(String, String)> {
    let (parent, file) = split(path);
    let holder = if file.ends_with(".egg-info") { file } else { split(parent).1 };
    let stem = holder.strip_suffix(".dist-info").or_else(|| holder.strip_suffix(".egg-info"))?;
    let mut parts = stem.split('-');
    let (name, version) = (parts.next()?, parts.next()?);
    (is_word(name) && is_word(version)).then(|| (name.to_owned(), version.to_owned()))
}

/// A name as PEP 503 compares it: lower case, runs of `-_.` as one `-`.
pub(crate) fn normalised_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(text: &str) -> LanguagePackage {
        let parsed = metadata("x/a.dist-info/METADATA", text.as_bytes());
        assert_eq!(parsed.damage, None);
        let Found::Python(package) = parsed.found else { panic!("no package") };
        package
    }

    #[test]
    fn reads_the_head_only() {
        let p = package(
            "Metadata-Version: 2.1\r\nName: Django_Rest\nVersion: 1.0\nLicense: BSD\n  more\nClassifier: License :: OSI Approved :: BSD License\n\nName: other\nVersion: 9\n",
        );
        assert_eq!((p.name.as_str(), p.version.as_str()), ("Django_Rest", "1.0"));
        assert_eq!(p.licences, ["BSD"]);
        let p = package("Name: a\nVersion: 1\nLicense: x\nLicense-Expression: MIT OR Apache-2.0\n");
        assert_eq!(p.licences, ["MIT OR Apache-2.0"]);
        let p = package(
            "Name: a\nVersion: 1\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n",
        );
        assert_eq!(p.licences, ["MIT License"]);
    }

    #[test]
    fn falls_back_to_the_directory() {
        let parsed = metadata("lib/foo_bar-1.2.dist-info/METADATA", b"");
        let Found::Python(p) = &parsed.found else { panic!("no package") };
        assert_eq!((p.name.as_str(), p.version.as_str()), ("foo_bar", "1.2"));
        assert!(parsed.damage.is_some());
        let parsed = metadata("lib/foo-1.0-py3.11.egg-info", b"Name: foo\n");
        assert!(matches!(parsed.found, Found::Python(p) if p.version == "1.0"));
        assert_eq!(metadata("lib/foo.egg-info/PKG-INFO", b"").found, Found::Nothing);
    }

    #[test]
    fn names_compare_as_pep_503_says() {
        for (name, want) in
            [("Django", "django"), ("a-_.b", "a-b"), ("zope.interface", "zope-interface")]
        {
            assert_eq!(normalised_name(name), want);
        }
    }
}
