//! Personal access tokens with the real clients: each logs in with one and out again, and does
//! what the token is for and no more.

use sealock_tests::{
    clients::Desk,
    images::Image,
    server::{ADMIN_PASSWORD, Server},
    skips,
};
use serde_json::json;

use crate::shop;

const PASSWORD: &str = "Token-test-1-password";

/// A developer of the project `shop`, at a desk that is logged in with their password.
fn developer(server: &Server) -> Desk {
    let admin = server.admin();
    let post = reqwest::Method::POST;
    let user = json!({"name": "ann", "password": PASSWORD});
    admin.write(post.clone(), "/api/sealock/v1/users", &user);
    let member = json!({"user": "ann", "role": "developer"});
    admin.write(post, "/api/sealock/v1/projects/shop/members", &member);
    Desk::of(server, "ann", PASSWORD)
}

fn token(desk: &Desk, name: &str, scope: &str) -> String {
    let made = desk.sealock_json(&["token", "create", name, "--scope", scope]);
    made["secret"].as_str().unwrap().to_owned()
}

#[test]
fn podman_and_skopeo_work_with_a_token() {
    let (server, admin) = shop();
    let ann = developer(&server);
    let image = Image::named("small");
    admin.skopeo_push(&image.reference(), "shop/app:1", &[]).ok();
    let (host, secret) = (server.host(), token(&ann, "reader", "read"));
    let desk = Desk::anonymous(&server);
    let log_in = |secret: &str| {
        desk.podman(&["login", "--tls-verify=false", "-u", "ann", "-p", secret, &host])
    };
    log_in(&format!("{secret}x")).refused("invalid username/password");
    log_in(&secret).ok();
    desk.podman(&["pull", "-q", "--tls-verify=false", &desk.name("shop/app:1")]).ok();
    desk.skopeo_push(&image.reference(), "shop/app:2", &[]).refused("");
    log_in(&token(&ann, "writer", "push")).ok();
    desk.skopeo_push(&image.reference(), "shop/app:2", &[]).ok();
    desk.crane(&["delete", &desk.name("shop/app:2")]).refused("");

    // Revoked, it is dead for who is logged in with it already.
    let list = ann.sealock_json(&["token", "list"]);
    let writer = list.as_array().unwrap().iter().find(|row| row["name"] == "writer").unwrap();
    assert!(writer["used_at"].is_string() && writer.get("secret").is_none(), "{writer}");
    ann.sealock(&["token", "revoke", &writer["id"].to_string()]).ok();
    desk.skopeo_push(&image.reference(), "shop/app:3", &[]).refused("");
    desk.podman(&["logout", &host]).ok();
    desk.podman(&["pull", "-q", "--tls-verify=false", &desk.name("shop/app:1")]).refused("");
}

#[test]
fn docker_logs_in_with_a_token() {
    let Some(docker) = skips::require_tool("docker") else { return };
    let (server, _) = shop();
    let ann = developer(&server);
    let desk = Desk::anonymous(&server);
    let (host, secret) = (server.host(), token(&ann, "writer", "push"));
    let wrong = format!("{secret}x");
    desk.run(&docker, &["login", "-u", "ann", "-p", &wrong, &host]).refused("unauthorized");
    desk.run(&docker, &["login", "-u", "ann", "-p", &secret, &host]).ok();
    let auth = desk.home().join("docker/config.json").display().to_string();
    let image = Image::named("small").reference();
    desk.skopeo_push(&image, "shop/app:1", &["--authfile", &auth]).ok();
    desk.run(&docker, &["manifest", "inspect", "--insecure", &desk.name("shop/app:1")]).ok();
    desk.run(&docker, &["logout", &host]).ok();
    desk.run(&docker, &["manifest", "inspect", "--insecure", &desk.name("shop/app:1")]).refused("");
}

#[test]
fn helm_logs_in_with_a_token() {
    let (server, _) = shop();
    let ann = developer(&server);
    let desk = Desk::anonymous(&server);
    let (host, secret) = (server.host(), token(&ann, "writer", "push"));
    let log_in = |secret: &str| {
        desk.helm(&["registry", "login", "--plain-http", "-u", "ann", "-p", secret, &host])
    };
    log_in(&format!("{secret}x")).refused("unauthorized");
    log_in(&secret).ok();
    desk.helm(&["create", "shopfront"]).ok();
    desk.helm(&["package", "shopfront", "--version", "0.1.0"]).ok();
    let repository = format!("oci://{}", desk.name("shop/charts"));
    desk.helm(&["push", "shopfront-0.1.0.tgz", &repository, "--plain-http"]).ok();
    let chart = format!("{repository}/shopfront");
    let show = || desk.helm(&["show", "chart", &chart, "--plain-http", "--version", "0.1.0"]);
    assert!(show().ok().contains("version: 0.1.0"));
    desk.helm(&["registry", "logout", &host]).ok();
    show().refused("");
}

/// The same three with a password, so that a token is not all they can.
#[test]
fn helm_logs_in_with_a_password() {
    let (server, _) = shop();
    let desk = Desk::anonymous(&server);
    let host = server.host();
    let log_in = |secret: &str| {
        desk.helm(&["registry", "login", "--plain-http", "-u", "admin", "-p", secret, &host])
    };
    log_in("wrong").refused("unauthorized");
    log_in(ADMIN_PASSWORD).ok();
    desk.helm(&["registry", "logout", &host]).ok();
}
