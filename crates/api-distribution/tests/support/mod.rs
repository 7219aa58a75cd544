//! A client of the distribution API, as thin as can be.
#![allow(dead_code, reason = "each test target uses a part")]

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use sealock_api_distribution::router;
use sealock_http::testing::{PASSWORD, Stand};
use sealock_metadata::testing::TestDatabase;
use sealock_oci::Digest;
use serde_json::{Value, json};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) struct Api {
    pub(crate) stand: Stand,
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Api {
    /// A registry with the private project `team`.
    pub(crate) async fn new() -> Self {
        Self::on(TestDatabase::sqlite().await).await
    }

    /// The same on this database.
    pub(crate) async fn on(database: TestDatabase) -> Self {
        let stand = Stand::on(database).await;
        stand.project("team", false).await;
        let url = stand.serve(router(stand.registry.clone(), stand.gatekeeper())).await;
        Self { stand, url, http: reqwest::Client::builder().build().unwrap() }
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) fn by(&self, user: &str, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).basic_auth(user, Some(PASSWORD))
    }

    /// A request of the administrator.
    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.by("admin", method, path)
    }

    pub(crate) async fn status(&self, method: Method, path: &str) -> StatusCode {
        self.ask(method, path).send().await.unwrap().status()
    }

    pub(crate) async fn blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let response = self.ask(Method::POST, &path).body(content.to_vec()).send().await.unwrap();
        assert_eq!(response.status(), 201);
        digest
    }

    pub(crate) async fn begin(&self, name: &str) -> String {
        let path = format!("/v2/{name}/blobs/uploads/");
        let response = self.ask(Method::POST, &path).send().await.unwrap();
        assert_eq!(response.status(), 202);
        header(&response, "location").to_owned()
    }

    pub(crate) async fn put(&self, name: &str, reference: &str, manifest: &Value) -> Response {
        let request = self.ask(Method::PUT, &format!("/v2/{name}/manifests/{reference}"));
        let request = request.header("content-type", manifest["mediaType"].as_str().unwrap());
        request.body(manifest.to_string()).send().await.unwrap()
    }

    /// An image of one small layer, whose text makes it unlike others.
    pub(crate) async fn image(&self, name: &str, text: &str) -> Value {
        let (config, layer) = (format!("{{\"text\":\"{text}\"}}"), format!("layer {text}"));
        let (config_digest, layer_digest) =
            (self.blob(name, config.as_bytes()).await, self.blob(name, layer.as_bytes()).await);
        json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": "application/vnd.example.config.v1+json",
                "digest": config_digest,
                "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.example.text",
                "digest": layer_digest,
                "size": layer.len(),
            }],
        })
    }

    pub(crate) async fn push(&self, name: &str, reference: &str, text: &str) -> Digest {
        let manifest = self.image(name, text).await;
        let response = self.put(name, reference, &manifest).await;
        assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
        Digest::sha256(manifest.to_string().as_bytes())
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

pub(crate) async fn json_of(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// Status and code of an error.
pub(crate) async fn error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = json_of(response).await;
    assert!(body["errors"][0]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    (status, body["errors"][0]["code"].as_str().unwrap().to_owned())
}
