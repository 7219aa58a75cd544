//! Somebody with a token, as every client has one.

use crate::support::{Api, OCI_MANIFEST, error, header, json_of};
use reqwest::{Method, RequestBuilder, Response};
use sealock_auth::Role;
use sealock_http::testing::PASSWORD;
use sealock_metadata::testing::TestDatabase;
use sealock_oci::Digest;
use serde_json::{Value, json};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

/// A maintainer of the private project `team`, with a token for the repositories of the tests.
pub(crate) struct Member {
    pub(crate) api: Api,
    token: String,
}

impl Member {
    pub(crate) async fn new() -> Self {
        Self::on(TestDatabase::sqlite().await).await
    }

    pub(crate) async fn on(database: TestDatabase) -> Self {
        let api = Api::on(database).await;
        api.stand.user("max").await;
        api.stand.member("team", "max", Role::Maintainer).await;
        let scopes = ["app", "other", "empty"]
            .map(|name| format!("scope=repository:team/{name}:pull,push,delete"));
        let scopes = format!("{}&scope=registry:catalog:*", scopes.join("&"));
        let path = format!("/service/token?service=sealock&account=max&{scopes}");
        let given = api.anonymous(Method::GET, &path).basic_auth("max", Some(PASSWORD));
        let token = json_of(given.send().await.unwrap()).await;
        let token = token["token"].as_str().expect("a token").to_owned();
        Self { api, token }
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.api.anonymous(method, path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn head(&self, path: &str) -> Response {
        self.ask(Method::HEAD, path).send().await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.ask(Method::DELETE, path).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Response {
        self.ask(Method::POST, path).body(body.to_vec()).send().await.unwrap()
    }

    /// A chunk at a location, with or without `Content-Range`.
    pub(crate) async fn patch(&self, location: &str, range: &str, body: &[u8]) -> Response {
        let request = self.ask(Method::PATCH, location).body(body.to_vec());
        let request = match range.is_empty() {
            true => request,
            false => request.header("content-range", range),
        };
        request.send().await.unwrap()
    }

    /// The end of an upload.
    pub(crate) async fn end(
        &self,
        location: &str,
        digest: &Digest,
        range: &str,
        body: &[u8],
    ) -> Response {
        let request = self.ask(Method::PUT, &format!("{location}?digest={digest}"));
        let request = match range.is_empty() {
            true => request,
            false => request.header("content-range", range),
        };
        request.body(body.to_vec()).send().await.unwrap()
    }

    /// Status and code of a request that must be refused.
    pub(crate) async fn refused(&self, method: Method, path: &str) -> (u16, String) {
        error(self.ask(method, path).send().await.unwrap()).await
    }

    pub(crate) async fn begin(&self) -> String {
        let begun = self.post(UPLOADS, b"").await;
        assert_eq!(begun.status(), 202);
        header(&begun, "location").to_owned()
    }

    pub(crate) async fn blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        assert_eq!(self.post(&path, content).await.status(), 201);
        digest
    }

    /// Whether a blob is there, and has these bytes.
    pub(crate) async fn has(&self, digest: &Digest, content: &[u8]) -> bool {
        let got = self.get(&format!("/v2/team/app/blobs/{digest}")).await;
        got.status() == 200 && got.bytes().await.unwrap() == content
    }

    /// Pushes this text as a manifest.
    pub(crate) async fn put(&self, reference: &str, media_type: &str, text: &str) -> Response {
        let request = self.ask(Method::PUT, &format!("/v2/team/app/manifests/{reference}"));
        let request = match media_type.is_empty() {
            true => request,
            false => request.header("content-type", media_type),
        };
        request.body(text.to_owned()).send().await.unwrap()
    }

    /// A manifest of no layers, whose annotation makes it unlike others.
    pub(crate) async fn manifest(&self, text: &str) -> Value {
        let config = self.blob("team/app", b"{}").await;
        json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2,
            },
            "annotations": {"text": text},
        })
    }

    /// Pushes such a manifest, and returns its digest.
    pub(crate) async fn push(&self, reference: &str, text: &str) -> Digest {
        let manifest = self.manifest(text).await.to_string();
        let digest = Digest::sha256(manifest.as_bytes());
        let reference = if reference.is_empty() { digest.to_string() } else { reference.into() };
        assert_eq!(self.put(&reference, OCI_MANIFEST, &manifest).await.status(), 201);
        digest
    }
}

pub(crate) fn manifest_path(reference: impl std::fmt::Display) -> String {
    format!("/v2/team/app/manifests/{reference}")
}
