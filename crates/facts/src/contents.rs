use sealock_oci::Digest;
use serde::{Deserialize, Serialize};

/// The operating system of an image, from its os-release.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Distro {
    /// `ID`, such as `debian`.
    pub id: String,
    /// `VERSION_ID`, such as `12` or `3.20.3`; empty where the release has none (testing, sid,
    /// edge).
    pub version_id: String,
    /// `VERSION_CODENAME`, such as `bookworm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codename: Option<String>,
    /// `PRETTY_NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretty_name: Option<String>,
    /// The OSV ecosystem for this release, such as `Debian:12` or `Alpine:v3.20`; none when
    /// unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecosystem: Option<String>,
}

/// Where a component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    /// Installed by dpkg.
    Deb,
    /// Installed by apk.
    Apk,
    /// An installed Python distribution.
    Python,
    /// An installed Node package.
    Npm,
}

/// What an advisory is looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MatchKey {
    /// OSV ecosystem, such as `Debian:12`, `Alpine:v3.20`, `PyPI`, `npm`.
    pub ecosystem: String,
    /// Name under which advisories list it: the source package for distributions, else the
    /// normalised name.
    pub name: String,
    /// Version to compare: the source version for distributions.
    pub version: String,
}

/// One piece of software found in an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Component {
    /// What kind of package it is.
    pub kind: ComponentKind,
    /// Name as installed (the binary package for distributions).
    pub name: String,
    /// Version as installed.
    pub version: String,
    /// Package URL, canonical form.
    pub purl: String,
    /// Advisory key; none when the release or ecosystem is unknown, and then coverage is unknown
    /// too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_key: Option<MatchKey>,
    /// Architecture, for distributions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Declared licences, as written in the package.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// The file that declares it, without a leading slash.
    pub path: String,
    /// The layer that brought it: the lowest one since which this file has declared it, so that
    /// packages of a base image stay with the base image.
    pub layer: Digest,
    /// purl of the distribution package that owns every identifying file of it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// Why a fact about contents is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartialReason {
    /// A stable code, such as `truncated_compression`, `too_many_entries`, `expansion_limit`,
    /// `malformed_package_database`.
    pub code: String,
    /// For a person: what was met, where.
    pub detail: String,
    /// The layer it was met in.
    pub layer: Digest,
}

/// Whether everything was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Completeness {
    /// Every layer was read to its end.
    Complete,
    /// Something could not be read; what was read is listed all the same.
    Partial {
        /// Why, bounded in number.
        reasons: Vec<PartialReason>,
    },
}

/// The contents of one image: the merge of its layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageContents {
    /// Version of the inspector that read the layers.
    pub inspector: String,
    /// The operating system, if an os-release was found.
    pub distro: Option<Distro>,
    /// Components, sorted.
    pub components: Vec<Component>,
    /// Whether everything was read.
    pub completeness: Completeness,
}
