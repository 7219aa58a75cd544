//! Log-ins with a browser, on both engines, with a clock that is moved by hand.
#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::SignedDuration;
use sealock_auth::*;
use sealock_metadata::{both_engines, sessions, testing::TestDatabase, users};
use std::sync::Arc;

const IDLE: SignedDuration = SignedDuration::from_mins(60);
const HERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn authenticator(t: &TestDatabase) -> Authenticator {
    let random = Arc::new(SystemRandomness);
    let key = TokenKey::generate().unwrap();
    let tokens = Tokens::new("sealock", &key, &[], t.clock.clone(), random.clone());
    Authenticator::new(t.db.clone(), tokens, random).unwrap()
}

async fn log_in(t: &TestDatabase, auth: &Authenticator, login: &Login) -> Option<SecretString> {
    let caller = Caller {
        principal: login.principal.clone(),
        address: HERE,
        user_agent: "a browser".to_owned(),
        request_id: String::new(),
        scope: None,
    };
    let mut tx = t.db.write().await.unwrap();
    let made = auth.begin_session(&mut tx, login, &caller, IDLE).await.unwrap();
    tx.commit().await.unwrap();
    made.map(|(_, cookie)| cookie)
}

async fn who(auth: &Authenticator, cookie: &SecretString) -> Option<i64> {
    auth.session(cookie, IDLE).await.unwrap().and_then(|browser| browser.principal.user_id())
}

async fn ann(auth: &Authenticator) -> (users::User, Login) {
    let new = users::NewUser { name: "ann", ..users::NewUser::default() };
    let user = auth.create_user(&new, &"correct horse".into()).await.unwrap().unwrap();
    (user, auth.login(HERE, "ann", &"correct horse".into()).await.unwrap())
}

both_engines!(
    a_browser_stays_as_long_as_it_is_used_and_a_week_at_most,
    a_log_in_that_overtakes_a_change_counts_for_nothing,
    a_user_has_so_many_browsers_and_old_ones_are_forgotten,
);

async fn a_browser_stays_as_long_as_it_is_used_and_a_week_at_most(t: &mut TestDatabase) {
    let auth = authenticator(t);
    let (user, login) = ann(&auth).await;
    let cookie = log_in(t, &auth, &login).await.unwrap();
    let idle = log_in(t, &auth, &login).await.unwrap();
    let step = SignedDuration::from_mins(50);
    let mut seen = SignedDuration::ZERO;
    while seen + step < SESSION_LIFETIME {
        t.clock.advance(step);
        seen += step;
        assert_eq!(who(&auth, &cookie).await, Some(user.id), "after {seen}");
    }
    assert_eq!(who(&auth, &idle).await, None);
    t.clock.advance(step);
    assert_eq!(who(&auth, &cookie).await, None, "after a week");
    // An hour to the second.
    let cookie = log_in(t, &auth, &login).await.unwrap();
    t.clock.advance(IDLE - SignedDuration::from_secs(1));
    assert_eq!(who(&auth, &cookie).await, Some(user.id));
    t.clock.advance(IDLE);
    assert_eq!(who(&auth, &cookie).await, None);
    for bad in ["", "x", &"x".repeat(10_000), &cookie.expose()[1..]] {
        assert_eq!(who(&auth, &bad.into()).await, None);
    }
}

async fn a_log_in_that_overtakes_a_change_counts_for_nothing(t: &mut TestDatabase) {
    let auth = authenticator(t);
    let (user, login) = ann(&auth).await;
    let kept = log_in(t, &auth, &login).await.unwrap();
    let hash = auth.hash_new(&"another horse".into()).await.unwrap();
    let mut tx = t.db.write().await.unwrap();
    users::set_password(&mut tx, user.id, &hash).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(who(&auth, &kept).await, None);
    // Its password was right when it was looked at.
    let late = log_in(t, &auth, &login).await.unwrap();
    assert_eq!(who(&auth, &late).await, None);
    let fresh = auth.login(HERE, "ann", &"another horse".into()).await.unwrap();
    let cookie = log_in(t, &auth, &fresh).await.unwrap();
    assert_eq!(who(&auth, &cookie).await, Some(user.id));
    let mut tx = t.db.write().await.unwrap();
    users::set_flags(&mut tx, user.id, false, false, true).await.unwrap();
    tx.commit().await.unwrap();
    assert!(log_in(t, &auth, &fresh).await.is_none(), "a closed account");
    assert!(log_in(t, &auth, &Login::ANONYMOUS).await.is_none());
    let mut tx = t.db.write().await.unwrap();
    users::delete(&mut tx, user.id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(log_in(t, &auth, &fresh).await.is_none(), "a removed one");
}

async fn a_user_has_so_many_browsers_and_old_ones_are_forgotten(t: &mut TestDatabase) {
    let auth = authenticator(t);
    let (user, login) = ann(&auth).await;
    let first = log_in(t, &auth, &login).await.unwrap();
    for _ in 0..MAX_BROWSERS {
        log_in(t, &auth, &login).await.unwrap();
    }
    assert_eq!(who(&auth, &first).await, None);
    t.clock.advance(IDLE * 2);
    let last = log_in(t, &auth, &login).await.unwrap();
    assert_eq!(who(&auth, &last).await, Some(user.id));
    let mut tx = t.db.write().await.unwrap();
    assert_eq!(sessions::end_all(&mut tx, user.id).await.unwrap(), 1, "the others are forgotten");
}
