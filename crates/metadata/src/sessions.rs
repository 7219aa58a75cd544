//! People who are logged in with a browser, each by a cookie of which only a hash is kept.

use crate::{Result, Row, Tx, params, users};
use jiff::Timestamp;

/// Somebody who is logged in with a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Number.
    pub id: i64,
    /// Who, by number.
    pub user_id: i64,
    /// From which address they logged in.
    pub address: String,
    /// With which client.
    pub user_agent: String,
    /// When they logged in.
    pub created_at: Timestamp,
    /// When they were seen last.
    pub used_at: Timestamp,
}

/// A log-in to be kept.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// Who, by number.
    pub user_id: i64,
    /// SHA-256 of the cookie.
    pub secret_hash: &'a [u8],
    /// Of the password that was shown.
    pub mark: &'a str,
    /// From which address.
    pub address: &'a str,
    /// With which client.
    pub user_agent: &'a str,
}

/// What a request with a cookie needs.
#[derive(Debug, Clone)]
pub struct Found {
    /// The log-in.
    pub session: Session,
    /// Of the password that was shown then.
    pub mark: String,
    /// The user as they are now.
    pub credentials: users::Credentials,
}

fn read(row: &Row) -> Result<Session> {
    Ok(Session {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        address: row.get("address")?,
        user_agent: row.get("user_agent")?,
        created_at: row.get("created_at")?,
        used_at: row.get("used_at")?,
    })
}

/// Keeps a log-in; its number. `None` when the user is gone or may not log in. Of a user's log-ins
/// the newest `most` stay. The user's row is locked, so that no change of it passes unseen.
pub async fn create(tx: &mut Tx, new: &NewSession<'_>, most: u32) -> Result<Option<i64>> {
    let sql = "SELECT disabled FROM users WHERE id = $1 AND deleted_at IS NULL /*pg: FOR UPDATE */";
    let disabled = tx.find(sql, params![new.user_id], |row| row.get("disabled")).await?;
    if disabled != Some(false) {
        return Ok(None);
    }
    let now = tx.now();
    let sql = "INSERT INTO sessions (user_id, secret_hash, mark, address, user_agent, created_at, \
               used_at) VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING id";
    let values = params![new.user_id, new.secret_hash, new.mark, new.address, new.user_agent, now];
    let id = tx.find(sql, values, |row| row.get("id")).await?;
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND id NOT IN \
               (SELECT id FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT $2)";
    tx.execute(sql, params![new.user_id, most]).await?;
    Ok(id)
}

/// The log-in of a cookie, and the user as they are now.
pub async fn find(tx: &mut Tx, secret_hash: &[u8]) -> Result<Option<Found>> {
    let sql = "SELECT s.id AS session_id, s.mark, s.address, s.user_agent, \
               s.created_at AS begun_at, s.used_at, u.* \
               FROM sessions s JOIN users u ON u.id = s.user_id \
               WHERE s.secret_hash = $1 AND u.deleted_at IS NULL";
    tx.find(sql, params![secret_hash], |row| {
        let user = users::read(row)?;
        let session = Session {
            id: row.get("session_id")?,
            user_id: user.id,
            address: row.get("address")?,
            user_agent: row.get("user_agent")?,
            created_at: row.get("begun_at")?,
            used_at: row.get("used_at")?,
        };
        let credentials = users::Credentials { user, password_hash: row.opt("password_hash")? };
        Ok(Found { session, mark: row.get("mark")?, credentials })
    })
    .await
}

/// Notes that somebody was seen now.
pub async fn touch(tx: &mut Tx, id: i64) -> Result<()> {
    let now = tx.now();
    tx.execute("UPDATE sessions SET used_at = $2 WHERE id = $1", params![id, now]).await?;
    Ok(())
}

/// A user's log-ins that were used after `used_after` and begun after `begun_after`, by number,
/// after `after`.
pub async fn list(
    tx: &mut Tx,
    user_id: i64,
    (used_after, begun_after): (Timestamp, Timestamp),
    after: i64,
    limit: u32,
) -> Result<Vec<Session>> {
    let sql = "SELECT * FROM sessions WHERE user_id = $1 AND used_at > $2 AND created_at > $3 \
               AND id > $4 ORDER BY id LIMIT $5";
    tx.list(sql, params![user_id, used_after, begun_after, after, limit], read).await
}

/// Whose a log-in is.
pub async fn user_of(tx: &mut Tx, id: i64) -> Result<Option<users::User>> {
    let sql = "SELECT u.* FROM sessions s JOIN users u ON u.id = s.user_id \
               WHERE s.id = $1 AND u.deleted_at IS NULL";
    tx.find(sql, params![id], users::read).await
}

/// Ends a log-in of a user.
pub async fn end(tx: &mut Tx, user_id: i64, id: i64) -> Result<bool> {
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![user_id, id]).await? == 1)
}

/// Ends every log-in of a user; how many there were.
pub async fn end_all(tx: &mut Tx, user_id: i64) -> Result<u64> {
    tx.execute("DELETE FROM sessions WHERE user_id = $1", params![user_id]).await
}

/// Forgets log-ins that ended by themselves: last used or begun before these moments, at most so
/// many.
pub async fn forget(tx: &mut Tx, used: Timestamp, begun: Timestamp, most: u32) -> Result<u64> {
    let sql = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE used_at < $1 \
               OR created_at < $2 LIMIT $3)";
    tx.execute(sql, params![used, begun, most]).await
}
