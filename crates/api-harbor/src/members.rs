//! The tag member.

use crate::{
    face::{Face, Known, Naming, Path, Sent, bad, created},
    groups::UserGroup,
    paging::{Listing, place},
};
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use sealock_http::Result;
use sealock_registry::harbor::{Entity, MemberOf};
use serde::Deserialize;
use serde_json::{Value, json};

/// Harbor's `ProjectMember`.
#[derive(Deserialize)]
pub(crate) struct MemberRequest {
    #[serde(default)]
    role_id: i64,
    member_user: Option<UserEntity>,
    member_group: Option<UserGroup>,
    /// Beyond Harbor: the pattern of repositories to which the member is limited.
    repositories: Option<String>,
}

#[derive(Deserialize)]
struct UserEntity {
    #[serde(default)]
    user_id: i64,
    #[serde(default)]
    username: String,
}

/// Harbor's `RoleRequest`.
#[derive(Deserialize)]
pub(crate) struct RoleRequest {
    #[serde(default)]
    role_id: i64,
    /// Beyond Harbor: the pattern of repositories to which the member is limited.
    repositories: Option<String>,
}

impl UserEntity {
    fn who(&self) -> Option<MemberOf> {
        match (self.user_id, self.username.as_str()) {
            (1.., _) => Some(MemberOf::User(self.user_id)),
            (_, "") => None,
            (_, name) => Some(MemberOf::Named(name.to_owned())),
        }
    }
}

impl MemberRequest {
    /// Who is meant. Clients send both fields, of which one is empty.
    fn who(&self) -> Result<MemberOf> {
        let user = self.member_user.as_ref().and_then(UserEntity::who);
        let group = self.member_group.as_ref().and_then(UserGroup::who);
        match (user, group) {
            (Some(_), Some(_)) => Err(bad("a member is a user or a group, not both")),
            (Some(who), None) | (None, Some(who)) => Ok(who),
            (None, None) => Err(bad(
                "name a user by member_user.username or member_user.user_id, or a group by \
                 member_group.id or member_group.group_name and group_type",
            )),
        }
    }
}

fn shown(member: Entity) -> Value {
    json!({
        "id": member.id,
        "project_id": member.project_id,
        "entity_id": member.entity_id,
        "entity_name": member.name,
        "entity_type": if member.group { "g" } else { "u" },
        "role_id": member.role.id(),
        "role_name": member.role.name(),
    })
}

/// `GET /projects/{project_name_or_id}/members`
pub(crate) async fn list(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path(project): Path<String>,
    mut listing: Listing,
) -> Result<Response> {
    listing.require_part("entity_name", "entityname");
    let project = naming.project(&project);
    let listed = face.registry.harbor_members(&caller, &project, &listing.wanted).await?;
    Ok(listing.answer(listed, shown))
}

/// `POST /projects/{project_name_or_id}/members`
pub(crate) async fn add(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path(project): Path<String>,
    Sent(request): Sent<MemberRequest>,
) -> Result<Response> {
    let (project, who) = (naming.project(&project), request.who()?);
    let (role, limit) = (request.role_id, request.repositories.as_deref());
    let (project, id) =
        face.registry.add_harbor_member(&caller, &project, &who, role, limit).await?;
    created(&place(&format!("/projects/{project}/members"), id))
}

/// `GET /projects/{project_name_or_id}/members/{mid}`
pub(crate) async fn get(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path((project, id)): Path<(String, i64)>,
) -> Result<Json<Value>> {
    let member = face.registry.harbor_member(&caller, &naming.project(&project), id).await?;
    Ok(Json(shown(member)))
}

/// `PUT /projects/{project_name_or_id}/members/{mid}`
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path((project, id)): Path<(String, i64)>,
    Sent(request): Sent<RoleRequest>,
) -> Result<StatusCode> {
    let project = naming.project(&project);
    let (role, limit) = (request.role_id, request.repositories.as_deref());
    face.registry.set_harbor_member(&caller, &project, id, role, limit).await?;
    Ok(StatusCode::OK)
}

/// `DELETE /projects/{project_name_or_id}/members/{mid}`
pub(crate) async fn remove(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path((project, id)): Path<(String, i64)>,
) -> Result<StatusCode> {
    face.registry.remove_harbor_member(&caller, &naming.project(&project), id).await?;
    Ok(StatusCode::OK)
}
