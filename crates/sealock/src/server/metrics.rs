//! What the server tells Prometheus. Each part of the product registers what it counts.

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header};
use prometheus_client::{encoding::text::encode, registry::Registry};
use sealock_lifecycle::CollectionMetrics;
use std::sync::Arc;

/// The content type of the text that [`encode`] writes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    registry: Registry,
}

/// What each part counts in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    pub(crate) collection: CollectionMetrics,
}

impl Metrics {
    /// Metrics of everything that the product counts.
    pub(crate) fn of(counted: &Counted) -> Self {
        let mut metrics = Self::default();
        counted.collection.register(&mut metrics.registry);
        metrics
    }

    /// All numbers, as Prometheus reads them.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// `/metrics`.
pub(crate) fn router(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(show)).with_state(metrics)
}

async fn show(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
