use crate::server::Server;
use http::{Method, StatusCode};
use serde_json::{Value, json};

on_both_engines!(
    nobody_grants_their_own_waiver,
    waivers_have_an_end_and_a_reason,
    nobody_confirms_their_own_allowlist,
    quarantines_are_the_security_role_s,
);

async fn shop(server: &Server) {
    for who in ["admin", "dana"] {
        let name = if who == "dana" { "other" } else { "shop" };
        server.post(who, "/projects", &json!({"name": name})).await;
    }
    for (user, role) in [("dana", "developer"), ("sofia", "developer")] {
        let member = json!({"user": user, "role": role});
        assert_eq!(server.post("admin", "/projects/shop/members", &member).await.0, 201);
    }
}

fn waiver(server: &Server) -> Value {
    let end = server.database.clock_now() + jiff::SignedDuration::from_hours(24 * 30);
    json!({"vulnerability": "CVE-2026-1", "reason": "not reachable", "expires_at": end.to_string()})
}

impl Server {
    fn in_shop(id: &Value, step: &str) -> String {
        format!("/projects/shop/waivers/{id}/{step}")
    }
}

trait Now {
    fn clock_now(&self) -> jiff::Timestamp;
}

impl Now for sealock_metadata::testing::TestDatabase {
    fn clock_now(&self) -> jiff::Timestamp {
        sealock_metadata::Clock::now(&*self.clock)
    }
}

async fn nobody_grants_their_own_waiver(server: &Server) {
    shop(server).await;
    let waiver = waiver(server);
    let (status, asked) = server.post("dana", "/projects/shop/waivers", &waiver).await;
    assert_eq!((status, &asked["state"]), (StatusCode::CREATED, &json!("requested")), "{asked}");
    let grant = Server::in_shop(&asked["id"], "grant");
    assert_eq!(server.ask("dana", Method::POST, &grant, "").await.0, StatusCode::FORBIDDEN);
    let (status, granted) = server.ask("sofia", Method::POST, &grant, "").await;
    assert_eq!((status, &granted["decided_by"]), (StatusCode::OK, &json!("sofia")), "{granted}");
    assert_eq!(server.ask("sofia", Method::POST, &grant, "").await.0, StatusCode::CONFLICT);
    // The security role does not help with one's own request.
    let (_, own) = server.post("sofia", "/projects/shop/waivers", &waiver).await;
    let grant = Server::in_shop(&own["id"], "grant");
    assert_eq!(server.ask("sofia", Method::POST, &grant, "").await.0, StatusCode::FORBIDDEN);
    let (status, _) = server.ask("admin", Method::POST, &grant, "").await;
    assert_eq!(status, StatusCode::OK, "the first administrator is a security officer too");
    // A waiver is not found through another project.
    let elsewhere = format!("/projects/other/waivers/{}/revoke", asked["id"]);
    assert_eq!(server.ask("sofia", Method::POST, &elsewhere, "").await.0, StatusCode::NOT_FOUND);
    let revoke = Server::in_shop(&asked["id"], "revoke");
    assert_eq!(server.ask("sofia", Method::POST, &revoke, "").await.1["state"], "revoked");
}

async fn waivers_have_an_end_and_a_reason(server: &Server) {
    shop(server).await;
    for (field, value) in [
        ("expires_at", json!("2020-01-01T00:00:00Z")),
        ("expires_at", json!("2999-01-01T00:00:00Z")),
        ("expires_at", Value::Null),
        ("reason", json!(" ")),
        ("vulnerability", json!("")),
        ("digest", json!("sha256:12")),
        ("scope", json!({})),
    ] {
        let mut bad = waiver(server);
        bad[field] = value;
        let (status, answer) = server.post("dana", "/projects/shop/waivers", &bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {answer}");
    }
}

async fn nobody_confirms_their_own_allowlist(server: &Server) {
    shop(server).await;
    let (list, grant) = ("/projects/shop/allowlist", "/projects/shop/allowlist/grant");
    let (status, empty) = server.ask("sofia", Method::POST, grant, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "there is nothing to confirm: {empty}");
    let mut tx = server.database.db.write().await.unwrap();
    let shop = sealock_metadata::projects::find(&mut tx, "shop").await.unwrap().unwrap();
    for (project_id, writer, name) in [(shop.id, "sofia", "sofia"), (0, "dana", "dana")] {
        let user = sealock_metadata::users::find(&mut tx, writer).await.unwrap().unwrap();
        let row = sealock_metadata::cve_allowlists::AllowlistRow {
            project_id,
            items: vec!["CVE-2026-1".to_owned()],
            expires_at: None,
            reuse_system: false,
            written_by: name.to_owned(),
            writer_id: user.id,
            granted_by: None,
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        sealock_metadata::cve_allowlists::put(&mut tx, &row).await.unwrap();
    }
    tx.commit().await.unwrap();
    let (status, read) = server.ask("dana", Method::GET, list, "").await;
    assert_eq!((status, &read["items"]), (StatusCode::OK, &json!(["CVE-2026-1"])), "{read}");
    assert_eq!(read["granted_by"], Value::Null);
    // Confirmed is what was looked at.
    let other = json!({"updated_at": "2020-01-01T00:00:00Z"});
    let (status, answer) = server.post("admin", grant, &other).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    let seen = json!({"updated_at": read["updated_at"]});
    assert_eq!(server.post("sofia", grant, &seen).await.0, StatusCode::FORBIDDEN);
    assert_eq!(server.post("admin", grant, &seen).await.0, StatusCode::OK);
    // Sofia wrote the project's, Dana the system's; Dana is no security officer.
    for (who, path, expected) in [
        ("dana", grant, StatusCode::FORBIDDEN),
        ("sofia", grant, StatusCode::FORBIDDEN),
        ("admin", grant, StatusCode::OK),
        ("dana", "/allowlist/grant", StatusCode::FORBIDDEN),
        ("sofia", "/allowlist/grant", StatusCode::OK),
    ] {
        let (status, answer) = server.ask(who, Method::POST, path, "").await;
        assert_eq!(status, expected, "{who} {path}: {answer}");
    }
    for (path, by) in [(list, "admin"), ("/allowlist", "sofia")] {
        assert_eq!(server.ask("dana", Method::GET, path, "").await.1["granted_by"], by);
    }
}

async fn quarantines_are_the_security_role_s(server: &Server) {
    let path = format!("/quarantines/sha256:{}", "a".repeat(64));
    let ban = json!({"target": "manifest", "reason": "malware"}).to_string();
    let (status, _) = server.ask("dana", Method::PUT, &path, ban.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, answer) = server.ask("sofia", Method::PUT, &path, ban.clone()).await;
    assert_eq!((status, &answer["by"]), (StatusCode::OK, &json!("sofia")), "{answer}");
    assert_eq!(server.get("dana", "/quarantines").await.1["items"][0]["reason"], "malware");
    assert_eq!(server.delete("dana", &path).await, StatusCode::FORBIDDEN);
    assert_eq!(server.delete("sofia", &path).await, StatusCode::NO_CONTENT);
    assert_eq!(server.delete("sofia", &path).await, StatusCode::NOT_FOUND);
    let (status, _) = server.ask("sofia", Method::PUT, "/quarantines/latest", ban).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let eradicate = json!({"digest": format!("sha256:{}", "b".repeat(64)), "reason": "malware"});
    assert_eq!(server.post("dana", "/eradications", &eradicate).await.0, StatusCode::FORBIDDEN);
    let (status, report) = server.post("sofia", "/eradications", &eradicate).await;
    assert_eq!((status, &report["deleted"]), (StatusCode::OK, &json!([])), "{report}");
    let events = server.get("sofia", "/audit?action=quarantine,lift-quarantine").await.1;
    assert!(events["items"].as_array().unwrap().len() >= 3, "{events}");
}
