//! The whole surface of this face on one page.

use crate::{
    blobs, lists, manifests,
    path::{Target, Thing},
    query::Query,
    token, uploads,
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use sealock_auth::{Access, Caller};
use sealock_http::{Gatekeeper, HttpError, Result, SendFile};
use sealock_oci::{ErrorCode, RepositoryName};
use sealock_registry::Registry;
use std::sync::Arc;

/// `/v2/` and the token service.
pub fn router(registry: Registry, gatekeeper: Gatekeeper) -> Router {
    let tokens = || {
        let others = async || wrong_method("GET, HEAD, POST");
        get(token::get).post(token::post).fallback(others)
    };
    Router::new()
        .route("/v2", any(v2))
        .route("/v2/", any(v2))
        .route("/v2/token", tokens())
        .route("/v2/{*rest}", any(v2))
        .route("/service/token", tokens())
        // Axum clones the state several times for each request.
        .with_state(Arc::new(Face { registry, gatekeeper }))
}

/// What handlers share.
pub(crate) struct Face {
    pub(crate) registry: Registry,
    pub(crate) gatekeeper: Gatekeeper,
}

/// A request to something in a repository.
pub(crate) struct Asked<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) caller: &'a Caller,
    pub(crate) name: &'a RepositoryName,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a Query,
    /// Where the system may send files by itself.
    pub(crate) send_file: Option<&'a SendFile>,
}

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

async fn v2(State(face): State<Arc<Face>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut response =
        to_target(&face, &parts, body).await.unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

/// Reads the path, then finds out who asks, then answers; a 401 carries the challenge.
async fn to_target(face: &Face, parts: &Parts, body: Body) -> Result<Response> {
    let target = Target::parse(parts.uri.path()).map_err(|error| not_to_be_put(error, parts))?;
    let challenge = |error: HttpError, problem: &str| {
        let scope = scope_of(&target, parts);
        face.gatekeeper.bearer_challenge(error, parts, scope.as_deref(), Some(problem))
    };
    let caller = face.gatekeeper.caller(parts).await;
    let caller = caller.map_err(|error| challenge(error, "invalid_token"))?;
    answer(face, parts, &target, &caller, body)
        .await
        .map_err(|error| challenge(error, "insufficient_scope"))
}

async fn answer(
    face: &Face,
    parts: &Parts,
    target: &Target,
    caller: &Caller,
    body: Body,
) -> Result<Response> {
    let query = Query::parse(parts.uri.query())?;
    let read = matches!(parts.method, Method::GET | Method::HEAD);
    let (name, thing) = match target {
        Target::Base if read => return base(caller),
        Target::Catalog if read => {
            // Nobody is asked who they are, or a client that waits to be asked would never see more
            // than what is public; without an account, a token for nobody shows that.
            if caller.principal.is_anonymous() && caller.scope.is_none() {
                return Err(HttpError::unauthorized("authentication is required"));
            }
            require_token_for(caller, target, &parts.method)?;
            return lists::catalog(&face.registry, caller, &query).await;
        }
        Target::Base | Target::Catalog => return Err(wrong_method("GET, HEAD")),
        Target::In(name, thing) => (name, thing),
    };
    require_token_for(caller, target, &parts.method)?;
    if let Some(source) = mount_source(target, &query) {
        require_token_that_knows(caller, &source)?;
    }
    let asked = Asked {
        registry: &face.registry,
        caller,
        name,
        headers: &parts.headers,
        query: &query,
        send_file: parts.extensions.get(),
    };
    match (thing, parts.method.as_str()) {
        (Thing::Manifest(reference), "GET") => manifests::get(asked, reference).await,
        (Thing::Manifest(reference), "HEAD") => manifests::head(asked, reference).await,
        (Thing::Manifest(reference), "PUT") => manifests::put(asked, reference, body).await,
        (Thing::Manifest(reference), "DELETE") => manifests::delete(asked, reference).await,
        (Thing::Manifest(_), _) => Err(wrong_method("GET, HEAD, PUT, DELETE")),
        (Thing::Blob(digest), "GET") => blobs::get(asked, digest).await,
        (Thing::Blob(digest), "HEAD") => blobs::head(asked, digest).await,
        (Thing::Blob(digest), "DELETE") => blobs::delete(asked, digest).await,
        (Thing::Blob(_), _) => Err(wrong_method("GET, HEAD, DELETE")),
        (Thing::Uploads, "POST") => uploads::begin(asked, body).await,
        (Thing::Uploads, _) => Err(wrong_method("POST")),
        (Thing::Upload(id), "GET" | "HEAD") => uploads::status(asked, *id).await,
        (Thing::Upload(id), "PATCH") => uploads::append(asked, *id, body).await,
        (Thing::Upload(id), "PUT") => uploads::finish(asked, *id, body).await,
        (Thing::Upload(id), "DELETE") => uploads::cancel(asked, *id).await,
        (Thing::Upload(_), _) => Err(wrong_method("GET, HEAD, PATCH, PUT, DELETE")),
        (Thing::Tags, "GET" | "HEAD") => lists::tags(asked).await,
        (Thing::Tags, _) => Err(wrong_method("GET, HEAD")),
        (Thing::Referrers(subject), "GET" | "HEAD") => lists::referrers(asked, subject).await,
        (Thing::Referrers(_), _) => Err(wrong_method("GET, HEAD")),
    }
}

/// `/v2/` tells clients whether they need to authenticate, and how. Nobody always gets the
/// challenge, or a client that has credentials would never use them.
fn base(caller: &Caller) -> Result<Response> {
    if caller.principal.is_anonymous() && caller.scope.is_none() {
        return Err(HttpError::unauthorized("authentication is required"));
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], "{}").into_response())
}

/// The scope of a challenge: what the request needs, and the source of a mount as well.
fn scope_of(target: &Target, parts: &Parts) -> Option<String> {
    let mut scope = target.scope(&parts.method)?;
    if let Ok(query) = Query::parse(parts.uri.query())
        && let Some(from) = mount_source(target, &query)
    {
        scope.push_str(&format!(" repository:{from}:pull"));
    }
    Some(scope)
}

/// Where a mount takes its blob from, if the request says so.
fn mount_source(target: &Target, query: &Query) -> Option<RepositoryName> {
    matches!(target, Target::In(_, Thing::Uploads)).then_some(())?;
    query.one("mount").ok()??;
    query.one("from").ok()??.parse().ok()
}

/// A token that was made without a word of a mount's source asks for another one. One that asked
/// and was not given it goes on: the client uploads what it may not mount.
fn require_token_that_knows(caller: &Caller, source: &RepositoryName) -> Result<()> {
    let Some(granted) = &caller.scope else { return Ok(()) };
    let asked = |access: &Access| access.kind == "repository" && access.name == source.as_str();
    match granted.iter().any(asked) {
        true => Ok(()),
        false => Err(HttpError::unauthorized(format!(
            "the token does not cover repository:{source}:pull, where the blob is to come from"
        ))),
    }
}

/// A token that was not made for this asks for another one: 401 with the scope, not 403, so that
/// clients fetch it.
fn require_token_for(caller: &Caller, target: &Target, method: &Method) -> Result<()> {
    let Some(granted) = &caller.scope else { return Ok(()) };
    let Some(needed) = target.scope(method) else { return Ok(()) };
    let mut parts = needed.splitn(3, ':');
    let (kind, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    // Clients may ask for one thing by several scopes: what they were given adds up.
    let about = granted.iter().filter(|access| access.kind == kind && access.name == name);
    let given: Vec<&str> = about.flat_map(|access| &access.actions).map(String::as_str).collect();
    if parts.next().unwrap_or_default().split(',').all(|action| given.contains(&action)) {
        return Ok(());
    }
    Err(HttpError::unauthorized(format!("the token does not cover {needed}")))
}

/// What cannot be named is not there for who reads, and a mistake of who writes.
fn not_to_be_put(error: HttpError, parts: &Parts) -> HttpError {
    if parts.method != Method::PUT || error.code() != "MANIFEST_UNKNOWN" {
        return error;
    }
    HttpError::bad_request(ErrorCode::ManifestInvalid, error.message())
}

fn wrong_method(allowed: &'static str) -> HttpError {
    HttpError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Unsupported,
        format!("this resource answers {allowed}"),
    )
    .with_header(header::ALLOW, HeaderValue::from_static(allowed))
}

/// `Docker-Content-Digest`.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A header value of text that a parser of ours has accepted.
pub(crate) fn value(text: impl AsRef<str>) -> Result<HeaderValue> {
    HeaderValue::from_str(text.as_ref()).map_err(HttpError::internal)
}
