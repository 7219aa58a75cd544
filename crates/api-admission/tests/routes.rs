//! The webhooks as an API server sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use axum::{Router, body::Body};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use sealock_api_admission::{MAX_REVIEW_BYTES, router};
use sealock_facts::Tier;
use sealock_http::{ClientCertificate, Front, testing::Stand};
use sealock_oci::Digest;
use sealock_registry::{ClusterChange, NamespaceRule, NewCluster};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt as _;

struct Server {
    app: Router,
    token: String,
    stand: Stand,
}

impl Server {
    async fn new() -> Self {
        let stand = Stand::new().await;
        let rule = NamespaceRule { minimum_tier: Tier::Sandbox, enforce: true };
        let cluster = NewCluster {
            name: "prod".to_owned(),
            host_names: vec!["registry.example".to_owned()],
            namespaces: [("*".to_owned(), rule)].into(),
            other_images: vec!["docker.io/library/*".to_owned()],
            client_certificate: None,
        };
        let (_, token) = stand.registry.register_cluster(&stand.admin, &cluster).await.unwrap();
        let app = router(stand.registry.clone(), Arc::new(Front::default()));
        Self { app, token: token.expose().to_owned(), stand }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        self.send(Request::post(path).body(body.into()).unwrap()).await
    }

    fn path(&self, task: &str) -> String {
        format!("/admission/{task}/prod/{}?timeout=10s", self.token)
    }

    async fn ask(&self, task: &str, review: &Value) -> Value {
        let (status, answer) = self.post(&self.path(task), review.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        answer["response"].clone()
    }
}

fn review(image: &str) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": "production", "name": "web", "userInfo": { "username": "deployer" },
            "object": { "spec": { "containers": [{ "name": "c", "image": image }] } },
        },
    })
}

#[tokio::test]
async fn without_a_credential_nobody_is_answered() {
    let server = Server::new().await;
    let body = review("busybox").to_string();
    for task in ["validate", "mutate"] {
        let (status, _) = server.post(&format!("/admission/{task}"), body.clone()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        for path in [
            format!("/admission/{task}/prod/wrong"),
            format!("/admission/{task}/other/{}", server.token),
            format!("/admission/{task}/prod/{}x", server.token),
        ] {
            let (status, answer) = server.post(&path, body.clone()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
            assert_eq!(answer.get("response"), None);
        }
        let (status, _) = server.post(&server.path(task), body.clone()).await;
        assert_eq!(status, StatusCode::OK);
        let by_header = Request::post(format!("/admission/{task}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", server.token))
            .body(Body::from(body.clone()))
            .unwrap();
        assert_eq!(server.send(by_header).await.0, StatusCode::OK);
        let get = Request::builder().method(Method::GET).uri(server.path(task));
        let (status, _) = server.send(get.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn a_registered_client_certificate_is_a_credential() {
    let server = Server::new().await;
    let ask = |certificate: Option<&[u8]>, path: String| {
        let mut request = Request::post(path).body(review("busybox").to_string().into()).unwrap();
        if let Some(der) = certificate {
            request.extensions_mut().insert(ClientCertificate(Digest::sha256(der)));
        }
        server.send(request)
    };
    let path = || "/admission/validate".to_owned();
    assert_eq!(ask(Some(b"\x30\x01"), path()).await.0, StatusCode::FORBIDDEN);
    let pem = "-----BEGIN CERTIFICATE-----\nMAE=\n-----END CERTIFICATE-----\n";
    let change = ClusterChange { client_certificate: Some(pem.into()), ..Default::default() };
    let Stand { registry, admin, .. } = &server.stand;
    registry.update_cluster(admin, "prod", &change).await.unwrap();
    assert_eq!(ask(Some(b"\x30\x01"), path()).await.0, StatusCode::OK);
    assert_eq!(ask(Some(b"\x30\x02"), path()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask(None, path()).await.0, StatusCode::UNAUTHORIZED);
    // A wrong token is wrong, whatever certificate comes with it.
    let wrong = "/admission/validate/prod/wrong".to_owned();
    assert_eq!(ask(Some(b"\x30\x01"), wrong).await.0, StatusCode::FORBIDDEN);
    registry.remove_cluster(admin, "prod").await.unwrap();
    assert_eq!(ask(Some(b"\x30\x01"), path()).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_no_question_is_an_error() {
    let server = Server::new().await;
    let old =
        review("busybox").to_string().replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    let mut no_uid = review("busybox");
    no_uid["request"]["uid"] = json!("");
    for body in ["", "{", "[]", "null", "{}", &old, &no_uid.to_string()] {
        let (status, answer) = server.post(&server.path("validate"), body.to_owned()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer["errors"][0]["message"].is_string(), "{answer}");
    }
    let large = vec![b' '; MAX_REVIEW_BYTES + 1];
    let (status, _) = server.post(&server.path("validate"), large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn answers_echo_the_uid_and_say_why() {
    let server = Server::new().await;
    let listed = server.ask("validate", &review("busybox")).await;
    assert_eq!(listed["allowed"], true, "{listed}");
    let absent = server.ask("validate", &review("registry.example/team/app:v1")).await;
    assert_eq!(absent["allowed"], false);
    let message = absent["status"]["message"].as_str().unwrap();
    assert!(message.contains("registry.example/team/app:v1"), "{message}");
    let unknown = server.ask("mutate", &review("registry.example/team/app:v1")).await;
    assert_eq!(unknown["allowed"], false);
    let untouched = server.ask("mutate", &review("busybox")).await;
    assert_eq!((&untouched["allowed"], untouched.get("patch")), (&json!(true), None));
    let mut gone = review("registry.example/team/app:v1");
    gone["request"]["operation"] = json!("DELETE");
    gone["request"]["oldObject"] = gone["request"]["object"].take();
    assert_eq!(server.ask("validate", &gone).await["allowed"], true);
    let mut kind = review("busybox");
    kind["request"]["kind"] = json!({ "group": "apps", "version": "v1", "kind": "ReplicaSet" });
    assert_eq!(server.ask("validate", &kind).await["allowed"], false);
}
