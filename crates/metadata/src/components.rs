//! Distinct components: what is matched against advisories.

use crate::{Result, Row, Tx, contents, params};
use jiff::Timestamp;
use sealock_facts::{ComponentKind, MatchKey};

/// A component, apart from where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentRow {
    /// Number.
    pub id: i64,
    /// What kind of package it is.
    pub kind: ComponentKind,
    /// Name as installed.
    pub name: String,
    /// Version as installed.
    pub version: String,
    /// Package URL.
    pub purl: String,
    /// Advisory key.
    pub match_key: Option<MatchKey>,
    /// Digest of the snapshot it was matched with last.
    pub matched_with: Option<String>,
    /// When; `None` until it is matched, and while it waits to be matched again because an
    /// advisory about its package changed (then `matched_with` names the former snapshot).
    pub matched_at: Option<Timestamp>,
}

fn read(row: &Row) -> Result<ComponentRow> {
    let kind: String = row.get("kind")?;
    let key = match (
        row.opt::<String>("ecosystem")?,
        row.opt::<String>("match_name")?,
        row.opt::<String>("match_version")?,
    ) {
        (Some(ecosystem), Some(name), Some(version)) => Some(MatchKey { ecosystem, name, version }),
        _ => None,
    };
    Ok(ComponentRow {
        id: row.get("id")?,
        kind: serde_json::from_value(serde_json::Value::String(kind))?,
        name: row.get("name")?,
        version: row.get("version")?,
        purl: row.get("purl")?,
        match_key: key,
        matched_with: row.opt("matched_with")?,
        matched_at: row.opt("matched_at")?,
    })
}

/// A component of some contents, with where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedComponent {
    /// The contents.
    pub contents_id: i64,
    /// Place in the contents' list.
    pub position: u32,
    /// The component.
    pub component: ComponentRow,
    /// The file that declares it.
    pub path: String,
    /// The layer that holds this file.
    pub layer: sealock_oci::Digest,
}

/// The components of these contents.
pub async fn of_contents(tx: &mut Tx, contents_ids: &[i64]) -> Result<Vec<PlacedComponent>> {
    let sql = "SELECT c.*, i.contents_id AS contents_id, i.position AS position, i.path AS path, \
               i.layer AS layer FROM image_components i JOIN components c ON c.id = i.component_id \
               WHERE i.contents_id = ANY($1) ORDER BY i.contents_id, i.position";
    tx.list(sql, params![contents_ids], |row| {
        Ok(PlacedComponent {
            contents_id: row.get("contents_id")?,
            position: row.get("position")?,
            component: read(row)?,
            path: row.get("path")?,
            layer: row.get("layer")?,
        })
    })
    .await
}

/// The first distinct components of these contents that no match has seen yet.
pub async fn unmatched(tx: &mut Tx, contents_ids: &[i64], limit: u32) -> Result<Vec<ComponentRow>> {
    let sql = "SELECT * FROM components WHERE matched_at IS NULL AND id IN (\
               SELECT component_id FROM image_components WHERE contents_id = ANY($1)) \
               ORDER BY id LIMIT $2";
    tx.list(sql, params![contents_ids, limit], read).await
}

/// How many components of some contents are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchState {
    /// The contents.
    pub contents_id: i64,
    /// Components that no match has seen yet: their findings are unknown.
    pub unmatched: i64,
    /// Components that wait to be matched again; their findings are those of the former snapshot.
    pub pending: i64,
    /// When the one matched longest ago was matched.
    pub oldest: Option<Timestamp>,
}

/// The match state of these contents.
pub async fn match_state(tx: &mut Tx, contents_ids: &[i64]) -> Result<Vec<MatchState>> {
    let sql = "SELECT i.id AS contents_id, \
               count(CASE WHEN c.id IS NOT NULL AND c.matched_with IS NULL THEN 1 END) \
               AS unmatched, count(CASE WHEN c.matched_with IS NOT NULL \
               AND c.matched_at IS NULL THEN 1 END) AS pending, \
               min(c.matched_at) AS oldest FROM image_contents i \
               LEFT JOIN image_components p ON p.contents_id = i.id \
               LEFT JOIN components c ON c.id = p.component_id \
               WHERE i.id = ANY($1) GROUP BY i.id ORDER BY i.id";
    tx.list(sql, params![contents_ids], |row| {
        Ok(MatchState {
            contents_id: row.get("contents_id")?,
            unmatched: row.get("unmatched")?,
            pending: row.get("pending")?,
            oldest: row.opt("oldest")?,
        })
    })
    .await
}

/// Marks components of these packages (ecosystem, name) as to be matched again, in the transaction
/// that swaps the snapshot. Their findings stay those of the former snapshot until then, and the
/// images' facts change only where findings do (decision D4). How many components.
pub async fn unmatch(tx: &mut Tx, packages: &[(String, String)]) -> Result<u64> {
    let keys: Vec<String> =
        packages.iter().map(|(ecosystem, name)| contents::package(ecosystem, name)).collect();
    let mut count = 0;
    for keys in keys.chunks(5_000) {
        let sql = "UPDATE components SET matched_at = NULL WHERE package = ANY($1)";
        count += tx.execute(sql, params![keys]).await?;
    }
    Ok(count)
}

/// Components that wait for a match, by number after `after`.
pub async fn waiting(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<ComponentRow>> {
    let sql = "SELECT * FROM components WHERE matched_at IS NULL AND id > $1 ORDER BY id LIMIT $2";
    tx.list(sql, params![after, limit], read).await
}

/// Components of a package by its purl without version, qualifiers and subpath, by number after
/// `after`: candidates whose versions the caller compares.
pub async fn by_purl_name(
    tx: &mut Tx,
    purl_name: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<ComponentRow>> {
    let sql = "SELECT * FROM components WHERE purl_name = $1 AND id > $2 ORDER BY id LIMIT $3";
    tx.list(sql, params![contents::indexed(purl_name), after, limit], read).await
}

/// Components of these packages (ecosystem, name), or of any for `None`, by number after `after`.
pub async fn of_packages(
    tx: &mut Tx,
    packages: Option<&[(String, String)]>,
    after: i64,
    limit: u32,
) -> Result<Vec<ComponentRow>> {
    let keys: Vec<String> = packages
        .unwrap_or_default()
        .iter()
        .map(|(ecosystem, name)| contents::package(ecosystem, name))
        .collect();
    let sql = "SELECT * FROM components WHERE id > $1 AND ($2 = 1 OR package = ANY($3)) \
               ORDER BY id LIMIT $4";
    tx.list(sql, params![after, packages.is_none(), &keys, limit], read).await
}
