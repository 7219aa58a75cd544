//! The tag projectMetadata.

use crate::face::{Face, Known, Naming, Path, Sent, bad};
use axum::{Json, extract::State};
use http::StatusCode;
use sealock_http::Result;
use sealock_registry::harbor::Settings;
use std::collections::BTreeMap;

type Said = BTreeMap<String, String>;

/// The only setting that a request may carry.
fn one(said: Said) -> Result<(String, String)> {
    let mut said = said.into_iter();
    match (said.next(), said.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(bad("only one key/value pair is allowed")),
    }
}

/// `GET /projects/{project_name_or_id}/metadatas/`
pub(crate) async fn list(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path(project): Path<String>,
) -> Result<Json<Settings>> {
    Ok(Json(face.registry.harbor_settings(&caller, &naming.project(&project)).await?))
}

/// `POST /projects/{project_name_or_id}/metadatas/`
pub(crate) async fn add(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path(project): Path<String>,
    Sent(said): Sent<Said>,
) -> Result<StatusCode> {
    let project = naming.project(&project);
    let (name, value) = one(said)?;
    face.registry.put_harbor_setting(&caller, &project, &name, &value, true).await?;
    Ok(StatusCode::OK)
}

/// `GET /projects/{project_name_or_id}/metadatas/{meta_name}`
pub(crate) async fn get(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path((project, name)): Path<(String, String)>,
) -> Result<Json<Settings>> {
    Ok(Json(face.registry.harbor_setting(&caller, &naming.project(&project), &name).await?))
}

/// `PUT /projects/{project_name_or_id}/metadatas/{meta_name}`
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path((project, name)): Path<(String, String)>,
    Sent(mut said): Sent<Said>,
) -> Result<StatusCode> {
    // As in Harbor, of what the body says that alone counts which the path names.
    let value = said.remove(&name);
    let value = value.ok_or_else(|| bad(format!("the body does not say what {name:?} is")))?;
    let project = naming.project(&project);
    face.registry.put_harbor_setting(&caller, &project, &name, &value, false).await?;
    Ok(StatusCode::OK)
}

/// `DELETE /projects/{project_name_or_id}/metadatas/{meta_name}`
pub(crate) async fn delete(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path((project, name)): Path<(String, String)>,
) -> Result<StatusCode> {
    let project = naming.project(&project);
    face.registry.delete_harbor_setting(&caller, &project, &name).await?;
    Ok(StatusCode::OK)
}
