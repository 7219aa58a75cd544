//! The OpenAPI document: that it is served, whole, and says what the page of routes says.

use crate::server::Server;
use http::{Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeSet;

on_both_engines!(
    every_route_is_there_and_none_opens_without_a_login,
    answers_have_the_described_fields,
);

fn document() -> Value {
    serde_json::to_value(sealock_api_sealock::openapi()).unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(|(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
    });
    each.collect()
}

#[test]
fn every_route_stands_on_the_page_and_in_the_document() {
    let page = include_str!("../../src/lib.rs");
    let rows = page.lines().filter(|line| line.starts_with("//! | ") && line.contains('`'));
    let written: BTreeSet<String> = rows
        .flat_map(|row| {
            let cell = row.trim_start_matches("//! |").split(" | ").next().unwrap_or_default();
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|path| path.starts_with('/') && path != "/openapi.json")
        .collect();
    let described: BTreeSet<String> =
        operations(&document()).into_iter().map(|(_, path, _)| path).collect();
    assert_eq!(written, described);
}

#[test]
fn every_operation_is_described() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let which = format!("{method} {path}");
        assert!(operation["summary"].is_string(), "{which} has no summary");
        assert!(ids.insert(operation["operationId"].to_string()), "{which} shares its id");
        let answers = operation["responses"].as_object().unwrap();
        for (status, answer) in answers {
            let text = answer["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{which}: {status} is not described");
        }
        for error in ["400", "401", "403", "404", "default"] {
            let schema = &answers[error]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Errors", "{which}: {error}");
        }
        let named: BTreeSet<_> = path.split('{').skip(1).map(|p| p.split('}').next()).collect();
        let empty = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&empty);
        let stated: BTreeSet<_> =
            parameters.iter().filter(|p| p["in"] == "path").map(|p| p["name"].as_str()).collect();
        assert_eq!(named, stated, "path parameters of {which}");
        let list = parameters.iter().any(|p| p["name"] == "after");
        let limit = parameters.iter().find(|p| p["name"] == "limit");
        assert_eq!(list, limit.is_some(), "{which}");
        if let Some(limit) = limit {
            assert_eq!(limit["schema"]["maximum"], 1000, "{which}");
        }
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for part in text.split("\"#/").skip(1) {
        let pointer = format!("/{}", part.split('"').next().unwrap_or_default());
        assert!(document.pointer(&pointer).is_some(), "{pointer} leads nowhere");
    }
}

async fn every_route_is_there_and_none_opens_without_a_login(server: &Server) {
    let (status, served) = server.get("", "/openapi.json").await;
    assert_eq!((status, &served), (StatusCode::OK, &document()));
    let open = ["/me", "/evidence-key", "/policies/schema"];
    for (method, path, _) in operations(&served) {
        let filled = path
            .replace("{digest}", &format!("sha256:{}", "0".repeat(64)))
            .replace("{tier}", "release")
            .replace("{id}", "1")
            .replace(['{', '}'], "");
        let filled = match path.as_str() {
            "/artifacts" => format!("{filled}?repository=a/b"),
            path if path.starts_with("/artifact") => format!("{filled}?image=a/b"),
            "/affected" => format!("{filled}?vulnerability=CVE-1"),
            "/clusters/{name}/webhooks" => format!("{filled}?url=https://a&token=b"),
            "/advisories/import" => format!("{filled}?source=a"),
            _ => filled,
        };
        let method: Method = method.parse().unwrap();
        let (status, answer) = server.ask("", method.clone(), &filled, "").await;
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let public = open.contains(&path.as_str())
            || (path == "/projects" && method == "GET")
            || path == "/affected";
        let expected = if public { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(status, expected, "{method} {path}: {answer}");
        if !public {
            assert_eq!(answer["errors"][0]["code"], "UNAUTHORIZED", "{method} {path}");
        }
        let (status, _) = server.ask("admin:wrong password", method.clone(), &filled, "").await;
        if path != "/policies/schema" {
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path} with a wrong password");
        }
    }
    let (status, answer) = server.get("admin", "/nowhere").await;
    assert_eq!(
        (status, &answer["errors"][0]["code"]),
        (StatusCode::NOT_FOUND, &"NOT_FOUND".into())
    );
    let (status, _) = server.ask("admin", Method::PATCH, "/me", "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

/// What lower floors serialise has the fields that the document describes.
async fn answers_have_the_described_fields(server: &Server) {
    let document = document();
    let fields = |name: &str| -> BTreeSet<String> {
        let pointer = format!("/components/schemas/{name}/properties");
        let properties = document.pointer(&pointer).unwrap_or_else(|| panic!("{pointer}"));
        properties.as_object().unwrap().keys().cloned().collect()
    };
    let same = |name: &str, answer: &Value| {
        let object = answer.as_object().unwrap_or_else(|| panic!("{name}: {answer}"));
        let found: BTreeSet<String> = object.keys().cloned().collect();
        assert_eq!(found, fields(name), "{name}");
    };
    same("Me", &server.get("admin", "/me").await.1);
    same("User", &server.get("admin", "/users").await.1["items"][0]);
    let body = serde_json::json!({"name": "shop"});
    same("Project", &server.post("admin", "/projects", &body).await.1);
    let body = serde_json::json!({"name": "ci", "rights": ["pull"]});
    let robot = server.post("admin", "/projects/shop/robots", &body).await.1;
    same("RobotWithSecret", &robot);
    same("Robot", &server.get("admin", "/projects/shop/robots").await.1["items"][0]);
    same("Member", &server.get("admin", "/projects/shop/members").await.1["items"][0]);
    same("PolicyText", &server.get("admin", "/policy/floor").await.1);
    same("AuditEvent", &server.get("admin", "/audit").await.1["items"][0]);
    same("AdvisoryStatus", &server.get("admin", "/advisories").await.1);
    let run = server.post("admin", "/collections", &serde_json::json!({"dry_run": true})).await.1;
    same("CollectionRun", &run);
    same("CollectionReport", &run["report"]);
    same("Tally", &run["report"]["freed"]);
    let body = serde_json::json!({"name": "prod", "host_names": ["registry.example.com"]});
    same("ClusterWithToken", &server.post("admin", "/clusters", &body).await.1);
    same("Cluster", &server.get("admin", "/clusters").await.1["items"][0]);
    let token = server.post("admin", "/clusters/prod/token", &serde_json::json!({})).await.1;
    same("ClusterToken", &token);
    server.ask("sofia", Method::PUT, "/projects/shop/examiners/dana", "").await;
    same("Examiner", &server.get("admin", "/projects/shop/examiners").await.1["items"][0]);
}
