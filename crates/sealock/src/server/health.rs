//! Whether the server can do its work.

use axum::{Json, Router, extract::State, routing::get};
use http::StatusCode;
use sealock_metadata::Database;
use serde_json::{Value, json};

/// `/health`: 200 when the database answers, else 503. Says nothing else to strangers.
pub(crate) fn router(database: Database) -> Router {
    Router::new().route("/health", get(health)).with_state(database)
}

async fn health(State(database): State<Database>) -> (StatusCode, Json<Value>) {
    let answers = async {
        let mut tx = database.read().await?;
        sealock_metadata::users::any(&mut tx).await
    };
    match answers.await {
        Ok(_) => (StatusCode::OK, Json(json!({"status": "healthy"}))),
        Err(error) => {
            tracing::error!(%error, "the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "unhealthy"})))
        }
    }
}
