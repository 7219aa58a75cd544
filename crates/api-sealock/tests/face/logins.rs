//! Log-ins with a name and a password are on record, with who and from where.

use crate::server::{PASSWORD, Server};
use axum::body::Body;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Request, StatusCode, header};
use sealock_http::Peer;
use serde_json::Value;

on_both_engines!(log_ins_are_recorded, events_are_found_in_time_and_by_project);

fn request(user: &str, password: &str, peer: &str, forwarded: &str) -> Request<Body> {
    let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let address = format!("{peer}:1").parse().unwrap();
    Request::get(format!("{}/projects", sealock_api_sealock::BASE))
        .header(header::AUTHORIZATION, format!("Basic {pair}"))
        .header(header::USER_AGENT, "test/1")
        .header("x-forwarded-for", forwarded)
        .extension(Peer { address, tls: false })
        .body(Body::empty())
        .unwrap()
}

async fn log_ins_are_recorded(server: &Server) {
    for _ in 0..3 {
        let (status, _) = server.send(request("dana", PASSWORD, "192.0.2.9", "6.6.6.6")).await;
        assert_eq!(status, StatusCode::OK);
    }
    server.send(request("dana", PASSWORD, "10.0.0.1", "198.51.100.3")).await;
    let (status, _) = server.send(request("dana", "wrong", "192.0.2.9", "6.6.6.6")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    // Allowed ones are written together, a moment later.
    let mut found: Vec<Value> = Vec::new();
    for _ in 0..50 {
        found = server.all("admin", "/audit?action=login").await;
        found.retain(|event| event["user_agent"] == "test/1");
        if found.len() >= 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let mut seen: Vec<(&str, &str, &str)> = found
        .iter()
        .map(|event| {
            let word = |name: &str| event[name].as_str().unwrap();
            (word("result"), word("actor"), word("address"))
        })
        .collect();
    seen.sort_unstable();
    // Who is not a trusted proxy says nothing about where a request comes from; and a client that
    // sends its password with every request has logged in once.
    let expected = [
        ("allowed", "dana", "192.0.2.9"),
        ("allowed", "dana", "198.51.100.3"),
        ("denied", "anonymous", "192.0.2.9"),
    ];
    assert_eq!(seen, expected);
    let denied = found.iter().find(|event| event["result"] == "denied").unwrap();
    assert_eq!(denied["detail"]["name"], "dana");
    assert!(!serde_json::to_string(&found).unwrap().contains(PASSWORD));
}

async fn events_are_found_in_time_and_by_project(server: &Server) {
    let begin = sealock_metadata::Clock::now(&*server.database.clock);
    for name in ["one", "two"] {
        server.post("admin", "/projects", &serde_json::json!({"name": name})).await;
        server.database.clock.advance(jiff::SignedDuration::from_hours(1));
    }
    let names = |events: &[Value]| -> Vec<Value> {
        events.iter().map(|event| event["project"].clone()).collect()
    };
    let made = "/audit?action=create-project";
    let after = begin + jiff::SignedDuration::from_mins(30);
    let since = server.all("admin", &format!("{made}&since={after}")).await;
    assert_eq!(names(&since), ["two"]);
    let until = server.all("admin", &format!("{made}&until={after}")).await;
    assert_eq!(names(&until), ["one"]);
    assert_eq!(names(&server.all("admin", &format!("{made}&project=one")).await), ["one"]);
    // A name that was mistyped is not all projects.
    let (status, _) = server.get("admin", &format!("{made}&project=on")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = server.get("admin", &format!("{made}&since=yesterday")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = server.get("dana", made).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a project's administrator names the project");
}
