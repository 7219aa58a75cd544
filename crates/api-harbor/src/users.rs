//! The tag user.

use crate::{
    face::{Face, Known, Path, Sent, created, unprocessable},
    paging::{Listing, Params, place},
};
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use sealock_auth::{Act, Resource, SYSTEM_CATALOGUE, SecretString};
use sealock_http::{HttpError, Result};
use sealock_registry::harbor::{NewPerson, Person, Profile};
use serde::Deserialize;
use serde_json::{Value, json};

/// Harbor's `UserCreationReq`. No field makes an administrator.
#[derive(Deserialize)]
pub(crate) struct UserRequest {
    #[serde(default)]
    username: String,
    password: Option<SecretString>,
    #[serde(flatten)]
    profile: ProfileRequest,
}

/// Harbor's `UserProfile`.
#[derive(Deserialize)]
pub(crate) struct ProfileRequest {
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    realname: Option<String>,
    #[serde(default)]
    comment: Option<String>,
}

impl From<ProfileRequest> for Profile {
    fn from(said: ProfileRequest) -> Self {
        Self {
            email: said.email.unwrap_or_default(),
            real_name: said.realname.unwrap_or_default(),
            comment: said.comment.unwrap_or_default(),
        }
    }
}

/// Harbor's `PasswordReq`.
#[derive(Deserialize)]
pub(crate) struct PasswordRequest {
    old_password: Option<SecretString>,
    new_password: Option<SecretString>,
}

/// Harbor's `UserSysAdminFlag`.
#[derive(Deserialize)]
pub(crate) struct AdminRequest {
    #[serde(default)]
    sysadmin_flag: bool,
}

fn shown(person: Person) -> Value {
    json!({
        "user_id": person.id,
        "username": person.name,
        "realname": person.real_name,
        "email": person.email,
        "comment": person.comment,
        "sysadmin_flag": person.sysadmin,
        "admin_role_in_auth": false,
        "creation_time": person.created_at.to_string(),
        "update_time": person.updated_at.to_string(),
    })
}

/// `GET /users`
pub(crate) async fn list(
    State(face): State<Face>,
    Known(caller): Known,
    mut listing: Listing,
) -> Result<Response> {
    // The contract does not name these two, but Harbor hears them.
    listing.require_part("username", "username");
    listing.require_part("email", "email");
    let listed = face.registry.harbor_users(&caller, &listing.wanted).await?;
    Ok(listing.answer(listed, shown))
}

/// `POST /users`
pub(crate) async fn create(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(request): Sent<UserRequest>,
) -> Result<Response> {
    let UserRequest { username: name, password, profile } = request;
    let password = password.unwrap_or_else(|| SecretString::new(""));
    let new = NewPerson { name, password, profile: profile.into() };
    let id = face.registry.create_harbor_user(&caller, &face.accounts, &new).await?;
    created(&place("/users", id))
}

/// `GET /users/current`
pub(crate) async fn current(State(face): State<Face>, Known(caller): Known) -> Result<Json<Value>> {
    Ok(Json(shown(face.registry.harbor_self(&caller).await?)))
}

/// `GET /users/search`
pub(crate) async fn search(
    State(face): State<Face>,
    Known(caller): Known,
    mut listing: Listing,
) -> Result<Response> {
    if listing.params.text("username").is_none() {
        return Err(unprocessable("username is missing: a part of the name to look for"));
    }
    listing.wanted.terms.clear();
    listing.require_part("username", "username");
    let listed = face.registry.search_harbor_users(&caller, &listing.wanted).await?;
    Ok(listing.answer(listed, |person| json!({"user_id": person.id, "username": person.name})))
}

/// `GET /users/{user_id}`
pub(crate) async fn get(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<Json<Value>> {
    Ok(Json(shown(face.registry.harbor_user(&caller, id).await?)))
}

/// `PUT /users/{user_id}`
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
    Sent(profile): Sent<ProfileRequest>,
) -> Result<StatusCode> {
    face.registry.update_harbor_user(&caller, id, &profile.into()).await?;
    Ok(StatusCode::OK)
}

/// `DELETE /users/{user_id}`
pub(crate) async fn delete(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<StatusCode> {
    face.registry.delete_harbor_user(&caller, id).await?;
    Ok(StatusCode::OK)
}

/// `PUT /users/{user_id}/sysadmin`
pub(crate) async fn set_admin(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
    Sent(request): Sent<AdminRequest>,
) -> Result<StatusCode> {
    face.registry.set_harbor_admin(&caller, id, request.sysadmin_flag).await?;
    Ok(StatusCode::OK)
}

/// `PUT /users/{user_id}/password`
pub(crate) async fn set_password(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
    Sent(request): Sent<PasswordRequest>,
) -> Result<StatusCode> {
    let new = request.new_password.unwrap_or_else(|| SecretString::new(""));
    let old = request.old_password.as_ref();
    face.registry.set_harbor_password(&caller, &face.accounts, id, old, &new).await?;
    Ok(StatusCode::OK)
}

/// `PUT /users/{user_id}/cli_secret`: there are such secrets only where people log in by OIDC.
pub(crate) async fn set_cli_secret(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<StatusCode> {
    face.registry.require_self_or_admin(&caller, id)?;
    Err(HttpError::with_code(
        StatusCode::PRECONDITION_FAILED,
        "PRECONDITION",
        "the authentication mode is not OIDC, so that there is no CLI secret; use the password, or \
         a robot of the project",
    ))
}

/// `GET /users/current/permissions`
pub(crate) async fn permissions(
    State(face): State<Face>,
    Known(caller): Known,
    params: Params,
) -> Result<Json<Vec<Value>>> {
    let relative = params.flag("relative")?.unwrap_or(false);
    let scope = params.text("scope").unwrap_or("/").trim_end_matches('/');
    let pair = |resource: String, act: Act| json!({"resource": resource, "action": act.as_str()});
    if scope.is_empty() {
        let name = |resource: &Resource| match relative {
            true => resource.to_string(),
            false => format!("/system/{resource}"),
        };
        let pairs = SYSTEM_CATALOGUE.iter().flat_map(|(resource, acts)| {
            let held = acts.iter().filter(|act| caller.principal.may_in_system(*resource, **act));
            held.map(|act| pair(name(resource), *act)).collect::<Vec<_>>()
        });
        return Ok(Json(pairs.collect()));
    }
    // As in Harbor there is nothing that one may do in a scope that is none.
    let id = scope.strip_prefix("/project/").and_then(|id| id.parse().ok());
    let standing = match id {
        Some(id) => face.registry.harbor_standing(&caller, id).await?,
        None => None,
    };
    let (Some(id), Some(standing)) = (id, standing) else { return Ok(Json(Vec::new())) };
    let name = |resource: Resource| match (resource, relative) {
        (Resource::Project, true) => ".".to_owned(),
        (Resource::Project, false) => format!("/project/{id}"),
        (resource, true) => resource.to_string(),
        (resource, false) => format!("/project/{id}/{resource}"),
    };
    Ok(Json(standing.all().map(|(resource, act)| pair(name(resource), act)).collect()))
}
