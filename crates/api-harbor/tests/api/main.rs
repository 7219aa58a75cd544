//! Harbor's API through a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cost;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use sealock_api_harbor::{Face, router};
use sealock_auth::Right;
use sealock_http::testing::{PASSWORD, Stand};
use serde_json::{Value, json};

struct Api {
    stand: Stand,
    url: String,
    http: reqwest::Client,
}

impl Api {
    async fn new() -> Self {
        Self::on(Stand::new().await).await
    }

    async fn on(stand: Stand) -> Self {
        let face = router(Face {
            registry: stand.registry.clone(),
            gatekeeper: stand.gatekeeper(),
            accounts: stand.authenticator.clone(),
        });
        let url = stand.serve(face).await;
        Self { stand, url, http: reqwest::Client::builder().build().unwrap() }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/v2.0{path}", self.url))
    }

    async fn create(&self, user: &str, body: Value) -> Response {
        let request = self.ask(Method::POST, "/projects").basic_auth(user, Some(PASSWORD));
        request
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }
}

async fn code(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    (status, body["errors"][0]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn ping_answers_anybody() {
    let api = Api::new().await;
    let response = api.ask(Method::GET, "/ping").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "Pong");
    let response = api.ask(Method::DELETE, "/ping").send().await.unwrap();
    assert_eq!(code(response).await, (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED".into()));
}

#[tokio::test]
async fn the_current_user_is_who_logs_in() {
    let api = Api::new().await;
    let current = || api.ask(Method::GET, "/users/current");
    let response = current().basic_auth("admin", Some(PASSWORD)).send().await.unwrap();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!((&body["username"], &body["sysadmin_flag"]), (&json!("admin"), &json!(true)));
    let wrong = current().basic_auth("admin", Some("wrong")).send().await.unwrap();
    assert!(wrong.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    assert_eq!(code(wrong).await, (StatusCode::UNAUTHORIZED, "UNAUTHORIZED".into()));
    assert_eq!(current().send().await.unwrap().status(), 401);
    api.stand.project("team", false).await;
    let (name, secret) = api.stand.robot("team", "ci", &[Right::Pull]).await;
    let robot = current().basic_auth(name, Some(secret)).send().await.unwrap();
    assert_eq!(robot.status(), 412);
}

#[tokio::test]
async fn projects_are_made_and_found() {
    let api = Api::new().await;
    api.stand.user("dana").await;
    api.stand.user("eve").await;
    let made = api.create("dana", json!({ "project_name": "shop" })).await;
    assert_eq!(made.status(), 201);
    let location = made.headers()["location"].to_str().unwrap().to_owned();
    let id: i64 = location.strip_prefix("/api/v2.0/projects/").unwrap().parse().unwrap();
    for path in [format!("/projects/{id}"), "/projects/shop".to_owned()] {
        let get = |user: &'static str| {
            api.ask(Method::GET, &path).basic_auth(user, Some(PASSWORD)).send()
        };
        let body: Value =
            serde_json::from_str(&get("dana").await.unwrap().text().await.unwrap()).unwrap();
        assert_eq!((&body["name"], &body["project_id"]), (&json!("shop"), &json!(id)));
        assert_eq!(body["metadata"]["public"], "false");
        // Not yours and not there are the same answer.
        assert_eq!(get("eve").await.unwrap().status(), 403);
        assert_eq!(api.ask(Method::GET, &path).send().await.unwrap().status(), 401);
    }
    let missing = api.ask(Method::GET, "/projects/nothing").basic_auth("eve", Some(PASSWORD));
    assert_eq!(missing.send().await.unwrap().status(), 403);
    let head = |user: &'static str, name: &str| {
        api.ask(Method::HEAD, &format!("/projects?project_name={name}"))
            .basic_auth(user, Some(PASSWORD))
            .send()
    };
    assert_eq!(head("dana", "shop").await.unwrap().status(), 200);
    assert_eq!(head("eve", "shop").await.unwrap().status(), 404);
    assert_eq!(head("dana", "other").await.unwrap().status(), 404);
}

#[tokio::test]
async fn what_is_not_a_new_project_is_refused() {
    let api = Api::new().await;
    api.stand.user("dana").await;
    let good =
        json!({ "project_name": "a", "metadata": { "public": "true" }, "storage_limit": -1 });
    assert_eq!(api.create("dana", good.clone()).await.status(), 201);
    assert_eq!(
        code(api.create("dana", good).await).await,
        (StatusCode::CONFLICT, "CONFLICT".into())
    );
    for (field, value) in [
        ("project_name", json!("A")),
        ("project_name", json!("a/b")),
        ("project_name", json!("")),
        ("metadata", json!({ "public": "perhaps" })),
        ("metadata", json!({ "prevent_vul": "true" })),
        ("metadata", json!({ "unheard": "of" })),
        ("registry_id", json!(1)),
        ("storage_limit", json!(5)),
        ("cve_allowlist", json!({ "items": [{ "cve_id": "CVE-1" }] })),
    ] {
        let mut body = json!({ "project_name": "b" });
        body[field] = value;
        let answer = code(api.create("dana", body.clone()).await).await;
        assert_eq!(answer, (StatusCode::BAD_REQUEST, "BAD_REQUEST".into()), "{body}");
    }
    let broken = api.ask(Method::POST, "/projects").basic_auth("dana", Some(PASSWORD)).body("{");
    assert_eq!(broken.send().await.unwrap().status(), 422);
    let nobody = api.ask(Method::POST, "/projects").body("{}").send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    api.stand.project("team", false).await;
    let (name, secret) = api.stand.robot("team", "ci", &[Right::Push]).await;
    let robot = api.ask(Method::POST, "/projects").basic_auth(name, Some(secret));
    let robot = robot.body(json!({ "project_name": "c" }).to_string()).send().await.unwrap();
    assert_eq!(code(robot).await, (StatusCode::FORBIDDEN, "FORBIDDEN".into()));
}
