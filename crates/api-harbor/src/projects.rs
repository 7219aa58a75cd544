//! The tag project.

use crate::{
    allowlists::{self, AllowlistRequest},
    face::{Asking, Face, Known, Naming, Path, Sent, bad, created, unprocessable},
    paging::{Listing, Params},
    quotas,
};
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use sealock_http::{HttpError, Result};
use sealock_registry::{
    Term,
    harbor::{ProjectChange, ProjectDetail, ProjectToMake},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Harbor's `ProjectReq`.
#[derive(Deserialize)]
pub(crate) struct ProjectRequest {
    #[serde(default)]
    project_name: String,
    /// The deprecated place of `metadata.public`.
    public: Option<bool>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, Option<String>>>,
    storage_limit: Option<i64>,
    registry_id: Option<i64>,
    cve_allowlist: Option<AllowlistRequest>,
}

impl ProjectRequest {
    /// Metadata that are asked for, or what of it does not exist here.
    fn metadata(&self) -> Result<BTreeMap<String, Option<String>>> {
        if self.registry_id.is_some_and(|id| id > 0) {
            return Err(bad("proxy projects (registry_id) are not offered"));
        }
        let mut metadata = self.metadata.clone().unwrap_or_default();
        if let Some(public) = self.public {
            metadata.entry("public".to_owned()).or_insert(Some(public.to_string()));
        }
        Ok(metadata)
    }
}

pub(crate) fn shown(project: ProjectDetail) -> Value {
    let roles: Vec<i64> = project.roles.iter().map(|role| role.id()).collect();
    json!({
        "project_id": project.id,
        "name": project.name,
        "owner_id": project.owner_id.unwrap_or(0),
        "owner_name": project.owner_name,
        "creation_time": project.created_at.to_string(),
        "update_time": project.updated_at.to_string(),
        "deleted": false,
        "togglable": project.roles.first().is_some_and(|role| role.id() == 1),
        "current_user_role_id": roles.first().copied().unwrap_or(0),
        "current_user_role_ids": roles,
        "repo_count": project.repositories,
        "metadata": project.metadata,
        "cve_allowlist": allowlists::shown(&project.allowlist),
    })
}

/// `GET /projects`
pub(crate) async fn list(
    State(face): State<Face>,
    Asking(caller): Asking,
    mut listing: Listing,
) -> Result<Response> {
    listing.require_part("name", "name");
    if let Some(owner) = listing.params.text("owner").map(str::to_owned) {
        listing.require("owner", Term::Is(owner));
    }
    if let Some(public) = listing.params.flag("public")? {
        listing.require("public", Term::Is(public.to_string()));
    }
    let listed = face.registry.harbor_projects(&caller, &listing.wanted).await?;
    Ok(listing.answer(listed, shown))
}

/// `HEAD /projects?project_name=`: whether it exists, for who may see it.
pub(crate) async fn head(
    State(face): State<Face>,
    Known(caller): Known,
    params: Params,
) -> Result<StatusCode> {
    let name = params.text("project_name");
    let name = name.ok_or_else(|| unprocessable("project_name is missing"))?;
    match face.registry.harbor_project_exists(&caller, name).await? {
        true => Ok(StatusCode::OK),
        false => Ok(StatusCode::NOT_FOUND),
    }
}

/// `POST /projects`
pub(crate) async fn create(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Sent(request): Sent<ProjectRequest>,
) -> Result<Response> {
    let metadata = request.metadata()?;
    let ProjectRequest { project_name: name, storage_limit, cve_allowlist, .. } = request;
    let allowlist = cve_allowlist.map(AllowlistRequest::read).transpose()?;
    let new = ProjectToMake { name, metadata, storage_limit, allowlist };
    let id = face.registry.create_harbor_project(&caller, &new).await?;
    created(&format!("/projects/{}", naming.place(id, &new.name)))
}

/// `GET /projects/{project_name_or_id}`
pub(crate) async fn get(
    State(face): State<Face>,
    Asking(caller): Asking,
    naming: Naming,
    Path(project): Path<String>,
) -> Result<Json<Value>> {
    let project = naming.project(&project);
    Ok(Json(shown(face.registry.harbor_project_detail(&caller, &project).await?)))
}

/// `PUT /projects/{project_name_or_id}`
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path(project): Path<String>,
    Sent(request): Sent<ProjectRequest>,
) -> Result<StatusCode> {
    let project = naming.project(&project);
    let metadata = request.metadata()?;
    let allowlist = match request.cve_allowlist {
        Some(list) => Some((list.project_id, list.read()?)),
        None => None,
    };
    let change = ProjectChange { metadata, allowlist };
    face.registry.update_harbor_project(&caller, &project, &change).await?;
    Ok(StatusCode::OK)
}

/// `DELETE /projects/{project_name_or_id}`
pub(crate) async fn delete(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path(project): Path<String>,
) -> Result<StatusCode> {
    face.registry.delete_harbor_project(&caller, &naming.project(&project)).await?;
    Ok(StatusCode::OK)
}

/// `GET /projects/{project_name_or_id}/_deletable`
pub(crate) async fn deletable(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path(project): Path<String>,
) -> Result<Json<Value>> {
    let holds = face.registry.harbor_project_holds(&caller, &naming.project(&project)).await?;
    let message = holds.as_ref().map(|why| format!("the project {why}")).unwrap_or_default();
    Ok(Json(json!({"deletable": holds.is_none(), "message": message})))
}

/// `GET /projects/{project_name_or_id}/summary`
pub(crate) async fn summary(
    State(face): State<Face>,
    Asking(caller): Asking,
    naming: Naming,
    Path(project): Path<String>,
) -> Result<Json<Value>, HttpError> {
    let summary = face.registry.harbor_project_summary(&caller, &naming.project(&project)).await?;
    let mut shown = json!({"repo_count": summary.repositories});
    if let Some(members) = &summary.members {
        for (field, role) in [
            ("project_admin_count", 1),
            ("developer_count", 2),
            ("guest_count", 3),
            ("maintainer_count", 4),
            ("limited_guest_count", 5),
        ] {
            shown[field] = members.get(&role).copied().unwrap_or(0).into();
        }
    }
    if let Some(quota) = &summary.quota {
        let (hard, used) = quotas::measures(quota);
        shown["quota"] = json!({"hard": hard, "used": used});
    }
    Ok(Json(shown))
}
