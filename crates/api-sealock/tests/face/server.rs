//! A server of one test.

use axum::body::Body;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use sealock_advisories::EgressPolicy;
use sealock_api_sealock::{BASE, Face, router};
pub(crate) use sealock_http::testing::PASSWORD;
use sealock_http::testing::Stand;
use sealock_metadata::testing::TestDatabase;
use serde_json::Value;
use std::ops::Deref;
use tower::ServiceExt as _;

pub(crate) struct Server {
    app: axum::Router,
    stand: Stand,
}

/// The registry and its database.
impl Deref for Server {
    type Target = Stand;

    fn deref(&self) -> &Stand {
        &self.stand
    }
}

impl Server {
    /// With the administrator `admin`, the developer `dana` and the security officer `sofia`.
    pub(crate) async fn on(database: TestDatabase) -> Self {
        let stand = Stand::on(database).await;
        let face = Face {
            gatekeeper: stand.gatekeeper(),
            registry: stand.registry.clone(),
            accounts: stand.authenticator.clone(),
            collector: sealock_lifecycle::Collector::default(),
            egress: EgressPolicy::public_only(),
            admission_ca: None,
        };
        let server = Self { app: router(face), stand };
        for (name, officer) in [("dana", false), ("sofia", true)] {
            let user = serde_json::json!({
                "name": name, "password": PASSWORD, "security_officer": officer,
            });
            let (status, _) = server.post("admin", "/users", &user).await;
            assert_eq!(status, StatusCode::CREATED);
        }
        server
    }

    /// Ends the test: its database is removed.
    pub(crate) async fn finish(self) {
        let Stand { registry, database, .. } = self.stand;
        registry.close().await;
        database.finish().await;
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let answer = self.app.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| text()))
    }

    /// A request by a user (nobody for an empty name) with a body.
    pub(crate) async fn ask(
        &self,
        who: &str,
        method: Method,
        path: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(format!("{BASE}{path}"));
        if !who.is_empty() {
            let pair = match who.split_once(':') {
                Some(_) => who.to_owned(),
                None => format!("{who}:{PASSWORD}"),
            };
            let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
            request = request.header(header::AUTHORIZATION, value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, who: &str, path: &str) -> (StatusCode, Value) {
        self.ask(who, Method::GET, path, Body::empty()).await
    }

    pub(crate) async fn post(&self, who: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        self.ask(who, Method::POST, path, body.to_string()).await
    }

    /// The items of all pages of a list.
    pub(crate) async fn all(&self, who: &str, path: &str) -> Vec<Value> {
        let (mut items, mut after) = (Vec::new(), String::new());
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let (status, page) = self.get(who, &format!("{path}{join}limit=2{after}")).await;
            assert_eq!(status, StatusCode::OK, "{path}: {page}");
            let rows = page["items"].as_array().unwrap();
            assert!(rows.len() <= 2, "{path}");
            items.extend(rows.iter().cloned());
            match &page["next"] {
                Value::String(next) => after = format!("&after={next}"),
                _ => return items,
            }
        }
    }

    pub(crate) async fn delete(&self, who: &str, path: &str) -> StatusCode {
        self.ask(who, Method::DELETE, path, Body::empty()).await.0
    }
}
