//! Local users.

use crate::{
    Result, Row, Tx, former_names,
    former_names::Named,
    listing::{self, Field, Holds, Listed, Source, Wanted},
    params, personal_tokens, sessions,
};
use jiff::Timestamp;

/// What a list of users may be asked for. Never what a login needs.
pub const FIELDS: &[Field] = &[
    Field::new("user_id", "id", Holds::Int),
    Field::new("username", "name", Holds::Text),
    Field::new("email", "coalesce(email, '')", Holds::Text),
    Field::new("realname", "real_name", Holds::Text),
    Field::new("comment", "comment", Holds::Text),
    Field::new("sysadmin_flag", "sysadmin", Holds::Bool),
    Field::new("creation_time", "created_at", Holds::Time),
    Field::new("update_time", "updated_at", Holds::Time),
];

/// What the search for people may be asked for.
pub const SEARCH_FIELDS: &[Field] = &[Field::new("username", "name", Holds::Text)];

/// A user. The password hash is read apart, by [`credentials`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Number.
    pub id: i64,
    /// Login name, unique.
    pub name: String,
    /// Address, if given.
    pub email: Option<String>,
    /// Name for people; may be empty.
    pub real_name: String,
    /// What administrators note about them; may be empty.
    pub comment: String,
    /// Administers everything.
    pub sysadmin: bool,
    /// Grants waivers, edits the floor, quarantines.
    pub security_officer: bool,
    /// May not log in.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A user to be made.
#[derive(Debug, Clone, Default)]
pub struct NewUser<'a> {
    /// Login name.
    pub name: &'a str,
    /// Address.
    pub email: Option<&'a str>,
    /// Name for people.
    pub real_name: &'a str,
    /// What administrators note about them.
    pub comment: &'a str,
    /// Hash in PHC form; none for a user who cannot log in by password.
    pub password_hash: Option<&'a str>,
    /// Administers everything.
    pub sysadmin: bool,
    /// Holds the security role.
    pub security_officer: bool,
}

/// What a login needs.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// Hash in PHC form.
    pub password_hash: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

pub(crate) fn read(row: &Row) -> Result<User> {
    Ok(User {
        id: row.get("id")?,
        name: row.get("name")?,
        email: row.opt("email")?,
        real_name: row.get("real_name")?,
        comment: row.get("comment")?,
        sysadmin: row.get("sysadmin")?,
        security_officer: row.get("security_officer")?,
        disabled: row.get("disabled")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Makes a user. `None` when the name is taken.
pub async fn create(tx: &mut Tx, new: &NewUser<'_>) -> Result<Option<User>> {
    let now = tx.now();
    tx.find(
        "INSERT INTO users (name, email, real_name, password_hash, sysadmin, security_officer, \
         disabled, comment, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $8, $7, $7) \
         ON CONFLICT (name) DO NOTHING RETURNING *",
        params![
            new.name,
            new.email,
            new.real_name,
            new.password_hash,
            new.sysadmin,
            new.security_officer,
            now,
            new.comment
        ],
        read,
    )
    .await
}

/// A user by number.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<User>> {
    tx.find("SELECT * FROM users WHERE id = $1 AND deleted_at IS NULL", params![id], read).await
}

/// A user by name.
pub async fn find(tx: &mut Tx, name: &str) -> Result<Option<User>> {
    tx.find("SELECT * FROM users WHERE name = $1 AND deleted_at IS NULL", params![name], read).await
}

/// A user by name with the password hash.
pub async fn credentials(tx: &mut Tx, name: &str) -> Result<Option<Credentials>> {
    let sql = "SELECT * FROM users WHERE name = $1 AND deleted_at IS NULL";
    tx.find(sql, params![name], |row| {
        Ok(Credentials { user: read(row)?, password_hash: row.opt("password_hash")? })
    })
    .await
}

/// A user by number with the password hash.
pub async fn credentials_of(tx: &mut Tx, id: i64) -> Result<Option<Credentials>> {
    let sql = "SELECT * FROM users WHERE id = $1 AND deleted_at IS NULL";
    tx.find(sql, params![id], |row| {
        Ok(Credentials { user: read(row)?, password_hash: row.opt("password_hash")? })
    })
    .await
}

/// Users by name, after `after`.
pub async fn list(tx: &mut Tx, after: &str, limit: u32) -> Result<Vec<User>> {
    let sql = "SELECT * FROM users WHERE name > $1 AND deleted_at IS NULL ORDER BY name LIMIT $2";
    tx.list(sql, params![after, limit], read).await
}

/// Whether any user exists: false only before the first start.
pub async fn any(tx: &mut Tx) -> Result<bool> {
    Ok(tx.query_one("SELECT id FROM users LIMIT 1", params![]).await?.is_some())
}

/// Sets a new password hash. Whoever is logged in with a browser is logged out.
pub async fn set_password(tx: &mut Tx, id: i64, hash: &str) -> Result<bool> {
    let now = tx.now();
    sessions::end_all(tx, id).await?;
    let sql = "UPDATE users SET password_hash = $2, updated_at = $3 \
               WHERE id = $1 AND deleted_at IS NULL";
    Ok(tx.execute(sql, params![id, hash, now]).await? == 1)
}

/// Sets the three global flags. Who may not log in any more is logged out.
pub async fn set_flags(
    tx: &mut Tx,
    id: i64,
    sysadmin: bool,
    security_officer: bool,
    disabled: bool,
) -> Result<bool> {
    let now = tx.now();
    if disabled {
        sessions::end_all(tx, id).await?;
    }
    let sql = "UPDATE users SET sysadmin = $2, security_officer = $3, disabled = $4, \
               updated_at = $5 WHERE id = $1 AND deleted_at IS NULL";
    Ok(tx.execute(sql, params![id, sysadmin, security_officer, disabled, now]).await? == 1)
}

/// Gives a user another name; the number stays, and with it all that is theirs. False when they are
/// not called `from` any more, or somebody is called `to`.
pub async fn rename(tx: &mut Tx, id: i64, from: &str, to: &str) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE users SET name = $3, updated_at = $4 \
               WHERE id = $1 AND name = $2 AND deleted_at IS NULL \
               AND NOT EXISTS (SELECT 1 FROM users u WHERE u.name = $3)";
    if tx.execute(sql, params![id, from, to, now]).await? != 1 {
        return Ok(false);
    }
    former_names::leave(tx, Named::User, from, id).await?;
    Ok(true)
}

/// Who is called like this, or was, as far as they are here still: what a new name must not be
/// taken for. Upper and lower case are the same.
pub async fn called(tx: &mut Tx, name: &str) -> Result<Vec<User>> {
    let sql = "SELECT u.* FROM users u WHERE lower(u.name) = lower($1) AND u.deleted_at IS NULL \
               UNION SELECT u.* FROM former_names f JOIN users u ON u.id = f.holder_id \
               WHERE f.kind = 'user' AND lower(f.name) = lower($1) AND u.deleted_at IS NULL";
    tx.list(sql, params![name], read).await
}

/// Removes a user and frees the name; the number is never given again. The row stays, without
/// password and memberships, because records name it.
pub async fn delete(tx: &mut Tx, id: i64) -> Result<bool> {
    let now = tx.now();
    if let Some(user) = get(tx, id).await? {
        former_names::leave(tx, Named::User, &user.name, id).await?;
    }
    tx.execute("DELETE FROM members WHERE user_id = $1", params![id]).await?;
    sessions::end_all(tx, id).await?;
    personal_tokens::revoke_all(tx, id).await?;
    let sql = "UPDATE users SET name = name || '#' || id, password_hash = NULL, email = NULL, \
               disabled = 1, sysadmin = 0, security_officer = 0, deleted_at = $2, \
               updated_at = $2 WHERE id = $1 AND deleted_at IS NULL";
    Ok(tx.execute(sql, params![id, now]).await? == 1)
}

/// Users, by conditions and in an order.
pub async fn page(tx: &mut Tx, fields: &[Field], wanted: &Wanted) -> Result<Listed<User>> {
    let source = Source {
        select: "SELECT * FROM users WHERE deleted_at IS NULL",
        whole: None,
        count: "SELECT count(*) AS total FROM users WHERE deleted_at IS NULL",
        values: Vec::new(),
        fields,
        order: "name",
    };
    listing::page(tx, source, wanted, read).await
}

/// Changes what people say about themselves.
pub async fn set_profile(
    tx: &mut Tx,
    id: i64,
    email: Option<&str>,
    real_name: &str,
    comment: &str,
) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE users SET email = $2, real_name = $3, comment = $4, updated_at = $5 \
               WHERE id = $1 AND deleted_at IS NULL";
    Ok(tx.execute(sql, params![id, email, real_name, comment, now]).await? == 1)
}
