//! The whole surface of this face on one page. A route is added with its description, so that the
//! OpenAPI document and the router cannot part.

use crate::{
    advisories, artifacts, clusters, collections, examiners, exceptions, face::Face, people,
    policies, projects, records, releases, sessions, tokens,
};
use axum::{
    Router, body::Bytes, extract::DefaultBodyLimit, middleware::map_response, response::Response,
    routing::get,
};
use http::{Method, StatusCode, header};
use sealock_http::{HttpError, with_browsers};
use serde_json::Value;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Where this face lives.
pub const BASE: &str = "/api/sealock/v1";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sealock",
        description = "Tiers, policies, promotions, evidence, waivers, impact, admission: what Harbor's API has no \
                       words for. Lists answer {items, next} and take after and limit; what does not exist and what \
                       the caller may not see are the same 404; a refusal by policy is 412 with its reasons.",
        license(name = "Apache-2.0")
    ),
    servers((url = "/api/sealock/v1")),
    modifiers(&Basic),
    security((), ("basic" = []))
)]
struct Document;

struct Basic;

impl Modify for Basic {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Basic)
            .description(Some("A user's name and password, or a robot's name and secret."))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("basic", SecurityScheme::Http(scheme));
    }
}

fn described() -> OpenApiRouter<Face> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(people::me))
        .routes(routes!(people::users, people::create_user))
        .routes(routes!(people::update_user, people::delete_user))
        .routes(routes!(people::rename_user))
        .routes(routes!(sessions::sessions, sessions::end_sessions))
        .routes(routes!(sessions::end_session))
        .routes(routes!(tokens::tokens, tokens::create_token, tokens::revoke_tokens))
        .routes(routes!(tokens::revoke_token))
        .routes(routes!(projects::projects, projects::create_project))
        .routes(routes!(projects::project, projects::update_project))
        .routes(routes!(projects::rename_project))
        .routes(routes!(projects::repositories))
        .routes(routes!(projects::rename_repository))
        .routes(routes!(projects::keys, projects::add_key))
        .routes(routes!(projects::compromise_key))
        .routes(routes!(projects::remove_key))
        .routes(routes!(projects::members, projects::put_member))
        .routes(routes!(projects::remove_member))
        .routes(routes!(examiners::examiners))
        .routes(routes!(examiners::grant_examine, examiners::withdraw_examine))
        .routes(routes!(projects::robots, projects::create_robot))
        .routes(routes!(projects::delete_robot))
        .routes(routes!(projects::renew_robot))
        .routes(routes!(
            policies::project_policy,
            policies::put_project_policy,
            policies::delete_project_policy
        ))
        .routes(routes!(policies::tier_policy, policies::put_tier_policy))
        .routes(routes!(policies::floor_policy, policies::put_floor_policy))
        .routes(routes!(
            policies::cluster_policy,
            policies::put_cluster_policy,
            policies::delete_cluster_policy
        ))
        .routes(routes!(policies::project_history))
        .routes(routes!(policies::cluster_history))
        .routes(routes!(policies::tier_history))
        .routes(routes!(policies::floor_history))
        .routes(routes!(policies::validate))
        .routes(routes!(policies::json_schema))
        .routes(routes!(artifacts::artifacts))
        .routes(routes!(artifacts::artifact))
        .routes(routes!(artifacts::findings))
        .routes(routes!(artifacts::sbom))
        .routes(routes!(artifacts::verdicts))
        .routes(routes!(artifacts::evidence))
        .routes(routes!(releases::promotions, releases::promote))
        .routes(routes!(releases::decisions))
        .routes(routes!(releases::decision))
        .routes(routes!(releases::document))
        .routes(routes!(releases::replay))
        .routes(routes!(releases::evidence_key))
        .routes(routes!(exceptions::waivers, exceptions::request_waiver))
        .routes(routes!(exceptions::grant_waiver))
        .routes(routes!(exceptions::refuse_waiver))
        .routes(routes!(exceptions::revoke_waiver))
        .routes(routes!(exceptions::allowlist))
        .routes(routes!(exceptions::grant_allowlist))
        .routes(routes!(exceptions::system_allowlist))
        .routes(routes!(exceptions::grant_system_allowlist))
        .routes(routes!(exceptions::quarantines))
        .routes(routes!(exceptions::quarantine, exceptions::lift_quarantine))
        .routes(routes!(exceptions::eradicate))
        .routes(routes!(advisories::status))
        .routes(routes!(advisories::import))
        .routes(routes!(advisories::update))
        .routes(routes!(clusters::clusters, clusters::register))
        .routes(routes!(clusters::cluster, clusters::update_cluster, clusters::remove))
        .routes(routes!(clusters::renew_cluster_token))
        .routes(routes!(clusters::webhooks))
        .routes(routes!(collections::collections, collections::collect))
        .routes(routes!(collections::collection))
        .routes(routes!(records::affected))
        .routes(routes!(records::audit))
}

/// The OpenAPI 3.1 document of this face, made from the code that serves it.
pub fn openapi() -> Value {
    written(&described().into_openapi())
}

fn written(document: &utoipa::openapi::OpenApi) -> Value {
    // A document that could not be written would be empty, which no test of it would pass.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    crate::document::complete(&mut document);
    document
}

/// This face, to be merged into the server's router.
pub fn router(face: Face) -> Router {
    let (router, document) = described().split_for_parts();
    let document = Bytes::from(written(&document).to_string());
    let served =
        get(move || async move { ([(header::CONTENT_TYPE, "application/json")], document) });
    let gatekeeper = face.gatekeeper.clone();
    let inner = router
        .route("/openapi.json", served)
        .method_not_allowed_fallback(wrong_method)
        .fallback(nowhere)
        // Each handler reads its body itself, with a limit of its own.
        .layer(DefaultBodyLimit::disable());
    let inner = with_browsers(inner, gatekeeper).layer(map_response(own_words)).with_state(face);
    Router::new().nest(BASE, inner)
}

async fn own_words(response: Response) -> Response {
    HttpError::reworded(response, HttpError::in_own_words)
}

async fn nowhere(uri: http::Uri) -> HttpError {
    HttpError::with_code(
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
        format!("this API has no {}; see {BASE}/openapi.json", uri.path()),
    )
}

async fn wrong_method(method: Method, uri: http::Uri) -> HttpError {
    HttpError::with_code(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        format!("{} does not take {method}; see {BASE}/openapi.json", uri.path()),
    )
}
