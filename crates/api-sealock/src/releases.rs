//! Promotions, decisions and the key that proves them.

use crate::{
    artifacts::optional_digest,
    face::{Asking, Face, Known, List, Paging, Path, Query, Sent, created, image, list},
    schema,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use sealock_facts::Door;
use sealock_http::Result;
use sealock_registry::{Decision, DecisionQuery, PromotionTarget, RecordedPromotion, Replay};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// What goes where.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToPromote {
    /// The image, `project/repository[:tag][@digest]`.
    image: String,
    /// `project[/repository][:tag]`; repository and tag are the source's when absent.
    to: String,
}

/// Promotes an image: the gate of the target judges it, a summary (VSA) is signed, and image,
/// children, verified evidence and summary appear there at once, or nothing does. 412 with the
/// reasons when refused.
#[utoipa::path(post, path = "/promotions", tag = "releases", request_body = ToPromote,
    responses((status = 201, body = schema::Promotion), (status = 412, body = schema::Errors)))]
pub(crate) async fn promote(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(sent): Sent<ToPromote>,
) -> Result<Response> {
    let (name, reference) = image(&face.registry, &caller, &sent.image).await?;
    let target: PromotionTarget = sent.to.parse()?;
    Ok(created(face.registry.promote(&caller, &name, &reference, &target).await?))
}

/// Which promotions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Promotions {
    /// Into or from this project.
    project: Option<String>,
    /// Of this digest.
    digest: Option<String>,
    /// The cursor of the page before.
    after: Option<String>,
    /// Most items, 1 to 1,000; 100 when absent.
    limit: Option<u32>,
}

/// Promotions, newest first, among the projects that the caller may read.
#[utoipa::path(get, path = "/promotions", tag = "releases", params(Promotions),
    responses((status = 200, body = List<schema::RecordedPromotion>)))]
pub(crate) async fn promotions(
    State(face): State<Face>,
    Known(caller): Known,
    Query(query): Query<Promotions>,
) -> Result<Json<List<RecordedPromotion>>> {
    let page = Paging::new(query.after, query.limit).request()?;
    let digest = optional_digest(query.digest.as_deref())?;
    let project = query.project.as_deref();
    Ok(list(face.registry.promotions(&caller, project, digest.as_ref(), &page).await?))
}

/// Which decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Decisions {
    /// About this digest.
    digest: Option<String>,
    /// At this door.
    #[param(value_type = Option<schema::Door>)]
    door: Option<Door>,
    /// In this project.
    project: Option<String>,
    /// The cursor of the page before.
    after: Option<String>,
    /// Most items, 1 to 1,000; 100 when absent.
    limit: Option<u32>,
}

/// Decisions, newest first, among the projects that the caller may read.
#[utoipa::path(get, path = "/decisions", tag = "releases", params(Decisions),
    responses((status = 200, body = List<schema::Decision>)))]
pub(crate) async fn decisions(
    State(face): State<Face>,
    Known(caller): Known,
    Query(query): Query<Decisions>,
) -> Result<Json<List<Decision>>> {
    let page = Paging::new(query.after, query.limit).request()?;
    let digest = optional_digest(query.digest.as_deref())?;
    let wanted = DecisionQuery { digest, door: query.door, project: query.project };
    Ok(list(face.registry.decisions(&caller, &wanted, &page).await?))
}

/// A decision with its verdict.
#[utoipa::path(get, path = "/decisions/{id}", tag = "releases", params(("id" = i64, Path)),
    responses((status = 200, body = schema::Decision)))]
pub(crate) async fn decision(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<Json<Decision>> {
    Ok(Json(face.registry.decision(&caller, id).await?.0))
}

/// The canonical input document of a decision, byte for byte: `sealock decision replay FILE` makes
/// the decision again from it, without a server.
#[utoipa::path(get, path = "/decisions/{id}/document", tag = "releases",
    params(("id" = i64, Path)), responses((status = 200, body = Object)))]
pub(crate) async fn document(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<Response> {
    let (_, document) = face.registry.decision(&caller, id).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}

/// Makes a decision again from its document and compares.
#[utoipa::path(post, path = "/decisions/{id}/replay", tag = "releases",
    params(("id" = i64, Path)), responses((status = 200, body = schema::Replay)))]
pub(crate) async fn replay(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<Json<Replay>> {
    Ok(Json(face.registry.replay(&caller, id).await?))
}

/// The public key that verifies this server's summaries (VSA), PEM. No login is needed.
#[utoipa::path(get, path = "/evidence-key", tag = "releases", security(()),
    responses((status = 200, body = String, content_type = "application/x-pem-file")))]
pub(crate) async fn evidence_key(State(face): State<Face>, Asking(_caller): Asking) -> Response {
    let pem = face.registry.product_keys().evidence_public().to_pem();
    ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response()
}
