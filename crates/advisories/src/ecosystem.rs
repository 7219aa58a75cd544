//! Names of ecosystems and of packages in them (OSV schema 1.7, "Defined ecosystems").

use std::borrow::Cow;

/// Ecosystems whose packages belong to an operating system.
const DISTRIBUTIONS: [&str; 25] = [
    "AlmaLinux",
    "Alpaquita",
    "Alpine",
    "Amazon Linux",
    "Azure Linux",
    "BellSoft Hardened Containers",
    "Chainguard",
    "CleanStart",
    "Debian",
    "Docker Hardened Images",
    "Echo",
    "FreeBSD",
    "Mageia",
    "MinimOS",
    "openEuler",
    "openSUSE",
    "Oracle Linux",
    "Photon OS",
    "Red Hat",
    "Rocky Linux",
    "Root",
    "SUSE",
    "TuxCare",
    "Ubuntu",
    "Wolfi",
];

/// All others that the schema defines.
const OTHERS: [&str; 26] = [
    "Android",
    "Bioconductor",
    "Bitnami",
    "ConanCenter",
    "CRAN",
    "crates.io",
    "GHC",
    "GitHub Actions",
    "Go",
    "Hackage",
    "Hex",
    "Julia",
    "Kubernetes",
    "Linux",
    "Maven",
    "npm",
    "NuGet",
    "opam",
    "OSS-Fuzz",
    "Packagist",
    "Pub",
    "PyPI",
    "RubyGems",
    "SwiftURL",
    "VSCode",
    "GIT",
];

/// The name without its release suffix: `Debian` of `Debian:12`.
pub(crate) fn base(ecosystem: &str) -> &str {
    ecosystem.split(':').next().unwrap_or(ecosystem)
}

/// Whether the schema defines the ecosystem.
pub(crate) fn is_known(ecosystem: &str) -> bool {
    let base = base(ecosystem);
    DISTRIBUTIONS.contains(&base) || OTHERS.contains(&base)
}

/// Whether it is that of an operating system.
pub(crate) fn is_distribution(ecosystem: &str) -> bool {
    DISTRIBUTIONS.contains(&base(ecosystem))
}

/// The form of a package name under which the ecosystem treats spellings as one.
pub fn normalise_name<'a>(ecosystem: &str, name: &'a str) -> Cow<'a, str> {
    match base(ecosystem) {
        "PyPI" => pep503(name),
        "NuGet" | "Packagist" if name.bytes().any(|b| b.is_ascii_uppercase()) => {
            Cow::Owned(name.to_ascii_lowercase())
        }
        "crates.io" if name.contains('_') => Cow::Owned(name.replace('_', "-")),
        _ => Cow::Borrowed(name),
    }
}

/// PEP 503: lower case, runs of `-`, `_` and `.` become one `-`.
fn pep503(name: &str) -> Cow<'_, str> {
    let bytes = name.as_bytes();
    let plain = |at: usize| match bytes[at] {
        b'_' | b'.' => false,
        b'-' => at + 1 == bytes.len() || !matches!(bytes[at + 1], b'-' | b'_' | b'.'),
        b => !b.is_ascii_uppercase(),
    };
    if (0..bytes.len()).all(plain) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (ecosystem, from, to) in [
            ("PyPI", "Zope.Interface", "zope-interface"),
            ("PyPI", "a-_.b", "a-b"),
            ("PyPI", "requests", "requests"),
            ("npm", "@Scope/Name", "@Scope/Name"),
            ("NuGet", "Newtonsoft.Json", "newtonsoft.json"),
            ("crates.io", "a_b", "a-b"),
            ("Debian:12", "openssl", "openssl"),
        ] {
            assert_eq!(normalise_name(ecosystem, from), to, "{ecosystem}");
        }
        assert!(is_known("Debian:12") && is_known("npm") && !is_known("Debbian:12"));
        assert!(is_distribution("Alpine:v3.20") && !is_distribution("PyPI"));
    }
}
