//! Tokens that people make for themselves, in place of their password.

use crate::{
    face::{Face, Known, List, Paging, Path, Query, Sent, bad, created, list, unstored},
    schema,
    sessions::{Ended, SessionQuery, WhoseQuery},
};
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use sealock_auth::TokenScope;
use sealock_http::Result;
use sealock_registry::{NewPersonalToken, PersonalToken};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenToMake {
    /// What you call it; no two of yours have one name.
    name: String,
    /// What it may do of what you may: `read`, `push`, `delete`, `promote`. Each reads as well.
    scopes: Vec<String>,
    /// In which projects; in all of yours when absent. A later project of one of these names is
    /// none of them.
    projects: Option<Vec<String>>,
    /// Days until it stops, 1 to 366; 90 when absent.
    #[schema(minimum = 1, maximum = 366)]
    expires_in_days: Option<u32>,
}

/// A token with its secret, shown once.
#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    token: PersonalToken,
    secret: String,
}

/// Your tokens, oldest first, without their secrets.
#[utoipa::path(get, path = "/tokens", tag = "people", params(SessionQuery),
    responses((status = 200, body = List<schema::PersonalToken>)))]
pub(crate) async fn tokens(
    State(face): State<Face>,
    Known(caller): Known,
    Query(query): Query<SessionQuery>,
) -> Result<Json<List<PersonalToken>>> {
    let page = Paging::new(query.after, query.limit).request()?;
    Ok(list(face.registry.tokens(&caller, query.user.as_deref(), &page).await?))
}

/// Makes a token to use in place of your password, with your name: `docker login`, and this API.
/// The secret is shown now and never again. A token makes no other one and changes no account.
#[utoipa::path(post, path = "/tokens", tag = "people", request_body = TokenToMake,
    responses((status = 201, body = schema::NewPersonalToken),
        (status = 403, body = schema::Errors), (status = 409, body = schema::Errors)))]
pub(crate) async fn create_token(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(sent): Sent<TokenToMake>,
) -> Result<Response> {
    let TokenToMake { name, scopes, projects, expires_in_days } = sent;
    let scopes = scopes.iter().map(|word| word.parse::<TokenScope>().map_err(bad));
    let scopes = scopes.collect::<Result<_>>()?;
    let new = NewPersonalToken { name, scopes, projects, expires_in_days };
    let (token, secret) = face.registry.create_token(&caller, &face.accounts, &new).await?;
    let secret = secret.expose().to_owned();
    Ok(unstored(created(Made { token, secret })))
}

/// Ends all of your tokens.
#[utoipa::path(delete, path = "/tokens", tag = "people", params(WhoseQuery),
    responses((status = 200, body = Ended)))]
pub(crate) async fn revoke_tokens(
    State(face): State<Face>,
    Known(caller): Known,
    Query(query): Query<WhoseQuery>,
) -> Result<Json<Ended>> {
    let ended = face.registry.revoke_tokens(&caller, query.user.as_deref()).await?;
    Ok(Json(Ended { ended }))
}

/// Ends a token at once: one's own; anybody's for system administrators.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "people", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = schema::Errors)))]
pub(crate) async fn revoke_token(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<StatusCode> {
    face.registry.revoke_token(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
