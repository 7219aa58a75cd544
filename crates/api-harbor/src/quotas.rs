//! The tag quota.

use crate::{
    face::{Face, Known, Path, Sent, bad},
    paging::Listing,
};
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use sealock_http::Result;
use sealock_registry::{Quota, Term};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The only thing that quotas are of: projects.
const PROJECT: &str = "project";
/// The only thing that is limited.
const STORAGE: &str = "storage";

/// Harbor's `QuotaUpdateReq`.
#[derive(Deserialize)]
pub(crate) struct QuotaRequest {
    #[serde(default)]
    hard: Option<BTreeMap<String, i64>>,
}

impl QuotaRequest {
    fn storage(self) -> Result<i64> {
        let hard = self.hard.filter(|hard| !hard.is_empty());
        let hard = hard.ok_or_else(|| bad("hard required in body, such as {\"storage\": -1}"))?;
        if let Some(other) = hard.keys().find(|name| *name != STORAGE) {
            return Err(bad(format!("resource {other} not support; the only one is {STORAGE}")));
        }
        hard.get(STORAGE).copied().ok_or_else(|| bad("resource storage not found"))
    }
}

/// What a limit is, and what of it is used.
pub(crate) fn measures(quota: &Quota) -> (Value, Value) {
    (json!({STORAGE: quota.hard}), json!({STORAGE: quota.used}))
}

fn shown(quota: Quota) -> Value {
    let (hard, used) = measures(&quota);
    json!({
        "id": quota.id,
        "ref": {"id": quota.id, "name": quota.project, "owner_name": quota.owner},
        "hard": hard,
        "used": used,
        "creation_time": quota.created_at.to_string(),
        "update_time": quota.updated_at.to_string(),
    })
}

/// `GET /quotas`
pub(crate) async fn list(
    State(face): State<Face>,
    Known(caller): Known,
    mut listing: Listing,
) -> Result<Response> {
    // As in Harbor there is no `q` here.
    listing.wanted.terms.clear();
    let reference = listing.params.text("reference_id").map(str::to_owned);
    if let Some(reference) = reference {
        listing.require("reference_id", Term::Is(reference));
    }
    if listing.params.text("reference").is_some_and(|kind| kind != PROJECT) {
        listing.require("reference_id", Term::AnyOf(Vec::new()));
    }
    let listed = face.registry.quotas(&caller, &listing.wanted).await?;
    Ok(listing.answer(listed, shown))
}

/// `GET /quotas/{id}`
pub(crate) async fn get(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<Json<Value>> {
    Ok(Json(shown(face.registry.quota(&caller, id).await?)))
}

/// `PUT /quotas/{id}`
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
    Sent(request): Sent<QuotaRequest>,
) -> Result<StatusCode> {
    // Who may not is told so whatever they sent.
    face.registry.require_keeper_of_quotas(&caller)?;
    face.registry.set_quota(&caller, id, request.storage()?).await?;
    Ok(StatusCode::OK)
}
