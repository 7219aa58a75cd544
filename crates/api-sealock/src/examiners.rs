//! Who may read what the pull door of a project refuses.

use crate::{
    face::{Face, Known, List, Paging, Path, Query, list},
    schema,
};
use axum::{Json, extract::State};
use http::StatusCode;
use sealock_http::Result;
use sealock_registry::Examiner;

/// Users and robots that may read what the pull door refuses, save what is quarantined. For
/// security officers and the project's administrators.
#[utoipa::path(get, path = "/projects/{project}/examiners", tag = "projects",
    params(("project" = String, Path), Paging),
    responses((status = 200, body = List<schema::Examiner>)))]
pub(crate) async fn examiners(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Examiner>>> {
    Ok(list(face.registry.examiners(&caller, &project, &paging.request()?).await?))
}

/// Lets a user, or a robot of the project by its full name, read what the pull door refuses. For
/// security officers.
#[utoipa::path(put, path = "/projects/{project}/examiners/{name}", tag = "projects",
    params(("project" = String, Path), ("name" = String, Path)), responses((status = 204)))]
pub(crate) async fn grant_examine(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, name)): Path<(String, String)>,
) -> Result<StatusCode> {
    face.registry.grant_examine(&caller, &project, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes it back. For security officers.
#[utoipa::path(delete, path = "/projects/{project}/examiners/{name}", tag = "projects",
    params(("project" = String, Path), ("name" = String, Path)), responses((status = 204)))]
pub(crate) async fn withdraw_examine(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, name)): Path<(String, String)>,
) -> Result<StatusCode> {
    face.registry.withdraw_examine(&caller, &project, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
