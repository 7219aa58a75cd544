use crate::server::Server;
use http::{Method, StatusCode};
use serde_json::json;

on_both_engines!(
    policies_are_read_set_and_kept,
    an_error_names_its_place,
    the_floor_is_the_security_role_s,
);

const GOOD: &str =
    "apiVersion: sealock/v1\nkind: Policy\nname: own\nrules:\n- name: signed\n  signed: {}\n";

async fn policies_are_read_set_and_kept(server: &Server) {
    server.post("dana", "/projects", &json!({"name": "shop"})).await;
    let path = "/projects/shop/policy";
    assert_eq!(server.get("dana", path).await.0, StatusCode::NOT_FOUND);
    let (status, set) = server.ask("dana", Method::PUT, path, GOOD).await;
    assert_eq!((status, &set["revision"]), (StatusCode::OK, &json!(1)), "{set}");
    assert_eq!(set["text"], GOOD);
    let second = GOOD.replace("own", "other");
    assert_eq!(server.ask("dana", Method::PUT, path, second).await.1["revision"], 2);
    let history = server.get("dana", "/projects/shop/policy/history").await.1;
    let revisions: Vec<_> =
        history["items"].as_array().unwrap().iter().map(|item| item["revision"].clone()).collect();
    assert_eq!(revisions, [2, 1]);
    let first = server.get("dana", "/projects/shop/policy/history?limit=1").await.1;
    assert_eq!(first["next"], "2");
    assert_eq!(server.delete("dana", path).await, StatusCode::NO_CONTENT);
    assert_eq!(server.get("dana", path).await.0, StatusCode::NOT_FOUND);
}

async fn an_error_names_its_place(server: &Server) {
    let bad = GOOD.replace("signed: {}", "signed: {atLeest: 1}");
    let (status, answer) = server.ask("dana", Method::POST, "/policies/validate", bad).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = &answer["errors"][0]["detail"];
    assert_eq!((&detail["line"], &detail["column"]), (&json!(6), &json!(12)), "{answer}");
    assert_eq!(detail["path"], "rules[0].signed.atLeest");
    let (status, answer) = server.ask("dana", Method::POST, "/policies/validate", GOOD).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({"valid": true})));
    let huge = "x".repeat(1024 * 1024);
    let (status, _) = server.ask("dana", Method::POST, "/policies/validate", huge).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

async fn the_floor_is_the_security_role_s(server: &Server) {
    for path in ["/policy/floor", "/tiers/release/policy"] {
        assert_eq!(server.get("dana", path).await.0, StatusCode::OK, "who is refused may read why");
        let (status, _) = server.ask("dana", Method::PUT, path, GOOD).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        let (status, answer) = server.ask("sofia", Method::PUT, path, GOOD).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    assert_eq!(server.get("dana", "/tiers/production/policy").await.0, StatusCode::BAD_REQUEST);
}
