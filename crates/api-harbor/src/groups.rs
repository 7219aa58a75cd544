//! The tag usergroup.

use crate::{
    face::{Face, Known, Path, Sent, created, unprocessable},
    paging::{Listing, place},
};
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use sealock_http::Result;
use sealock_registry::{
    Term,
    harbor::{Group, MemberOf},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Harbor's `UserGroup`: what a group is to be, or, by its number or another field, which is meant.
#[derive(Deserialize)]
pub(crate) struct UserGroup {
    /// Nothing where a group is created or changed.
    #[serde(default)]
    id: i64,
    #[serde(default)]
    group_name: String,
    #[serde(default)]
    group_type: i64,
    #[serde(default)]
    ldap_group_dn: String,
}

impl UserGroup {
    /// The group that is meant to be a member; `None` if nothing names it.
    pub(crate) fn who(&self) -> Option<MemberOf> {
        match (self.id, self.ldap_group_dn.as_str(), self.group_name.as_str()) {
            (1.., ..) => Some(MemberOf::Group(self.id)),
            (_, "", "") => None,
            (_, "", name) => Some(MemberOf::GroupNamed(self.group_type, name.to_owned())),
            (_, dn, _) => Some(MemberOf::GroupOfLdap(dn.to_owned())),
        }
    }
}

fn shown(group: Group) -> Value {
    json!({
        "id": group.id,
        "group_name": group.name,
        "group_type": group.kind,
        "ldap_group_dn": group.ldap_dn,
    })
}

/// `GET /usergroups`
pub(crate) async fn list(
    State(face): State<Face>,
    Known(caller): Known,
    mut listing: Listing,
) -> Result<Response> {
    listing.require_part("group_name", "group_name");
    if let Some(dn) = listing.params.text("ldap_group_dn").map(str::to_owned) {
        listing.require("ldap_group_dn", Term::Is(dn));
    }
    let listed = face.registry.harbor_groups(&caller, &listing.wanted).await?;
    Ok(listing.answer(listed, shown))
}

/// `POST /usergroups`
pub(crate) async fn create(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(request): Sent<UserGroup>,
) -> Result<Response> {
    let UserGroup { group_name: name, group_type: kind, ldap_group_dn: dn, .. } = request;
    let id = face.registry.create_harbor_group(&caller, &name, kind, &dn).await?;
    created(&place("/usergroups", id))
}

/// `GET /usergroups/search`
pub(crate) async fn search(
    State(face): State<Face>,
    Known(caller): Known,
    mut listing: Listing,
) -> Result<Response> {
    if listing.params.text("groupname").is_none() {
        return Err(unprocessable("groupname is missing: a part of the name to look for"));
    }
    listing.wanted.terms.clear();
    listing.require_part("group_name", "groupname");
    let listed = face.registry.search_harbor_groups(&caller, &listing.wanted).await?;
    let shown =
        |group: Group| json!({"id": group.id, "group_name": group.name, "group_type": group.kind});
    Ok(listing.answer(listed, shown))
}

/// `GET /usergroups/{group_id}`
pub(crate) async fn get(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<Json<Value>> {
    Ok(Json(shown(face.registry.harbor_group(&caller, id).await?)))
}

/// `PUT /usergroups/{group_id}`: its name.
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
    Sent(request): Sent<UserGroup>,
) -> Result<StatusCode> {
    face.registry.rename_harbor_group(&caller, id, &request.group_name).await?;
    Ok(StatusCode::OK)
}

/// `DELETE /usergroups/{group_id}`
pub(crate) async fn delete(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<StatusCode> {
    face.registry.delete_harbor_group(&caller, id).await?;
    Ok(StatusCode::OK)
}
