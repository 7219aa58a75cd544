//! What handlers share: the state, who asks, what they sent, and Harbor's words for errors.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use sealock_auth::{Authenticator, Caller};
use sealock_http::{Authorities, Gatekeeper, HttpError, Result, encode, read_limited};
use sealock_registry::{Registry, harbor::ProjectName};
use serde::de::DeserializeOwned;

/// Where this face lives.
pub(crate) const BASE: &str = "/api/v2.0";
/// Largest request that is read, in bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// Asks that a project be named by its name even where that is a number.
const IS_NAME: &str = "x-is-resource-name";
/// Asks for the name instead of the number in `Location`.
const NAME_IN_LOCATION: &str = "x-resource-name-in-location";

/// What the face works with.
#[derive(Clone)]
pub struct Face {
    /// The registry.
    pub registry: Registry,
    /// Who asks.
    pub gatekeeper: Gatekeeper,
    /// Where passwords are hashed.
    pub accounts: Authenticator,
    /// Who vouches for this server's certificate, for those who want to trust it.
    pub certificate: Option<Authorities>,
}

/// Who asks, by a user's or robot's name and secret, or nobody.
pub(crate) struct Asking(pub(crate) Caller);

impl FromRequestParts<Face> for Asking {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self> {
        face.gatekeeper.visitor(parts).await.map(Self)
    }
}

/// Who asks, and not nobody.
pub(crate) struct Known(pub(crate) Caller);

impl FromRequestParts<Face> for Known {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self> {
        let Asking(caller) = Asking::from_request_parts(parts, face).await?;
        if caller.principal.is_anonymous() {
            return Err(sealock_registry::Error::unauthenticated().into());
        }
        Ok(Self(caller))
    }
}

/// A JSON body. As in Harbor fields that the operation does not know are passed over: whatever they
/// say, nothing is done.
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Face> for Sent<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &Face) -> Result<Self> {
        let bytes = read_limited(request.into_body(), MAX_BODY_BYTES, "the request's body").await?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| unprocessable(format!("the request's body cannot be read: {error}")))
    }
}

/// Parts of the path, decoded.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Face> for Path<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self> {
        let path = axum::extract::Path::from_request_parts(parts, face).await;
        path.map(|axum::extract::Path(path)| Self(path))
            .map_err(|error| unprocessable(format!("the path: {}", error.body_text())))
    }
}

/// How the request names things.
pub(crate) struct Naming {
    is_name: bool,
    name_in_location: bool,
}

impl FromRequestParts<Face> for Naming {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &Face) -> Result<Self> {
        let flag = |name| flag(&parts.headers, name);
        Ok(Self { is_name: flag(IS_NAME), name_in_location: flag(NAME_IN_LOCATION) })
    }
}

impl Naming {
    /// The project that this part of a path means: a number is one, unless the request says that
    /// it is a name.
    pub(crate) fn project(&self, text: &str) -> ProjectName {
        match text.parse() {
            Ok(number) if !self.is_name => ProjectName::Number(number),
            _ => ProjectName::Name(text.to_owned()),
        }
    }

    /// What stands in `Location` for a project.
    pub(crate) fn place(&self, id: i64, name: &str) -> String {
        if self.name_in_location { encode(name) } else { id.to_string() }
    }
}

fn flag(headers: &HeaderMap, name: &str) -> bool {
    headers.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// 201 with the place of what was made, below [`BASE`].
pub(crate) fn created(place: &str) -> Result<Response> {
    let location = HeaderValue::from_str(&format!("{BASE}{place}")).map_err(HttpError::internal)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
}

/// The same with what was made, which nobody may store: it tells a secret.
pub(crate) fn created_secret(place: &str, body: serde_json::Value) -> Result<Response> {
    let location = HeaderValue::from_str(&format!("{BASE}{place}")).map_err(HttpError::internal)?;
    let headers = [(header::LOCATION, location), UNSTORED];
    Ok((StatusCode::CREATED, headers, axum::Json(body)).into_response())
}

/// Keeps what tells a secret out of stores.
pub(crate) const UNSTORED: (http::HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// A request that says what cannot be: 400.
pub(crate) fn bad(message: impl Into<String>) -> HttpError {
    HttpError::with_code(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

/// A request that is not what the contract says: 422.
pub(crate) fn unprocessable(message: impl Into<String>) -> HttpError {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    HttpError::with_code(status, "UNPROCESSABLE_ENTITY", message)
}

/// Says errors in Harbor's words, and asks for a name and a password where they are missing. What
/// people wrote comes back as JSON, and no browser may take it for a page (CVE-2025-32019).
pub(crate) async fn harbors_words(response: Response) -> Response {
    let word = |error: HttpError| Gatekeeper::basic_challenge(error.in_harbors_words());
    let mut response = HttpError::reworded(response, word);
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
