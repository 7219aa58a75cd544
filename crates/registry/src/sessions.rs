//! People who are logged in with a browser: logged in, out, listed and thrown out.

use crate::{Error, Page, PageRequest, Registry, Result, audit::Event, users::refused};
use jiff::{SignedDuration, Timestamp};
use sealock_auth::{
    Authenticator, Browser, Caller, Login, Principal, SESSION_LIFETIME, SecretString,
};
use sealock_metadata::{self as metadata, Tx, sessions::Session as Row, users::User};
use sealock_oci::ErrorCode;

/// Somebody who is logged in with a browser.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Session {
    /// Number.
    pub id: i64,
    /// From which address they logged in.
    pub address: String,
    /// With which client.
    pub user_agent: String,
    /// When they logged in.
    pub created_at: Timestamp,
    /// When they were seen last, to half a minute.
    pub used_at: Timestamp,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        let Row { id, address, user_agent, created_at, used_at, .. } = row;
        Self { id, address, user_agent, created_at, used_at }
    }
}

impl Registry {
    /// Keeps a log-in for a browser; the cookie. Refused to robots, and to those who showed
    /// anything but a password: no other credential becomes one that may do all.
    pub async fn begin_session(
        &self,
        accounts: &Authenticator,
        caller: &Caller,
        login: &Login,
    ) -> Result<SecretString> {
        let idle = self.idle().await?;
        let mut tx = self.database().write().await?;
        let made = accounts.begin_session(&mut tx, login, caller, idle).await.map_err(refused)?;
        let Some((id, cookie)) = made else {
            return Err(Error::unauthenticated());
        };
        let event = Event::new(caller, "login").detail("session", id);
        event.record(&mut tx).await?;
        tx.commit().await?;
        Ok(cookie)
    }

    /// Who shows this cookie.
    pub async fn session(
        &self,
        accounts: &Authenticator,
        cookie: &SecretString,
    ) -> Result<Option<Browser>> {
        accounts.session(cookie, self.idle().await?).await.map_err(refused)
    }

    /// Ends the log-in that a browser shows.
    pub async fn log_out(&self, caller: &Caller, browser: &Browser) -> Result<()> {
        let Some(user) = browser.principal.user_id() else { return Ok(()) };
        let mut tx = self.database().write().await?;
        if metadata::sessions::end(&mut tx, user, browser.id).await? {
            let event = Event::new(caller, "logout").by(browser.principal.to_string());
            event.detail("session", browser.id).record(&mut tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Where a user is logged in with a browser, oldest first: one's own, and those of a user by
    /// name for system administrators.
    pub async fn sessions(
        &self,
        caller: &Caller,
        user: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Session>> {
        let idle = self.idle().await?;
        let mut tx = self.database().read().await?;
        let user = self.account(&mut tx, caller, user).await?;
        let now = tx.now();
        let before = |span| now.checked_sub(span).unwrap_or(Timestamp::MIN);
        let alive = (before(idle), before(SESSION_LIFETIME));
        let (after, limit) = (page.after_id().unwrap_or(0), page.limit());
        let rows = metadata::sessions::list(&mut tx, user.id, alive, after, limit + 1).await?;
        let rows = rows.into_iter().map(Session::from).collect();
        Ok(Page::cut(rows, limit, |session: &Session| session.id.to_string()))
    }

    /// Ends a log-in with a browser: one's own, anybody's for system administrators. To others each
    /// number is the same.
    pub async fn end_session(&self, caller: &Caller, id: i64) -> Result<()> {
        let own = own_id(caller)?;
        let mut tx = self.database().write().await?;
        let whose = metadata::sessions::user_of(&mut tx, id).await?;
        let whose = whose.filter(|user| user.id == own || caller.principal.is_sysadmin());
        let Some(user) = whose else { return Err(unknown(id)) };
        if !metadata::sessions::end(&mut tx, user.id, id).await? {
            return Err(unknown(id));
        }
        Event::new(caller, "end-session")
            .detail("user", user.name)
            .detail("session", id)
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Ends every log-in of a user with a browser: one's own, and those of a user by name for
    /// system administrators. How many there were.
    pub async fn end_sessions(&self, caller: &Caller, user: Option<&str>) -> Result<u64> {
        let mut tx = self.database().write().await?;
        let user = self.account(&mut tx, caller, user).await?;
        let ended = metadata::sessions::end_all(&mut tx, user.id).await?;
        Event::new(caller, "end-session")
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

    async fn idle(&self) -> Result<SignedDuration> {
        Ok(SignedDuration::from_mins(self.configuration().await?.session_minutes))
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

fn unknown(id: i64) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no log-in {id} of yours"))
}
