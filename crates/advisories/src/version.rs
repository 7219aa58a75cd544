//! Version orders, one per packaging system.
//!
//! Every order is total over all strings (so lists can be sorted and searched with it), allocates
//! nothing and never panics. Whether a string is a version at all is a separate question, asked
//! with [`Order::accepts`]: what it refuses must never be matched by a range.

mod alpine;
mod debian;
mod digits;
mod pypi;
mod semantic;

use std::cmp::Ordering;

/// How the versions of an ecosystem are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Order {
    /// dpkg: `[epoch:]upstream[-revision]` (deb-version(7)).
    Debian,
    /// apk: `1.2.3a_rc1-r4` (apk-package(5), "package version").
    Alpine,
    /// PEP 440, with the old setuptools spellings below every valid version.
    Pypi,
    /// Semantic Versioning 2.0, with npm's loose prefixes.
    Semantic,
}

impl Order {
    /// The order of an OSV ecosystem, suffixes such as `:12` allowed; `None` when this library does
    /// not know it. Then only an advisory's explicit version list can match.
    pub fn of_ecosystem(ecosystem: &str) -> Option<Self> {
        let base = ecosystem.split(':').next().unwrap_or(ecosystem);
        Some(match base {
            "Debian" | "Ubuntu" | "Echo" => Self::Debian,
            "Alpine"
            | "Wolfi"
            | "Chainguard"
            | "MinimOS"
            | "Alpaquita"
            | "BellSoft Hardened Containers" => Self::Alpine,
            "PyPI" => Self::Pypi,
            "npm" | "Go" | "crates.io" | "Hex" | "SwiftURL" | "Bitnami" | "Julia" => Self::Semantic,
            _ => return None,
        })
    }

    /// Compares two versions. Total over all strings.
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Debian => debian::compare(a, b),
            Self::Alpine => alpine::compare(a, b),
            Self::Pypi => pypi::compare(a, b),
            Self::Semantic => semantic::compare(a, b),
        }
    }

    /// Whether the text is a version of this kind.
    pub fn accepts(self, version: &str) -> bool {
        match self {
            Self::Debian => debian::accepts(version),
            Self::Alpine => alpine::accepts(version),
            Self::Pypi => pypi::accepts(version),
            Self::Semantic => semantic::accepts(version),
        }
    }

    /// Whether two spellings name the same version: equal text, or equal in the order when both are
    /// versions (`1.0` and `1.0.0` on PyPI).
    pub fn same(self, a: &str, b: &str) -> bool {
        a == b || (self.accepts(a) && self.accepts(b) && self.compare(a, b).is_eq())
    }
}

/// Compares hostile texts, two or three to an input, parted by line breaks: the entry point for
/// fuzzing. Checks that every order is total.
#[doc(hidden)]
pub fn fuzz_versions(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let [a, b, c] = [(); 3].map(|()| lines.next().unwrap_or_default());
    for order in [Order::Debian, Order::Alpine, Order::Pypi, Order::Semantic] {
        let mut list = [a, b, c];
        list.sort_by(|x, y| order.compare(x, y));
        for (x, y) in [(0, 1), (1, 2), (0, 2)] {
            assert!(order.compare(list[x], list[y]).is_le(), "{order:?} {list:?}");
            assert!(order.compare(list[y], list[x]).is_ge(), "{order:?} {list:?}");
        }
        let _ = order.accepts(a);
    }
}

#[cfg(test)]
mod tests;
