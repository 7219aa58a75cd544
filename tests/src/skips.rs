//! The one table of permitted skips, `tests/skips.toml`, and the only ways to skip.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// One permitted reason to skip.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// Whether the skip is permitted with `CI=true` too.
    pub ci: bool,
    /// Why tests may do without.
    pub why: String,
}

/// The table, by the name of what is missing.
///
/// # Panics
/// If the table in the tree does not parse.
#[must_use]
pub fn table() -> BTreeMap<String, Skip> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("skips.toml");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether this run is a continuous integration's.
#[must_use]
pub fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
}

/// Says that a test is skipped for want of `name`, if the table permits it here.
///
/// # Panics
/// If the table does not permit it: then the thing is missing and the test fails.
pub fn skip(name: &str, hint: &str) {
    match table().get(name) {
        Some(entry) if entry.ci || !in_ci() => println!("SKIP {name}: {}", entry.why),
        Some(entry) => {
            panic!("{name} is missing, which is permitted outside CI only. {}", entry.why)
        }
        None => panic!("{name} is missing, and tests/skips.toml does not permit that. {hint}"),
    }
}

/// The path of a command, looked for in the cache of tools and then in `PATH`; `None` after a
/// printed, permitted skip.
///
/// # Panics
/// If it is missing and must not be.
#[must_use]
pub fn require_tool(name: &str) -> Option<PathBuf> {
    let found = find_tool(name);
    if found.is_none() {
        skip(name, "Run scripts/tools.sh.");
    }
    found
}

fn find_tool(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    std::iter::once(cache_dir().join("bin"))
        .chain(env::split_paths(&path))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// Where tools, test images and compiled code outlive a clone (see `scripts/env.sh`).
#[must_use]
pub fn cache_dir() -> PathBuf {
    let non_empty = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    non_empty("SEALOCK_CACHE").unwrap_or_else(|| {
        non_empty("XDG_CACHE_HOME")
            .or_else(|| non_empty("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(env::temp_dir)
            .join("sealock")
    })
}

/// A directory or file of the data that may lie beside the checkout (`../shared/NAME`); `None`
/// after a printed skip.
#[must_use]
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    skip("shared-data", "");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permitted_skip_says_why() {
        for (name, entry) in table() {
            assert!(entry.why.len() > 40, "{name}: {:?} is no reason", entry.why);
        }
    }

    #[test]
    #[should_panic(expected = "does not permit")]
    fn what_the_table_does_not_name_must_be_there() {
        let _ = require_tool("sealock-has-no-such-tool");
    }

    #[test]
    fn a_tool_is_found_by_name() {
        assert!(require_tool("sh").is_some_and(|path| path.is_absolute()));
    }
}
