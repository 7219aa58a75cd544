//! Collection of what nothing refers to, for system administrators.

use crate::{
    face::{Face, Known, List, MaybeSent, Paging, Path, Query, created, list},
    schema,
};
use axum::{Json, extract::State, response::Response};
use sealock_http::Result;
use sealock_lifecycle::{CollectionOptions, CollectionRun};
use serde::Deserialize;
use utoipa::ToSchema;

/// What is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ToCollect {
    /// Say what would be freed and kept, and change nothing.
    dry_run: bool,
    /// Heed no lease. Unsafe while anybody pushes: a push may have been told that a blob is there
    /// which is then freed.
    ignore_leases: bool,
}

/// Begins a collection and answers at once; the run goes on in the background. One at a time.
#[utoipa::path(post, path = "/collections", tag = "upkeep", request_body = ToCollect,
    responses((status = 201, body = schema::CollectionRun), (status = 409, body = schema::Errors)))]
pub(crate) async fn collect(
    State(face): State<Face>,
    Known(caller): Known,
    MaybeSent(sent): MaybeSent<ToCollect>,
) -> Result<Response> {
    let ToCollect { dry_run, ignore_leases } = sent;
    let options = CollectionOptions { dry_run, ignore_leases };
    Ok(created(face.collector.start(&face.registry, &caller, options).await?))
}

/// Collections that were asked for or found something, newest first.
#[utoipa::path(get, path = "/collections", tag = "upkeep", params(Paging),
    responses((status = 200, body = List<schema::CollectionRun>)))]
pub(crate) async fn collections(
    State(face): State<Face>,
    Known(caller): Known,
    Query(page): Query<Paging>,
) -> Result<Json<List<CollectionRun>>> {
    Ok(list(face.collector.runs(&face.registry, &caller, &page.request()?).await?))
}

/// A collection, with its report so far.
#[utoipa::path(get, path = "/collections/{id}", tag = "upkeep",
    params(("id" = i64, Path, description = "The run's number.")),
    responses((status = 200, body = schema::CollectionRun), (status = 404, body = schema::Errors)))]
pub(crate) async fn collection(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<Json<CollectionRun>> {
    Ok(Json(face.collector.find_run(&face.registry, &caller, id).await?))
}
