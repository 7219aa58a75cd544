use super::{Parsed, add_licence, is_word};
use crate::{
    evidence::{Found, LanguagePackage},
    path::split,
};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// The fields of a package.json that matter; the last of doubled keys wins, as in JavaScript.
#[derive(Default)]
struct PackageJson {
    name: Value,
    version: Value,
    license: Value,
    licenses: Value,
    private: bool,
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = PackageJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a package.json object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PackageJson, A::Error> {
        let mut package = PackageJson::default();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "name" => package.name = map.next_value()?,
                "version" => package.version = map.next_value()?,
                "license" => package.license = map.next_value()?,
                "licenses" => package.licenses = map.next_value()?,
                "private" => package.private = map.next_value::<Value>()? == Value::Bool(true),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(package)
    }
}

/// Where packages are installed: npm's place, and those of Debian's packages.
const INSTALLED: [&str; 3] = ["node_modules/", "usr/share/nodejs/", "usr/lib/nodejs/"];

/// Reads a package.json. Without name and version it describes no package. Outside the places where
/// packages are installed a private one is an application's own and not from npm.
pub(crate) fn package(path: &str, bytes: &[u8]) -> Parsed {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = deserializer.deserialize_map(Fields).and_then(|p| deserializer.end().map(|()| p));
    let package = match parsed {
        Ok(package) => package,
        // Templates and broken files lie about in packages; only a package's own file counts.
        Err(e) if is_package_root(path) => {
            return Parsed::malformed(Found::Nothing, format!("{path}: {e}"));
        }
        Err(_) => return Parsed::nothing(),
    };
    let (Value::String(name), Value::String(version)) = (&package.name, &package.version) else {
        return Parsed::nothing();
    };
    let (name, version) = (name.trim(), version.trim());
    let installed = INSTALLED
        .iter()
        .any(|place| path.match_indices(place).any(|(at, _)| at == 0 || path[..at].ends_with('/')));
    if !is_name(name) || !is_word(version) || (package.private && !installed) {
        return Parsed::nothing();
    }
    let mut licences = Vec::new();
    for value in [&package.license, &package.licenses] {
        collect_licences(value, &mut licences);
    }
    Parsed::whole(Found::Npm(LanguagePackage {
        name: name.to_owned(),
        version: version.to_owned(),
        licences,
    }))
}

/// Today's string form, the older `{type, url}` object, or a list of either.
fn collect_licences(value: &Value, out: &mut Vec<String>) {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    for item in items {
        let text = item.as_str().or_else(|| item.get("type").and_then(Value::as_str));
        if let Some(text) = text {
            add_licence(out, text);
        }
    }
}

/// `node_modules/NAME/package.json` or `node_modules/@SCOPE/NAME/package.json`.
fn is_package_root(path: &str) -> bool {
    let (above, name) = split(split(path).0);
    let (above, name) = match split(above) {
        (higher, scope) if scope.starts_with('@') => (higher, scope),
        _ => (above, name),
    };
    !name.is_empty() && split(above).1 == "node_modules"
}

fn is_name(name: &str) -> bool {
    let plain = match name.strip_prefix('@').map(|rest| rest.split_once('/')) {
        Some(Some((scope, plain))) if !scope.is_empty() => plain,
        Some(_) => return false,
        None => name,
    };
    is_word(name) && !plain.is_empty() && !plain.contains(['/', '@', '%', '\\', '"'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "app/node_modules/left-pad/package.json";

    fn read(path: &str, text: &str) -> Option<(String, String, String)> {
        match package(path, text.as_bytes()).found {
            Found::Npm(p) => Some((p.name, p.version, p.licences.join(","))),
            _ => None,
        }
    }

    #[test]
    fn reads_packages() {
        let is = |n: &str, v: &str, l: &str| Some((n.to_owned(), v.to_owned(), l.to_owned()));
        assert_eq!(
            read(PATH, r#"{"name":"a","version":"1.0.0","license":"MIT"}"#),
            is("a", "1.0.0", "MIT")
        );
        assert_eq!(
            read(
                PATH,
                r#"{"name":"@s/a","version":"1","licenses":[{"type":"MIT"},"BSD"],"x":{"name":1}}"#
            ),
            is("@s/a", "1", "MIT,BSD")
        );
        assert_eq!(
            read(PATH, "\u{feff}{\"name\":\"a\",\"version\":\"1\",\"name\":\"b\"}"),
            is("b", "1", "")
        );
        for none in [
            r#"{"type":"module"}"#,
            r#"{"name":"a"}"#,
            r#"{"name":1,"version":"1"}"#,
            r#"{"name":"a b","version":"1"}"#,
            r#"{"name":"@/a","version":"1"}"#,
            r#"{"name":"../a","version":"1"}"#,
        ] {
            assert_eq!(read(PATH, none), None, "{none}");
        }
    }

    #[test]
    fn private_applications_are_not_from_npm() {
        let text = r#"{"name":"a","version":"1.0.0","private":true}"#;
        assert!(read(PATH, text).is_some());
        assert!(read("app/package.json", text).is_none());
        assert!(read("app/package.json", &text.replace("true", "false")).is_some());
        // Debian's lodash says that it is private.
        assert!(read("usr/share/nodejs/lodash/package.json", text).is_some());
        assert!(read("xusr/share/nodejs/lodash/package.json", text).is_none());
    }

    #[test]
    fn only_a_packages_own_broken_file_is_damage() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for bad in ["{", "", "[]", r#"{"name":"a","version":"1"}x"#, deep.as_str()] {
            assert!(package(PATH, bad.as_bytes()).damage.is_some());
            assert!(package("n/node_modules/@s/a/package.json", bad.as_bytes()).damage.is_some());
            assert!(
                package("n/node_modules/a/templates/package.json", bad.as_bytes()).damage.is_none()
            );
        }
    }
}
