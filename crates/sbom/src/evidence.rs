use crate::reasons::LayerReason;
use serde::{Deserialize, Serialize};

/// A file in a layer that says something about software, or takes the place of such a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    /// What it holds.
    pub(crate) found: Found,
    /// Why it was not read wholly; counts only while no higher layer replaces the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) damage: Option<LayerReason>,
}

/// What a file that was looked at holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub(crate) enum Found {
    /// No package: a directory, a device, an unreadable file. Hides what lower layers have there.
    Nothing,
    /// A symbolic link to this path, made relative to the root.
    SymbolicLink(String),
    /// A hard link to a path that this layer does not hold as evidence.
    HardLink(String),
    OsRelease(OsRelease),
    /// The first line of `etc/alpine-release`.
    AlpineRelease(String),
    /// The branch in `etc/apk/repositories`, such as `v3.20` or `edge`.
    ApkRepositories(String),
    Dpkg(Vec<DebPackage>),
    /// Language package files that this dpkg file list claims.
    DpkgFiles {
        package: String,
        paths: Vec<String>,
    },
    /// Licences from `usr/share/doc/PACKAGE/copyright`.
    DebCopyright {
        package: String,
        licences: Vec<String>,
    },
    Apk(Vec<ApkPackage>),
    Python(LanguagePackage),
    /// A `RECORD` beside `METADATA`; its presence says who installed it.
    PythonRecord,
    Npm(LanguagePackage),
}

/// The fields of os-release that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OsRelease {
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) version_id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) codename: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) pretty_name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) ubuntu_codename: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) debian_codename: String,
}

/// A package of a dpkg database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DebPackage {
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) architecture: String,
    /// Source package; empty when it has the binary's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) source: String,
    /// Source version; empty when it is the binary's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) source_version: String,
}

/// A package of an apk database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ApkPackage {
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) architecture: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) origin: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) licence: String,
    /// Language package files that it owns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) paths: Vec<String>,
}

/// An installed package of a language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LanguagePackage {
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) licences: Vec<String>,
}

impl Found {
    /// Bytes of text it keeps and number of components it gives, both for the limits.
    pub(crate) fn cost(&self) -> (usize, usize) {
        let text = |list: &[String]| list.iter().map(|s| s.len() + 24).sum::<usize>();
        match self {
            Self::Nothing | Self::PythonRecord => (0, 0),
            Self::SymbolicLink(s) | Self::HardLink(s) => (s.len(), 0),
            Self::AlpineRelease(s) | Self::ApkRepositories(s) => (s.len(), 0),
            Self::OsRelease(r) => (r.id.len() + r.version_id.len() + r.pretty_name.len(), 0),
            Self::Dpkg(list) => (
                list.iter().map(|p| p.name.len() + p.version.len() + p.source.len() + 120).sum(),
                list.len(),
            ),
            Self::DpkgFiles { package, paths: list }
            | Self::DebCopyright { package, licences: list } => (package.len() + text(list), 0),
            Self::Apk(list) => (
                list.iter().map(|p| p.name.len() + p.version.len() + text(&p.paths) + 144).sum(),
                list.len(),
            ),
            Self::Python(p) | Self::Npm(p) => {
                (p.name.len() + p.version.len() + text(&p.licences) + 72, 1)
            }
        }
    }
}
