//! What the engine itself knows of damage, and rows that name others which are gone.

use crate::{Engine, Result, Tx, params};

/// A column that names rows of another table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The table with the column.
    pub table: String,
    /// The column.
    pub column: String,
    /// The table that it points into.
    pub parent: String,
    /// The column there.
    pub parent_column: String,
    /// Such rows go with the row that they name.
    pub cascades: bool,
}

/// Lets the engine look for damage: SQLite reads every page (`quick`: without comparing indexes
/// with tables); PostgreSQL tells which checksums failed and which indexes are not valid. What is
/// wrong, one line each, at most `limit`.
pub async fn damage(tx: &mut Tx, quick: bool, limit: usize) -> Result<Vec<String>> {
    let (sql, column) = match (tx.engine(), quick) {
        (Engine::Sqlite, false) => ("PRAGMA integrity_check(100)", "integrity_check"),
        (Engine::Sqlite, true) => ("PRAGMA quick_check(100)", "quick_check"),
        (Engine::Postgres, _) => (
            "SELECT 'index ' || c.relname || ' is not valid; run REINDEX' AS line \
             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE NOT i.indisvalid AND n.nspname = current_schema() \
             UNION ALL SELECT checksum_failures || ' pages failed their checksum' \
             FROM pg_stat_database WHERE datname = current_database() AND checksum_failures > 0",
            "line",
        ),
    };
    let mut lines: Vec<String> = tx.list(sql, params![], |row| row.get(column)).await?;
    lines.retain(|line| line != "ok");
    lines.truncate(limit);
    Ok(lines)
}

/// Every foreign key of the schema, as the engine knows it.
pub async fn foreign_keys(tx: &mut Tx) -> Result<Vec<ForeignKey>> {
    let sql = match tx.engine() {
        Engine::Sqlite => {
            "SELECT t.name AS child, f.\"from\" AS child_column, f.\"table\" AS parent, \
             f.\"to\" AS parent_column, CASE WHEN f.on_delete = 'CASCADE' THEN 1 ELSE 0 END \
             AS cascades FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f \
             WHERE t.type = 'table' ORDER BY t.name, f.\"from\""
        }
        Engine::Postgres => {
            "SELECT CAST(c.relname AS TEXT) AS child, CAST(a.attname AS TEXT) AS child_column, \
             CAST(p.relname AS TEXT) AS parent, CAST(b.attname AS TEXT) AS parent_column, \
             CASE WHEN k.confdeltype = 'c' THEN 1 ELSE 0 END AS cascades \
             FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid \
             JOIN pg_class p ON p.oid = k.confrelid \
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] \
             JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1] \
             WHERE k.contype = 'f' AND array_length(k.conkey, 1) = 1 \
             AND c.relnamespace = (SELECT oid FROM pg_namespace \
             WHERE nspname = current_schema()) ORDER BY c.relname, a.attname"
        }
    };
    tx.list(sql, params![], |row| {
        Ok(ForeignKey {
            table: row.get("child")?,
            column: row.get("child_column")?,
            parent: row.get("parent")?,
            parent_column: row.get("parent_column")?,
            cascades: row.get("cascades")?,
        })
    })
    .await
}

/// How many rows name a row that is gone, and what one of them names.
pub async fn broken(tx: &mut Tx, key: &ForeignKey) -> Result<(u64, Option<String>)> {
    let sql = format!(
        "SELECT count(*) AS n, min(CAST(c.{column} AS TEXT)) AS example FROM {table} c {rest}",
        column = quoted(&key.column),
        table = quoted(&key.table),
        rest = without_parent(key, "c."),
    );
    let rows = tx.query_built(sql).await?;
    match rows.first() {
        Some(row) => Ok((row.get("n")?, row.opt("example")?)),
        None => Ok((0, None)),
    }
}

/// Removes rows that should have gone with the row that they name. How many.
pub async fn remove_broken(tx: &mut Tx, key: &ForeignKey) -> Result<u64> {
    if !key.cascades {
        return Ok(0);
    }
    let table = quoted(&key.table);
    let sql = format!("DELETE FROM {table} {} RETURNING 1 AS one", without_parent(key, ""));
    Ok(tx.query_built(sql).await?.len() as u64)
}

fn without_parent(key: &ForeignKey, alias: &str) -> String {
    let column = match alias {
        "" => format!("{}.{}", quoted(&key.table), quoted(&key.column)),
        _ => format!("{alias}{}", quoted(&key.column)),
    };
    format!(
        "WHERE {column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parent} p_ \
         WHERE p_.{parent_column} = {column})",
        parent = quoted(&key.parent),
        parent_column = quoted(&key.parent_column),
    )
}

/// A name from the engine's own catalogue, as it may stand in a statement.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
