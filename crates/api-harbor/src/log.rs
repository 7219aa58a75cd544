//! The tag auditlog, and the logs of a project. The older form shows what was done, the newer one
//! what was refused as well.

use crate::{
    face::{Face, Known, Path},
    paging::Listing,
};
use axum::{Json, extract::State, response::Response};
use sealock_http::Result;
use sealock_registry::harbor::Logged;
use serde_json::{Value, json};

fn older(event: Logged) -> Value {
    json!({
        "id": event.id,
        "username": event.username,
        "resource": event.resource,
        "resource_type": event.resource_type,
        "operation": event.operation,
        "op_time": event.at.to_string(),
    })
}

fn newer(event: Logged) -> Value {
    let Logged { operation, resource_type, resource, .. } = &event;
    let description = format!("{operation} {resource_type} {resource}");
    let done = event.done;
    let mut shown = older(event);
    shown["operation_description"] = description.trim_end().into();
    shown["operation_result"] = done.into();
    shown
}

/// `GET /audit-logs`
pub(crate) async fn list(
    State(face): State<Face>,
    Known(caller): Known,
    listing: Listing,
) -> Result<Response> {
    let listed = face.registry.harbor_log(&caller, true, &listing.wanted).await?;
    Ok(listing.answer(listed, older))
}

/// `GET /auditlog-exts`
pub(crate) async fn list_all(
    State(face): State<Face>,
    Known(caller): Known,
    listing: Listing,
) -> Result<Response> {
    let listed = face.registry.harbor_log(&caller, false, &listing.wanted).await?;
    Ok(listing.answer(listed, newer))
}

/// `GET /auditlog-exts/events`
pub(crate) async fn event_types(
    State(face): State<Face>,
    Known(caller): Known,
) -> Result<Json<Vec<Value>>> {
    let types = face.registry.harbor_event_types(&caller)?;
    Ok(Json(types.into_iter().map(|event_type| json!({"event_type": event_type})).collect()))
}

/// `GET /projects/{project_name}/logs`
pub(crate) async fn of_project(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    listing: Listing,
) -> Result<Response> {
    let listed = face.registry.harbor_project_log(&caller, &project, true, &listing.wanted).await?;
    Ok(listing.answer(listed, older))
}

/// `GET /projects/{project_name}/auditlog-exts`
pub(crate) async fn all_of_project(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    listing: Listing,
) -> Result<Response> {
    let listed =
        face.registry.harbor_project_log(&caller, &project, false, &listing.wanted).await?;
    Ok(listing.answer(listed, newer))
}
