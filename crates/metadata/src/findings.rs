//! Findings: a component and a vulnerability, whoever holds the component.

use crate::{Result, Row, Tx, contents::indexed, params};
use sealock_facts::{Finding, FixState, Severity};
use sealock_oci::Digest;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a match changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Components whose findings are not what they were, or that were matched for the first time.
    pub components: Vec<i64>,
    /// Findings that were not there before.
    pub added: Vec<(i64, Finding)>,
}

/// Stores the whole result of matching these components with a snapshot: each component's former
/// findings of this scanner that are not in its list go. The caller bumps the images
/// ([`bump_holders`]) in the same transaction.
pub async fn store(
    tx: &mut Tx,
    scanner: &str,
    snapshot: &str,
    results: &[(i64, Vec<Finding>)],
) -> Result<Changed> {
    let ids: Vec<i64> = results.iter().map(|(id, _)| *id).collect();
    // The components' rows are the lock: two matches of one component come one after the other.
    let sql = "SELECT id, matched_with FROM components WHERE id = ANY($1) ORDER BY id \
               /*pg: FOR UPDATE */";
    let mut changed: BTreeSet<i64> = BTreeSet::new();
    for row in tx.query(sql, params![&ids]).await? {
        if row.opt::<String>("matched_with")?.is_none() {
            changed.insert(row.get("id")?);
        }
    }
    let sql = "SELECT id, component_id, vulnerability, finding FROM component_findings \
               WHERE component_id = ANY($1) AND scanner = $2";
    let mut before: HashMap<(i64, String), (i64, String)> = HashMap::new();
    for row in tx.query(sql, params![&ids, scanner]).await? {
        let key = (row.get("component_id")?, row.get("vulnerability")?);
        before.insert(key, (row.get("id")?, row.get("finding")?));
    }
    let (mut write, mut added) = (BTreeMap::new(), Vec::new());
    for (component, findings) in results {
        for finding in findings {
            let key = (*component, indexed(&finding.vulnerability));
            let text = serde_json::to_string(finding)?;
            match before.remove(&key) {
                Some((_, old)) if old == text => continue,
                Some(_) => {}
                None => added.push((*component, finding.clone())),
            }
            changed.insert(*component);
            write.insert(key, (finding, text));
        }
    }
    changed.extend(before.keys().map(|(component, _)| *component));
    let gone: Vec<i64> = before.into_values().map(|(id, _)| id).collect();
    tx.execute("DELETE FROM component_findings WHERE id = ANY($1)", params![&gone]).await?;
    upsert(tx, scanner, snapshot, &write).await?;
    let now = tx.now();
    let sql = "UPDATE components SET matched_with = $2, matched_at = $3 WHERE id = ANY($1)";
    tx.execute(sql, params![&ids, snapshot, now]).await?;
    Ok(Changed { components: changed.into_iter().collect(), added })
}

type Writes<'a> = BTreeMap<(i64, String), (&'a Finding, String)>;

async fn upsert(tx: &mut Tx, scanner: &str, snapshot: &str, write: &Writes<'_>) -> Result<()> {
    let now = tx.now();
    let rows = write.iter().map(|((component, vulnerability), (finding, text))| {
        let fixed = match &finding.fix {
            FixState::Fixed { version } => Some(version.as_str()),
            _ => None,
        };
        params![
            *component,
            scanner,
            vulnerability.as_str(),
            finding.severity as i64,
            fixed,
            finding.kev.as_ref().map(|kev| kev.date_added),
            finding.published,
            snapshot,
            text.as_str(),
            now
        ]
    });
    let head = "INSERT INTO component_findings (component_id, scanner, vulnerability, severity, \
                fixed_version, kev_added, published, snapshot, finding, found_at)";
    let tail = "ON CONFLICT (component_id, scanner, vulnerability) DO UPDATE SET \
                severity = excluded.severity, fixed_version = excluded.fixed_version, \
                kev_added = excluded.kev_added, published = excluded.published, \
                snapshot = excluded.snapshot, finding = excluded.finding \
                RETURNING id, component_id, vulnerability";
    let (mut ids, mut aliases) = (Vec::new(), Vec::new());
    for row in tx.insert_many(head, rows.collect(), tail).await? {
        let id: i64 = row.get("id")?;
        ids.push(id);
        let key = (row.get("component_id")?, row.get("vulnerability")?);
        if let Some((finding, _)) = write.get(&key) {
            let names: BTreeSet<String> = finding.ids().map(alias).collect();
            aliases.extend(names.into_iter().map(|name| params![name, id]));
        }
    }
    tx.execute("DELETE FROM finding_ids WHERE finding_id = ANY($1)", params![&ids]).await?;
    tx.insert_many("INSERT INTO finding_ids (alias, finding_id)", aliases, "").await?;
    Ok(())
}

/// An id as it is looked up: people write `cve-2024-1` too.
pub(crate) fn alias(id: &str) -> String {
    indexed(&id.to_ascii_lowercase())
}

/// A finding in some contents, with where its component lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedFinding {
    /// The contents.
    pub contents_id: i64,
    /// The component's place in the contents' list.
    pub position: u32,
    /// The component.
    pub component_id: i64,
    /// The file that declares the component.
    pub path: String,
    /// The layer that holds this file.
    pub layer: Digest,
    /// Number of the finding.
    pub finding_id: i64,
    /// The finding.
    pub finding: Finding,
    /// Digest of the snapshot it comes from.
    pub snapshot: String,
}

fn read(row: &Row) -> Result<PlacedFinding> {
    Ok(PlacedFinding {
        contents_id: row.get("contents_id")?,
        position: row.get("position")?,
        component_id: row.get("component_id")?,
        path: row.get("path")?,
        layer: row.get("layer")?,
        finding_id: row.get("id")?,
        finding: row.json("finding")?,
        snapshot: row.get("snapshot")?,
    })
}

/// Every finding in these contents: what a door judges. Not paged, because a door must see all;
/// bounded by the components that an image may have.
pub async fn of_contents(tx: &mut Tx, contents_ids: &[i64]) -> Result<Vec<PlacedFinding>> {
    let sql = "SELECT f.*, i.contents_id AS contents_id, i.position AS position, i.path AS path, \
               i.layer AS layer FROM image_components i \
               JOIN component_findings f ON f.component_id = i.component_id \
               WHERE i.contents_id = ANY($1) ORDER BY i.contents_id, i.position, f.vulnerability, \
               f.scanner";
    tx.list(sql, params![contents_ids], read).await
}

/// Which findings of some manifests are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct FindingsFilter {
    /// Of this severity and above; all when none.
    pub severity: Option<Severity>,
    /// With a fixed version, or without one.
    pub fixable: Option<bool>,
}

/// Where a page of findings ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingsCursor {
    /// Severity of the last row, 0 (unknown) to 5 (critical).
    pub severity: i64,
    /// Its vulnerability.
    pub vulnerability: String,
    /// Its finding.
    pub finding_id: i64,
    /// The manifest that holds its component.
    pub manifest_id: i64,
    /// Its component's place.
    pub position: i64,
}

impl Default for FindingsCursor {
    /// Before the first row.
    fn default() -> Self {
        let vulnerability = String::new();
        Self { severity: i64::MAX, vulnerability, finding_id: 0, manifest_id: 0, position: -1 }
    }
}

/// The findings in the contents of some manifests after a cursor, each with its place in the order:
/// worst first, then by vulnerability. One query.
pub async fn page(
    tx: &mut Tx,
    manifest_ids: &[i64],
    filter: FindingsFilter,
    after: &FindingsCursor,
    limit: u32,
) -> Result<Vec<(FindingsCursor, PlacedFinding)>> {
    let sql = "SELECT f.*, i.contents_id AS contents_id, i.position AS position, i.path AS path, \
               i.layer AS layer, m.id AS manifest_id FROM manifests m \
               JOIN image_components i ON i.contents_id = m.contents_id \
               JOIN component_findings f ON f.component_id = i.component_id \
               WHERE m.id = ANY($1) AND f.severity >= $2 \
               AND ($3 IS NULL OR (f.fixed_version IS NOT NULL) = ($3 = 1)) \
               AND (f.severity < $4 OR (f.severity = $4 \
               AND (f.vulnerability, f.id, m.id, i.position) > ($5, $6, $7, $8))) \
               ORDER BY f.severity DESC, f.vulnerability, f.id, m.id, i.position LIMIT $9";
    let values = params![
        manifest_ids,
        filter.severity.map_or(0, |severity| severity as i64),
        filter.fixable.map(i64::from),
        after.severity,
        &after.vulnerability,
        after.finding_id,
        after.manifest_id,
        after.position,
        limit
    ];
    tx.list(sql, values, |row| {
        let cursor = FindingsCursor {
            severity: row.get("severity")?,
            vulnerability: row.get("vulnerability")?,
            finding_id: row.get("id")?,
            manifest_id: row.get("manifest_id")?,
            position: row.get("position")?,
        };
        Ok((cursor, read(row)?))
    })
    .await
}

/// How many findings of each severity the contents of some manifests have; one that is found in
/// several places counts once. One query.
pub async fn count(tx: &mut Tx, manifest_ids: &[i64]) -> Result<BTreeMap<Severity, u64>> {
    let sql = "SELECT f.severity AS severity, count(DISTINCT f.id) AS found FROM manifests m \
               JOIN image_components i ON i.contents_id = m.contents_id \
               JOIN component_findings f ON f.component_id = i.component_id \
               WHERE m.id = ANY($1) GROUP BY f.severity";
    let mut counts = BTreeMap::new();
    for row in tx.query(sql, params![manifest_ids]).await? {
        let severity: i64 = row.get("severity")?;
        let found: i64 = row.get("found")?;
        if let Some(severity) = Severity::ALL.into_iter().find(|s| *s as i64 == severity) {
            counts.insert(severity, found.unsigned_abs());
        }
    }
    Ok(counts)
}

/// Counts a change of the facts of every manifest that holds one of these components, and of the
/// indexes above them. How many manifests.
pub async fn bump_holders(tx: &mut Tx, component_ids: &[i64]) -> Result<u64> {
    let sql = "WITH RECURSIVE touched (id, repository_id, digest) AS (\
               SELECT id, repository_id, digest FROM manifests WHERE contents_id IN (\
               SELECT contents_id FROM image_components WHERE component_id = ANY($1)) \
               UNION SELECT p.id, p.repository_id, p.digest FROM touched t \
               JOIN manifest_children c ON c.repository_id = t.repository_id \
               AND c.digest = t.digest JOIN manifests p ON p.id = c.parent_id) \
               UPDATE manifests SET facts_rev = facts_rev + 1 \
               WHERE id IN (SELECT id FROM touched)";
    tx.execute(sql, params![component_ids]).await
}
