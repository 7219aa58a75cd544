//! What has an end opens nothing after it: at the registry's doors, at the token service and at
//! both APIs, as `sealock serve` puts them together. Only the clock is another one.

use super::{Product, faces};
use crate::{
    commands::serve::Serve,
    server::metrics::{Counted, Metrics},
};
use clap::Parser;
use jiff::SignedDuration;
use reqwest::{Method, Response};
use sealock_http::{
    Front, ListenerLimits,
    testing::{PASSWORD, Stand},
};
use sealock_lifecycle::Collector;
use sealock_metadata::testing::TestDatabase;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;

/// A little less than nothing, to stand on either side of a moment.
const SECOND: SignedDuration = SignedDuration::from_secs(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    serve: Serve,
}

/// All faces on one socket.
struct House {
    stand: Stand,
    url: String,
    client: reqwest::Client,
}

impl House {
    async fn on(database: TestDatabase) -> Self {
        let stand = Stand::on(database).await;
        stand.project("team", false).await;
        stand.user("ann").await;
        stand.member("team", "ann", sealock_auth::Role::Developer).await;
        let counted = Counted::default();
        let product = Product {
            registry: stand.registry.clone(),
            database: stand.database.db.clone(),
            accounts: stand.authenticator.clone(),
            front: Arc::new(Front::default()),
            metrics: Arc::new(Metrics::of(&counted)),
            collector: Collector::new(counted.collection),
        };
        let arguments = Arguments::parse_from(["serve"]);
        let app = faces(&product, &arguments.serve, None, None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let limits = ListenerLimits::default();
        tokio::spawn(sealock_http::serve(listener, None, app, limits, std::future::pending()));
        Self { stand, url, client: reqwest::Client::builder().build().unwrap() }
    }

    fn pass(&self, span: SignedDuration) {
        self.stand.database.clock.advance(span);
    }

    async fn made(&self, path: &str, who: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.url));
        let request = request.basic_auth(who, Some(PASSWORD)).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201, "{path}");
        answer.json().await.unwrap()
    }

    /// What a name and a secret get: of the registry, the token service, and both APIs.
    async fn doors(&self, (name, secret): &(String, String)) -> [u16; 4] {
        let mut statuses = [0; 4];
        let places = [
            "/v2/",
            "/service/token?service=sealock&scope=repository:team/app:pull",
            "/api/v2.0/projects/team/repositories",
            "/api/sealock/v1/projects/team/repositories",
        ];
        for (status, place) in statuses.iter_mut().zip(places) {
            let request = self.client.get(format!("{}{place}", self.url));
            let answer = request.basic_auth(name, Some(secret)).send().await.unwrap();
            *status = answer.status().as_u16();
        }
        statuses
    }

    /// A bearer token of the token service.
    async fn bearer(&self, (name, secret): &(String, String)) -> String {
        let place = "/service/token?service=sealock&scope=repository:team/app:pull";
        let request = self.client.get(format!("{}{place}", self.url));
        let answer = request.basic_auth(name, Some(secret)).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }

    async fn with_bearer(&self, token: &str) -> u16 {
        let request = self.client.get(format!("{}/v2/", self.url)).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    }

    /// What a credential opens until its end, a day from now, and what it opens no more.
    async fn ends_in_a_day(&self, who: &(String, String)) {
        assert_eq!(self.doors(who).await, [200; 4], "{}", who.0);
        self.pass(DAY - MINUTE);
        let token = self.bearer(who).await;
        self.pass(MINUTE - SECOND);
        assert_eq!(self.doors(who).await, [200; 4], "{} to the last second", who.0);
        assert_eq!(self.with_bearer(&token).await, 200);
        self.pass(SECOND);
        assert_eq!(self.doors(who).await, [401; 4], "{} has ended", who.0);
        // Its own life is longer, but not that of who got it.
        assert_eq!(self.with_bearer(&token).await, 401);
        self.pass(DAY);
        assert_eq!(self.doors(who).await, [401; 4], "{} goes on being ended", who.0);
    }

    async fn log_in(&self) -> String {
        let form = format!("principal=ann&password={PASSWORD}");
        let request = self.client.post(format!("{}/c/login", self.url));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let cookies = answer.headers().get_all("set-cookie").iter();
        let cookies = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
        cookies.collect::<Vec<_>>().join("; ")
    }

    async fn with_cookie(&self, cookie: &str, place: &str) -> Response {
        let request = self.client.request(Method::GET, format!("{}{place}", self.url));
        request.header("cookie", cookie).send().await.unwrap()
    }

    /// Whether a browser is logged in, as both APIs see it.
    async fn is_in(&self, cookie: &str) -> bool {
        let harbor = self.with_cookie(cookie, "/api/v2.0/users/current").await.status().as_u16();
        let own = self.with_cookie(cookie, "/api/sealock/v1/me").await;
        let own: Value = own.json().await.unwrap();
        assert_eq!(harbor == 200, own["name"] == "ann", "{harbor} {own}");
        // Never a way into the registry.
        assert_eq!(self.with_cookie(cookie, "/v2/").await.status(), 401);
        harbor == 200
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_ended_opens_nothing() {
    ended(House::on(TestDatabase::sqlite().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_ended_opens_nothing_on_postgresql() {
    if let Some(database) = TestDatabase::postgres().await {
        ended(House::on(database).await).await;
    }
}

async fn ended(house: House) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for (level, name) in [("project", "in-team"), ("system", "everywhere")] {
        let access = [("repository", "pull"), ("repository", "list")];
        let access = access.map(|(what, act)| json!({"resource": what, "action": act}));
        let body = json!({
            "name": name, "level": level, "duration": 1,
            "permissions": [{"kind": "project", "namespace": "team", "access": access}],
        });
        let made = house.made("/api/v2.0/robots", "admin", body).await;
        house.ends_in_a_day(&(text(&made["name"]), text(&made["secret"]))).await;
    }
    let body = json!({"name": "ci", "rights": ["pull"], "expires_in_days": 1});
    let made = house.made("/api/sealock/v1/projects/team/robots", "admin", body).await;
    house.ends_in_a_day(&(text(&made["name"]), text(&made["secret"]))).await;
    let body = json!({"name": "laptop", "scopes": ["read"], "expires_in_days": 1});
    let made = house.made("/api/sealock/v1/tokens", "ann", body).await;
    house.ends_in_a_day(&("ann".to_owned(), text(&made["secret"]))).await;
    // Her password has no end.
    assert_eq!(house.doors(&("ann".to_owned(), PASSWORD.to_owned())).await, [200; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_logged_out_by_rest_and_by_age() {
    logged_out(House::on(TestDatabase::sqlite().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_logged_out_by_rest_and_by_age_on_postgresql() {
    if let Some(database) = TestDatabase::postgres().await {
        logged_out(House::on(database).await).await;
    }
}

async fn logged_out(house: House) {
    let minutes = house.stand.registry.configuration().await.unwrap().session_minutes;
    let rest = SignedDuration::from_mins(minutes);
    let cookie = house.log_in().await;
    for _ in 0..3 {
        // Whoever uses it stays in.
        house.pass(rest - MINUTE);
        assert!(house.is_in(&cookie).await);
    }
    house.pass(rest);
    assert!(!house.is_in(&cookie).await, "rested too long");

    // However much it is used, it is old one day.
    let cookie = house.log_in().await;
    let mut age = SignedDuration::ZERO;
    let step = rest / 2;
    while age + step < sealock_auth::SESSION_LIFETIME {
        house.pass(step);
        age += step;
        assert!(house.is_in(&cookie).await, "{age:#}");
    }
    house.pass(sealock_auth::SESSION_LIFETIME - age);
    assert!(!house.is_in(&cookie).await, "as old as it may become");
}
