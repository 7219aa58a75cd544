//! The tags statistic, search and permissions.

use crate::{
    face::{Asking, Face, Known},
    paging::Params,
};
use axum::{Json, extract::State};
use http::StatusCode;
use sealock_auth::{Catalogue, PROJECT_CATALOGUE, SYSTEM_CATALOGUE};
use sealock_http::{HttpError, Result};
use sealock_registry::harbor::RepositoryDetail;
use serde_json::{Value, json};

/// `GET /statistics`
pub(crate) async fn statistics(
    State(face): State<Face>,
    Known(caller): Known,
) -> Result<Json<Value>> {
    let statistics = face.registry.harbor_statistics(&caller).await?;
    let seen = statistics.seen;
    // As in Harbor, what only administrators see is 0 to others.
    let all = statistics.all.unwrap_or_default();
    let counts = json!({
        "public_project_count": seen.public_projects,
        "public_repo_count": seen.public_repositories,
        "private_project_count": seen.private_projects,
        "private_repo_count": seen.private_repositories,
        "total_project_count": all.public_projects + all.private_projects,
        "total_repo_count": all.public_repositories + all.private_repositories,
        "total_storage_consumption": statistics.storage.unwrap_or_default(),
    });
    Ok(Json(counts))
}

/// `GET /search`
pub(crate) async fn search(
    State(face): State<Face>,
    Asking(caller): Asking,
    params: Params,
) -> Result<Json<Value>> {
    let found = face.registry.harbor_search(&caller, params.text("q").unwrap_or_default()).await?;
    let repository = |detail: RepositoryDetail| {
        json!({
            "repository_name": detail.repository.name,
            "project_id": detail.repository.project_id,
            "project_name": detail.project,
            "project_public": detail.public,
            "artifact_count": detail.artifacts,
            "pull_count": detail.pulls,
        })
    };
    let projects: Vec<Value> = found.projects.into_iter().map(crate::projects::shown).collect();
    let repositories: Vec<Value> = found.repositories.into_iter().map(repository).collect();
    Ok(Json(json!({"project": projects, "repository": repositories})))
}

/// `GET /permissions`: what robots may be given; that of the whole system for its administrators.
pub(crate) async fn permissions(
    State(face): State<Face>,
    Known(caller): Known,
) -> Result<Json<Value>> {
    let sysadmin = caller.principal.is_sysadmin();
    if !sysadmin && !face.registry.administers_any_project(&caller).await? {
        return Err(HttpError::with_code(
            StatusCode::FORBIDDEN,
            "FORBIDDEN",
            "only administrators of the system or of a project make robots",
        ));
    }
    let shown = |catalogue: Catalogue| -> Vec<Value> {
        let pairs = catalogue.iter().flat_map(|(one, acts)| acts.iter().map(move |act| (one, act)));
        pairs.map(|(one, act)| json!({"resource": one.as_str(), "action": act.as_str()})).collect()
    };
    let system = if sysadmin { shown(SYSTEM_CATALOGUE) } else { Vec::new() };
    Ok(Json(json!({"system": system, "project": shown(PROJECT_CATALOGUE)})))
}
