//! The tag label.

use crate::{
    face::{Asking, Face, Known, Path, Sent, bad, created},
    paging::{Listing, place},
};
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use sealock_http::Result;
use sealock_registry::harbor::{Label, LabelScope, LabelWords};
use serde::Deserialize;
use serde_json::{Value, json};

/// Harbor's `Label`.
#[derive(Deserialize)]
pub(crate) struct LabelRequest {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    color: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    project_id: i64,
}

fn scope(scope: &str, project: i64) -> Result<LabelScope> {
    match scope {
        "g" => Ok(LabelScope::Global),
        "p" if project > 0 => Ok(LabelScope::Project(project)),
        "p" => Err(bad("project_id is missing: the scope p is that of a project")),
        _ => Err(bad(format!("invalid scope {scope:?}: it is g (global) or p (project)"))),
    }
}

impl LabelRequest {
    fn words(self) -> LabelWords {
        LabelWords { name: self.name, description: self.description, color: self.color }
    }
}

pub(crate) fn shown(label: Label) -> Value {
    json!({
        "id": label.id,
        "name": label.name,
        "description": label.description,
        "color": label.color,
        "scope": if label.project_id.is_some() { "p" } else { "g" },
        "project_id": label.project_id.unwrap_or(0),
        "creation_time": label.created_at.to_string(),
        "update_time": label.updated_at.to_string(),
    })
}

/// `GET /labels`
pub(crate) async fn list(
    State(face): State<Face>,
    Asking(caller): Asking,
    mut listing: Listing,
) -> Result<Response> {
    let project = listing.params.number("project_id")?.unwrap_or(0);
    let scope = scope(listing.params.text("scope").unwrap_or_default(), project)?;
    listing.require_part("name", "name");
    let listed = face.registry.harbor_labels(&caller, scope, &listing.wanted).await?;
    Ok(listing.answer(listed, shown))
}

/// `POST /labels`
pub(crate) async fn create(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(request): Sent<LabelRequest>,
) -> Result<Response> {
    let scope = scope(&request.scope, request.project_id)?;
    let id = face.registry.create_harbor_label(&caller, scope, &request.words()).await?;
    created(&place("/labels", id))
}

/// `GET /labels/{label_id}`
pub(crate) async fn get(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<Json<Value>> {
    Ok(Json(shown(face.registry.harbor_label(&caller, id).await?)))
}

/// `PUT /labels/{label_id}`: what it says; it stays where it is.
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
    Sent(request): Sent<LabelRequest>,
) -> Result<StatusCode> {
    face.registry.update_harbor_label(&caller, id, &request.words()).await?;
    Ok(StatusCode::OK)
}

/// `DELETE /labels/{label_id}`
pub(crate) async fn delete(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<StatusCode> {
    face.registry.delete_harbor_label(&caller, id).await?;
    Ok(StatusCode::OK)
}
