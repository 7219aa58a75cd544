//! Docker's token service (distribution's token authentication specification), by GET with Basic
//! credentials and by POST with OAuth 2's password grant. Without credentials it gives a token for
//! what is public.

use crate::{query::Query, routes::Face};
use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use sealock_auth::{Caller, IssuedToken, Login, Scope};
use sealock_http::{Gatekeeper, HttpError, Result, read_limited};
use sealock_oci::ErrorCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// Largest form that is read, in bytes.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// `GET /service/token?service=&scope=&account=`
pub(crate) async fn get(State(face): State<Arc<Face>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    by_header(&face, &parts)
        .await
        .unwrap_or_else(|error| Gatekeeper::basic_challenge(error).into_response())
}

/// `POST /service/token` with a form.
pub(crate) async fn post(State(face): State<Arc<Face>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    by_form(&face, &parts, body)
        .await
        .unwrap_or_else(|error| Gatekeeper::basic_challenge(error).into_response())
}

async fn by_header(face: &Face, parts: &Parts) -> Result<Response> {
    let query = Query::parse(parts.uri.query())?;
    check_service(face, &query)?;
    let who = face.gatekeeper.identify(parts).await?;
    let issued = issue(face, &who, &query).await?;
    answer(json!({
        "token": issued.token.expose(),
        "access_token": issued.token.expose(),
        "expires_in": issued.expires_in.as_secs(),
        "issued_at": issued.issued_at.to_string(),
    }))
}

async fn by_form(face: &Face, parts: &Parts, body: Body) -> Result<Response> {
    let bytes = read_limited(body, MAX_FORM_BYTES, "a token request").await?;
    let form = std::str::from_utf8(&bytes)
        .map_err(|_| invalid("the form is not UTF-8"))
        .and_then(|text| Query::parse(Some(text)))?;
    if form.one("grant_type")? != Some("password") {
        return Err(invalid("grant_type is password; this service gives no refresh tokens"));
    }
    let (Some(name), Some(password)) = (form.one("username")?, form.one("password")?) else {
        return Err(invalid("username and password are wanted"));
    };
    check_service(face, &form)?;
    let who = face.gatekeeper.login(parts, name, &password.into()).await?;
    let issued = issue(face, &who, &form).await?;
    let scope: Vec<String> = issued
        .access
        .iter()
        .filter(|access| !access.actions.is_empty())
        .map(|access| format!("{}:{}:{}", access.kind, access.name, access.actions.join(",")))
        .collect();
    answer(json!({
        "access_token": issued.token.expose(),
        "token_type": "Bearer",
        "scope": scope.join(" "),
        "expires_in": issued.expires_in.as_secs(),
        "issued_at": issued.issued_at.to_string(),
    }))
}

async fn issue(
    face: &Face,
    (caller, login): &(Caller, Login),
    query: &Query,
) -> Result<IssuedToken> {
    face.gatekeeper.issue(caller, login, &Scope::parse_all(query.all("scope"))).await
}

/// What Harbor's own token service is called, as scripts that were written for it have it.
const HARBORS: &str = "harbor-registry";

fn check_service(face: &Face, query: &Query) -> Result<()> {
    let ours = face.gatekeeper.service();
    match query.one("service")? {
        Some(service) if service != ours && service != HARBORS => {
            Err(invalid(&format!("this is the service {ours:?}")))
        }
        _ => Ok(()),
    }
}

fn answer(body: Value) -> Result<Response> {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::OK, headers, body.to_string()).into_response())
}

fn invalid(message: &str) -> HttpError {
    HttpError::bad_request(ErrorCode::Unsupported, message)
}
