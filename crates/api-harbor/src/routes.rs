//! The whole surface of this face on one page; what this version does not have stands in `later`.

use crate::{
    additions, allowlists, artifacts, browser, configure, counts,
    face::{BASE, Face, harbors_words},
    groups, icons, immutable, labels, later, log, members, metadata, projects, quotas,
    repositories, robots, system, users,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, OriginalUri, Request},
    middleware::map_response,
    routing::{delete, get, post, put},
};
use http::{Method, StatusCode, Uri, uri::PathAndQuery};
use sealock_http::{HttpError, with_browsers};
use tower::ServiceBuilder;

/// `/api/v2.0/`, `/api/version` and `/c/`
pub fn router(face: Face) -> Router {
    let inner = Router::new()
        .route("/ping", get(system::ping))
        .route("/health", get(system::health))
        .route("/systeminfo", get(system::info))
        .route("/systeminfo/volumes", get(system::volumes))
        .route("/systeminfo/getcert", get(system::certificate))
        .route("/configurations", get(configure::list).put(configure::update))
        .route("/internalconfig", get(configure::internal))
        .route("/statistics", get(counts::statistics))
        .route("/search", get(counts::search))
        .route("/permissions", get(counts::permissions))
        .merge(of_projects())
        .merge(of_people())
        .merge(of_artifacts())
        .route("/icons/{digest}", get(icons::get))
        .route("/repositories", get(repositories::list_all))
        .route("/labels", get(labels::list).post(labels::create))
        .route("/labels/{label_id}", get(labels::get).put(labels::update).delete(labels::delete))
        .route("/quotas", get(quotas::list))
        .route("/quotas/{id}", get(quotas::get).put(quotas::update))
        .route("/system/CVEAllowlist", get(allowlists::get).put(allowlists::put))
        .route("/robots", get(robots::list).post(robots::create))
        .route(
            "/robots/{robot_id}",
            get(robots::get).put(robots::update).patch(robots::renew).delete(robots::delete),
        )
        .route("/audit-logs", get(log::list))
        .route("/auditlog-exts", get(log::list_all))
        .route("/auditlog-exts/events", get(log::event_types))
        .merge(later::router())
        .method_not_allowed_fallback(wrong_method)
        .fallback(nowhere)
        // Each handler reads its body itself, with a limit of its own.
        .layer(DefaultBodyLimit::disable());
    let outside = Router::new()
        .route("/login", post(browser::log_in))
        .route("/log_out", get(browser::log_out))
        .route("/userExists", post(browser::user_exists))
        .method_not_allowed_fallback(wrong_method)
        .fallback(nowhere)
        .layer(DefaultBodyLimit::disable());
    let worded = |router: Router<Face>| {
        with_browsers(router, face.gatekeeper.clone())
            .layer(map_response(harbors_words))
            .with_state(face.clone())
    };
    let inner = ServiceBuilder::new().map_request(tidied).service(worded(inner));
    Router::new()
        .route("/api/version", get(system::version))
        .nest_service(BASE, inner)
        .nest("/c", worded(outside))
}

/// Where nothing is.
const NOWHERE: &str = "/-";

/// As before Harbor's own router, a slash at the end of a path is none: `/quotas/` is `/quotas`, as
/// clients write it. No other slash is dropped, though axum would drop one behind [`BASE`]: beyond
/// that a path has one meaning.
fn tidied(mut request: Request) -> Request {
    let whole = request.extensions().get().map_or(request.uri(), |OriginalUri(whole)| whole);
    let path = match whole.path().contains("//") {
        true => NOWHERE,
        false => {
            let path = request.uri().path();
            path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path)
        }
    };
    if path == request.uri().path() {
        return request;
    }
    let tidy = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    // It is made of parts of one, so that it is one.
    if let Ok(tidy) = tidy.parse::<PathAndQuery>() {
        parts.path_and_query = Some(tidy);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

fn of_projects() -> Router<Face> {
    Router::new()
        .route("/projects", get(projects::list).head(projects::head).post(projects::create))
        .route(
            "/projects/{project_name_or_id}",
            get(projects::get).put(projects::update).delete(projects::delete),
        )
        .route("/projects/{project_name_or_id}/_deletable", get(projects::deletable))
        .route("/projects/{project_name_or_id}/summary", get(projects::summary))
        .route("/projects/{project_name_or_id}/metadatas", get(metadata::list).post(metadata::add))
        .route(
            "/projects/{project_name_or_id}/metadatas/{meta_name}",
            get(metadata::get).put(metadata::update).delete(metadata::delete),
        )
        .route("/projects/{project_name_or_id}/members", get(members::list).post(members::add))
        .route(
            "/projects/{project_name_or_id}/members/{mid}",
            get(members::get).put(members::update).delete(members::remove),
        )
        .route(
            "/projects/{project_name_or_id}/immutabletagrules",
            get(immutable::list).post(immutable::create),
        )
        .route(
            "/projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id}",
            put(immutable::update).delete(immutable::delete),
        )
        .route("/projects/{project_name}/logs", get(log::of_project))
        .route("/projects/{project_name}/auditlog-exts", get(log::all_of_project))
        .route("/projects/{project_name}/repositories", get(repositories::list))
        .route(
            "/projects/{project_name}/repositories/{repository_name}",
            get(repositories::get).put(repositories::update).delete(repositories::delete),
        )
}

fn of_artifacts() -> Router<Face> {
    const ALL: &str = "/projects/{project_name}/repositories/{repository_name}/artifacts";
    let one = |rest: &str| format!("{ALL}/{{reference}}{rest}");
    Router::new()
        .route("/projects/{project_name_or_id}/artifacts", get(artifacts::list_of_project))
        .route(ALL, get(artifacts::list).post(additions::copy))
        .route(&one(""), get(artifacts::get).delete(artifacts::delete))
        .route(&one("/tags"), get(artifacts::list_tags).post(artifacts::create_tag))
        .route(&one("/tags/{tag_name}"), delete(artifacts::delete_tag))
        .route(&one("/accessories"), get(artifacts::list_accessories))
        .route(&one("/additions/vulnerabilities"), get(additions::vulnerabilities))
        .route(&one("/additions/{addition}"), get(additions::get))
        .route(&one("/labels"), post(artifacts::add_label))
        .route(&one("/labels/{label_id}"), delete(artifacts::remove_label))
}

fn of_people() -> Router<Face> {
    Router::new()
        .route("/users", get(users::list).post(users::create))
        .route("/users/current", get(users::current))
        .route("/users/current/permissions", get(users::permissions))
        .route("/users/search", get(users::search))
        .route("/users/{user_id}", get(users::get).put(users::update).delete(users::delete))
        .route("/users/{user_id}/sysadmin", put(users::set_admin))
        .route("/users/{user_id}/password", put(users::set_password))
        .route("/users/{user_id}/cli_secret", put(users::set_cli_secret))
        .route("/usergroups", get(groups::list).post(groups::create))
        .route("/usergroups/search", get(groups::search))
        .route(
            "/usergroups/{group_id}",
            get(groups::get).put(groups::update).delete(groups::delete),
        )
}

async fn nowhere(uri: Uri) -> HttpError {
    let message = format!("Harbor's API has no path {}", uri.path());
    HttpError::with_code(StatusCode::NOT_FOUND, "NOT_FOUND", message)
}

async fn wrong_method(method: Method, uri: Uri) -> HttpError {
    let message = format!("{method} is not allowed at {}", uri.path());
    HttpError::with_code(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
}
