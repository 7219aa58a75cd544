//! The tags ping, health and systeminfo, and `/api/version`.

use crate::face::{Asking, Face, Known};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use sealock_http::{HttpError, Result};
use serde_json::{Value, json};

/// The version of Harbor whose API this is; clients look whether a feature is there by it.
const HARBOR_VERSION: &str = concat!("v2.15.2-sealock.", env!("CARGO_PKG_VERSION"));

/// `GET /api/version`
pub(crate) async fn version() -> Json<Value> {
    Json(json!({"version": "v2.0"}))
}

/// `GET /ping`
pub(crate) async fn ping() -> &'static str {
    "Pong"
}

/// `GET /health`
pub(crate) async fn health(State(face): State<Face>) -> Json<Value> {
    let word = |healthy| if healthy { "healthy" } else { "unhealthy" };
    let parts = face.registry.harbor_health().await;
    let components: Vec<Value> =
        parts.iter().map(|part| json!({"name": part.name, "status": word(part.healthy)})).collect();
    let all = parts.iter().all(|part| part.healthy);
    Json(json!({"status": word(all), "components": components}))
}

/// `GET /systeminfo`: to strangers, what a log-in page needs; the version to users only.
pub(crate) async fn info(State(face): State<Face>, Asking(caller): Asking) -> Result<Json<Value>> {
    let settings = face.registry.configuration().await?;
    let mut info = json!({
        "auth_mode": "db_auth",
        "primary_auth_mode": false,
        "self_registration": false,
        "banner_message": settings.banner,
    });
    if !caller.principal.is_anonymous() {
        let registry = &face.registry;
        let restriction = if settings.projects_by_admins { "adminonly" } else { "everyone" };
        let more = json!({
            "current_time": registry.now().to_string(),
            "external_url": registry.external_url(),
            "registry_url": registry.external_host(),
            "project_creation_restriction": restriction,
            "has_ca_root": face.certificate.is_some(),
            "harbor_version": HARBOR_VERSION,
            "registry_storage_provider_name": "filesystem",
            "read_only": settings.read_only,
            "notification_enable": false,
        });
        if let (Value::Object(info), Value::Object(more)) = (&mut info, more) {
            info.extend(more);
        }
    }
    Ok(Json(info))
}

/// `GET /systeminfo/getcert`: what clients need to trust this server's certificate.
pub(crate) async fn certificate(State(face): State<Face>) -> Result<Response> {
    let Some(authorities) = &face.certificate else {
        return Err(HttpError::with_code(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "no authority of this server's certificate was named with --tls-ca",
        ));
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=ca.crt"),
    ];
    Ok((headers, authorities.pem().to_string()).into_response())
}

/// `GET /systeminfo/volumes`
pub(crate) async fn volumes(State(face): State<Face>, Known(caller): Known) -> Result<Json<Value>> {
    let space = face.registry.harbor_volume(&caller).await?;
    Ok(Json(json!({"storage": [{"total": space.total, "free": space.free}]})))
}
