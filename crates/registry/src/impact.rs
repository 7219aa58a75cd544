//! Impact: which images hold what is affected.

use crate::{Error, Page, PageRequest, Registry, Result, access::PULLED};
use sealock_advisories::VersionRange;
use sealock_auth::Caller;
use sealock_facts::{ComponentKind, FixState, Severity, Tier};
use sealock_metadata::{
    self as metadata, Tx,
    components::ComponentRow,
    impact::{Affected, Cursor},
};
use sealock_oci::{Digest, ErrorCode};

/// Most distinct versions of one package that are compared with a range.
const MAX_CANDIDATES: usize = 20_000;
/// Versions that are read at a time.
const CANDIDATES_AT_A_TIME: u32 = 1_000;
/// Longest id, package URL or range that is searched for, in bytes.
const MAX_QUERY_BYTES: usize = 1_024;

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImpactQuery {
    /// Any id of a vulnerability.
    Vulnerability(String),
    /// A package, in one version, in a range of versions, or in any.
    Package {
        /// Package URL; its version is the range when none is given.
        purl: String,
        /// Versions in the ecosystem's order, such as `>=1.2,<2`.
        range: Option<String>,
    },
}

/// An image that holds what was searched for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AffectedImage {
    /// Full name of the repository.
    pub repository: String,
    /// The image.
    pub digest: Digest,
    /// Its tags, and those of indexes that list it.
    pub tags: Vec<String>,
    /// The tier of its project.
    pub tier: Tier,
    /// The vulnerability, when one was searched for.
    pub vulnerability: Option<String>,
    /// purl of the component.
    pub component: String,
    /// Its version.
    pub version: String,
    /// The file that declares it.
    pub path: String,
    /// The layer that holds this file.
    pub layer: Digest,
    /// Severity of the finding.
    pub severity: Option<Severity>,
    /// Whether it can be fixed.
    pub fix: Option<FixState>,
    /// Whether it is known to be exploited.
    pub kev: Option<bool>,
}

impl From<Affected> for AffectedImage {
    fn from(row: Affected) -> Self {
        let finding = row.finding.as_ref();
        Self {
            repository: row.repository,
            digest: row.digest,
            tags: row.tags,
            tier: row.tier,
            vulnerability: finding.map(|found| found.vulnerability.clone()),
            component: row.purl,
            version: row.version,
            path: row.path,
            layer: row.layer,
            severity: finding.map(|found| found.finding.severity),
            fix: finding.map(|found| found.finding.fix.clone()),
            kev: finding.map(|found| found.finding.kev.is_some()),
        }
    }
}

impl Registry {
    /// Images that hold a vulnerability or a package, among the projects that the caller may read.
    pub async fn affected(
        &self,
        caller: &Caller,
        query: &ImpactQuery,
        page: &PageRequest,
    ) -> Result<Page<AffectedImage>> {
        let after = read_cursor(page.after.as_deref())?;
        let limit = page.limit();
        let mut tx = self.database().read().await?;
        let visible = self.visible(&mut tx, caller, PULLED).await?;
        let rows = match query {
            ImpactQuery::Vulnerability(id) => {
                bounded("vulnerability", id)?;
                metadata::impact::by_vulnerability(&mut tx, &visible, id, after, limit + 1).await?
            }
            ImpactQuery::Package { purl, range } => {
                bounded("purl", purl)?;
                bounded("range", range.as_deref().unwrap_or_default())?;
                let ids = candidates(&mut tx, purl, range.as_deref()).await?;
                metadata::impact::by_components(&mut tx, &visible, &ids, after, limit + 1).await?
            }
        };
        let page = Page::cut(rows, limit, |row| write_cursor(&row.cursor));
        Ok(page.map(AffectedImage::from))
    }
}

fn bounded(what: &str, text: &str) -> Result<()> {
    if text.len() <= MAX_QUERY_BYTES {
        return Ok(());
    }
    Err(invalid(format!("{what} has more than {MAX_QUERY_BYTES} bytes")))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::invalid(ErrorCode::Unsupported, message)
}

/// A purl apart from its version: `pkg:type/namespace/name` without qualifiers and subpath.
fn split_purl(purl: &str) -> Result<(String, Option<String>)> {
    let end = purl.find(['?', '#']).unwrap_or(purl.len());
    let body = purl.get(..end).unwrap_or_default();
    // An npm scope is written `%40scope`; people paste `@scope` too, which is no version.
    let last_slash = body.rfind('/').unwrap_or(0);
    let at = body.rfind('@').filter(|at| *at > last_slash);
    let (name, version) = match at {
        Some(at) => (&body[..at], Some(body[at + 1..].to_owned())),
        None => (body, None),
    };
    let valid = name.strip_prefix("pkg:").is_some_and(|rest| {
        rest.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty())
    });
    if !valid {
        return Err(invalid("a package URL looks like pkg:npm/lodash or pkg:deb/debian/openssl"));
    }
    let version = version.filter(|version| !version.is_empty());
    Ok((name.replace("/@", "/%40"), version))
}

/// The numbers of the components that a package URL and a range name.
async fn candidates(tx: &mut Tx, purl: &str, range: Option<&str>) -> Result<Vec<i64>> {
    let (name, version) = split_purl(purl)?;
    if version.is_some() && range.is_some() {
        return Err(invalid("give a version in the package URL or a range, not both"));
    }
    let (mut ids, mut after) = (Vec::new(), 0);
    for _ in 0..MAX_CANDIDATES.div_ceil(CANDIDATES_AT_A_TIME as usize) {
        let rows =
            metadata::components::by_purl_name(tx, &name, after, CANDIDATES_AT_A_TIME).await?;
        let Some(last) = rows.last() else { return Ok(ids) };
        after = last.id;
        for row in &rows {
            if matches(row, version.as_deref(), range)? {
                ids.push(row.id);
            }
        }
        if rows.len() < CANDIDATES_AT_A_TIME as usize {
            return Ok(ids);
        }
    }
    Err(invalid("the package has too many versions here; narrow the search by a version"))
}

fn matches(row: &ComponentRow, version: Option<&str>, range: Option<&str>) -> Result<bool> {
    if let Some(range) = range {
        let range = VersionRange::parse(ecosystem(row), range)
            .map_err(|error| invalid(error.to_string()))?;
        return Ok(range.contains(&row.version));
    }
    // In a purl `+`, `:` and the like may be written in percent form.
    Ok(version.is_none_or(|version| {
        version == row.version
            || row.purl.contains(&format!("@{version}?"))
            || row.purl.ends_with(&format!("@{version}"))
    }))
}

fn ecosystem(row: &ComponentRow) -> &str {
    match (&row.match_key, row.kind) {
        (Some(key), _) => &key.ecosystem,
        (None, ComponentKind::Deb) => "Debian",
        (None, ComponentKind::Apk) => "Alpine",
        (None, ComponentKind::Python) => "PyPI",
        (None, ComponentKind::Npm) => "npm",
    }
}

fn write_cursor(cursor: &Cursor) -> String {
    format!("{}.{}.{}", cursor.manifest_id, cursor.position, cursor.finding_id)
}

fn read_cursor(text: Option<&str>) -> Result<Cursor> {
    let Some(text) = text else { return Ok(Cursor::default()) };
    let parts: Vec<i64> = text.split('.').filter_map(|part| part.parse().ok()).collect();
    match parts.as_slice() {
        [manifest_id, position, finding_id] => {
            Ok(Cursor { manifest_id: *manifest_id, position: *position, finding_id: *finding_id })
        }
        _ => Err(invalid("`after` must be the `next` of an earlier page")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_split_from_their_version() {
        let split = |purl| split_purl(purl).unwrap();
        assert_eq!(split("pkg:npm/lodash"), ("pkg:npm/lodash".into(), None));
        assert_eq!(
            split("pkg:npm/lodash@4.17.4"),
            ("pkg:npm/lodash".into(), Some("4.17.4".into()))
        );
        assert_eq!(split("pkg:npm/%40a/b@1"), ("pkg:npm/%40a/b".into(), Some("1".into())));
        assert_eq!(split("pkg:npm/@a/b"), ("pkg:npm/%40a/b".into(), None));
        assert_eq!(
            split("pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian-12"),
            ("pkg:deb/debian/openssl".into(), Some("3.0.11-1".into()))
        );
        for bad in ["", "lodash", "pkg:", "pkg:npm", "pkg:/x", "pkg:npm/"] {
            assert!(split_purl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cursors_survive_the_way_through_a_client() {
        let cursor = Cursor { manifest_id: 7, position: -1, finding_id: 0 };
        assert_eq!(read_cursor(Some(&write_cursor(&cursor))).unwrap(), cursor);
        assert!(read_cursor(Some("1.2")).is_err());
        assert!(read_cursor(Some("x.y.z")).is_err());
    }
}
