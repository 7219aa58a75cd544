use sealock_tests::images::Image;

use crate::shop;

#[test]
fn podman_logs_in_pushes_and_pulls_by_digest() {
    let (server, _) = shop();
    let desk = sealock_tests::clients::Desk::anonymous(&server);
    let host = server.host();
    let password = sealock_tests::server::ADMIN_PASSWORD;
    desk.podman(&["login", "--tls-verify=false", "-u", "admin", "-p", "wrong", &host])
        .refused("invalid username/password");
    desk.podman(&["login", "--tls-verify=false", "-u", "admin", "-p", password, &host]).ok();

    let image = Image::named("small");
    let archive = "docker-archive:small.tar:example.com/small:1";
    desk.skopeo(&["copy", "--quiet", &image.reference(), archive]).ok();
    desk.podman(&["load", "--quiet", "--input", "small.tar"]).ok();
    let loaded = "example.com/small:1";
    let name = desk.name("shop/small:1");
    let digest_file = desk.home().join("digest").display().to_string();
    desk.podman(&[
        "push",
        "--quiet",
        "--tls-verify=false",
        "--digestfile",
        &digest_file,
        loaded,
        &name,
    ])
    .ok();
    let digest = std::fs::read_to_string(&digest_file).unwrap();
    assert_eq!(desk.digest_of("shop/small:1"), digest);

    desk.podman(&["rmi", "--all", "--force"]).ok();
    let pinned = desk.name(&format!("shop/small@{digest}"));
    desk.podman(&["pull", "--quiet", "--tls-verify=false", &pinned]).ok();
    let listed = desk.podman(&["images", "--digests", "--format", "{{.Digest}}"]).ok();
    assert!(listed.contains(&digest), "{listed}");

    desk.podman(&["logout", &host]).ok();
    desk.podman(&["pull", "--quiet", "--tls-verify=false", &pinned]).refused("");
}

#[test]
fn buildah_builds_on_a_pushed_base_and_pushes() {
    let (_server, desk) = shop();
    let image = Image::named("small");
    desk.skopeo_push(&image.reference(), "shop/base:1", &[]).ok();
    let base = desk.name("shop/base:1");
    let container = desk.buildah(&["from", "--quiet", "--tls-verify=false", &base]).ok();
    std::fs::write(desk.home().join("release-notes"), "nothing new\n").unwrap();
    desk.buildah(&["copy", "--quiet", &container, "release-notes", "/release-notes"]).ok();
    desk.buildah(&["config", "--label", "stage=built", &container]).ok();
    let name = desk.name("shop/built:1");
    desk.buildah(&[
        "commit",
        "--quiet",
        "--tls-verify=false",
        &container,
        &format!("docker://{name}"),
    ])
    .ok();
    let config = desk.crane(&["config", &name]).ok();
    assert!(config.contains("\"stage\":\"built\""), "{config}");
}
