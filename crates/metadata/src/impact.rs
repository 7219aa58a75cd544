//! Impact: which images hold what is affected.

use crate::{Result, Row, Tx, findings::alias, params, projects::Visible};
use sealock_facts::Tier;
use sealock_oci::Digest;
use std::collections::HashMap;

/// Most indexes above one another whose tags are shown.
const MAX_INDEX_DEPTH: i64 = 8;

/// An image that holds a component, and, when it was found by a vulnerability, the finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// Number of the manifest.
    pub manifest_id: i64,
    /// Its digest.
    pub digest: Digest,
    /// Full name of the repository.
    pub repository: String,
    /// Number of the project.
    pub project_id: i64,
    /// Name of the project.
    pub project: String,
    /// Its tier.
    pub tier: Tier,
    /// Tags of the manifest, and of indexes that list it, sorted.
    pub tags: Vec<String>,
    /// Number of the component.
    pub component_id: i64,
    /// Its purl.
    pub purl: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The file that declares it.
    pub path: String,
    /// The layer that holds this file.
    pub layer: Digest,
    /// The finding.
    pub finding: Option<AffectedBy>,
    /// Where this row stands in the list.
    pub cursor: Cursor,
}

/// The finding of an [`Affected`] row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedBy {
    /// Preferred id.
    pub vulnerability: String,
    /// The finding as the scanner gave it.
    pub finding: sealock_facts::Finding,
    /// The version that fixes it.
    pub fixed_version: Option<String>,
}

/// Where a page ended; the default is before the first row.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Cursor {
    /// Manifest of the last row.
    pub manifest_id: i64,
    /// Place of its component.
    pub position: i64,
    /// Its finding; 0 for none.
    pub finding_id: i64,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { manifest_id: 0, position: -1, finding_id: 0 }
    }
}

fn read(row: &Row, found: bool) -> Result<Affected> {
    let finding = match found {
        true => Some(AffectedBy {
            vulnerability: row.get("vulnerability")?,
            finding: row.json("finding")?,
            fixed_version: row.opt("fixed_version")?,
        }),
        false => None,
    };
    let (manifest_id, position) = (row.get("manifest_id")?, row.get("position")?);
    let finding_id = if found { row.get("finding_id")? } else { 0 };
    Ok(Affected {
        manifest_id,
        digest: row.get("digest")?,
        repository: row.get("repository")?,
        project_id: row.get("project_id")?,
        project: row.get("project")?,
        tier: row.get("tier")?,
        tags: Vec::new(),
        component_id: row.get("component_id")?,
        purl: row.get("purl")?,
        name: row.get("component_name")?,
        version: row.get("version")?,
        path: row.get("path")?,
        layer: row.get("layer")?,
        finding,
        cursor: Cursor { manifest_id, position, finding_id },
    })
}

/// Images affected by a vulnerability, under any of its ids, among the projects that the caller may
/// read. Two queries.
pub async fn by_vulnerability(
    tx: &mut Tx,
    visible: &Visible,
    id: &str,
    after: Cursor,
    limit: u32,
) -> Result<Vec<Affected>> {
    let (all, ids, some) = visible.repositories();
    let sql = "SELECT m.id AS manifest_id, m.digest AS digest, r.name AS repository, \
               p.id AS project_id, p.name AS project, p.tier AS tier, \
               c.id AS component_id, c.purl AS purl, \
               c.name AS component_name, c.version AS version, i.path AS path, i.layer AS layer, \
               i.position AS position, f.id AS finding_id, f.vulnerability AS vulnerability, \
               f.finding AS finding, f.fixed_version AS fixed_version \
               FROM finding_ids a JOIN component_findings f ON f.id = a.finding_id \
               JOIN components c ON c.id = f.component_id \
               JOIN image_components i ON i.component_id = c.id \
               JOIN manifests m ON m.contents_id = i.contents_id \
               JOIN repositories r ON r.id = m.repository_id \
               JOIN projects p ON p.id = r.project_id \
               WHERE a.alias = $1 AND ($2 = 1 OR p.id = ANY($3) OR r.id = ANY($4)) \
               AND (m.id, i.position, f.id) > ($5, $6, $7) \
               ORDER BY m.id, i.position, f.id LIMIT $8";
    let Cursor { manifest_id, position, finding_id } = after;
    let values = params![alias(id), all, ids, some, manifest_id, position, finding_id, limit];
    let rows = tx.list(sql, values, |row| read(row, true)).await?;
    with_tags(tx, rows).await
}

/// Images that hold one of these components, among the projects that the caller may read. Two
/// queries.
pub async fn by_components(
    tx: &mut Tx,
    visible: &Visible,
    component_ids: &[i64],
    after: Cursor,
    limit: u32,
) -> Result<Vec<Affected>> {
    let (all, ids, some) = visible.repositories();
    let sql = "SELECT m.id AS manifest_id, m.digest AS digest, r.name AS repository, \
               p.id AS project_id, p.name AS project, p.tier AS tier, \
               c.id AS component_id, c.purl AS purl, \
               c.name AS component_name, c.version AS version, i.path AS path, i.layer AS layer, \
               i.position AS position FROM components c \
               JOIN image_components i ON i.component_id = c.id \
               JOIN manifests m ON m.contents_id = i.contents_id \
               JOIN repositories r ON r.id = m.repository_id \
               JOIN projects p ON p.id = r.project_id \
               WHERE c.id = ANY($1) AND ($2 = 1 OR p.id = ANY($3) OR r.id = ANY($4)) \
               AND (m.id, i.position) > ($5, $6) ORDER BY m.id, i.position LIMIT $7";
    let Cursor { manifest_id, position, .. } = after;
    let values = params![component_ids, all, ids, some, manifest_id, position, limit];
    let rows = tx.list(sql, values, |row| read(row, false)).await?;
    with_tags(tx, rows).await
}

/// Adds the tags: of the manifests themselves and of the indexes above them.
async fn with_tags(tx: &mut Tx, mut rows: Vec<Affected>) -> Result<Vec<Affected>> {
    let mut ids: Vec<i64> = rows.iter().map(|row| row.manifest_id).collect();
    ids.dedup();
    let sql = "WITH RECURSIVE x (id, tagged, depth) AS (\
               SELECT id, id, 0 FROM manifests WHERE id = ANY($1) \
               UNION SELECT x.id, c.parent_id, x.depth + 1 FROM x \
               JOIN manifests m ON m.id = x.tagged \
               JOIN manifest_children c ON c.repository_id = m.repository_id \
               AND c.digest = m.digest WHERE x.depth < $2) \
               SELECT DISTINCT x.id AS manifest_id, t.name AS tag FROM x \
               JOIN tags t ON t.manifest_id = x.tagged ORDER BY x.id, t.name";
    let mut tags: HashMap<i64, Vec<String>> = HashMap::new();
    for row in tx.query(sql, params![&ids, MAX_INDEX_DEPTH]).await? {
        tags.entry(row.get("manifest_id")?).or_default().push(row.get("tag")?);
    }
    for row in &mut rows {
        row.tags = tags.get(&row.manifest_id).cloned().unwrap_or_default();
    }
    Ok(rows)
}
