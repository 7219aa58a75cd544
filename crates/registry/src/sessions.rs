//! People who are logged in with a browser: logged in, out, listed and thrown out.

use crate::{
    Error, Page, PageRequest, Registry, Result, accounts::Kept, audit::Event, users::refused,
};
use jiff::{SignedDuration, Timestamp};
use sealock_auth::{Authenticator, Browser, Caller, Login, SESSION_LIFETIME, SecretString};
use sealock_metadata::{self as metadata, sessions::Session as Row};

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
        self.end_kept(caller, Kept::Session, id).await
    }

    /// Ends every log-in of a user with a browser: one's own, and those of a user by name for
    /// system administrators. How many there were.
    pub async fn end_sessions(&self, caller: &Caller, user: Option<&str>) -> Result<u64> {
        self.end_all_kept(caller, Kept::Session, user).await
    }

    async fn idle(&self) -> Result<SignedDuration> {
        Ok(SignedDuration::from_mins(self.configuration().await?.session_minutes))
    }
}
