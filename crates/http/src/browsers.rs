//! What a browser sends by itself: the cookie of a log-in. A page of another site can make it do
//! that, so whatever changes something must come with a token that only our own pages can read
//! (Harbor's `X-Harbor-CSRF-Token`). Without a cookie it needs none, but a browser remembers a name
//! and a password, too: what it says to send for another site's page changes nothing.

use crate::{Front, Gatekeeper, HttpError};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{self, COOKIE, ORIGIN, SET_COOKIE},
    request::Parts,
};
use sealock_auth::{SecretString, csrf_token, is_csrf_token};
use uuid::Uuid;

/// The cookie of a log-in, by the name that Harbor's has.
const SESSION_COOKIE: &str = "sid";
/// The cookie to which the token in the header belongs, by the name under which clients of Harbor's
/// that are given a log-in (the Terraform provider's `session_id`) look for it.
const NONCE_COOKIE: &str = "_gorilla_csrf";
/// Where the token comes and goes.
pub const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-harbor-csrf-token");
/// Says where a request of a browser's comes from (Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Longest value of a cookie that is read, in bytes.
const MAX_COOKIE_BYTES: usize = 128;

/// The cookie of a log-in, in the extensions of a request that was found to be no other site's.
/// Only a face inside of [`with_browsers`] ever sees one.
#[derive(Debug, Clone)]
pub struct SessionCookie(pub SecretString);

/// Lets browsers log in to a face.
pub fn with_browsers<S: Clone + Send + Sync + 'static>(
    app: Router<S>,
    gatekeeper: Gatekeeper,
) -> Router<S> {
    app.layer(from_fn_with_state(gatekeeper, browser))
}

async fn browser(State(gatekeeper): State<Gatekeeper>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Err(error) = refuse_other_sites(&parts, gatekeeper.front()) {
        return error.into_response();
    }
    let Some(cookie) = cookie(&parts.headers, SESSION_COOKIE) else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let cookie = SecretString::new(cookie);
    let nonce = cookie_nonce(&parts.headers);
    let secure = is_secure(&parts, gatekeeper.front());
    let mut response = match is_harmless(&parts, &cookie, nonce.as_deref()) {
        true => {
            parts.extensions.insert(SessionCookie(cookie.clone()));
            next.run(Request::from_parts(parts, body)).await
        }
        false => foreign().into_response(),
    };
    // A log-in has told what belongs to its new cookie, a log-out has taken it.
    if !response.headers().contains_key(SET_COOKIE) {
        give_token(response.headers_mut(), &cookie, nonce, secure);
    }
    response
}

fn is_secure(parts: &Parts, front: &Front) -> bool {
    front.base_url(parts).starts_with("https://")
}

/// Whether a request changes nothing, or shows the token of its cookies.
fn is_harmless(parts: &Parts, cookie: &SecretString, nonce: Option<&str>) -> bool {
    if changes_nothing(&parts.method) {
        return true;
    }
    let given = parts.headers.get(CSRF_TOKEN).and_then(|value| value.to_str().ok());
    matches!((given, nonce), (Some(given), Some(nonce)) if is_csrf_token(cookie, nonce, given))
}

/// Whether a request of this method changes nothing.
pub(crate) fn changes_nothing(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

fn foreign() -> HttpError {
    HttpError::with_code(
        StatusCode::FORBIDDEN,
        "FORBIDDEN",
        "the CSRF token is missing or is not the one of this log-in: send what an answer to a GET \
         has in X-Harbor-CSRF-Token, with the cookies, or send no cookie and authenticate by a \
         name and a password",
    )
}

/// Gives the browser of this cookie its token.
fn give_token(headers: &mut HeaderMap, cookie: &SecretString, nonce: Option<String>, secure: bool) {
    let (nonce, fresh) = match nonce {
        Some(nonce) => (nonce, false),
        None => (Uuid::new_v4().simple().to_string(), true),
    };
    let token = csrf_token(cookie, &nonce);
    if let Ok(token) = HeaderValue::from_str(&token) {
        headers.insert(CSRF_TOKEN, token);
    }
    if fresh {
        set_cookie(headers, NONCE_COOKIE, Some(&nonce), secure);
    }
}

/// Logs a browser in: its new cookie, and the token that belongs to it.
pub fn give_session(headers: &mut HeaderMap, parts: &Parts, front: &Front, cookie: &SecretString) {
    let secure = is_secure(parts, front);
    set_cookie(headers, SESSION_COOKIE, Some(cookie.expose()), secure);
    give_token(headers, cookie, cookie_nonce(&parts.headers), secure);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Takes both cookies from a browser.
pub fn take_session(headers: &mut HeaderMap, parts: &Parts, front: &Front) {
    let secure = is_secure(parts, front);
    set_cookie(headers, SESSION_COOKIE, None, secure);
    set_cookie(headers, NONCE_COOKIE, None, secure);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// A cookie until the browser is closed, for our own pages only, which cannot read it. Without a
/// value the browser forgets it.
fn set_cookie(headers: &mut HeaderMap, name: &str, value: Option<&str>, secure: bool) {
    let mut text = format!("{name}={}; Path=/; HttpOnly; SameSite=Strict", value.unwrap_or(""));
    if value.is_none() {
        text.push_str("; Max-Age=0");
    }
    if secure {
        text.push_str("; Secure");
    }
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(SET_COOKIE, value);
    }
}

/// Fails for a request that changes something and that a page of another site makes a browser send
/// without any cookie: to log its user in as somebody else, or with the name and password that the
/// browser has once asked for and sends along from then on. Browsers say where a request comes
/// from; other clients say nothing.
fn refuse_other_sites(parts: &Parts, front: &Front) -> Result<(), HttpError> {
    if changes_nothing(&parts.method) {
        return Ok(());
    }
    let text = |name| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let own = match (text(FETCH_SITE), text(ORIGIN)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map_or("", |(_, host)| host);
            Some(host) == text(header::HOST) || origin.eq_ignore_ascii_case(&front.base_url(parts))
        }
        (None, None) => true,
    };
    match own {
        true => Ok(()),
        false => Err(HttpError::with_code(
            StatusCode::FORBIDDEN,
            "FORBIDDEN",
            "this comes from a page of another site (Sec-Fetch-Site, Origin)",
        )),
    }
}

fn cookie_nonce(headers: &HeaderMap) -> Option<String> {
    cookie(headers, NONCE_COOKIE)
}

/// The value of a cookie. Of two of one name neither counts: one of them may be somebody else's,
/// planted from a neighbouring host.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = pairs
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .filter(|(one, _)| one.trim() == name)
        .map(|(_, value)| value.trim());
    let value = found.next()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let good = (1..=MAX_COOKIE_BYTES).contains(&value.len()) && value.bytes().all(plain);
    (good && found.next().is_none()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for text in cookies {
            headers.append(COOKIE, HeaderValue::from_str(text).unwrap());
        }
        headers
    }

    #[test]
    fn one_cookie_counts_and_two_do_not() {
        let read = |cookies: &[&str]| cookie(&headers(cookies), "sid");
        assert_eq!(read(&["a=b; sid=x-1_; c=d"]), Some("x-1_".to_owned()));
        assert_eq!(read(&["a=b", "sid=x"]), Some("x".to_owned()));
        for bad in [
            &["sid=x; sid=y"][..],
            &["sid=x", "sid=x"],
            &["sid="],
            &["xsid=x"],
            &["sid=a b"],
            &["sid=\"x\""],
            &[],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(read(&[&format!("sid={}", "x".repeat(129))]), None);
    }

    #[test]
    fn other_sites_are_told_by_what_browsers_say() {
        let front = Front { external_url: Some("https://r.example".into()), ..Front::default() };
        let send = |method: Method, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            refuse_other_sites(&request.body(()).unwrap().into_parts().0, &front).is_ok()
        };
        let ask = |headers: &[(&str, &str)]| send(Method::POST, headers);
        for good in [
            &[][..],
            &[("origin", "https://r.example")],
            &[("origin", "http://10.0.0.1:5000"), ("host", "10.0.0.1:5000")],
            &[("origin", "https://other.example"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(ask(good), "{good:?}");
        }
        for bad in [
            &[("origin", "https://evil.example"), ("host", "r.example")][..],
            &[("origin", "https://r.example.evil.example"), ("host", "r.example")],
            &[("origin", "https://evil.example/r.example"), ("host", "r.example")],
            &[("origin", "null"), ("host", "r.example")],
            &[("origin", "https://r.example"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert!(!ask(bad), "{bad:?}");
            assert!(send(Method::GET, bad), "what changes nothing may be asked for from anywhere");
        }
    }
}
