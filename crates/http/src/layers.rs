//! What every request passes, whichever face it is for: a request id, a limit on headers, the
//! access log and a net under panics.

use crate::{AccessLog, Front, HttpError, Peer, RequestRates, rates::limited, sender::sent_from};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header, request::Parts, uri::Authority,
};
use sealock_oci::ErrorCode;
use std::{
    any::Any,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;
use uuid::Uuid;

/// The header that carries a request's id in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken from a client, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;
/// Size of all headers of a request, names and values, in bytes.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// How long an answer 429 is held back, in milliseconds.
const REFUSAL_HOLD_MILLIS: u64 = 200;

/// The id of the request at hand, in its extensions.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

/// Puts what every request passes around the faces.
pub fn around(app: Router, front: Arc<Front>) -> Router {
    outermost(app.fallback(nowhere), front, AccessLog::default())
}

/// The same, and counts requests by the address that they come from.
pub fn around_limited(
    app: Router,
    front: Arc<Front>,
    rates: Arc<RequestRates>,
    log: AccessLog,
) -> Router {
    // What leads nowhere counts, too: a layer covers the fallback that is there before it.
    outermost(limited(app.fallback(nowhere), front.clone(), rates), front, log)
}

fn outermost(app: Router, front: Arc<Front>, log: AccessLog) -> Router {
    let seen = (front, Arc::new(log));
    app.layer(CatchPanicLayer::custom(caught)).layer(from_fn_with_state(seen, observe))
}

async fn nowhere(request: Request) -> HttpError {
    HttpError::with_code(
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
        format!("there is nothing at {}", request.uri().path()),
    )
}

async fn observe(
    State((front, log)): State<(Arc<Front>, Arc<AccessLog>)>,
    request: Request,
    next: Next,
) -> Response {
    let begin = Instant::now();
    let (mut parts, body) = request.into_parts();
    let id = request_id(&parts.headers);
    parts.extensions.insert(RequestId(id.clone()));
    let client = front.client_address(&parts);
    let method = parts.method.clone();
    let path = logged_path(parts.uri.path());
    let tls = parts.extensions.get::<Peer>().is_some_and(|peer| peer.tls);
    let agent = parts.headers.get(header::USER_AGENT).cloned();
    let span = tracing::info_span!("request", id = %id);
    let mut response = match check_headers(&parts.headers).and_then(|()| check_host(&parts)) {
        Err(error) => error.into_response(),
        Ok(()) => {
            let work = next.run(Request::from_parts(parts, body)).instrument(span.clone());
            sent_from((!front.trusts(client)).then_some(client), work).await
        }
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let line = if response.status() == StatusCode::TOO_MANY_REQUESTS {
        // Who asks on without heed is then busy with waiting, not we with refusing.
        tokio::time::sleep(Duration::from_millis(REFUSAL_HOLD_MILLIS)).await;
        log.line_of_refusal(client)
    } else if front.trusts(client) {
        // A proxy that does not say whom it asks for is everybody.
        Some(0)
    } else {
        log.line(client)
    };
    let Some(held_back) = line else { return response };
    // The path only: a query may hold what should not stand in a log.
    tracing::info!(
        parent: &span,
        %client,
        tls,
        %method,
        path,
        status = response.status().as_u16(),
        milliseconds = begin.elapsed().as_secs_f64() * 1e3,
        agent = agent.as_ref().and_then(|agent| agent.to_str().ok()).unwrap_or_default(),
        answers_not_logged = (held_back > 0).then_some(held_back),
        "access"
    );
    response
}

/// The path as the log may have it: the address of an admission webhook ends in a cluster's token.
fn logged_path(path: &str) -> String {
    let secret = path
        .strip_prefix("/admission/")
        .and_then(|rest| rest.splitn(3, '/').nth(2))
        .map_or(0, str::len);
    match secret {
        0 => path.to_owned(),
        length => format!("{}…", &path[..path.len() - length]),
    }
}

fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|text| {
        (1..=MAX_REQUEST_ID_BYTES).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    });
    match given {
        Some(text) => text.into(),
        None => {
            let mut buffer = Uuid::encode_buffer();
            let text: &str = fresh_id().hyphenated().encode_lower(&mut buffer);
            text.into()
        }
    }
}

/// An id that no other request has: they are told apart, not kept secret, so one look for
/// randomness is enough for a process.
fn fresh_id() -> Uuid {
    static PROCESS: LazyLock<u128> = LazyLock::new(|| Uuid::new_v4().as_u128());
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let number = u128::from(REQUESTS.fetch_add(1, Ordering::Relaxed));
    // The upper 80 bits hold the version and the variant, and stay.
    Uuid::from_u128(PROCESS.wrapping_add(number) & LOW | *PROCESS & !LOW)
}

/// The bits of an id that count requests.
const LOW: u128 = (1 << 48) - 1;

/// Headers that say one thing. Given twice, two readers could choose differently: a proxy before us
/// and we, or the one who checks and the one who acts.
const SAID_ONCE: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_RANGE,
    header::RANGE,
    header::TRANSFER_ENCODING,
];

fn check_headers(headers: &HeaderMap) -> Result<(), HttpError> {
    if header_bytes(headers) > MAX_HEADER_BYTES {
        return Err(HttpError::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            ErrorCode::Unsupported,
            format!("a request has at most {MAX_HEADER_BYTES} bytes of headers"),
        ));
    }
    let refuse = |message: String| {
        // Where the next request begins is not certain.
        HttpError::bad_request(ErrorCode::Unsupported, message)
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    };
    let twice = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    // Nearly no request has a header twice.
    if headers.len() > headers.keys_len()
        && let Some(name) = SAID_ONCE.iter().find(twice)
    {
        return Err(refuse(format!("the header {name} is given more than once")));
    }
    // RFC 9112, section 6.1: how requests are smuggled past a proxy.
    if headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH)
    {
        return Err(refuse("a body has Content-Length or Transfer-Encoding, not both".to_owned()));
    }
    Ok(())
}

/// Which host is meant must be said once, and it must be said: tokens are sent for by it.
fn check_host(parts: &Parts) -> Result<(), HttpError> {
    let host = parts.headers.get(header::HOST);
    let authority = parts.uri.authority().map(Authority::as_str);
    let clear = match parts.version {
        // RFC 9112, section 3.2. What stands in the request line counts then (section 3.2.2).
        Version::HTTP_11 => host.is_some(),
        // RFC 9113, section 8.3.1.
        Version::HTTP_2 => match (host, authority) {
            (Some(host), Some(authority)) => {
                host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())
            }
            _ => true,
        },
        _ => true,
    };
    if clear {
        return Ok(());
    }
    Err(HttpError::bad_request(
        ErrorCode::Unsupported,
        "a request names its host, once (the header Host, or :authority of HTTP/2)",
    )
    .with_header(header::CONNECTION, HeaderValue::from_static("close")))
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn caught(panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text");
    HttpError::internal(format!("a handler panicked: {text}")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_one_id() {
        let ids: std::collections::HashSet<Uuid> = (0..10_000).map(|_| fresh_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
        let id = request_id(&HeaderMap::new());
        assert_eq!(id.len(), 36);
        assert!(Uuid::parse_str(&id).is_ok());
    }

    #[test]
    fn one_host_is_meant() {
        let clear = |version, uri: &str, host: Option<&str>| {
            let mut request = http::Request::builder().version(version).uri(uri);
            if let Some(host) = host {
                request = request.header(header::HOST, host);
            }
            check_host(&request.body(()).unwrap().into_parts().0).is_ok()
        };
        assert!(clear(Version::HTTP_11, "/v2/", Some("a")));
        assert!(!clear(Version::HTTP_11, "/v2/", None));
        assert!(!clear(Version::HTTP_11, "http://a/v2/", None));
        assert!(clear(Version::HTTP_11, "http://a/v2/", Some("b")), "the request line counts");
        assert!(clear(Version::HTTP_10, "/v2/", None));
        assert!(clear(Version::HTTP_2, "https://a/v2/", None));
        assert!(clear(Version::HTTP_2, "https://a.example:5000/v2/", Some("A.example:5000")));
        assert!(!clear(Version::HTTP_2, "https://a/v2/", Some("b")));
        assert!(clear(Version::HTTP_2, "/v2/", Some("b")));
    }

    #[test]
    fn tokens_of_clusters_are_not_logged() {
        for path in ["/admission/validate/prod/s3cret", "/admission/mutate/prod/s3cret/more"] {
            assert!(!logged_path(path).contains("s3cret"), "{path}");
        }
        assert_eq!(logged_path("/admission/validate/prod/x"), "/admission/validate/prod/…");
        for path in ["/", "/v2/a/b/manifests/c", "/admission/validate", "/admission/validate/prod"]
        {
            assert_eq!(logged_path(path), path);
        }
    }
}
