//! What belongs to a user's account and ends, one by one or all at once: log-ins with browsers, and
//! tokens. One's own for everybody, anybody's for system administrators.

use crate::{Error, Registry, Result, audit::Event};
use sealock_auth::{Caller, Principal};
use sealock_metadata::{self as metadata, Tx, users::User};
use sealock_oci::ErrorCode;

/// What an account has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kept {
    /// A log-in with a browser.
    Session,
    /// A token.
    Token,
}

impl Kept {
    const fn action(self) -> &'static str {
        match self {
            Self::Session => "end-session",
            Self::Token => "revoke-token",
        }
    }

    /// Whose this number is.
    async fn user_of(self, tx: &mut Tx, id: i64) -> Result<Option<User>> {
        Ok(match self {
            Self::Session => metadata::sessions::user_of(tx, id).await?,
            Self::Token => metadata::personal_tokens::user_of(tx, id).await?,
        })
    }

    /// Ends one, and says so in the event; `None` when it is not there.
    async fn end(self, tx: &mut Tx, user: i64, id: i64, event: Event) -> Result<Option<Event>> {
        Ok(match self {
            Self::Session => {
                let ended = metadata::sessions::end(tx, user, id).await?;
                ended.then(|| event.detail("session", id))
            }
            Self::Token => {
                let token = metadata::personal_tokens::get(tx, user, id).await?;
                metadata::personal_tokens::revoke(tx, user, id).await?;
                token.map(|token| event.detail("token", token.name).detail("number", id))
            }
        })
    }

    async fn end_all(self, tx: &mut Tx, user: i64) -> Result<u64> {
        Ok(match self {
            Self::Session => metadata::sessions::end_all(tx, user).await?,
            Self::Token => metadata::personal_tokens::revoke_all(tx, user).await?,
        })
    }

    fn unknown(self, id: i64) -> Error {
        let what = match self {
            Self::Session => "log-in",
            Self::Token => "token",
        };
        Error::not_found(ErrorCode::NameUnknown, format!("there is no {what} {id} of yours"))
    }
}

impl Registry {
    /// Ends one of them. To who may not, each number is the same.
    pub(crate) async fn end_kept(&self, caller: &Caller, kept: Kept, id: i64) -> Result<()> {
        let own = own_id(caller)?;
        let mut tx = self.database().write().await?;
        let whose = kept.user_of(&mut tx, id).await?;
        let whose = whose.filter(|user| user.id == own || caller.principal.is_sysadmin());
        let user = whose.ok_or_else(|| kept.unknown(id))?;
        let event = Event::new(caller, kept.action()).detail("user", user.name);
        let ended = kept.end(&mut tx, user.id, id, event).await?;
        ended.ok_or_else(|| kept.unknown(id))?.record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Ends all of them of the caller's, or of a user by name. How many there were.
    pub(crate) async fn end_all_kept(
        &self,
        caller: &Caller,
        kept: Kept,
        user: Option<&str>,
    ) -> Result<u64> {
        let mut tx = self.database().write().await?;
        let user = self.account(&mut tx, caller, user).await?;
        let ended = kept.end_all(&mut tx, user.id).await?;
        Event::new(caller, kept.action())
            .detail("user", user.name)
            .detail("ended", ended)
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// The caller's own account, or another one for system administrators.
    pub(crate) async fn account(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        name: Option<&str>,
    ) -> Result<User> {
        let own = own_id(caller)?;
        let found = match name {
            None => metadata::users::get(tx, own).await?,
            Some(name) => {
                let found = metadata::users::find(tx, name).await?;
                if found.as_ref().map(|user| user.id) != Some(own) {
                    self.require_admin(caller)?;
                }
                found
            }
        };
        found.ok_or_else(|| {
            let name = name.unwrap_or_default();
            Error::not_found(ErrorCode::NameUnknown, format!("there is no user {name:?}"))
        })
    }
}

/// The number of the user who asks. Robots have no account.
pub(crate) fn own_id(caller: &Caller) -> Result<i64> {
    match &caller.principal {
        Principal::User { id, .. } => Ok(*id),
        Principal::Anonymous => Err(Error::unauthenticated()),
        _ => Err(Error::forbidden("log in as a user, with the password: this is about accounts")),
    }
}
