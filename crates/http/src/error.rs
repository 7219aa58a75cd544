//! The one place where errors become HTTP.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sealock_auth::AuthError;
use sealock_oci::ErrorCode;
use sealock_registry::Kind;
use serde::Serialize;
use serde_json::{Value, json};
use std::{fmt, sync::Arc, time::Duration};

/// What handlers of the faces return.
pub type Result<T, E = HttpError> = std::result::Result<T, E>;

/// Seconds after which a client may try again when the server is busy.
const RETRY_AFTER_SECONDS: &str = "5";

/// An error on its way to a client: a status, a stable code and a message, and apart from them a
/// message for the log.
#[derive(Debug)]
pub struct HttpError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    code: String,
    message: String,
    detail: Value,
    headers: HeaderMap,
    log: Option<String>,
}

/// Travels with the answer that was made from it.
#[derive(Clone)]
struct Told(Arc<Inner>);

/// The envelope of the distribution specification ("Error Codes"), which Harbor uses as well.
#[derive(Serialize)]
struct Envelope<'a> {
    errors: [Entry<'a>; 1],
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Value::is_null")]
    detail: &'a Value,
}

impl HttpError {
    /// An error with a code of the distribution specification.
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        let code = match serde_json::to_value(code) {
            Ok(Value::String(code)) => code,
            _ => "UNKNOWN".to_owned(),
        };
        Self::with_code(status, code, message)
    }

    /// An error with a code of another face.
    pub fn with_code(
        status: StatusCode,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            status,
            code: code.into(),
            message: message.into(),
            detail: Value::Null,
            headers: HeaderMap::new(),
            log: None,
        }))
    }

    /// 400 with a code of the distribution specification.
    pub fn bad_request(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404 with a code of the distribution specification.
    pub fn not_found(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 401; the face adds the challenge.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
    }

    /// 500: the client learns only that it happened.
    pub fn internal(log: impl fmt::Display) -> Self {
        Self::from(sealock_registry::Error::internal(log))
    }

    /// 429: too much in too short a time. `wait` is when the next request is looked at.
    pub fn too_many(message: impl Into<String>, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let seconds = HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX));
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, message)
            .with_header(header::RETRY_AFTER, seconds)
    }

    /// Adds structured detail for the client.
    #[must_use]
    pub fn with_detail(mut self, detail: Value) -> Self {
        self.0.detail = detail;
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Adds a message for the log.
    #[must_use]
    pub fn with_log(mut self, log: impl fmt::Display) -> Self {
        self.0.log = Some(log.to_string());
        self
    }

    /// Says it with the codes of Harbor's API, which follow from the status.
    #[must_use]
    pub fn in_harbors_words(mut self) -> Self {
        // Its errors have a code and a message; what a refusal says in detail stands there as well.
        self.0.detail = Value::Null;
        let code = match self.0.status {
            StatusCode::BAD_REQUEST => "BAD_REQUEST",
            StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
            StatusCode::FORBIDDEN => "FORBIDDEN",
            StatusCode::NOT_FOUND => "NOT_FOUND",
            StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
            StatusCode::CONFLICT => "CONFLICT",
            StatusCode::PRECONDITION_FAILED => match self.0.code.as_str() {
                "PROJECTPOLICYVIOLATION" | "VIOLATE_FOREIGN_KEY_CONSTRAINT" => return self,
                _ => "PRECONDITION",
            },
            StatusCode::PAYLOAD_TOO_LARGE => "REQUEST_ENTITY_TOO_LARGE",
            StatusCode::UNPROCESSABLE_ENTITY => "UNPROCESSABLE_ENTITY",
            StatusCode::TOO_MANY_REQUESTS => "TOO_MANY_REQUEST",
            _ => return self,
        };
        code.clone_into(&mut self.0.code);
        self
    }

    /// Says it with codes that a client of our own API can tell apart: the distribution
    /// specification has one word for all that is malformed and one for all that is refused.
    #[must_use]
    pub fn in_own_words(mut self) -> Self {
        let code = match (self.0.status, self.0.code.as_str()) {
            (StatusCode::BAD_REQUEST, "UNSUPPORTED") => "BAD_REQUEST",
            (StatusCode::FORBIDDEN, "DENIED") => "FORBIDDEN",
            (StatusCode::CONFLICT, "DENIED") => "CONFLICT",
            (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID") => "TOO_LARGE",
            (StatusCode::UNPROCESSABLE_ENTITY, "UNSUPPORTED") => "UNPROCESSABLE",
            (StatusCode::SERVICE_UNAVAILABLE, _) => "BUSY",
            (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN") => "INTERNAL",
            _ => return self,
        };
        code.clone_into(&mut self.0.code);
        self
    }

    /// An answer, with the error that it was made from, if it was, worded in a face's own way. What
    /// was added to its headers since stays: a browser's token comes with each answer.
    pub fn reworded(mut response: Response, word: impl FnOnce(Self) -> Self) -> Response {
        let Some(told) = response.extensions_mut().remove::<Told>() else { return response };
        let mut reworded = word(Self(Box::new((*told.0).clone()))).into_response();
        let own = reworded.headers().clone();
        for (name, value) in response.headers() {
            if !own.contains_key(name) {
                reworded.headers_mut().append(name, value.clone());
            }
        }
        reworded
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What the client is told.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.code, self.0.message)
    }
}

impl std::error::Error for HttpError {}

impl From<sealock_registry::Error> for HttpError {
    fn from(error: sealock_registry::Error) -> Self {
        let status = match error.kind() {
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Range => StatusCode::RANGE_NOT_SATISFIABLE,
            Kind::Precondition | Kind::Policy => StatusCode::PRECONDITION_FAILED,
            Kind::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Full => StatusCode::INSUFFICIENT_STORAGE,
            Kind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut made = Self::new(status, error.code(), error.message());
        made.0.log = error.log().map(str::to_owned);
        if matches!(error.kind(), Kind::Busy | Kind::TooMany) {
            let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            made.0.headers.insert(header::RETRY_AFTER, seconds);
        }
        if let Some(refusal) = error.refusal() {
            made.0.detail = json!({
                "digest": refusal.digest,
                "verdict": refusal.verdict,
                "decision": refusal.decision,
            });
        }
        made
    }
}

impl From<AuthError> for HttpError {
    fn from(error: AuthError) -> Self {
        let text = error.to_string();
        match error {
            AuthError::BadCredentials | AuthError::Token(_) => Self::unauthorized(text),
            AuthError::Busy => {
                let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
                Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, text)
                    .with_header(header::RETRY_AFTER, seconds)
            }
            AuthError::TooManyAttempts { seconds } | AuthError::TooManyFailures { seconds } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, text)
                    .with_header(header::RETRY_AFTER, seconds.into())
            }
            AuthError::Name(_) | AuthError::Password(_) | AuthError::Pattern(_) => {
                Self::bad_request(ErrorCode::Unsupported, text)
            }
            AuthError::Crypto(_) => Self::internal(text),
            AuthError::Database(error) => sealock_registry::Error::from(error).into(),
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut inner = *self.0;
        let log = inner.log.take();
        let Inner { status, code, message, detail, headers, .. } = &inner;
        let (status, code) = (*status, code.as_str());
        match log {
            Some(log) if status.is_server_error() => {
                tracing::error!(status = status.as_u16(), code, "{log}");
            }
            Some(log) => tracing::debug!(status = status.as_u16(), code, "{log}"),
            None => {}
        }
        let entry = Entry { code, message, detail };
        let body = serde_json::to_vec(&Envelope { errors: [entry] }).unwrap_or_default();
        let mut response = (status, headers.clone(), body).into_response();
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response.extensions_mut().insert(Told(Arc::new(inner)));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn the_cause_of_a_failure_never_reaches_the_client() {
        let response = HttpError::internal("password of the database is x").into_response();
        assert_eq!(response.status(), 500);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["errors"][0]["code"], "UNKNOWN");
        assert!(!body.to_string().contains("password"));
    }

    #[test]
    fn an_answer_that_is_reworded_keeps_what_was_added_to_it() {
        let mut response = HttpError::unauthorized("x").into_response();
        for cookie in ["a=1", "b=2"] {
            let value = HeaderValue::from_static(cookie);
            response.headers_mut().append(header::SET_COOKIE, value);
        }
        let wanted = |error: HttpError| {
            error.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"))
        };
        let response = HttpError::reworded(response, wanted);
        assert_eq!(response.status(), 401);
        let all = |name| response.headers().get_all(name).iter().count();
        assert_eq!((all(header::SET_COOKIE), all(header::CONTENT_TYPE)), (2, 1));
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Basic");
        let other = HttpError::reworded(StatusCode::OK.into_response(), |_| unreachable!());
        assert_eq!(other.status(), 200);
    }

    #[test]
    fn statuses_and_codes() {
        let error =
            |kind| HttpError::from(sealock_registry::Error::new(kind, ErrorCode::NameUnknown, "x"));
        assert_eq!(error(Kind::NotFound).status(), 404);
        assert_eq!(error(Kind::NotFound).code(), "NAME_UNKNOWN");
        assert_eq!(error(Kind::NotFound).in_harbors_words().code(), "NOT_FOUND");
        assert_eq!(error(Kind::Policy).status(), 412);
        assert_eq!(error(Kind::Full).status(), 507);
        let busy = error(Kind::Busy).into_response();
        assert_eq!(busy.status(), 503);
        assert_eq!(busy.headers()[header::RETRY_AFTER], RETRY_AFTER_SECONDS);
    }
}
