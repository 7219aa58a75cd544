use crate::routes::{Face, say};
use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::request::Parts;
use sealock_http::Result;
use serde_json::{Value, json};

/// `GET /api/v2.0/users/current`
pub(crate) async fn current(State(face): State<Face>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    account(&face, &parts).await.map_or_else(say, IntoResponse::into_response)
}

async fn account(face: &Face, parts: &Parts) -> Result<Json<Value>> {
    let caller = face.caller(parts).await?;
    let account = face.registry.current_user(&caller).await?;
    Ok(Json(json!({
        "user_id": account.id,
        "username": account.name,
        "realname": account.real_name,
        "email": account.email,
        "comment": "",
        "sysadmin_flag": account.sysadmin,
        "admin_role_in_auth": false,
        "creation_time": account.created_at.to_string(),
        "update_time": account.updated_at.to_string(),
    })))
}
