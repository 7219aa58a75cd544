//! The tag configure.

use crate::face::{Face, Known, Sent};
use axum::{Json, extract::State};
use http::StatusCode;
use sealock_http::Result;
use serde_json::{Map, Value, json};

/// `GET /configurations`
pub(crate) async fn list(State(face): State<Face>, Known(caller): Known) -> Result<Json<Value>> {
    let items = face.registry.harbor_configuration(&caller).await?;
    let items = items.into_iter().map(|item| {
        (item.name.to_owned(), json!({"value": item.value, "editable": item.editable}))
    });
    let mut shown: Map<String, Value> = items.collect();
    // Findings are matched again whenever the data change; no schedule is needed for that.
    shown.insert("scan_all_policy".to_owned(), json!({"type": "none"}));
    Ok(Json(Value::Object(shown)))
}

/// `PUT /configurations`
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(said): Sent<Map<String, Value>>,
) -> Result<StatusCode> {
    face.registry.update_harbor_configuration(&caller, &said).await?;
    Ok(StatusCode::OK)
}

/// `GET /internalconfig`
pub(crate) async fn internal(
    State(face): State<Face>,
    Known(caller): Known,
) -> Result<Json<Value>> {
    Err(face.registry.refuse_internal_configuration(&caller).into())
}
