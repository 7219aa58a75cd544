//! Docker's client without its engine: login and manifest lists.

use sealock_tests::{clients::Desk, images::Image, server::ADMIN_PASSWORD, skips};

use crate::shop;

#[test]
fn docker_logs_in_and_works_with_manifests() {
    let Some(docker) = skips::require_tool("docker") else { return };
    let (server, _) = shop();
    let desk = Desk::anonymous(&server);
    let host = server.host();
    desk.run(&docker, &["login", "-u", "admin", "-p", "wrong", &host]).refused("unauthorized");
    desk.run(&docker, &["login", "-u", "admin", "-p", ADMIN_PASSWORD, &host]).ok();
    // The other clients read what docker stored; the other way round it reads what they pushed.
    let auth = desk.home().join("docker/config.json").display().to_string();
    for (platform, image) in [("amd64", "app"), ("arm64", "app-arm64")] {
        let image = Image::named(image).reference();
        let options = ["--authfile", &auth, "--format", "v2s2"];
        desk.skopeo_push(&image, &format!("shop/app:{platform}"), &options).ok();
    }
    let (amd, arm) = (desk.name("shop/app:amd64"), desk.name("shop/app:arm64"));
    let list = desk.name("shop/app:1");
    let seen = desk.run(&docker, &["manifest", "inspect", "--insecure", &amd]).ok();
    assert!(seen.contains("vnd.docker.distribution.manifest.v2+json"), "{seen}");
    desk.run(&docker, &["manifest", "create", "--insecure", &list, &amd, &arm]).ok();
    desk.run(&docker, &["manifest", "push", "--insecure", &list]).ok();
    let seen = desk.run(&docker, &["manifest", "inspect", "--insecure", &list]).ok();
    assert!(seen.contains("\"arm64\"") && seen.contains("\"amd64\""), "{seen}");
    desk.run(&docker, &["logout", &host]).ok();
    desk.run(&docker, &["manifest", "inspect", "--insecure", &amd]).refused("");
}
