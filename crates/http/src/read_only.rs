//! While administrators keep the server read-only, nothing is changed through any face.

use crate::{HttpError, browsers::changes_nothing};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use http::{Method, StatusCode};
use sealock_oci::ErrorCode;
use sealock_registry::Registry;

/// What may be asked all the same: to log in, to get a token, and to end the read-only state.
const ALLOWED: [(Method, &str); 5] = [
    (Method::POST, "/c/login"),
    (Method::POST, "/c/userExists"),
    (Method::POST, "/service/token"),
    (Method::POST, "/v2/token"),
    (Method::PUT, "/api/v2.0/configurations"),
];

/// Refuses every change while the setting `read_only` is on: 403 DENIED.
pub fn unless_read_only(app: Router, registry: Registry) -> Router {
    app.layer(from_fn_with_state(registry, look))
}

async fn look(State(registry): State<Registry>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    if changes_nothing(method) || ALLOWED.iter().any(|(one, at)| method == one && path == *at) {
        return next.run(request).await;
    }
    match registry.configuration().await {
        Ok(settings) if !settings.read_only => next.run(request).await,
        Ok(_) => HttpError::new(
            StatusCode::FORBIDDEN,
            ErrorCode::Denied,
            "the system is in read only mode: any modification is prohibited until an \
             administrator ends it (PUT /api/v2.0/configurations, read_only)",
        )
        .into_response(),
        Err(error) => HttpError::from(error).into_response(),
    }
}
