//! Harbor's metadata of a project: words by name. `public` is not among them, it is a column of the
//! project.

use crate::{Result, Row, Tx, params};
use std::collections::BTreeMap;

/// The settings of a project, by name.
pub type Settings = BTreeMap<String, String>;

fn read(row: &Row) -> Result<(i64, String, String)> {
    Ok((row.get("project_id")?, row.get("name")?, row.get("value")?))
}

/// The settings of these projects, by the project's number.
pub async fn of(tx: &mut Tx, projects: &[i64]) -> Result<BTreeMap<i64, Settings>> {
    let sql = "SELECT * FROM project_settings WHERE project_id = ANY($1)";
    let mut all: BTreeMap<i64, Settings> = BTreeMap::new();
    for (project, name, value) in tx.list(sql, params![projects], read).await? {
        all.entry(project).or_default().insert(name, value);
    }
    Ok(all)
}

/// Sets one.
pub async fn put(tx: &mut Tx, project_id: i64, name: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO project_settings (project_id, name, value) VALUES ($1, $2, $3) \
               ON CONFLICT (project_id, name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, params![project_id, name, value]).await?;
    Ok(())
}

/// Removes one.
pub async fn delete(tx: &mut Tx, project_id: i64, name: &str) -> Result<bool> {
    let sql = "DELETE FROM project_settings WHERE project_id = $1 AND name = $2";
    Ok(tx.execute(sql, params![project_id, name]).await? == 1)
}
