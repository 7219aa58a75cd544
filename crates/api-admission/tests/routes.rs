//! The webhooks as an API server sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use axum::{Router, body::Body};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use sealock_advisories::SnapshotStore;
use sealock_api_admission::{MAX_REVIEW_BYTES, router};
use sealock_auth::{Caller, Principal};
use sealock_blobs::{BlobStore, RealDisk};
use sealock_facts::Tier;
use sealock_http::Front;
use sealock_metadata::testing::TestDatabase;
use sealock_registry::{Config, NamespaceRule, NewCluster, Registry};
use sealock_signing::MasterKey;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tower::ServiceExt as _;

struct Server {
    app: Router,
    token: String,
    _database: TestDatabase,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn new() -> Self {
        let database = TestDatabase::sqlite().await;
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(Config {
            database: database.db.clone(),
            blobs: BlobStore::open(&folder.path().join("blobs"), Arc::new(RealDisk)).unwrap(),
            snapshots: SnapshotStore::open(&folder.path().join("advisories")).unwrap(),
            master_key: MasterKey::generate().unwrap(),
            external_url: "https://registry.example".to_owned(),
            inspectors: None,
            inspect_while_receiving: true,
            door_wait: Duration::from_secs(5),
        })
        .await
        .unwrap();
        let admin = Caller {
            principal: Principal::User {
                id: 1,
                name: "root".to_owned(),
                sysadmin: true,
                security_officer: false,
            },
            address: [192, 0, 2, 1].into(),
            user_agent: String::new(),
            request_id: String::new(),
            scope: None,
        };
        let rule = NamespaceRule { minimum_tier: Tier::Sandbox, enforce: true };
        let cluster = NewCluster {
            name: "prod".to_owned(),
            host_names: vec!["registry.example".to_owned()],
            namespaces: [("*".to_owned(), rule)].into(),
            other_images: vec!["docker.io/library/*".to_owned()],
        };
        let (_, token) = registry.register_cluster(&admin, &cluster).await.unwrap();
        Self {
            app: router(registry, Arc::new(Front::default())),
            token: token.expose().to_owned(),
            _database: database,
            _folder: folder,
        }
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
