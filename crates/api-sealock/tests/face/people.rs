use crate::server::{PASSWORD, Server};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::json;

on_both_engines!(
    who_one_is,
    a_registry_token_opens_nothing_here,
    users_are_a_matter_of_administrators,
    everybody_changes_their_own_password_only,
    users_are_renamed_by_administrators,
);

async fn who_one_is(server: &Server) {
    let (_, me) = server.get("sofia", "/me").await;
    let sofia = json!({"name": "sofia", "kind": "user", "admin": false, "security_officer": true});
    assert_eq!(me, sofia);
    assert_eq!(server.get("", "/me").await.1["kind"], "anonymous");
}

async fn a_registry_token_opens_nothing_here(server: &Server) {
    for token in ["abc", "eyJhbGciOiJFUzI1NiJ9.e30.AA"] {
        let request = Request::get(format!("{}/me", sealock_api_sealock::BASE))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let (status, _) = server.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
}

async fn users_are_a_matter_of_administrators(server: &Server) {
    let user = json!({"name": "new", "password": PASSWORD});
    for who in ["dana", "sofia"] {
        assert_eq!(server.post(who, "/users", &user).await.0, StatusCode::FORBIDDEN);
        assert_eq!(server.get(who, "/users").await.0, StatusCode::FORBIDDEN);
        let raise = json!({"admin": true}).to_string();
        let (status, _) = server.ask(who, Method::PATCH, &format!("/users/{who}"), raise).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    let (status, made) = server.post("admin", "/users", &user).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(!made.to_string().contains(PASSWORD));
    assert_eq!(server.post("admin", "/users", &user).await.0, StatusCode::CONFLICT);
    for bad in [
        json!({"name": "robot$a+b", "password": PASSWORD}),
        json!({"name": "anonymous", "password": PASSWORD}),
        json!({"name": "x", "password": "short"}),
        json!({"name": "x", "password": PASSWORD, "sysadmin": true}),
        json!({"name": "x"}),
    ] {
        let (status, answer) = server.post("admin", "/users", &bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
        assert!(!answer["errors"][0]["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(server.delete("admin", "/users/new").await, StatusCode::NO_CONTENT);
    assert_eq!(server.get("new", "/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(server.delete("admin", "/users/new").await, StatusCode::NOT_FOUND);
    // The last administrator cannot lock everybody out.
    assert_eq!(server.delete("admin", "/users/admin").await, StatusCode::CONFLICT);
    let close = json!({"disabled": true}).to_string();
    assert_eq!(
        server.ask("admin", Method::PATCH, "/users/admin", close).await.0,
        StatusCode::CONFLICT
    );
}

async fn everybody_changes_their_own_password_only(server: &Server) {
    let new = json!({"password": "battery staple"}).to_string();
    let (status, _) = server.ask("dana", Method::PATCH, "/users/sofia", new.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = server.ask("dana", Method::PATCH, "/users/dana", new).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(server.get("dana", "/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get("dana:battery staple", "/me").await.0, StatusCode::OK);
}

async fn users_are_renamed_by_administrators(server: &Server) {
    let name = |name: &str| json!({"name": name}).to_string();
    let rename = async |who: &str, from: &str, to: &str| {
        server.ask(who, Method::PUT, &format!("/users/{from}/name"), name(to)).await
    };
    for who in ["dana", "sofia"] {
        assert_eq!(rename(who, "dana", "diana").await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(rename("", "dana", "diana").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(rename("admin", "nobody", "diana").await.0, StatusCode::NOT_FOUND);
    assert_eq!(rename("admin", "dana", "Sofia").await.0, StatusCode::CONFLICT);
    assert_eq!(rename("admin", "dana", "a b").await.0, StatusCode::BAD_REQUEST);
    let (status, renamed) = rename("admin", "dana", "diana").await;
    assert_eq!(
        (status, &renamed["name"], &renamed["named_by"]),
        (StatusCode::OK, &json!("diana"), &json!([]))
    );
    assert_eq!(server.get("dana", "/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get("diana", "/me").await.1["name"], "diana");
    // Administrators, too, and they are who they were.
    assert_eq!(rename("admin", "admin", "chief").await.0, StatusCode::OK);
    assert_eq!(server.delete("chief", "/users/chief").await, StatusCode::CONFLICT);
    assert_eq!(rename("chief", "chief", "admin").await.0, StatusCode::OK);
}
