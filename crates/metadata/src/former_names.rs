//! Names that people and projects had before.
//!
//! Numbers are never given again, names are. Policies name people and projects by their names, so
//! whoever takes a name must be told apart from whoever had it.

use crate::{Result, Tx, engine::words, params};

words! {
    /// What had a name.
    pub enum Named {
        /// A user.
        User = "user",
        /// A project.
        Project = "project",
    }
}

/// Notes that a name is not its holder's any more. Whoever had it before them is forgotten.
pub async fn leave(tx: &mut Tx, kind: Named, name: &str, holder_id: i64) -> Result<()> {
    let now = tx.now();
    let sql = "INSERT INTO former_names (kind, name, holder_id, left_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (kind, name) DO UPDATE SET holder_id = excluded.holder_id, \
               left_at = excluded.left_at";
    tx.execute(sql, params![kind, name, holder_id, now]).await?;
    Ok(())
}

/// Who had a name last, by number.
pub async fn holder(tx: &mut Tx, kind: Named, name: &str) -> Result<Option<i64>> {
    let sql = "SELECT holder_id FROM former_names WHERE kind = $1 AND name = $2";
    tx.find(sql, params![kind, name], |row| row.get("holder_id")).await
}
