//! What handlers share: the state, and extractors whose rejections are errors like all others.

use axum::{
    Json,
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use sealock_advisories::EgressPolicy;
use sealock_auth::{Authenticator, Caller, Principal};
use sealock_http::{Authorities, Gatekeeper, HttpError, Result, read_limited};
use sealock_lifecycle::Collector;
use sealock_oci::{Digest, ErrorCode, ImageReference, Reference, RepositoryName, Tag};
use sealock_registry::{MAX_PAGE_ITEMS, Page, PageRequest, Registry};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

/// Largest JSON body of a request, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Longest cursor, in bytes.
pub(crate) const MAX_CURSOR_BYTES: usize = 1024;

/// What the face works with.
#[derive(Clone)]
pub struct Face {
    /// The registry.
    pub registry: Registry,
    /// Who asks.
    pub gatekeeper: Gatekeeper,
    /// Where passwords are hashed.
    pub accounts: Authenticator,
    /// What frees bytes that nothing refers to.
    pub collector: Collector,
    /// Where advisories may be fetched from.
    pub egress: EgressPolicy,
    /// Who vouches for the certificate of the admission listener, for webhook configurations; none
    /// where there is no such listener.
    pub admission_ca: Option<Authorities>,
}

/// Who asks. A token of the token service opens repositories and nothing here.
pub(crate) struct Asking(pub(crate) Caller);

impl FromRequestParts<Face> for Asking {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self> {
        let caller = face.gatekeeper.caller_or_browser(parts).await;
        let caller = caller.map_err(Gatekeeper::basic_challenge)?;
        if caller.scope.is_some() {
            return Err(Gatekeeper::basic_challenge(HttpError::unauthorized(
                "a registry token does not open this API; log in with a name and a password, or \
                 with a robot's name and secret",
            )));
        }
        Ok(Self(caller))
    }
}

/// Who asks, and not nobody.
pub(crate) struct Known(pub(crate) Caller);

impl FromRequestParts<Face> for Known {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self> {
        let Asking(caller) = Asking::from_request_parts(parts, face).await?;
        if matches!(caller.principal, Principal::Anonymous) {
            return Err(Gatekeeper::basic_challenge(
                sealock_registry::Error::unauthenticated().into(),
            ));
        }
        Ok(Self(caller))
    }
}

/// A JSON body. Unknown fields are refused by the types: a misspelt option must not be dropped.
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Face> for Sent<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &Face) -> Result<Self> {
        let bytes = read_limited(request.into_body(), MAX_BODY_BYTES, "the request's body").await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            bad(format!("the request's body is not what this resource takes: {error}"))
        })
    }
}

/// A JSON body that may be absent.
pub(crate) struct MaybeSent<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<Face> for MaybeSent<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &Face) -> Result<Self> {
        let bytes = read_limited(request.into_body(), MAX_BODY_BYTES, "the request's body").await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            bad(format!("the request's body is not what this resource takes: {error}"))
        })
    }
}

/// The query. Unknown parameters are refused by the types.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Face> for Query<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &Face) -> Result<Self> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| {
                bad(format!("the query is not what this resource takes: {}", error.body_text()))
            })
    }
}

/// Parts of the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Face> for Path<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self> {
        axum::extract::Path::from_request_parts(parts, face)
            .await
            .map(|axum::extract::Path(path)| Self(path))
            .map_err(|error| bad(format!("the path cannot be read: {}", error.body_text())))
    }
}

/// A request that says what cannot be.
pub(crate) fn bad(message: impl Into<String>) -> HttpError {
    HttpError::bad_request(ErrorCode::Unsupported, message)
}

/// Reads text of a request, such as a policy.
pub(crate) async fn text_of(body: Body, limit: usize, what: &str) -> Result<String> {
    let bytes = read_limited(body, limit, what).await?;
    String::from_utf8(bytes.into()).map_err(|_| bad(format!("{what} is not UTF-8")))
}

/// Which part of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// The cursor of the page before; absent for the first page.
    after: Option<String>,
    /// Most items, 1 to 1,000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

impl Paging {
    /// From two query values of a list with filters.
    pub(crate) fn new(after: Option<String>, limit: Option<u32>) -> Self {
        Self { after, limit }
    }

    pub(crate) fn request(self) -> Result<PageRequest> {
        if self.limit.is_some_and(|limit| limit == 0 || limit > MAX_PAGE_ITEMS) {
            return Err(bad(format!("limit is a number from 1 to {MAX_PAGE_ITEMS}")));
        }
        if self.after.as_ref().is_some_and(|after| after.len() > MAX_CURSOR_BYTES) {
            return Err(bad("the cursor is not one that a list of this API gave"));
        }
        Ok(PageRequest { after: self.after, limit: self.limit })
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items, in order.
    items: Vec<T>,
    /// The cursor of the next page; null at the end.
    next: Option<String>,
}

/// Answers with a page.
pub(crate) fn list<T: Serialize>(page: Page<T>) -> Json<List<T>> {
    Json(List { items: page.items, next: page.next })
}

/// 201 with the object that was made.
pub(crate) fn created<T: Serialize>(made: T) -> Response {
    (StatusCode::CREATED, Json(made)).into_response()
}

/// Answers that must not lie in any cache, such as those that show a secret once.
pub(crate) fn unstored(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    let value = http::HeaderValue::from_static("no-store");
    response.headers_mut().insert(http::header::CACHE_CONTROL, value);
    response
}

/// An image: `project/repository[:tag][@digest]`.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImageQuery {
    /// The image, `project/repository[:tag][@digest]`, `:latest` when neither is given, or a digest
    /// alone: then in the highest tier that holds it.
    pub(crate) image: String,
}

/// Reads an image's name. A digest decides where a tag is given too. A digest alone means the
/// repository of the highest tier that holds it, of those that the caller may read.
pub(crate) async fn image(
    registry: &Registry,
    caller: &Caller,
    text: &str,
) -> Result<(RepositoryName, Reference)> {
    if let Ok(digest) = text.parse::<Digest>() {
        return Ok((registry.locate(caller, &digest).await?, Reference::Digest(digest)));
    }
    let named: ImageReference = text.parse().map_err(|error| bad(format!("{text:?}: {error}")))?;
    if let Some(host) = &named.host
        && host != &registry.external_host().to_ascii_lowercase()
    {
        return Err(bad(format!(
            "{host} is another registry; name the image as project/repository[:tag][@digest]"
        )));
    }
    let reference = match (named.digest, named.tag) {
        (Some(digest), _) => Reference::Digest(digest),
        (None, Some(tag)) => Reference::Tag(tag),
        (None, None) => {
            let latest = "latest".parse::<Tag>();
            Reference::Tag(latest.map_err(HttpError::internal)?)
        }
    };
    Ok((named.repository, reference))
}

/// Reads a digest.
pub(crate) fn digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|error: sealock_oci::DigestError| {
        HttpError::bad_request(ErrorCode::DigestInvalid, error.to_string())
    })
}
