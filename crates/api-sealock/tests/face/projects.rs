use crate::server::Server;
use http::{Method, StatusCode};
use sealock_signing::SigningKey;
use serde_json::{Value, json};

on_both_engines!(
    not_there_and_not_yours_are_the_same,
    high_tiers_are_for_administrators,
    keys,
    members_and_robots,
    lists_are_paged_and_limits_hold,
);

async fn project(server: &Server, who: &str, name: &str) {
    let (status, answer) = server.post(who, "/projects", &json!({"name": name})).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

async fn not_there_and_not_yours_are_the_same(server: &Server) {
    project(server, "admin", "secret").await;
    for path in [
        "/projects/NAME",
        "/projects/NAME/keys",
        "/projects/NAME/members",
        "/projects/NAME/robots",
        "/projects/NAME/repositories",
        "/projects/NAME/policy",
        "/projects/NAME/policy/history",
        "/projects/NAME/waivers",
        "/artifacts?repository=NAME/app",
        "/artifact?image=NAME/app:1",
        "/artifact/findings?image=NAME/app:1",
        "/artifact/verdicts?image=NAME/app:1",
        "/artifact/sbom?image=NAME/app:1",
        "/artifact/evidence?image=NAME/app:1",
    ] {
        let (there, answer) = server.get("dana", &path.replace("NAME", "secret")).await;
        let (absent, other) = server.get("dana", &path.replace("NAME", "nosuch")).await;
        assert_eq!(there, StatusCode::NOT_FOUND, "{path}: {answer}");
        assert_eq!(absent, StatusCode::NOT_FOUND, "{path}");
        let text = answer.to_string().replace("secret", "nosuch");
        assert_eq!(text, other.to_string(), "{path}");
    }
    assert_eq!(server.get("dana", "/projects").await.1["items"], json!([]));
    assert_eq!(server.get("dana", "/projects/secret/x").await.0, StatusCode::NOT_FOUND);
}

async fn high_tiers_are_for_administrators(server: &Server) {
    let release = json!({"name": "r", "tier": "release"});
    assert_eq!(server.post("dana", "/projects", &release).await.0, StatusCode::FORBIDDEN);
    assert_eq!(server.post("admin", "/projects", &release).await.0, StatusCode::CREATED);
    project(server, "dana", "mine").await;
    let up = json!({"tier": "release"}).to_string();
    let (status, _) = server.ask("dana", Method::PATCH, "/projects/mine", up).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let bad = json!({"name": "x", "tier": "production"});
    assert_eq!(server.post("dana", "/projects", &bad).await.0, StatusCode::BAD_REQUEST);
}

async fn keys(server: &Server) {
    project(server, "dana", "shop").await;
    let pem = SigningKey::generate().unwrap().public_key().to_pem();
    let key = json!({"name": "pipeline", "pem": pem});
    let (status, added) = server.post("dana", "/projects/shop/keys", &key).await;
    assert_eq!((status, &added["algorithm"]), (StatusCode::CREATED, &json!("ECDSA P-256")));
    assert_eq!(server.post("dana", "/projects/shop/keys", &key).await.0, StatusCode::CONFLICT);
    let broken = json!({"name": "b", "pem": pem.replacen("BEGIN", "BEGAN", 1)});
    let (status, answer) = server.post("dana", "/projects/shop/keys", &broken).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    // A security officer may say that a key is in wrong hands; a stranger may not.
    let path = "/projects/shop/keys/pipeline/compromise";
    let (status, marked) = server.ask("sofia", Method::POST, path, "").await;
    assert_eq!(status, StatusCode::OK, "{marked}");
    assert!(marked["compromised_at"].is_string());
    let later = json!({"at": "2100-01-01T00:00:00Z"});
    assert_eq!(server.post("dana", path, &later).await.0, StatusCode::BAD_REQUEST);
    let listed = server.get("dana", "/projects/shop/keys").await.1;
    assert_eq!(listed["items"][0]["name"], "pipeline");
    // It could be listed anew as sound, so it goes by a security officer's hand.
    let kept = server.delete("dana", "/projects/shop/keys/pipeline").await;
    assert_eq!(kept, StatusCode::FORBIDDEN);
    let gone = server.delete("sofia", "/projects/shop/keys/pipeline").await;
    assert_eq!(gone, StatusCode::NO_CONTENT);
    let gone = server.delete("dana", "/projects/shop/keys/pipeline").await;
    assert_eq!(gone, StatusCode::NOT_FOUND);
}

async fn members_and_robots(server: &Server) {
    project(server, "admin", "shop").await;
    let member = json!({"user": "dana", "role": "maintainer"});
    assert_eq!(server.post("dana", "/projects/shop/members", &member).await.0, 404);
    let (status, _) = server.post("admin", "/projects/shop/members", &member).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(server.get("dana", "/projects/shop").await.0, StatusCode::OK);
    // A maintainer does not manage the project.
    let robot = json!({"name": "ci", "rights": ["pull", "attest"], "expires_in_days": 30});
    assert_eq!(server.post("dana", "/projects/shop/robots", &robot).await.0, 403);
    let (status, made) = server.post("admin", "/projects/shop/robots", &robot).await;
    assert_eq!((status, &made["name"]), (StatusCode::CREATED, &json!("robot$shop+ci")));
    let login = format!("robot$shop+ci:{}", made["secret"].as_str().unwrap());
    assert_eq!(server.get(&login, "/me").await.1["kind"], "robot");
    assert_eq!(server.get(&login, "/projects/shop").await.0, StatusCode::OK);
    assert_eq!(server.get(&login, "/projects/shop/robots").await.0, StatusCode::FORBIDDEN);
    let listed = server.get("admin", "/projects/shop/robots").await.1;
    assert!(listed["items"][0]["secret"].is_null(), "a secret is shown once");
    let greedy = json!({"name": "x", "rights": ["manage-project"]});
    assert_eq!(server.post("admin", "/projects/shop/robots", &greedy).await.0, 400);
    assert_eq!(server.delete("admin", "/projects/shop/robots/ci").await, 204);
    assert_eq!(server.get(&login, "/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(server.delete("admin", "/projects/shop/members/dana").await, 204);
    assert_eq!(server.get("dana", "/projects/shop").await.0, StatusCode::NOT_FOUND);
    let bad = json!({"user": "dana", "role": "king"});
    let (status, answer) = server.post("admin", "/projects/shop/members", &bad).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer.to_string().contains("maintainer"), "{answer}");
}

async fn lists_are_paged_and_limits_hold(server: &Server) {
    for index in 0..5 {
        project(server, "dana", &format!("p{index}")).await;
    }
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let (_, page) = server.get("dana", &format!("/projects?limit=2{after}")).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        names.extend(items.iter().map(|item| item["name"].clone()));
        match &page["next"] {
            Value::String(next) => after = format!("&after={next}"),
            _ => break,
        }
    }
    assert_eq!(names, ["p0", "p1", "p2", "p3", "p4"].map(Value::from));
    for bad in
        ["limit=0", "limit=1001", "limit=x", "limt=1", &format!("after={}", "x".repeat(2000))]
    {
        let (status, answer) = server.get("dana", &format!("/projects?{bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {answer}");
    }
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(2 * 1024 * 1024));
    let (status, _) = server.ask("dana", Method::POST, "/projects", large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    for bad in ["", "{", "[]", "{\"name\": 1}", "{\"name\": \"x\", \"publik\": true}"] {
        let (status, _) = server.ask("dana", Method::POST, "/projects", bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
}
