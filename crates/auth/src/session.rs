//! Who is logged in with a browser: by a cookie with 256 random bits, of which only a hash is kept.

use crate::{
    AuthError, Authenticator, Caller, Login, Principal, SecretString, authenticator::user_login,
    secret_hash, token::Holder,
};
use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use sealock_metadata::{Tx, sessions};
use subtle::ConstantTimeEq as _;

/// How long a log-in with a browser lasts at most, however much it is used.
pub const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Most log-ins of one user with browsers; a further one ends the oldest.
pub const MAX_BROWSERS: u32 = 100;
/// How stale the note of the last use may be: a row is not written at every request.
const STALE: SignedDuration = SignedDuration::from_secs(30);
/// Log-ins that ended by themselves and are forgotten when somebody logs in.
const FORGOTTEN_AT_ONCE: u32 = 1_000;
/// Longest cookie that is looked at, in bytes.
const MAX_COOKIE_BYTES: usize = 128;

/// Somebody who is logged in with a browser.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Number of the log-in.
    pub id: i64,
    /// Who.
    pub principal: Principal,
}

/// Before which moments a log-in must have been used and begun to have ended by itself.
pub(crate) fn ends(now: Timestamp, idle: SignedDuration) -> (Timestamp, Timestamp) {
    let before = |span| now.checked_sub(span).unwrap_or(Timestamp::MIN);
    (before(idle), before(SESSION_LIFETIME))
}

impl Authenticator {
    /// Keeps a log-in for a browser, in a transaction of the caller's that writes: its number and
    /// the cookie, which is new each time, so that nobody can have planted it. `None` unless it is
    /// the log-in of a user who may log in.
    pub async fn begin_session(
        &self,
        tx: &mut Tx,
        login: &Login,
        caller: &Caller,
        idle: SignedDuration,
    ) -> Result<Option<(i64, SecretString)>, AuthError> {
        let (Principal::User { .. }, Holder::User { id, mark }) = (&login.principal, &login.holder)
        else {
            return Ok(None);
        };
        let (used, begun) = ends(tx.now(), idle);
        sessions::forget(tx, used, begun, FORGOTTEN_AT_ONCE).await?;
        let cookie = self.random_secret::<32>()?;
        let new = sessions::NewSession {
            user_id: *id,
            secret_hash: &secret_hash(&cookie),
            mark: mark.as_str(),
            address: &caller.address.to_string(),
            user_agent: &caller.user_agent,
        };
        let made = sessions::create(tx, &new, MAX_BROWSERS).await?;
        Ok(made.map(|id| (id, cookie)))
    }

    /// Who shows this cookie; `None` when it is nobody's any more. The account is looked up at each
    /// use: who was closed, removed or has a new password is out at once.
    pub async fn session(
        &self,
        cookie: &SecretString,
        idle: SignedDuration,
    ) -> Result<Option<Browser>, AuthError> {
        if cookie.expose().len() > MAX_COOKIE_BYTES {
            return Ok(None);
        }
        let mut tx = self.db.read().await?;
        let found = sessions::find(&mut tx, &secret_hash(cookie)).await?;
        let now = tx.now();
        tx.rollback().await?;
        let Some(found) = found else { return Ok(None) };
        let (used, begun) = ends(now, idle);
        let session = &found.session;
        let ended = session.used_at <= used || session.created_at <= begun;
        if ended || found.credentials.user.disabled {
            return Ok(None);
        }
        let Ok(Login { principal, holder: Holder::User { mark, .. } }) =
            user_login(found.credentials)
        else {
            return Ok(None);
        };
        // A log-in that overtook a change of the password is no more than the others.
        if mark.as_str() != found.mark {
            return Ok(None);
        }
        let id = session.id;
        if session.used_at.checked_add(STALE).is_ok_and(|stale| stale <= now) {
            let mut tx = self.db.write().await?;
            sessions::touch(&mut tx, id).await?;
            tx.commit().await?;
        }
        Ok(Some(Browser { id, principal }))
    }
}

/// What a page must send in a header with a request that changes something: an HMAC of a second
/// cookie under the first. Another site's page can make a browser send both, but read neither.
pub fn csrf_token(cookie: &SecretString, nonce: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(b"sealock csrf\0");
    context.update(nonce.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(context.sign().as_ref())
}

/// Whether this is that, compared in constant time.
pub fn is_csrf_token(cookie: &SecretString, nonce: &str, given: &str) -> bool {
    csrf_token(cookie, nonce).as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csrf_token_belongs_to_both_cookies() {
        let cookie = SecretString::new("one");
        let token = csrf_token(&cookie, "n");
        assert!(is_csrf_token(&cookie, "n", &token));
        assert!(!is_csrf_token(&cookie, "m", &token));
        assert!(!is_csrf_token(&"two".into(), "n", &token));
        assert!(!is_csrf_token(&cookie, "n", ""));
        assert!(!is_csrf_token(&cookie, "n", &token[1..]));
    }
}
