//! What Harbor's API costs, through a real socket. What it answers is tested in `tests/harbor`,
//! whose client holds every answer against the contract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod artifacts;
mod cost;

use reqwest::{Method, RequestBuilder};
use sealock_api_harbor::{Face, router};
use sealock_http::testing::Stand;

struct Api {
    stand: Stand,
    url: String,
    http: reqwest::Client,
}

impl Api {
    async fn on(stand: Stand) -> Self {
        let face = router(Face {
            registry: stand.registry.clone(),
            gatekeeper: stand.gatekeeper(),
            accounts: stand.authenticator.clone(),
            certificate: None,
        });
        let url = stand.serve(face).await;
        Self { stand, url, http: reqwest::Client::builder().build().unwrap() }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/v2.0{path}", self.url))
    }
}
