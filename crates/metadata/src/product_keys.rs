//! Keys of the product, sealed by the master key (decision D17).

use crate::{Result, Row, Tx, params};
use jiff::Timestamp;

/// A sealed key.
#[derive(Clone, PartialEq, Eq)]
pub struct ProductKey {
    /// Its id, unique.
    pub id: String,
    /// What it is for: `evidence`, `token`, `audit`, `upload`.
    pub purpose: String,
    /// The private part, sealed.
    pub sealed: Vec<u8>,
    /// The public part, for keys that have one; it outlives the private one's use.
    pub public_pem: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nothing new is made with it.
    pub retired_at: Option<Timestamp>,
}

impl std::fmt::Debug for ProductKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProductKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn read(row: &Row) -> Result<ProductKey> {
    Ok(ProductKey {
        id: row.get("id")?,
        purpose: row.get("purpose")?,
        sealed: row.get("sealed")?,
        public_pem: row.opt("public_pem")?,
        created_at: row.get("created_at")?,
        retired_at: row.opt("retired_at")?,
    })
}

/// Stores a key if no key of its purpose is in use; then the key in use, ours or the one that
/// another replica stored first.
pub async fn ensure(
    tx: &mut Tx,
    id: &str,
    purpose: &str,
    sealed: &[u8],
    public_pem: Option<&str>,
) -> Result<ProductKey> {
    // The row of the system's revision is the lock between replicas.
    tx.execute("UPDATE revisions SET value = value WHERE name = 'system'", params![]).await?;
    if let Some(key) = current(tx, purpose).await? {
        return Ok(key);
    }
    add(tx, id, purpose, sealed, public_pem).await
}

/// Stores a key, which is from now on the one in use for its purpose.
pub async fn add(
    tx: &mut Tx,
    id: &str,
    purpose: &str,
    sealed: &[u8],
    public_pem: Option<&str>,
) -> Result<ProductKey> {
    let now = tx.now();
    let sql = "INSERT INTO product_keys (id, purpose, sealed, public_pem, created_at) \
               VALUES ($1, $2, $3, $4, $5) RETURNING *";
    let key = tx.find(sql, params![id, purpose, sealed, public_pem, now], read).await?;
    key.ok_or(crate::Error::Retry)
}

/// The key in use for a purpose: the newest that is not retired.
pub async fn current(tx: &mut Tx, purpose: &str) -> Result<Option<ProductKey>> {
    let sql = "SELECT * FROM product_keys WHERE purpose = $1 AND retired_at IS NULL \
               ORDER BY created_at DESC, id LIMIT 1";
    tx.find(sql, params![purpose], read).await
}

/// Every key of a purpose, newest first, retired ones too.
pub async fn list(tx: &mut Tx, purpose: &str, limit: u32) -> Result<Vec<ProductKey>> {
    let sql = "SELECT * FROM product_keys WHERE purpose = $1 ORDER BY created_at DESC, id LIMIT $2";
    tx.list(sql, params![purpose, limit], read).await
}

/// Ends the use of a key.
pub async fn retire(tx: &mut Tx, id: &str) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE product_keys SET retired_at = $2 WHERE id = $1 AND retired_at IS NULL";
    Ok(tx.execute(sql, params![id, now]).await? == 1)
}
