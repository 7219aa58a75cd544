//! Tokens that people make for themselves, in place of their password. The secret is kept as a
//! hash.

use crate::{Result, Row, Tx, params, users};
use jiff::Timestamp;

/// A token of a user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalToken {
    /// Number.
    pub id: i64,
    /// Whose, by number.
    pub user_id: i64,
    /// What its user calls it.
    pub name: String,
    /// Words of what it may do.
    pub scopes: Vec<String>,
    /// In which projects, by number; in all of its user's where there is none.
    pub projects: Option<Vec<i64>>,
    /// When it stops; never for none.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last, if it ever was.
    pub used_at: Option<Timestamp>,
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken<'a> {
    /// Whose, by number.
    pub user_id: i64,
    /// What its user calls it.
    pub name: &'a str,
    /// SHA-256 of the secret.
    pub secret_hash: &'a [u8],
    /// Words of what it may do.
    pub scopes: &'a [String],
    /// In which projects, by number.
    pub projects: Option<&'a [i64]>,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
}

fn read(row: &Row) -> Result<PersonalToken> {
    let projects: Option<String> = row.opt("projects")?;
    Ok(PersonalToken {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        name: row.get("name")?,
        scopes: row.json("scopes")?,
        projects: projects.map(|text| serde_json::from_str(&text)).transpose()?,
        expires_at: row.opt("expires_at")?,
        created_at: row.get("created_at")?,
        used_at: row.opt("used_at")?,
    })
}

/// How many tokens a user has. The user's row is locked, so that the count holds until the
/// transaction ends.
pub async fn count(tx: &mut Tx, user_id: i64) -> Result<u64> {
    let sql = "SELECT id FROM users WHERE id = $1 AND deleted_at IS NULL /*pg: FOR UPDATE */";
    tx.find(sql, params![user_id], |row| row.get::<i64>("id")).await?;
    let sql = "SELECT count(*) AS n FROM personal_tokens WHERE user_id = $1";
    Ok(tx.find(sql, params![user_id], |row| row.get("n")).await?.unwrap_or(0))
}

/// Makes a token; its number. `None` when the user has one of this name, or is gone or closed.
pub async fn create(tx: &mut Tx, new: &NewToken<'_>) -> Result<Option<i64>> {
    let (now, scopes) = (tx.now(), serde_json::to_string(new.scopes)?);
    let projects = new.projects.map(serde_json::to_string).transpose()?;
    let sql = "INSERT INTO personal_tokens (user_id, name, secret_hash, scopes, projects, \
               expires_at, created_at) SELECT u.id, $2, $3, $4, $5, $6, $7 FROM users u \
               WHERE u.id = $1 AND u.deleted_at IS NULL AND u.disabled = 0 \
               ON CONFLICT (user_id, name) DO NOTHING RETURNING id";
    let values =
        params![new.user_id, new.name, new.secret_hash, scopes, projects, new.expires_at, now];
    tx.find(sql, values, |row| row.get("id")).await
}

/// The token of a secret, and its user as they are now.
pub async fn find(tx: &mut Tx, secret_hash: &[u8]) -> Result<Option<(PersonalToken, users::User)>> {
    let sql = "SELECT * FROM personal_tokens WHERE secret_hash = $1";
    let Some(token) = tx.find(sql, params![secret_hash], read).await? else { return Ok(None) };
    let user = users::get(tx, token.user_id).await?;
    Ok(user.map(|user| (token, user)))
}

/// A token of a user by number, its user as they are now, and the hash of its secret.
pub async fn with_user(
    tx: &mut Tx,
    user_id: i64,
    id: i64,
) -> Result<Option<(PersonalToken, users::User, Vec<u8>)>> {
    let sql = "SELECT * FROM personal_tokens WHERE user_id = $1 AND id = $2";
    let hashed = |row: &Row| Ok((read(row)?, row.get("secret_hash")?));
    let Some((token, hash)) = tx.find(sql, params![user_id, id], hashed).await? else {
        return Ok(None);
    };
    let user = users::get(tx, user_id).await?;
    Ok(user.map(|user| (token, user, hash)))
}

/// A token of a user by number.
pub async fn get(tx: &mut Tx, user_id: i64, id: i64) -> Result<Option<PersonalToken>> {
    let sql = "SELECT * FROM personal_tokens WHERE user_id = $1 AND id = $2";
    tx.find(sql, params![user_id, id], read).await
}

/// Notes that a token was used now.
pub async fn touch(tx: &mut Tx, id: i64) -> Result<()> {
    let now = tx.now();
    tx.execute("UPDATE personal_tokens SET used_at = $2 WHERE id = $1", params![id, now]).await?;
    Ok(())
}

/// A user's tokens by number, after `after`.
pub async fn list(tx: &mut Tx, user_id: i64, after: i64, limit: u32) -> Result<Vec<PersonalToken>> {
    let sql = "SELECT * FROM personal_tokens WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    tx.list(sql, params![user_id, after, limit], read).await
}

/// Whose a token is.
pub async fn user_of(tx: &mut Tx, id: i64) -> Result<Option<users::User>> {
    let sql = "SELECT u.* FROM personal_tokens t JOIN users u ON u.id = t.user_id \
               WHERE t.id = $1 AND u.deleted_at IS NULL";
    tx.find(sql, params![id], users::read).await
}

/// Ends a token of a user.
pub async fn revoke(tx: &mut Tx, user_id: i64, id: i64) -> Result<bool> {
    let sql = "DELETE FROM personal_tokens WHERE user_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![user_id, id]).await? == 1)
}

/// Ends every token of a user; how many there were.
pub async fn revoke_all(tx: &mut Tx, user_id: i64) -> Result<u64> {
    tx.execute("DELETE FROM personal_tokens WHERE user_id = $1", params![user_id]).await
}
