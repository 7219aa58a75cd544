//! `/service/token` through a real socket: the token flow of Docker's clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

use reqwest::{Method, Response};
use sealock_auth::{Right, Role};
use sealock_http::testing::PASSWORD;
use sealock_lifecycle::{Collector, Limits};
use sealock_oci::Digest;
use support::{Api, error, header, json_of};

async fn token(response: Response) -> String {
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "cache-control"), "no-store");
    let body = json_of(response).await;
    assert!(body["expires_in"].as_i64().unwrap() > 0 && body["issued_at"].is_string());
    body["access_token"].as_str().unwrap().to_owned()
}

async fn get_token(api: &Api, user: &str, scope: &str) -> String {
    let path = format!("/service/token?service=sealock&scope={scope}");
    token(api.by(user, Method::GET, &path).send().await.unwrap()).await
}

#[tokio::test]
async fn a_token_opens_what_it_was_made_for() {
    let api = Api::new().await;
    api.push("team/app", "v1", "one").await;
    let pull = get_token(&api, "admin", "repository:team/app:pull").await;
    let by =
        |token: &str, method, path: &str| api.anonymous(method, path).bearer_auth(token).send();
    let path = "/v2/team/app/manifests/v1";
    assert_eq!(by(&pull, Method::GET, path).await.unwrap().status(), 200);
    assert_eq!(by(&pull, Method::GET, "/v2/").await.unwrap().status(), 200);
    for (method, path, scope) in [
        (Method::POST, "/v2/team/app/blobs/uploads/", "repository:team/app:pull,push"),
        (Method::DELETE, path, "repository:team/app:delete"),
        (Method::GET, "/v2/team/other/tags/list", "repository:team/other:pull"),
        (Method::GET, "/v2/_catalog", "registry:catalog:*"),
    ] {
        let refused = by(&pull, method, path).await.unwrap();
        let wanted = format!(",scope=\"{scope}\",error=\"insufficient_scope\"");
        assert!(header(&refused, "www-authenticate").ends_with(&wanted), "{path}");
        assert_eq!(error(refused).await, (401, "UNAUTHORIZED".into()));
    }
    // Who may push reads what no manifest names yet, also with a token for pulling.
    let loose = api.blob("team/app", b"loose").await;
    let path = format!("/v2/team/app/blobs/{loose}");
    assert_eq!(by(&pull, Method::GET, &path).await.unwrap().status(), 200);
    let push = get_token(&api, "admin", "repository:team/app:pull,push").await;
    let begun = by(&push, Method::POST, "/v2/team/app/blobs/uploads/").await.unwrap();
    assert_eq!(begun.status(), 202);
    // A token begets no token.
    let again = by(&pull, Method::GET, "/service/token?scope=repository:team/app:push").await;
    assert_eq!(again.unwrap().status(), 401);
}

#[tokio::test]
async fn nobody_gets_a_token_for_what_is_public() {
    let api = Api::new().await;
    api.stand.project("open", true).await;
    for name in ["open/app", "team/app"] {
        api.push(name, "v1", "one").await;
    }
    let scope = "repository:open/app:pull,push&scope=repository:team/app:pull";
    let path = format!("/service/token?scope={scope}");
    let token = token(api.anonymous(Method::GET, &path).send().await.unwrap()).await;
    let get = |path: &'static str| api.anonymous(Method::GET, path).bearer_auth(&token).send();
    assert_eq!(get("/v2/open/app/manifests/v1").await.unwrap().status(), 200);
    assert_eq!(get("/v2/team/app/manifests/v1").await.unwrap().status(), 401);
    let push = api.anonymous(Method::POST, "/v2/open/app/blobs/uploads/").bearer_auth(&token);
    assert_eq!(push.send().await.unwrap().status(), 401);
    // Without a token as well: the challenge is for those who want more.
    let plain = api.anonymous(Method::GET, "/v2/open/app/manifests/v1").send().await.unwrap();
    assert_eq!(plain.status(), 200);
}

#[tokio::test]
async fn a_mount_needs_a_token_that_was_asked_for_its_source() {
    let api = Api::new().await;
    api.stand.project("mine", false).await;
    api.stand.user("eve").await;
    api.stand.member("mine", "eve", Role::Developer).await;
    api.push("team/app", "v1", "one").await;
    let layer = Digest::sha256(b"layer one");
    let mount = async |user: &str, scope: &str| {
        let token = get_token(&api, user, scope).await;
        let path = format!("/v2/mine/copy/blobs/uploads/?mount={layer}&from=team/app");
        api.anonymous(Method::POST, &path).bearer_auth(token).send().await.unwrap()
    };
    let both = "repository:mine/copy:pull,push repository:team/app:pull";
    for user in ["admin", "eve"] {
        let asks = mount(user, "repository:mine/copy:pull,push").await;
        let wanted = format!(",scope=\"{both}\",error=\"insufficient_scope\"");
        assert!(header(&asks, "www-authenticate").ends_with(&wanted), "{user}");
        assert_eq!(error(asks).await, (401, "UNAUTHORIZED".into()));
    }
    // Who asked and was not given it uploads; a project that does not exist looks the same.
    assert_eq!(mount("eve", both).await.status(), 202);
    assert_eq!(mount("admin", both).await.status(), 201);
}

#[tokio::test]
async fn by_form_and_with_wrong_secrets() {
    let api = Api::new().await;
    let form = |body: String| {
        let request = api.anonymous(Method::POST, "/service/token");
        request.header("content-type", "application/x-www-form-urlencoded").body(body).send()
    };
    let good = format!(
        "grant_type=password&service=sealock&client_id=test&username=admin&password={PASSWORD}\
         &scope=repository%3Ateam%2Fapp%3Apull%2Cpush"
    );
    let made = token(form(good.clone()).await.unwrap()).await;
    let begun = api.anonymous(Method::POST, "/v2/team/app/blobs/uploads/").bearer_auth(made);
    assert_eq!(begun.send().await.unwrap().status(), 202);
    let wrong = form(good.replace(PASSWORD, "wrong")).await.unwrap();
    assert!(header(&wrong, "www-authenticate").starts_with("Basic "));
    assert_eq!(error(wrong).await, (401, "UNAUTHORIZED".into()));
    for (from, to) in [
        ("grant_type=password", "grant_type=refresh_token"),
        ("username=admin&", ""),
        ("service=sealock", "service=other"),
    ] {
        assert_eq!(form(good.replace(from, to)).await.unwrap().status(), 400, "{to}");
    }
    let wrong = api.anonymous(Method::GET, "/service/token").basic_auth("admin", Some("wrong"));
    assert_eq!(wrong.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn robots_and_members_keep_to_their_rights() {
    let api = Api::new().await;
    api.stand.user("gus").await;
    api.stand.member("team", "gus", Role::Guest).await;
    api.push("team/app", "v1", "one").await;
    let all = "repository:team/app:pull,push,delete";
    let guest = get_token(&api, "gus", all).await;
    let status = async |token: &str, method: Method, path: &str| {
        api.anonymous(method, path).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(&guest, Method::GET, "/v2/team/app/tags/list").await, 200);
    let loose = api.blob("team/app", b"loose").await;
    assert_eq!(status(&guest, Method::GET, &format!("/v2/team/app/blobs/{loose}")).await, 404);
    assert_eq!(status(&guest, Method::POST, "/v2/team/app/blobs/uploads/").await, 401);
    let (name, secret) = api.stand.robot("team", "ci", &[Right::Pull, Right::Push]).await;
    let request = api.anonymous(Method::GET, &format!("/service/token?scope={all}"));
    let robot = token(request.basic_auth(name, Some(secret)).send().await.unwrap()).await;
    assert_eq!(status(&robot, Method::POST, "/v2/team/app/blobs/uploads/").await, 202);
    assert_eq!(status(&robot, Method::DELETE, "/v2/team/app/manifests/v1").await, 401);
    let digest = Digest::sha256(b"layer one");
    assert_eq!(status(&robot, Method::HEAD, &format!("/v2/team/app/blobs/{digest}")).await, 200);
}

/// How many abandoned uploads a collection drops.
async fn dropped(api: &Api) -> u64 {
    let (collector, limits) = (Collector::default(), Limits::default());
    let report = collector.run_once(&api.stand.registry, limits).await.unwrap();
    report.freed_by.get("upload-abandoned").map_or(0, |tally| tally.files)
}

/// A clock that jumps costs clients a new token and an unfinished upload at most.
#[tokio::test]
async fn clocks_that_jump_lose_nothing() {
    let api = Api::new().await;
    api.push("team/app", "v1", "one").await;
    let scope = "repository:team/app:pull,push";
    let path = "/v2/team/app/manifests/v1";
    let clock = &api.stand.database.clock;
    let start = api.stand.database.db.clock().now();
    let day = jiff::SignedDuration::from_hours(24);
    let location = api.begin("team/app").await;
    for jump in [day * 365, day * -365, day * 3, day * -3] {
        let old = get_token(&api, "admin", scope).await;
        clock.advance(jump);
        let refused = api.anonymous(Method::GET, path).bearer_auth(&old).send().await.unwrap();
        assert!(header(&refused, "www-authenticate").ends_with(",error=\"invalid_token\""));
        assert_eq!(refused.status(), 401, "{jump}");
        let new = get_token(&api, "admin", scope).await;
        let get = api.anonymous(Method::GET, path).bearer_auth(&new).send().await.unwrap();
        assert_eq!(get.status(), 200, "{jump}");
        api.push("team/app", &format!("at{}", jump.as_hours()), "one").await;
    }
    // Back where it was, the upload goes on; far ahead, it has expired, and says so.
    clock.set(start);
    assert_eq!(dropped(&api).await, 0);
    let sent = api.ask(Method::PATCH, &location).body("part").send().await.unwrap();
    assert_eq!(sent.status(), 202);
    clock.advance(day * 8);
    assert_eq!(dropped(&api).await, 1);
    let gone = api.ask(Method::PATCH, &location).body("rest").send().await.unwrap();
    assert_eq!(error(gone).await, (404, "BLOB_UPLOAD_UNKNOWN".into()));
    clock.set(start);
    for tag in ["v1", "at8760", "at-8760", "at72", "at-72"] {
        let path = format!("/v2/team/app/manifests/{tag}");
        assert_eq!(api.status(Method::GET, &path).await, 200, "{tag}");
    }
}
