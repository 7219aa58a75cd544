//! Recorded exceptions and bans: waivers, quarantines, eradications.

use crate::{
    face::{Face, Known, List, MaybeSent, Paging, Path, Query, Sent, created, digest, list},
    schema,
};
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use sealock_facts::{Quarantine, QuarantineTarget, Waiver, WaiverScope};
use sealock_http::Result;
use sealock_oci::Digest;
use sealock_registry::{CveAllowlist, Eradication, WaiverRequest, WaiverStep};
use serde::Deserialize;
use utoipa::ToSchema;

/// A waiver to be asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaiverToRequest {
    /// Any id of the vulnerability.
    vulnerability: String,
    /// purl of the component, with or without its version; every component when absent.
    component: Option<String>,
    /// Glob over full repository names (`*` within a part, `**` any parts); every repository of the
    /// project when absent.
    repository: Option<String>,
    /// One digest only.
    #[schema(value_type = Option<String>)]
    digest: Option<Digest>,
    /// Why.
    reason: String,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Why a waiver is granted, refused or revoked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaiverDecision {
    /// Why.
    reason: Option<String>,
}

/// Waivers of a project, oldest first.
#[utoipa::path(get, path = "/projects/{project}/waivers", tag = "exceptions",
    params(("project" = String, Path), Paging),
    responses((status = 200, body = List<schema::Waiver>)))]
pub(crate) async fn waivers(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Waiver>>> {
    Ok(list(face.registry.waivers(&caller, &project, &paging.request()?).await?))
}

/// Asks for a waiver. It excuses nothing before another person with the security role grants it.
#[utoipa::path(post, path = "/projects/{project}/waivers", tag = "exceptions",
    params(("project" = String, Path)), request_body = WaiverToRequest,
    responses((status = 201, body = schema::Waiver)))]
pub(crate) async fn request_waiver(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Sent(sent): Sent<WaiverToRequest>,
) -> Result<Response> {
    let WaiverToRequest { vulnerability, component, repository, digest, reason, expires_at } = sent;
    let scope = WaiverScope { vulnerability, component, repository, digest };
    let request = WaiverRequest { scope, reason, expires_at };
    Ok(created(face.registry.request_waiver(&caller, &project, &request).await?))
}

async fn decide(
    face: &Face,
    caller: &sealock_auth::Caller,
    (project, id): (String, i64),
    step: WaiverStep,
    decision: WaiverDecision,
) -> Result<Json<Waiver>> {
    let reason = decision.reason.as_deref();
    Ok(Json(face.registry.decide_waiver(caller, &project, id, step, reason).await?))
}

/// Grants a waiver. For security officers, and never for the one who asked.
#[utoipa::path(post, path = "/projects/{project}/waivers/{id}/grant", tag = "exceptions",
    params(("project" = String, Path), ("id" = i64, Path)), request_body = WaiverDecision,
    responses((status = 200, body = schema::Waiver), (status = 403, body = schema::Errors)))]
pub(crate) async fn grant_waiver(
    State(face): State<Face>,
    Known(caller): Known,
    Path(which): Path<(String, i64)>,
    MaybeSent(decision): MaybeSent<WaiverDecision>,
) -> Result<Json<Waiver>> {
    decide(&face, &caller, which, WaiverStep::Grant, decision).await
}

/// Refuses a waiver. For security officers; who asked may take the request back.
#[utoipa::path(post, path = "/projects/{project}/waivers/{id}/refuse", tag = "exceptions",
    params(("project" = String, Path), ("id" = i64, Path)), request_body = WaiverDecision,
    responses((status = 200, body = schema::Waiver)))]
pub(crate) async fn refuse_waiver(
    State(face): State<Face>,
    Known(caller): Known,
    Path(which): Path<(String, i64)>,
    MaybeSent(decision): MaybeSent<WaiverDecision>,
) -> Result<Json<Waiver>> {
    decide(&face, &caller, which, WaiverStep::Refuse, decision).await
}

/// Takes a granted waiver back. For security officers, and for the one who asked.
#[utoipa::path(post, path = "/projects/{project}/waivers/{id}/revoke", tag = "exceptions",
    params(("project" = String, Path), ("id" = i64, Path)), request_body = WaiverDecision,
    responses((status = 200, body = schema::Waiver)))]
pub(crate) async fn revoke_waiver(
    State(face): State<Face>,
    Known(caller): Known,
    Path(which): Path<(String, i64)>,
    MaybeSent(decision): MaybeSent<WaiverDecision>,
) -> Result<Json<Waiver>> {
    decide(&face, &caller, which, WaiverStep::Revoke, decision).await
}

/// Which list is confirmed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowlistGrant {
    /// `updated_at` of the list that was looked at: another one is a conflict.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
}

/// What a project's CVE allowlist excuses, which is written through Harbor's API.
#[utoipa::path(get, path = "/projects/{project}/allowlist", tag = "exceptions",
    params(("project" = String, Path)), responses((status = 200, body = schema::CveAllowlist)))]
pub(crate) async fn allowlist(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
) -> Result<Json<CveAllowlist>> {
    Ok(Json(face.registry.cve_allowlist(&caller, &project).await?))
}

/// Lets a project's CVE allowlist count above sandbox, until more is written on it. For security
/// officers, and never for the one who wrote it.
#[utoipa::path(post, path = "/projects/{project}/allowlist/grant", tag = "exceptions",
    params(("project" = String, Path)), request_body = AllowlistGrant,
    responses((status = 200, body = schema::CveAllowlist), (status = 403, body = schema::Errors)))]
pub(crate) async fn grant_allowlist(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    MaybeSent(grant): MaybeSent<AllowlistGrant>,
) -> Result<Json<CveAllowlist>> {
    let seen = grant.updated_at;
    Ok(Json(face.registry.grant_cve_allowlist(&caller, Some(&project), seen).await?))
}

/// What the system's CVE allowlist excuses, which is written through Harbor's API.
#[utoipa::path(get, path = "/allowlist", tag = "exceptions",
    responses((status = 200, body = schema::CveAllowlist)))]
pub(crate) async fn system_allowlist(
    State(face): State<Face>,
    Known(caller): Known,
) -> Result<Json<CveAllowlist>> {
    Ok(Json(face.registry.system_cve_allowlist(&caller).await?))
}

/// Lets the system's CVE allowlist count above sandbox, until more is written on it. For security
/// officers, and never for the one who wrote it.
#[utoipa::path(post, path = "/allowlist/grant", tag = "exceptions", request_body = AllowlistGrant,
    responses((status = 200, body = schema::CveAllowlist), (status = 403, body = schema::Errors)))]
pub(crate) async fn grant_system_allowlist(
    State(face): State<Face>,
    Known(caller): Known,
    MaybeSent(grant): MaybeSent<AllowlistGrant>,
) -> Result<Json<CveAllowlist>> {
    Ok(Json(face.registry.grant_cve_allowlist(&caller, None, grant.updated_at).await?))
}

/// A ban.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ban {
    /// What the digest is of: `manifest` (when absent) or `blob`.
    #[serde(default = "manifest")]
    #[schema(value_type = Option<schema::QuarantineTarget>)]
    target: QuarantineTarget,
    /// Why.
    reason: String,
}

const fn manifest() -> QuarantineTarget {
    QuarantineTarget::Manifest
}

/// Banned digests, newest first.
#[utoipa::path(get, path = "/quarantines", tag = "exceptions", params(Paging),
    responses((status = 200, body = List<schema::Quarantine>)))]
pub(crate) async fn quarantines(
    State(face): State<Face>,
    Known(caller): Known,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Quarantine>>> {
    Ok(list(face.registry.quarantines(&caller, &paging.request()?).await?))
}

/// Bans a digest: every door closes, everywhere, whether or not it is here. For security officers.
#[utoipa::path(put, path = "/quarantines/{digest}", tag = "exceptions",
    params(("digest" = String, Path)), request_body = Ban,
    responses((status = 200, body = schema::Quarantine)))]
pub(crate) async fn quarantine(
    State(face): State<Face>,
    Known(caller): Known,
    Path(text): Path<String>,
    Sent(sent): Sent<Ban>,
) -> Result<Json<Quarantine>> {
    let ban = face.registry.quarantine(&caller, &digest(&text)?, sent.target, &sent.reason).await?;
    Ok(Json(ban))
}

/// Lifts a ban. For security officers.
#[utoipa::path(delete, path = "/quarantines/{digest}", tag = "exceptions",
    params(("digest" = String, Path)), responses((status = 204)))]
pub(crate) async fn lift_quarantine(
    State(face): State<Face>,
    Known(caller): Known,
    Path(text): Path<String>,
) -> Result<StatusCode> {
    face.registry.lift_quarantine(&caller, &digest(&text)?, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is to be eradicated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToEradicate {
    /// The digest.
    #[schema(value_type = String)]
    digest: Digest,
    /// Why.
    reason: String,
}

/// Bans a digest, deletes it from every repository, and lists who pulled it or had it admitted. For
/// security officers.
#[utoipa::path(post, path = "/eradications", tag = "exceptions", request_body = ToEradicate,
    responses((status = 200, body = schema::Eradication)))]
pub(crate) async fn eradicate(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(sent): Sent<ToEradicate>,
) -> Result<Json<Eradication>> {
    Ok(Json(face.registry.eradicate(&caller, &sent.digest, &sent.reason).await?))
}
