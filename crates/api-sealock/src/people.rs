//! Who one is, and the people who log in here.

use crate::{
    face::{Asking, Face, Known, List, Paging, Path, Query, Sent, created, list},
    schema,
};
use axum::{Json, extract::State, response::Response};
use http::{HeaderMap, StatusCode, header};
use sealock_auth::{Principal, SecretString};
use sealock_http::Result;
use sealock_registry::{NewUser, UserChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// Login name, or `anonymous`.
    name: String,
    /// `user`, `token` (a user by a personal access token), `robot` or `anonymous`.
    kind: &'static str,
    /// Administers everything.
    admin: bool,
    /// Grants waivers, edits the floor, quarantines.
    security_officer: bool,
}

/// Who asks, as the server sees it.
#[utoipa::path(get, path = "/me", tag = "people", responses((status = 200, body = Me)))]
pub(crate) async fn me(Asking(caller): Asking) -> Json<Me> {
    let principal = &caller.principal;
    Json(Me {
        name: principal.to_string(),
        kind: match principal {
            Principal::Anonymous => "anonymous",
            Principal::User { .. } => "user",
            Principal::Token { .. } => "token",
            Principal::Robot { .. } => "robot",
        },
        admin: principal.is_sysadmin(),
        security_officer: principal.is_security_officer(),
    })
}

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserToMake {
    /// Login name: letters, digits, `.`, `_`, `-`, `@`.
    name: String,
    /// Password of at least 8 characters.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// Mail address.
    email: Option<String>,
    /// Name for people.
    real_name: Option<String>,
    /// Administers everything.
    #[serde(default)]
    admin: bool,
    /// Holds the security role.
    #[serde(default)]
    security_officer: bool,
}

/// What changes about a user; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserToChange {
    /// New password. Everybody may change their own.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
    /// The one before it, for who is logged in with a browser and changes their own.
    #[schema(value_type = Option<String>, format = Password)]
    old_password: Option<SecretString>,
    /// Administers everything.
    admin: Option<bool>,
    /// Holds the security role.
    security_officer: Option<bool>,
    /// May not log in.
    disabled: Option<bool>,
}

/// Users by name. For system administrators.
#[utoipa::path(get, path = "/users", tag = "people", params(Paging),
    responses((status = 200, body = List<schema::User>)))]
pub(crate) async fn users(
    State(face): State<Face>,
    Known(caller): Known,
    Query(paging): Query<Paging>,
) -> Result<Json<List<sealock_registry::User>>> {
    Ok(list(face.registry.users(&caller, &paging.request()?).await?))
}

/// Makes a user. For system administrators.
#[utoipa::path(post, path = "/users", tag = "people", request_body = UserToMake,
    responses((status = 201, body = schema::User), (status = 409, body = schema::Errors)))]
pub(crate) async fn create_user(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(sent): Sent<UserToMake>,
) -> Result<Response> {
    let UserToMake { name, password, email, real_name, admin, security_officer } = sent;
    let real_name = real_name.unwrap_or_default();
    let new = NewUser { name, password, email, real_name, admin, security_officer };
    Ok(created(face.registry.create_user(&caller, &face.accounts, &new).await?))
}

/// Changes a user. For system administrators; everybody may change their own password.
#[utoipa::path(patch, path = "/users/{name}", tag = "people", params(("name" = String, Path)),
    request_body = UserToChange, responses((status = 200, body = schema::User)))]
pub(crate) async fn update_user(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
    headers: HeaderMap,
    Sent(sent): Sent<UserToChange>,
) -> Result<Json<sealock_registry::User>> {
    let UserToChange { password, old_password, admin, security_officer, disabled } = sent;
    let from_browser = !headers.contains_key(header::AUTHORIZATION);
    let change =
        UserChange { password, old_password, from_browser, admin, security_officer, disabled };
    Ok(Json(face.registry.update_user(&caller, &face.accounts, &name, &change).await?))
}

/// Another name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherUserName {
    /// The new login name.
    name: String,
}

/// Gives a user another name; the number stays, and with it all that is theirs. Nobody else takes
/// the old one while the user is here; `named_by` lists whose policies go on naming it. For system
/// administrators.
#[utoipa::path(put, path = "/users/{name}/name", tag = "people", params(("name" = String, Path)),
    request_body = OtherUserName,
    responses((status = 200, body = schema::RenamedUser), (status = 409, body = schema::Errors)))]
pub(crate) async fn rename_user(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
    Sent(sent): Sent<OtherUserName>,
) -> Result<Json<sealock_registry::RenamedUser>> {
    Ok(Json(face.registry.rename_user(&caller, &name, &sent.name).await?))
}

/// Removes a user; records go on naming them. For system administrators.
#[utoipa::path(delete, path = "/users/{name}", tag = "people", params(("name" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn delete_user(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
) -> Result<StatusCode> {
    face.registry.delete_user(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
