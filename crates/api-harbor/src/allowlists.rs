//! The tag SystemCVEAllowlist, and what a project's allowlist looks like.

use crate::face::{Face, Known, Sent, bad};
use axum::{Json, extract::State};
use http::StatusCode;
use sealock_http::Result;
use sealock_registry::{AllowlistChange, CveAllowlist, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

/// Harbor's `CVEAllowlist`. It replaces the whole list: what is absent is empty, or without an end.
#[derive(Deserialize)]
pub(crate) struct AllowlistRequest {
    pub(crate) project_id: Option<i64>,
    expires_at: Option<i64>,
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    cve_id: String,
}

impl AllowlistRequest {
    pub(crate) fn read(self) -> Result<AllowlistChange> {
        let moment = |second| {
            Timestamp::from_second(second)
                .map_err(|_| bad("expires_at is a moment, in seconds since 1970"))
        };
        let items = self.items.unwrap_or_default();
        Ok(AllowlistChange {
            items: Some(items.into_iter().map(|item| item.cve_id).collect()),
            expires_at: Some(self.expires_at.map(moment).transpose()?),
            reuse_system: None,
        })
    }
}

pub(crate) fn shown(list: &CveAllowlist) -> Value {
    let items: Vec<Value> = list.items.iter().map(|item| json!({"cve_id": item})).collect();
    let mut shown = json!({"id": list.id, "project_id": list.id, "items": items});
    let time = |at: Timestamp| Value::from(at.to_string());
    for (field, value) in [
        ("expires_at", list.expires_at.map(|at| at.as_second().into())),
        ("creation_time", list.created_at.map(time)),
        ("update_time", list.updated_at.map(time)),
    ] {
        if let Some(value) = value {
            shown[field] = value;
        }
    }
    shown
}

/// `GET /system/CVEAllowlist`
pub(crate) async fn get(State(face): State<Face>, Known(caller): Known) -> Result<Json<Value>> {
    Ok(Json(shown(&face.registry.system_cve_allowlist(&caller).await?)))
}

/// `PUT /system/CVEAllowlist`
pub(crate) async fn put(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(request): Sent<AllowlistRequest>,
) -> Result<StatusCode> {
    face.registry.set_system_cve_allowlist(&caller, &request.read()?).await?;
    Ok(StatusCode::OK)
}
