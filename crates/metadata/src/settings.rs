//! Settings by key, and the system's revision.

use crate::{Result, Tx, params};

/// A setting.
pub async fn get(tx: &mut Tx, key: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM settings WHERE key = $1";
    tx.find(sql, params![key], |row| row.get("value")).await
}

/// Sets a setting.
pub async fn put(tx: &mut Tx, key: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO settings (key, value) VALUES ($1, $2) \
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    tx.execute(sql, params![key, value]).await?;
    Ok(())
}

/// Removes a setting.
pub async fn delete(tx: &mut Tx, key: &str) -> Result<bool> {
    Ok(tx.execute("DELETE FROM settings WHERE key = $1", params![key]).await? == 1)
}

/// The system's revision: floor, tiers, roots, quarantines, clusters (decision D4).
pub async fn system_rev(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT value FROM revisions WHERE name = 'system'";
    Ok(tx.find(sql, params![], |row| row.get("value")).await?.unwrap_or(0))
}

/// The system's revision, locked until the transaction ends.
pub async fn lock_system_rev(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT value FROM revisions WHERE name = 'system' /*pg: FOR SHARE */";
    Ok(tx.find(sql, params![], |row| row.get("value")).await?.unwrap_or(0))
}

/// Counts a change that touches every project. The new revision.
pub async fn bump_system_rev(tx: &mut Tx) -> Result<i64> {
    let sql = "UPDATE revisions SET value = value + 1 WHERE name = 'system' RETURNING value";
    Ok(tx.find(sql, params![], |row| row.get("value")).await?.unwrap_or(0))
}

/// A setting, locked until the transaction ends. One that does not exist locks nothing.
pub async fn lock(tx: &mut Tx, key: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM settings WHERE key = $1 /*pg: FOR UPDATE */";
    tx.find(sql, params![key], |row| row.get("value")).await
}

/// Makes a setting that does not exist.
pub async fn init(tx: &mut Tx, key: &str, value: &str) -> Result<bool> {
    let sql = "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
    Ok(tx.execute(sql, params![key, value]).await? == 1)
}
