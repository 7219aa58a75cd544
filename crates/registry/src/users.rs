//! People who log in with a password of this server.

use crate::{Error, Kind, Page, PageRequest, Registry, Result, audit::Event};
use sealock_auth::{AuthError, Authenticator, Caller, Principal, SecretString};
use sealock_metadata::{self as metadata, Database, former_names::Named, users::User as UserRow};
use sealock_oci::ErrorCode;

/// Longest mail address or name for people, in bytes.
const MAX_TEXT_BYTES: usize = 255;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct User {
    /// Number, never reused.
    pub id: i64,
    /// Login name.
    pub name: String,
    /// Mail address, if given.
    pub email: Option<String>,
    /// Name for people; may be empty.
    pub real_name: String,
    /// Administers everything.
    pub admin: bool,
    /// Grants waivers, edits the floor, quarantines.
    pub security_officer: bool,
    /// May not log in.
    pub disabled: bool,
    /// When it was made.
    pub created_at: jiff::Timestamp,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        let UserRow { id, name, email, real_name, sysadmin, security_officer, disabled, .. } = row;
        let created_at = row.created_at;
        Self { id, name, email, real_name, admin: sysadmin, security_officer, disabled, created_at }
    }
}

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Login name.
    pub name: String,
    /// Password.
    pub password: SecretString,
    /// Mail address.
    pub email: Option<String>,
    /// Name for people.
    pub real_name: String,
    /// Administers everything.
    pub admin: bool,
    /// Holds the security role.
    pub security_officer: bool,
}

/// A user who was given another name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RenamedUser {
    /// The user, as they are called now.
    #[serde(flatten)]
    pub user: User,
    /// Whose policies go on naming the old name, which means nobody now: `the project shop`. The
    /// first of them.
    pub named_by: Vec<String>,
}

/// What is to change about a user; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// New password.
    pub password: Option<SecretString>,
    /// The one before it, which is asked for in `from_browser`.
    pub old_password: Option<SecretString>,
    /// The caller shows a log-in and not a password: a log-in that somebody took is not the
    /// account, so that their own new password takes the old one.
    pub from_browser: bool,
    /// Administers everything.
    pub admin: Option<bool>,
    /// Holds the security role.
    pub security_officer: Option<bool>,
    /// May not log in.
    pub disabled: Option<bool>,
}

impl Registry {
    /// Makes a user. For system administrators.
    pub async fn create_user(
        &self,
        caller: &Caller,
        accounts: &Authenticator,
        new: &NewUser,
    ) -> Result<User> {
        self.require_admin(caller)?;
        sealock_auth::check_user_name(&new.name).map_err(refused)?;
        for text in [new.email.as_deref().unwrap_or_default(), &new.real_name] {
            if text.len() > MAX_TEXT_BYTES {
                return Err(bad(format!("a name or address has at most {MAX_TEXT_BYTES} bytes")));
            }
        }
        let hash = accounts.hash_new(&new.password).await.map_err(refused)?;
        let mut tx = self.database().write().await?;
        self.require_free_user_name(&mut tx, &new.name, None).await?;
        let row = metadata::users::create(
            &mut tx,
            &metadata::users::NewUser {
                name: &new.name,
                email: new.email.as_deref(),
                real_name: &new.real_name,
                comment: "",
                password_hash: Some(&hash),
                sysadmin: new.admin,
                security_officer: new.security_officer,
            },
        )
        .await?
        .ok_or_else(|| Error::conflict(format!("there is a user {:?} already", new.name)))?;
        Event::new(caller, "create-user")
            .detail("user", row.name.clone())
            .detail("admin", row.sysadmin)
            .detail("security_officer", row.security_officer)
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(row.into())
    }

    /// Users by name. For system administrators.
    pub async fn users(&self, caller: &Caller, page: &PageRequest) -> Result<Page<User>> {
        self.require_admin(caller)?;
        let mut tx = self.database().read().await?;
        let (after, limit) = (page.after.clone().unwrap_or_default(), page.limit());
        let rows = metadata::users::list(&mut tx, &after, limit + 1).await?;
        let rows = rows.into_iter().map(User::from).collect();
        Ok(Page::cut(rows, limit, |user: &User| user.name.clone()))
    }

    /// Changes a user. For system administrators; everybody may change their own password.
    pub async fn update_user(
        &self,
        caller: &Caller,
        accounts: &Authenticator,
        name: &str,
        change: &UserChange,
    ) -> Result<User> {
        let own = matches!(&caller.principal, Principal::User { name: own, .. } if own == name);
        let flags = [change.admin, change.security_officer, change.disabled];
        if !own || flags.iter().any(Option::is_some) {
            self.require_admin(caller)?;
        }
        if own && (change.admin == Some(false) || change.disabled == Some(true)) {
            return Err(Error::conflict(
                "administrators do not close their own account; another one does",
            ));
        }
        if own && change.from_browser && change.password.is_some() {
            let old = change.old_password.as_ref();
            self.require_password(caller, accounts, name, old).await?;
        }
        let hash = match &change.password {
            Some(password) => Some(accounts.hash_new(password).await.map_err(refused)?),
            None => None,
        };
        let mut tx = self.database().write().await?;
        let before = metadata::users::find(&mut tx, name).await?.ok_or_else(|| unknown(name))?;
        if own && caller.principal.user_id() != Some(before.id) {
            return Err(Error::conflict("the name changed hands meanwhile; log in again"));
        }
        if let Some(hash) = &hash {
            metadata::users::set_password(&mut tx, before.id, hash).await?;
        }
        let admin = change.admin.unwrap_or(before.sysadmin);
        let officer = change.security_officer.unwrap_or(before.security_officer);
        let disabled = change.disabled.unwrap_or(before.disabled);
        metadata::users::set_flags(&mut tx, before.id, admin, officer, disabled).await?;
        let row = metadata::users::get(&mut tx, before.id).await?.ok_or_else(|| unknown(name))?;
        Event::new(caller, "update-user")
            .detail("user", name)
            .detail("password", hash.is_some())
            .detail("admin", admin)
            .detail("security_officer", officer)
            .detail("disabled", disabled)
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(row.into())
    }

    /// Gives a user a new password and opens the account, with nobody's leave: for the operator of
    /// the machine, who holds the database anyway.
    pub async fn recover_user(
        database: &Database,
        accounts: &Authenticator,
        name: &str,
        password: &SecretString,
    ) -> Result<User> {
        let hash = accounts.hash_new(password).await.map_err(refused)?;
        let mut tx = database.write().await?;
        let row = metadata::users::find(&mut tx, name).await?.ok_or_else(|| unknown(name))?;
        metadata::users::set_password(&mut tx, row.id, &hash).await?;
        let (admin, officer) = (row.sysadmin, row.security_officer);
        metadata::users::set_flags(&mut tx, row.id, admin, officer, false).await?;
        Event::by_system("update-user")
            .detail("user", name)
            .detail("password", true)
            .detail("was_disabled", row.disabled)
            .detail("by", "the operator of the machine, with sealock user reset-password")
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(User { disabled: false, ..row.into() })
    }

    /// Gives a user another name. For system administrators. The number stays, and with it roles,
    /// projects, sessions, tokens and open uploads; log-ins with the old name end. Nobody else is
    /// called by it as long as the user is here.
    pub async fn rename_user(&self, caller: &Caller, name: &str, to: &str) -> Result<RenamedUser> {
        self.require_admin(caller)?;
        sealock_auth::check_user_name(to).map_err(refused)?;
        let mut tx = self.database().write().await?;
        let before = metadata::users::find(&mut tx, name).await?.ok_or_else(|| unknown(name))?;
        if to == name {
            return Ok(RenamedUser { user: before.into(), named_by: Vec::new() });
        }
        self.require_free_user_name(&mut tx, to, Some(before.id)).await?;
        if !metadata::users::rename(&mut tx, before.id, name, to).await? {
            return Err(Error::conflict(format!("there is a user {to:?} already")));
        }
        let named_by = self.policies_naming(&mut tx, Named::User, name).await?;
        let row = metadata::users::get(&mut tx, before.id).await?.ok_or_else(|| unknown(name))?;
        Event::new(caller, "rename-user")
            .detail("user", to)
            .detail("from", name)
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(RenamedUser { user: row.into(), named_by })
    }

    /// Removes a user; records go on naming them. For system administrators.
    pub async fn delete_user(&self, caller: &Caller, name: &str) -> Result<()> {
        self.require_admin(caller)?;
        let mut tx = self.database().write().await?;
        let row = metadata::users::find(&mut tx, name).await?.ok_or_else(|| unknown(name))?;
        if caller.principal.user_id() == Some(row.id) {
            return Err(Error::conflict(
                "administrators do not remove their own account; another one does",
            ));
        }
        metadata::users::delete(&mut tx, row.id).await?;
        Event::new(caller, "delete-user").detail("user", name).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

fn bad(message: String) -> Error {
    Error::invalid(ErrorCode::Unsupported, message)
}

impl Registry {
    /// Fails unless this is the caller's password of now. Guesses are slowed down as those of
    /// log-ins, and on record as they are.
    pub(crate) async fn require_password(
        &self,
        caller: &Caller,
        accounts: &Authenticator,
        name: &str,
        given: Option<&SecretString>,
    ) -> Result<()> {
        let nothing = SecretString::new("");
        match accounts.login(caller.address, name, given.unwrap_or(&nothing)).await {
            Ok(login) if login.principal.user_id() == caller.principal.user_id() => return Ok(()),
            Ok(_) | Err(AuthError::BadCredentials) => {}
            Err(error) => return Err(refused(error)),
        }
        let why = "the current password is not the one that was given";
        let event = Event::new(caller, "update-user").denied().detail("user", name);
        let event = event.detail("password", true).detail("why", why);
        self.record_refused_login(caller, event).await?;
        Err(Error::forbidden(why))
    }
}

fn unknown(name: &str) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no user {name:?}"))
}

pub(crate) fn refused(error: AuthError) -> Error {
    match error {
        AuthError::Name(message) | AuthError::Password(message) => bad(message.to_owned()),
        AuthError::Pattern(message) => bad(message),
        AuthError::Busy | AuthError::TooManyAttempts { .. } | AuthError::TooManyFailures { .. } => {
            Error::new(Kind::TooMany, ErrorCode::TooManyRequests, error.to_string())
        }
        AuthError::Database(error) => error.into(),
        other => Error::internal(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_too_often_is_told_to_wait() {
        for error in
            [AuthError::TooManyAttempts { seconds: 7 }, AuthError::TooManyFailures { seconds: 7 }]
        {
            let told = refused(error);
            assert_eq!(told.kind(), Kind::TooMany);
            assert!(told.message().contains('7'), "{}", told.message());
        }
    }
}
