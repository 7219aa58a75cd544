//! The tag repository. Names hold slashes, which clients encode twice (`%252F`) because proxies
//! undo it once; once is enough here, too.

use crate::{
    face::{Asking, Face, Known, Path, Sent, unprocessable},
    paging::Listing,
};
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use percent_encoding::percent_decode_str;
use sealock_http::Result;
use sealock_registry::harbor::RepositoryDetail;
use serde::Deserialize;
use serde_json::{Value, json};

/// What of Harbor's `Repository` a client may change.
#[derive(Deserialize)]
pub(crate) struct RepositoryRequest {
    #[serde(default)]
    description: String,
}

/// A repository's name within its project, as it stands in a path that was decoded once.
pub(crate) fn decoded(name: &str) -> Result<String> {
    let name = percent_decode_str(name).decode_utf8();
    name.map(Into::into).map_err(|_| unprocessable("the repository's name is no text"))
}

pub(crate) fn shown(detail: RepositoryDetail) -> Value {
    json!({
        "id": detail.repository.id,
        "project_id": detail.repository.project_id,
        "name": detail.repository.name,
        "description": detail.description,
        "artifact_count": detail.artifacts,
        "pull_count": detail.pulls,
        "creation_time": detail.repository.created_at.to_string(),
        "update_time": detail.updated_at.to_string(),
    })
}

/// `GET /repositories`
pub(crate) async fn list_all(
    State(face): State<Face>,
    Asking(caller): Asking,
    listing: Listing,
) -> Result<Response> {
    let listed = face.registry.harbor_repositories(&caller, &listing.wanted).await?;
    Ok(listing.answer(listed, shown))
}

/// `GET /projects/{project_name}/repositories`
pub(crate) async fn list(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path(project): Path<String>,
    listing: Listing,
) -> Result<Response> {
    let listed = face.registry.harbor_repositories_of(&caller, &project, &listing.wanted).await?;
    Ok(listing.answer(listed, shown))
}

/// `GET /projects/{project_name}/repositories/{repository_name}`
pub(crate) async fn get(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path((project, name)): Path<(String, String)>,
) -> Result<Json<Value>> {
    let name = decoded(&name)?;
    Ok(Json(shown(face.registry.harbor_repository(&caller, &project, &name).await?)))
}

/// `PUT /projects/{project_name}/repositories/{repository_name}`
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, name)): Path<(String, String)>,
    Sent(request): Sent<RepositoryRequest>,
) -> Result<StatusCode> {
    let (name, text) = (decoded(&name)?, request.description);
    face.registry.describe_harbor_repository(&caller, &project, &name, &text).await?;
    Ok(StatusCode::OK)
}

/// `DELETE /projects/{project_name}/repositories/{repository_name}`
pub(crate) async fn delete(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, name)): Path<(String, String)>,
) -> Result<StatusCode> {
    face.registry.delete_harbor_repository(&caller, &project, &decoded(&name)?).await?;
    Ok(StatusCode::OK)
}
