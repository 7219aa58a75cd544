use crate::server::Server;
use http::{Method, StatusCode};
use serde_json::json;

on_both_engines!(
    a_cluster_is_shown_and_changed,
    a_namespace_has_a_policy_of_its_own,
    who_examines_is_named_by_a_security_officer,
);

const PATH: &str = "/clusters/prod/namespaces/production/policy";
const POLICY: &str =
    "apiVersion: sealock/v1\nkind: Policy\nname: own\nrules:\n- name: signed\n  signed: {}\n";

async fn registered(server: &Server) {
    let body = json!({
        "name": "prod", "host_names": ["registry.example.com"],
        "namespaces": {"production": {"minimum_tier": "release"}},
    });
    let (status, made) = server.post("admin", "/clusters", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
}

async fn a_cluster_is_shown_and_changed(server: &Server) {
    registered(server).await;
    assert_eq!(server.get("dana", "/clusters/prod").await.0, StatusCode::FORBIDDEN);
    let body = json!({
        "namespaces": {"*": {"minimum_tier": "sandbox", "enforce": false}}, "disabled": true,
    });
    let (status, _) = server.ask("dana", Method::PATCH, "/clusters/prod", body.to_string()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, changed) =
        server.ask("admin", Method::PATCH, "/clusters/prod", body.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(changed["namespaces"], body["namespaces"]);
    assert_eq!(
        (&changed["disabled"], &changed["host_names"][0]),
        (&json!(true), &json!("registry.example.com"))
    );
    assert_eq!(server.get("sofia", "/clusters/prod").await.1, changed);
    for bad in [
        json!({"client_certificate": "no certificate"}),
        json!({"host_names": []}),
        json!({"namespaces": {"a/b": {"minimum_tier": "release"}}}),
        json!({"namespaces": {"a": {"minimum_tier": "production"}}}),
        json!({"hosts": []}),
    ] {
        let (status, answer) =
            server.ask("admin", Method::PATCH, "/clusters/prod", bad.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {answer}");
    }
    let (status, renewed) = server.post("admin", "/clusters/prod/token", &json!({})).await;
    assert_eq!((status, &renewed["name"]), (StatusCode::CREATED, &json!("prod")));
    assert!(renewed["token"].as_str().is_some_and(|token| token.len() >= 32));
}

async fn a_namespace_has_a_policy_of_its_own(server: &Server) {
    registered(server).await;
    assert_eq!(server.get("admin", PATH).await.0, StatusCode::NOT_FOUND);
    let (status, _) = server.ask("dana", Method::PUT, PATH, POLICY).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    for who in ["admin", "sofia"] {
        let (status, set) = server.ask(who, Method::PUT, PATH, POLICY).await;
        assert_eq!(status, StatusCode::OK, "{set}");
        assert_eq!((&set["scope"], &set["name"]), (&json!("cluster"), &json!("prod/production")));
    }
    let broken = POLICY.replace("signed: {}", "signed: {atLeest: 1}");
    let (status, answer) = server.ask("admin", Method::PUT, PATH, broken).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer["errors"][0]["detail"]["line"], 6, "{answer}");
    let unlisted = PATH.replace("production", "staging");
    let (status, answer) = server.ask("admin", Method::PUT, &unlisted, POLICY).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    assert_eq!(server.delete("admin", PATH).await, StatusCode::NO_CONTENT);
    assert_eq!(server.get("admin", PATH).await.0, StatusCode::NOT_FOUND);
    let history = server.get("sofia", &format!("{PATH}/history")).await.1;
    assert_eq!(history["items"].as_array().map(Vec::len), Some(2), "{history}");
}

async fn who_examines_is_named_by_a_security_officer(server: &Server) {
    server.post("dana", "/projects", &json!({"name": "shop"})).await;
    let path = "/projects/shop/examiners/dana";
    assert_eq!(server.ask("dana", Method::PUT, path, "").await.0, StatusCode::FORBIDDEN);
    assert_eq!(server.ask("sofia", Method::PUT, path, "").await.0, StatusCode::NO_CONTENT);
    let listed = server.get("dana", "/projects/shop/examiners").await.1;
    assert_eq!(listed["items"][0]["name"], "dana");
    assert_eq!(listed["items"][0]["granted_by"], "sofia");
    assert_eq!(server.delete("dana", path).await, StatusCode::FORBIDDEN);
    assert_eq!(server.delete("sofia", path).await, StatusCode::NO_CONTENT);
    assert_eq!(server.delete("sofia", path).await, StatusCode::NOT_FOUND);
}
