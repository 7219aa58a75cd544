//! Every route that takes a project, or something of a project, answers alike for what is another's
//! and for what does not exist. The routes are those of the OpenAPI document: a new one without a
//! row here fails.

use crate::{artifacts::released, server::Server};
use http::{Method, StatusCode};
use sealock_signing::SigningKey;
use serde_json::{Value, json};

on_both_engines!(what_is_another_s_is_as_if_it_were_not);

/// A body that the route would take, and routes that belong to no project.
fn body(method: &str, path: &str, pem: &str) -> Option<Value> {
    Some(match (method, path) {
        ("PATCH", "/projects/{project}") => json!({"public": true}),
        ("POST", "/projects/{project}/keys") => json!({"name": "mine", "pem": pem}),
        ("POST", "/projects/{project}/members") => json!({"user": "dana", "role": "guest"}),
        ("POST", "/projects/{project}/robots") => json!({"name": "mine", "rights": ["pull"]}),
        ("POST", "/projects/{project}/waivers") => json!({
            "vulnerability": "CVE-1", "reason": "x", "expires_at": "2026-01-20T00:00:00Z",
        }),
        ("PUT", "/projects/{project}/name") => json!({"name": "other"}),
        ("POST", "/repositories/rename") => json!({"from": "PROJECT/app", "to": "PROJECT/web"}),
        ("POST", "/promotions") => json!({"image": "PROJECT/app:1", "to": "PROJECT-release"}),
        ("POST", path) if path.starts_with("/projects/{project}/") => json!({}),
        ("PUT", "/projects/{project}/policy") => json!({
            "apiVersion": "sealock/v1", "kind": "Policy", "name": "p",
            "rules": [{"name": "signed", "signed": {}}],
        }),
        _ => return None,
    })
}

const OF_NO_PROJECT: &[&str] = &[
    "/me",
    "/users",
    "/users/{name}",
    "/users/{name}/name",
    "/sessions",
    "/sessions/{id}",
    "/tokens",
    "/tokens/{id}",
    "/projects",
    "/tiers/{tier}/policy",
    "/policy/floor",
    "/tiers/{tier}/policy/history",
    "/policy/floor/history",
    "/policies/validate",
    "/policies/schema",
    "/evidence-key",
    "/allowlist",
    "/allowlist/grant",
    "/quarantines",
    "/quarantines/{digest}",
    "/eradications",
    "/advisories",
    "/advisories/import",
    "/advisories/update",
    "/affected",
    "/collections",
    "/collections/{id}",
];

async fn what_is_another_s_is_as_if_it_were_not(server: &Server) {
    released(server, "4.17.15").await;
    let pem = SigningKey::generate().unwrap().public_key().to_pem();
    let key = json!({"name": "k", "pem": pem});
    let waiver = body("POST", "/projects/{project}/waivers", "").unwrap();
    for (path, body) in [
        ("/projects/shop/keys", key),
        ("/projects/shop/robots", json!({"name": "k", "rights": ["pull"]})),
        ("/projects/shop/members", json!({"user": "sofia", "role": "guest"})),
        ("/projects/shop/waivers", waiver),
    ] {
        let (status, answer) = server.post("admin", path, &body).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {answer}");
    }
    let policy = body("PUT", "/projects/{project}/policy", "").unwrap().to_string();
    let (status, _) = server.ask("admin", Method::PUT, "/projects/shop/policy", policy).await;
    assert_eq!(status, StatusCode::OK);
    let promote = json!({"image": "shop/app:1", "to": "shop-release"});
    server.post("admin", "/promotions", &promote).await;
    let waiver = server.all("admin", "/projects/shop/waivers").await[0]["id"].clone();
    let decision = server.all("admin", "/decisions").await[0]["id"].clone();
    // Dana administers a project of her own, which gives her nothing elsewhere.
    assert_eq!(server.post("dana", "/projects", &json!({"name": "own"})).await.0, 201);

    let document = sealock_api_sealock::openapi();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            let query = operation["parameters"].as_array().into_iter().flatten();
            let query: Vec<&str> = query
                .filter(|one| one["in"] == "query")
                .filter_map(|one| one["name"].as_str())
                .filter(|name| ["image", "repository", "project"].contains(name))
                .collect();
            let scoped = path.contains("{project}") || path.contains("/decisions/{id}");
            let in_body = ["/promotions", "/repositories/rename"].contains(&path.as_str());
            if !scoped && query.is_empty() && !in_body {
                let known = OF_NO_PROJECT.contains(&path.as_str()) || path.starts_with("/clusters");
                assert!(known, "{method} {path} has no row here");
                continue;
            }
            let fill = |project: &str, waiver: &Value, decision: &Value| {
                let id = if path.contains("waivers") { waiver } else { decision };
                let values: Vec<String> = query
                    .iter()
                    .map(|name| match *name {
                        "image" => format!("image={project}/app:1"),
                        "repository" => format!("repository={project}/app"),
                        _ => format!("project={project}"),
                    })
                    .collect();
                let filled = path
                    .replace("{project}", project)
                    .replace("{name}", "k")
                    .replace("{user}", "sofia")
                    .replace("{id}", &id.to_string());
                let body = body(&method, path, &pem);
                let body = body.map(|body| body.to_string().replace("PROJECT", project));
                (format!("{filled}?{}", values.join("&")), body.unwrap_or_default())
            };
            let (there, sent) = fill("shop", &waiver, &decision);
            let (absent, other) = fill("nope", &json!(4_000_000), &json!(5_000_000));
            let of = |text: &Value| {
                let text = text.to_string().replace("shop", "nope");
                match path.contains("waivers") {
                    true => text.replace(&format!(" {waiver}"), " 4000000"),
                    false => text.replace(&format!(" {decision}"), " 5000000"),
                }
            };
            for who in ["dana", ""] {
                let verb: Method = method.parse().unwrap();
                let theirs = server.ask(who, verb.clone(), &there, sent.clone()).await;
                let nobody_s = server.ask(who, verb, &absent, other.clone()).await;
                let which = format!("{method} {there} by {who:?}");
                assert_eq!(theirs.0, nobody_s.0, "{which}: {} {}", theirs.1, nobody_s.1);
                assert_eq!(of(&theirs.1), of(&nobody_s.1), "{which}");
                // 403 where the route is for a role that Dana has nowhere.
                let shut = [StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
                assert!(shut.contains(&theirs.0), "{which}: {} {}", theirs.0, theirs.1);
                asked += 1;
            }
        }
    }
    assert!(asked > 60, "only {asked} requests");
    // Nothing of it was done.
    let (_, project) = server.get("admin", "/projects/shop").await;
    assert_eq!(project["public"], false);
    assert_eq!(server.all("admin", "/projects/shop/members").await.len(), 2);
    assert_eq!(server.all("admin", "/projects/shop/keys").await.len(), 1);
}
