//! How many findings artifacts have: a cache, each of whose rows names the revision of the facts
//! that it was made of (decision D4).

use crate::{Result, Row, Tx, params};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A kept overview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The manifest.
    pub manifest_id: i64,
    /// The revision of its facts.
    pub facts_rev: i64,
    /// The caller's document.
    pub overview: String,
}

/// The kept overviews of these manifests that still hold.
pub async fn kept(tx: &mut Tx, manifest_ids: &[i64]) -> Result<Vec<Kept>> {
    let sql = "SELECT o.* FROM overviews o JOIN manifests m ON m.id = o.manifest_id \
               AND m.facts_rev = o.facts_rev WHERE o.manifest_id = ANY($1)";
    tx.list(sql, params![manifest_ids], |row| {
        Ok(Kept {
            manifest_id: row.get("manifest_id")?,
            facts_rev: row.get("facts_rev")?,
            overview: row.get("overview")?,
        })
    })
    .await
}

/// Keeps overviews. Each was made of facts that were read after the revision that it names: where
/// they have changed since, the row counts for nothing.
pub async fn keep(tx: &mut Tx, overviews: &[Kept]) -> Result<()> {
    let rows =
        overviews.iter().map(|one| params![one.manifest_id, one.facts_rev, one.overview.as_str()]);
    let tail = "ON CONFLICT (manifest_id) DO UPDATE SET facts_rev = excluded.facts_rev, \
                overview = excluded.overview WHERE overviews.facts_rev <= excluded.facts_rev";
    let head = "INSERT INTO overviews (manifest_id, facts_rev, overview)";
    tx.insert_many(head, rows.collect(), tail).await?;
    Ok(())
}

/// An image of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The artifact.
    pub root: i64,
    /// Its image, which may be itself.
    pub manifest_id: i64,
    /// What this holds, once known.
    pub contents_id: Option<i64>,
    /// Whether it has layers to look into.
    pub has_layers: bool,
}

/// The images of these manifests: each itself, or what an index lists, at any depth, as far as it
/// is here. At most `limit` in all.
pub async fn parts(tx: &mut Tx, manifest_ids: &[i64], limit: u32) -> Result<Vec<Part>> {
    let sql = "WITH RECURSIVE below (root, id) AS (\
               SELECT id, id FROM manifests WHERE id = ANY($1) \
               UNION SELECT b.root, m.id FROM below b \
               JOIN manifest_children c ON c.parent_id = b.id \
               JOIN manifests m ON m.repository_id = c.repository_id AND m.digest = c.digest) \
               SELECT b.root AS root, m.id AS id, m.contents_id AS contents_id, \
               CASE WHEN m.chain IS NULL THEN 0 ELSE 1 END AS has_layers FROM below b \
               JOIN manifests m ON m.id = b.id WHERE m.kind = 'image' ORDER BY b.root, m.id \
               LIMIT $2";
    tx.list(sql, params![manifest_ids, limit], |row| {
        Ok(Part {
            root: row.get("root")?,
            manifest_id: row.get("id")?,
            contents_id: row.opt("contents_id")?,
            has_layers: row.get("has_layers")?,
        })
    })
    .await
}

/// How the components of some contents were matched, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// When the contents were found out.
    pub found_at: Timestamp,
    /// Components that no match has seen.
    pub unmatched: u64,
    /// When one was matched last.
    pub last: Option<Timestamp>,
}

/// The state of these contents, by number.
pub async fn matched(tx: &mut Tx, contents_ids: &[i64]) -> Result<BTreeMap<i64, Matched>> {
    let sql = "SELECT i.id AS id, i.created_at AS found_at, count(CASE WHEN c.id IS NOT NULL \
               AND c.matched_with IS NULL THEN 1 END) AS unmatched, max(c.matched_at) AS last \
               FROM image_contents i LEFT JOIN image_components p ON p.contents_id = i.id \
               LEFT JOIN components c ON c.id = p.component_id \
               WHERE i.id = ANY($1) GROUP BY i.id, i.created_at";
    let read = |row: &Row| {
        let unmatched: i64 = row.get("unmatched")?;
        let matched = Matched {
            found_at: row.get("found_at")?,
            unmatched: unmatched.unsigned_abs(),
            last: row.opt("last")?,
        };
        Ok((row.get("id")?, matched))
    };
    Ok(tx.list(sql, params![contents_ids], read).await?.into_iter().collect())
}

/// How many findings some contents have of one severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The contents.
    pub contents_id: i64,
    /// The severity, 0 (unknown) to 5 (critical).
    pub severity: i64,
    /// Findings, each once however often its component lies there.
    pub found: u64,
    /// Those of them with a fixed version.
    pub fixable: u64,
}

/// The findings of these contents by severity.
pub async fn counts(tx: &mut Tx, contents_ids: &[i64]) -> Result<Vec<Count>> {
    let sql = "SELECT x.contents_id AS contents_id, x.severity AS severity, count(*) AS found, \
               count(x.fixed_version) AS fixable FROM (SELECT DISTINCT i.contents_id, f.id, \
               f.severity, f.fixed_version FROM image_components i \
               JOIN component_findings f ON f.component_id = i.component_id \
               WHERE i.contents_id = ANY($1)) AS x GROUP BY x.contents_id, x.severity";
    let count = |row: &Row, name: &str| row.get::<i64>(name).map(i64::unsigned_abs);
    tx.list(sql, params![contents_ids], |row| {
        Ok(Count {
            contents_id: row.get("contents_id")?,
            severity: row.get("severity")?,
            found: count(row, "found")?,
            fixable: count(row, "fixable")?,
        })
    })
    .await
}
