//! What one client writes, every other reads: pushes and pulls with real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod artifacts;
mod certificates;
mod crane;
mod docker;
mod helm;
mod lists;
mod long_blobs;
mod moves;
mod notation;
mod podman;
mod regctl;
mod rights;
mod skopeo;
mod tokens;
mod verbs;

use sealock_tests::{clients::Desk, images::Image, server::Server};

/// A server with a private project `shop` and a logged-in desk.
fn shop() -> (Server, Desk) {
    let server = Server::start();
    let desk = shop_on(&server);
    (server, desk)
}

fn shop_on(server: &Server) -> Desk {
    let project = serde_json::json!({"name": "shop", "tier": "sandbox"});
    server.admin().write(reqwest::Method::POST, "/api/sealock/v1/projects", &project);
    Desk::admin(server)
}

/// Asserts that every blob and manifest below `digest` is the same in both layouts.
fn assert_same_image(pushed: &Image, pulled: &Image, digest: &str) {
    let bytes = pulled.blob(digest);
    assert_eq!(bytes, pushed.blob(digest), "{digest} differs");
    let manifest: serde_json::Value = serde_json::from_slice(&bytes).expect("a manifest");
    let parts = |name: &str| manifest[name].as_array().cloned().unwrap_or_default();
    for child in parts("manifests") {
        assert_same_image(pushed, pulled, child["digest"].as_str().unwrap());
    }
    for blob in parts("layers").iter().chain(manifest.get("config")) {
        let blob = blob["digest"].as_str().unwrap();
        assert_eq!(pulled.blob(blob), pushed.blob(blob), "{blob} differs");
    }
}
