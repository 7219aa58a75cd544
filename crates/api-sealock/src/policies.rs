//! Policy documents.

use crate::{
    face::{Face, Known, List, Paging, Path, Query, bad, list, text_of},
    schema,
};
use axum::{Json, body::Body, extract::State};
use http::StatusCode;
use sealock_facts::Tier;
use sealock_http::{HttpError, Result};
use sealock_oci::ErrorCode;
use sealock_policy::{MAX_POLICY_BYTES, PolicyError};
use sealock_registry::{PolicyTarget, PolicyText};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

async fn get(
    face: &Face,
    caller: &sealock_auth::Caller,
    target: PolicyTarget,
) -> Result<Json<PolicyText>> {
    let found = face.registry.policy(caller, &target).await?;
    found.map(Json).ok_or_else(|| {
        HttpError::not_found(ErrorCode::NameUnknown, "no policy of its own is set here")
    })
}

async fn put(
    face: &Face,
    caller: &sealock_auth::Caller,
    target: PolicyTarget,
    body: Body,
) -> Result<Json<PolicyText>> {
    let text = text_of(body, MAX_POLICY_BYTES, "a policy").await?;
    sealock_policy::parse(&text).map_err(|error| invalid(&error))?;
    Ok(Json(face.registry.put_policy(caller, &target, &text).await?))
}

/// 422 that names the place.
fn invalid(error: &PolicyError) -> HttpError {
    let code = "POLICY_INVALID";
    HttpError::with_code(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string()).with_detail(
        json!({
            "line": error.line,
            "column": error.column,
            "path": error.path,
            "message": error.message,
        }),
    )
}

fn tier(text: &str) -> Result<Tier> {
    text.parse().map_err(|_| {
        let words: Vec<_> = Tier::ALL.iter().map(|tier| tier.as_str()).collect();
        bad(format!("{text:?} is not a tier; write one of {}", words.join(", ")))
    })
}

/// A project's own policy.
#[utoipa::path(get, path = "/projects/{project}/policy", tag = "policies",
    params(("project" = String, Path)), responses((status = 200, body = schema::PolicyText)))]
pub(crate) async fn project_policy(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
) -> Result<Json<PolicyText>> {
    get(&face, &caller, PolicyTarget::Project(project)).await
}

/// Sets a project's own policy, YAML or JSON. It adds to those of the floor and the tier and cannot
/// soften them. For the project's administrators.
#[utoipa::path(put, path = "/projects/{project}/policy", tag = "policies",
    params(("project" = String, Path)),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = schema::PolicyText), (status = 422, body = schema::Errors)))]
pub(crate) async fn put_project_policy(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    body: Body,
) -> Result<Json<PolicyText>> {
    put(&face, &caller, PolicyTarget::Project(project), body).await
}

/// Removes a project's own policy. For the project's administrators.
#[utoipa::path(delete, path = "/projects/{project}/policy", tag = "policies",
    params(("project" = String, Path)), responses((status = 204)))]
pub(crate) async fn delete_project_policy(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
) -> Result<StatusCode> {
    face.registry.delete_policy(&caller, &PolicyTarget::Project(project)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A tier's policy.
#[utoipa::path(get, path = "/tiers/{tier}/policy", tag = "policies",
    params(("tier" = schema::Tier, Path)), responses((status = 200, body = schema::PolicyText)))]
pub(crate) async fn tier_policy(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
) -> Result<Json<PolicyText>> {
    get(&face, &caller, PolicyTarget::Tier(tier(&name)?)).await
}

/// Sets a tier's policy. For security officers.
#[utoipa::path(put, path = "/tiers/{tier}/policy", tag = "policies",
    params(("tier" = schema::Tier, Path)),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = schema::PolicyText), (status = 422, body = schema::Errors)))]
pub(crate) async fn put_tier_policy(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<PolicyText>> {
    put(&face, &caller, PolicyTarget::Tier(tier(&name)?), body).await
}

/// The policy of the whole system.
#[utoipa::path(get, path = "/policy/floor", tag = "policies",
    responses((status = 200, body = schema::PolicyText)))]
pub(crate) async fn floor_policy(
    State(face): State<Face>,
    Known(caller): Known,
) -> Result<Json<PolicyText>> {
    get(&face, &caller, PolicyTarget::Floor).await
}

/// Sets the policy of the whole system. For security officers.
#[utoipa::path(put, path = "/policy/floor", tag = "policies",
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = schema::PolicyText), (status = 422, body = schema::Errors)))]
pub(crate) async fn put_floor_policy(
    State(face): State<Face>,
    Known(caller): Known,
    body: Body,
) -> Result<Json<PolicyText>> {
    put(&face, &caller, PolicyTarget::Floor, body).await
}

/// Versions of a project's own policy, newest first.
#[utoipa::path(get, path = "/projects/{project}/policy/history", tag = "policies",
    params(("project" = String, Path), Paging),
    responses((status = 200, body = List<schema::PolicyText>)))]
pub(crate) async fn project_history(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<PolicyText>>> {
    let target = PolicyTarget::Project(project);
    Ok(list(face.registry.policy_history(&caller, &target, &paging.request()?).await?))
}

/// Versions of a tier's policy, newest first.
#[utoipa::path(get, path = "/tiers/{tier}/policy/history", tag = "policies",
    params(("tier" = schema::Tier, Path), Paging),
    responses((status = 200, body = List<schema::PolicyText>)))]
pub(crate) async fn tier_history(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<PolicyText>>> {
    let target = PolicyTarget::Tier(tier(&name)?);
    Ok(list(face.registry.policy_history(&caller, &target, &paging.request()?).await?))
}

/// Versions of the policy of the whole system, newest first.
#[utoipa::path(get, path = "/policy/floor/history", tag = "policies", params(Paging),
    responses((status = 200, body = List<schema::PolicyText>)))]
pub(crate) async fn floor_history(
    State(face): State<Face>,
    Known(caller): Known,
    Query(paging): Query<Paging>,
) -> Result<Json<List<PolicyText>>> {
    let target = PolicyTarget::Floor;
    Ok(list(face.registry.policy_history(&caller, &target, &paging.request()?).await?))
}

/// What a cluster asks of images in one of its namespaces; `*` is every other one. For system
/// administrators and security officers.
#[utoipa::path(get, path = "/clusters/{name}/namespaces/{namespace}/policy", tag = "policies",
    params(("name" = String, Path), ("namespace" = String, Path)),
    responses((status = 200, body = schema::PolicyText)))]
pub(crate) async fn cluster_policy(
    State(face): State<Face>,
    Known(caller): Known,
    Path((cluster, namespace)): Path<(String, String)>,
) -> Result<Json<PolicyText>> {
    get(&face, &caller, PolicyTarget::Cluster { cluster, namespace }).await
}

/// Sets what a cluster asks of images in one of the namespaces that it lists, YAML or JSON. At
/// admission it is one more document beside those of the floor, the tier and the project; the worst
/// verdict stands. For system administrators and security officers.
#[utoipa::path(put, path = "/clusters/{name}/namespaces/{namespace}/policy", tag = "policies",
    params(("name" = String, Path), ("namespace" = String, Path)),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = schema::PolicyText), (status = 422, body = schema::Errors)))]
pub(crate) async fn put_cluster_policy(
    State(face): State<Face>,
    Known(caller): Known,
    Path((cluster, namespace)): Path<(String, String)>,
    body: Body,
) -> Result<Json<PolicyText>> {
    put(&face, &caller, PolicyTarget::Cluster { cluster, namespace }, body).await
}

/// Removes what a cluster asks in one of its namespaces; the least tier stays. For system
/// administrators and security officers.
#[utoipa::path(delete, path = "/clusters/{name}/namespaces/{namespace}/policy", tag = "policies",
    params(("name" = String, Path), ("namespace" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn delete_cluster_policy(
    State(face): State<Face>,
    Known(caller): Known,
    Path((cluster, namespace)): Path<(String, String)>,
) -> Result<StatusCode> {
    let target = PolicyTarget::Cluster { cluster, namespace };
    face.registry.delete_policy(&caller, &target).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Versions of what a cluster asks in one of its namespaces, newest first.
#[utoipa::path(get, path = "/clusters/{name}/namespaces/{namespace}/policy/history",
    tag = "policies",
    params(("name" = String, Path), ("namespace" = String, Path), Paging),
    responses((status = 200, body = List<schema::PolicyText>)))]
pub(crate) async fn cluster_history(
    State(face): State<Face>,
    Known(caller): Known,
    Path((cluster, namespace)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<PolicyText>>> {
    let target = PolicyTarget::Cluster { cluster, namespace };
    Ok(list(face.registry.policy_history(&caller, &target, &paging.request()?).await?))
}

/// A policy that can be set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Valid {
    /// True.
    valid: bool,
}

/// Reads a policy and says what is wrong with it, with line and column. Sets nothing.
#[utoipa::path(post, path = "/policies/validate", tag = "policies",
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = Valid), (status = 422, body = schema::Errors)))]
pub(crate) async fn validate(Known(_caller): Known, body: Body) -> Result<Json<Valid>> {
    let text = text_of(body, MAX_POLICY_BYTES, "a policy").await?;
    sealock_policy::parse(&text).map_err(|error| invalid(&error))?;
    Ok(Json(Valid { valid: true }))
}

/// The JSON Schema of policy documents, for editors.
#[utoipa::path(get, path = "/policies/schema", tag = "policies",
    responses((status = 200, body = Object)))]
pub(crate) async fn json_schema() -> Json<Value> {
    Json(sealock_policy::json_schema())
}
