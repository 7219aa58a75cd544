//! The whole surface of this face on one page.

use crate::{projects, users};
use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, request::Parts};
use sealock_auth::Caller;
use sealock_http::{Gatekeeper, HttpError, Result};
use sealock_registry::Registry;

/// `/api/v2.0/`
pub fn router(registry: Registry, gatekeeper: Gatekeeper) -> Router {
    Router::new()
        .route("/api/v2.0/ping", get(|| async { "Pong" }))
        .route("/api/v2.0/users/current", get(users::current))
        .route("/api/v2.0/projects", axum::routing::head(projects::head).post(projects::create))
        .route("/api/v2.0/projects/{project}", get(projects::get))
        .method_not_allowed_fallback(wrong_method)
        .with_state(Face { registry, gatekeeper })
}

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Face {
    pub(crate) registry: Registry,
    pub(crate) gatekeeper: Gatekeeper,
}

impl Face {
    /// Who is asking, by a user's or robot's name and secret.
    pub(crate) async fn caller(&self, parts: &Parts) -> Result<Caller> {
        self.gatekeeper.visitor(parts).await
    }
}

/// Harbor's words and challenge for an error.
pub(crate) fn say(error: HttpError) -> Response {
    Gatekeeper::basic_challenge(error.in_harbors_words()).into_response()
}

async fn wrong_method(State(_): State<Face>, request: Request) -> Response {
    let method = request.method().clone();
    say(HttpError::with_code(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        format!("{method} is not allowed here"),
    ))
}
