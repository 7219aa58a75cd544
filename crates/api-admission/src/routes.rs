//! The routes of this face, on one page.

use crate::{
    answer::Answer,
    judge::{self, Judge},
    review::{MAX_REVIEW_BYTES, Request as Question},
};
use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    routing::post,
};
use http::{StatusCode, header, request::Parts};
use sealock_http::{ClientCertificate, Front, HttpError, RequestId, Result, discard, read_limited};
use sealock_registry::{Admission, AdmissionAsk, AskingCluster, Kind, Pinned, Registry};
use serde::Deserialize;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// Longest time for one answer, whatever the API server allows.
const MAX_WAIT: Duration = Duration::from_secs(29);
/// How long before the API server gives up the answer must be on its way.
const MARGIN: Duration = Duration::from_millis(500);
/// Longest user agent that is recorded, in characters.
const MAX_AGENT_CHARS: usize = 200;

#[derive(Clone)]
struct App {
    registry: Registry,
    front: Arc<Front>,
}

/// The webhooks. The listener must speak TLS: API servers accept nothing else.
pub fn router(registry: Registry, front: Arc<Front>) -> Router {
    Router::new()
        .route("/admission/validate/{cluster}/{token}", post(validate_by_path))
        .route("/admission/mutate/{cluster}/{token}", post(mutate_by_path))
        .route("/admission/validate", post(validate_by_header))
        .route("/admission/mutate", post(mutate_by_header))
        .with_state(App { registry, front })
}

/// What is asked of the images.
#[derive(Clone, Copy)]
enum Task {
    Validate,
    Mutate,
}

/// What an API server adds to every webhook's address.
#[derive(Deserialize)]
struct Timeout {
    /// Such as `10s`.
    timeout: Option<String>,
}

impl Timeout {
    fn wait(&self) -> Duration {
        let seconds = self.timeout.as_deref().and_then(|text| text.strip_suffix('s'));
        let asked =
            seconds.and_then(|text| text.parse().ok()).map_or(MAX_WAIT, Duration::from_secs);
        asked.min(MAX_WAIT).saturating_sub(MARGIN).max(MARGIN)
    }
}

async fn validate_by_path(
    State(app): State<App>,
    Path((cluster, token)): Path<(String, String)>,
    Query(timeout): Query<Timeout>,
    request: Request,
) -> Result<Json<Value>> {
    app.answer(Task::Validate, Some((&cluster, &token)), &timeout, request).await
}

async fn mutate_by_path(
    State(app): State<App>,
    Path((cluster, token)): Path<(String, String)>,
    Query(timeout): Query<Timeout>,
    request: Request,
) -> Result<Json<Value>> {
    app.answer(Task::Mutate, Some((&cluster, &token)), &timeout, request).await
}

async fn validate_by_header(
    State(app): State<App>,
    Query(timeout): Query<Timeout>,
    request: Request,
) -> Result<Json<Value>> {
    app.answer(Task::Validate, None, &timeout, request).await
}

async fn mutate_by_header(
    State(app): State<App>,
    Query(timeout): Query<Timeout>,
    request: Request,
) -> Result<Json<Value>> {
    app.answer(Task::Mutate, None, &timeout, request).await
}

impl App {
    async fn answer(
        &self,
        task: Task,
        credential: Option<(&str, &str)>,
        timeout: &Timeout,
        request: Request,
    ) -> Result<Json<Value>> {
        let (parts, body) = request.into_parts();
        // What somebody without a credential sends is not kept.
        let cluster = match self.cluster(credential, &parts).await {
            Ok(cluster) => cluster,
            Err(error) => {
                discard(body, MAX_REVIEW_BYTES).await;
                return Err(error);
            }
        };
        let body = read_limited(body, MAX_REVIEW_BYTES, "an AdmissionReview").await?;
        let question = Question::parse(&body).map_err(|error| {
            HttpError::with_code(StatusCode::BAD_REQUEST, "BAD_REQUEST", error.to_string())
        })?;
        drop(body);
        let judge = Asking { app: self, cluster: &cluster, parts: &parts };
        let work = async {
            match task {
                Task::Validate => judge::validate(&judge, &question).await,
                Task::Mutate => judge::mutate(&judge, &question).await,
            }
        };
        let answer = tokio::time::timeout(timeout.wait(), work).await.unwrap_or_else(|_| {
            let mut late = Answer::default();
            late.unavailable(
                "what is known about an image is still being gathered; try again soon",
            );
            late
        });
        Ok(Json(answer.into_review(&question.uid)))
    }

    async fn cluster(
        &self,
        credential: Option<(&str, &str)>,
        parts: &Parts,
    ) -> Result<AskingCluster> {
        let bearer = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.strip_prefix("Bearer "));
        let asking = match (credential, bearer, parts.extensions.get::<ClientCertificate>()) {
            (Some((name, token)), ..) => self.registry.asking_cluster(Some(name), token).await,
            (None, Some(token), _) => self.registry.asking_cluster(None, token).await,
            (None, None, Some(shown)) => self.registry.cluster_by_certificate(&shown.0).await,
            (None, None, None) => {
                return Err(HttpError::unauthorized(
                    "a cluster's token belongs into the webhook's address, or the cluster shows \
                     its client certificate; `sealock admission manifest` prints the address",
                ));
            }
        };
        asking.map_err(|error| match error.kind() {
            Kind::Unauthenticated | Kind::Forbidden | Kind::NotFound => HttpError::with_code(
                StatusCode::FORBIDDEN,
                "DENIED",
                "no cluster is registered with this credential",
            ),
            _ => error.into(),
        })
    }
}

/// The registry, asked by one cluster in one request.
struct Asking<'a> {
    app: &'a App,
    cluster: &'a AskingCluster,
    parts: &'a Parts,
}

impl Judge for Asking<'_> {
    async fn admit(&self, request: &Question, image: &str) -> sealock_registry::Result<Admission> {
        let agent = self.parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let id = self.parts.extensions.get::<RequestId>();
        let ask = AdmissionAsk {
            namespace: request.namespace.clone().unwrap_or_default(),
            user: request.user_info.username.chars().take(MAX_AGENT_CHARS).collect(),
            object: request.object_name(),
            address: self.app.front.client_address(self.parts),
            user_agent: agent.chars().take(MAX_AGENT_CHARS).collect(),
            request_id: id.map_or_else(|| request.uid.clone(), |id| id.0.to_string()),
            dry_run: request.dry_run == Some(true),
        };
        self.app.registry.admit(self.cluster, &ask, image).await
    }

    async fn pin(&self, image: &str) -> sealock_registry::Result<Pinned> {
        self.app.registry.pin(self.cluster, image).await
    }
}
