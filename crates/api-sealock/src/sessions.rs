//! Where people are logged in with a browser.

use crate::{
    face::{Face, Known, List, Paging, Path, Query, list},
    schema,
};
use axum::{Json, extract::State};
use http::StatusCode;
use sealock_http::Result;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Whose, and which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionQuery {
    /// A user by name, for system administrators; oneself when absent.
    pub(crate) user: Option<String>,
    /// The cursor of the page before; absent for the first page.
    pub(crate) after: Option<String>,
    /// Most items, 1 to 1,000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<u32>,
}

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhoseQuery {
    /// A user by name, for system administrators; oneself when absent.
    pub(crate) user: Option<String>,
}

/// How many were ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ended {
    /// Log-ins that were ended.
    pub(crate) ended: u64,
}

/// Where one is logged in with a browser, oldest first.
#[utoipa::path(get, path = "/sessions", tag = "people", params(SessionQuery),
    responses((status = 200, body = List<schema::Session>)))]
pub(crate) async fn sessions(
    State(face): State<Face>,
    Known(caller): Known,
    Query(query): Query<SessionQuery>,
) -> Result<Json<List<sealock_registry::Session>>> {
    let page = Paging::new(query.after, query.limit).request()?;
    Ok(list(face.registry.sessions(&caller, query.user.as_deref(), &page).await?))
}

/// Ends every log-in of oneself with a browser, the one at hand included.
#[utoipa::path(delete, path = "/sessions", tag = "people", params(WhoseQuery),
    responses((status = 200, body = Ended)))]
pub(crate) async fn end_sessions(
    State(face): State<Face>,
    Known(caller): Known,
    Query(query): Query<WhoseQuery>,
) -> Result<Json<Ended>> {
    let ended = face.registry.end_sessions(&caller, query.user.as_deref()).await?;
    Ok(Json(Ended { ended }))
}

/// Ends a log-in with a browser: one's own; anybody's for system administrators.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "people", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = schema::Errors)))]
pub(crate) async fn end_session(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<StatusCode> {
    face.registry.end_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
