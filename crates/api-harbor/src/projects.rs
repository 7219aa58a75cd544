use crate::routes::{Face, say};
use axum::{
    Json,
    body::Body,
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use sealock_auth::Caller;
use sealock_facts::Tier;
use sealock_http::{HttpError, Result, encode, read_limited};
use sealock_registry::{Kind, NewProject, Project};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Largest request that is read, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Asks that a project be named by its name even where that is a number.
const IS_NAME: &str = "x-is-resource-name";
/// Asks for the name instead of the number in `Location`.
const NAME_IN_LOCATION: &str = "x-resource-name-in-location";

/// Harbor's `ProjectReq`.
#[derive(Deserialize)]
struct ProjectRequest {
    #[serde(default)]
    project_name: String,
    /// The deprecated place of `metadata.public`.
    public: Option<bool>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, Option<String>>>,
    storage_limit: Option<i64>,
    registry_id: Option<i64>,
    #[serde(default)]
    cve_allowlist: Option<Value>,
}

#[derive(Deserialize)]
pub(crate) struct Exists {
    #[serde(default)]
    project_name: String,
}

/// `POST /api/v2.0/projects`
pub(crate) async fn create(State(face): State<Face>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    made(&face, &parts, body).await.unwrap_or_else(say)
}

async fn made(face: &Face, parts: &Parts, body: Body) -> Result<Response> {
    let caller = face.caller(parts).await?;
    if caller.principal.is_anonymous() {
        return Err(HttpError::unauthorized("only users make projects; log in"));
    }
    let body = read_limited(body, MAX_BODY_BYTES, "a project").await?;
    let request: ProjectRequest = serde_json::from_slice(&body).map_err(|error| {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        HttpError::with_code(status, "UNPROCESSABLE_ENTITY", format!("not a project: {error}"))
    })?;
    let new = request.read()?;
    let project = face.registry.create_project(&caller, &new).await?;
    let by_name = flag(parts, NAME_IN_LOCATION);
    let place = if by_name { encode(&project.name) } else { project.id.to_string() };
    let location = HeaderValue::from_str(&format!("/api/v2.0/projects/{place}"));
    let location = location.map_err(HttpError::internal)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
}

impl ProjectRequest {
    /// What is asked for, or what of it does not exist here. A protection that would not be there
    /// is refused, never passed over.
    fn read(self) -> Result<NewProject> {
        let mut public = self.public.unwrap_or(false);
        for (key, value) in self.metadata.unwrap_or_default() {
            let Some(value) = value else { continue };
            match key.as_str() {
                "public" => {
                    public = boolean(&value)
                        .ok_or_else(|| bad("metadata.public is \"true\" or \"false\""))?;
                }
                // Harbor's own default, which says nothing.
                "reuse_sys_cve_allowlist" if boolean(&value) == Some(true) => {}
                "enable_content_trust"
                | "enable_content_trust_cosign"
                | "prevent_vul"
                | "auto_scan"
                | "auto_sbom_generation"
                    if boolean(&value) == Some(false) => {}
                "severity" | "retention_id" if value.is_empty() => {}
                _ => {
                    return Err(bad(&format!(
                        "metadata.{key} cannot be set here; rules of a project stand in its \
                         policy, /api/sealock/v1"
                    )));
                }
            }
        }
        if self.registry_id.is_some_and(|id| id > 0) {
            return Err(bad("proxy projects (registry_id) are not offered"));
        }
        if self.storage_limit.is_some_and(|limit| limit > 0) {
            return Err(bad("storage_limit is not offered; leave it out or give -1"));
        }
        let allows = |list: &Value| list["items"].as_array().is_some_and(|items| !items.is_empty());
        if self.cve_allowlist.as_ref().is_some_and(allows) {
            return Err(bad("an allowlist is not offered; ask for waivers"));
        }
        Ok(NewProject { name: self.project_name, public, tier: Tier::Sandbox })
    }
}

/// `HEAD /api/v2.0/projects?project_name=`: whether it exists, for who may see it.
pub(crate) async fn head(
    State(face): State<Face>,
    Query(asked): Query<Exists>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let found = async {
        let caller = face.caller(&parts).await?;
        if caller.principal.is_anonymous() {
            return Err(HttpError::unauthorized("log in"));
        }
        face.registry.project(&caller, &asked.project_name).await.map_err(HttpError::from)
    };
    found.await.map_or_else(say, |_| StatusCode::OK.into_response())
}

/// `GET /api/v2.0/projects/{project_name_or_id}`
pub(crate) async fn get(
    State(face): State<Face>,
    Path(project): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    shown(&face, &parts, &project).await.map_or_else(say, IntoResponse::into_response)
}

async fn shown(face: &Face, parts: &Parts, project: &str) -> Result<Json<Value>> {
    let caller = face.caller(parts).await?;
    let number = project.parse().ok().filter(|_| !flag(parts, IS_NAME));
    let found = match number {
        Some(id) => face.registry.project_numbered(&caller, id).await,
        None => face.registry.project(&caller, project).await,
    };
    let found = found.map_err(|error| hidden(error, &caller))?;
    let Project { id, name, public, created_at, .. } = found;
    Ok(Json(json!({
        "project_id": id,
        "name": name,
        "owner_name": "",
        "registry_id": null,
        "creation_time": created_at.to_string(),
        "update_time": created_at.to_string(),
        "deleted": false,
        "togglable": true,
        "metadata": { "public": public.to_string() },
    })))
}

/// Harbor answers 403 for what is not there and for what is not yours; only an administrator, who
/// may see all, learns that a project does not exist.
fn hidden(error: sealock_registry::Error, caller: &Caller) -> HttpError {
    if error.kind() == Kind::NotFound && !caller.principal.is_sysadmin() {
        return HttpError::with_code(
            StatusCode::FORBIDDEN,
            "FORBIDDEN",
            "there is no such project, or you may not see it",
        );
    }
    error.into()
}

fn flag(parts: &Parts, name: &str) -> bool {
    parts.headers.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn bad(message: &str) -> HttpError {
    HttpError::with_code(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}
