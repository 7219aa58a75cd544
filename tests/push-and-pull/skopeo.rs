use sealock_tests::{clients::Desk, images::Image, server::Server};

use crate::{assert_same_image, shop, shop_on};

fn an_index_of_two_platforms_survives(server: &Server, desk: &Desk) {
    let pushed = Image::named("app-index");
    desk.skopeo_push(&pushed.reference(), "shop/app:1.0", &["--all", "--preserve-digests"]).ok();
    assert_eq!(desk.digest_of("shop/app:1.0"), pushed.digest());

    let layout = server.scratch().join("pulled");
    desk.skopeo_pull("shop/app:1.0", &layout.display().to_string()).ok();
    assert_same_image(&pushed, &Image { path: layout }, &pushed.digest());
}

#[test]
fn an_index_of_two_platforms_survives_on_sqlite() {
    let (server, desk) = shop();
    an_index_of_two_platforms_survives(&server, &desk);
}

#[test]
fn an_index_of_two_platforms_survives_on_postgres() {
    let Some(server) = Server::start_on_postgres() else { return };
    let desk = shop_on(&server);
    an_index_of_two_platforms_survives(&server, &desk);
}

#[test]
fn docker_schema_2_zstd_and_plain_layers_are_taken() {
    let (server, desk) = shop();
    let image = Image::named("small").reference();
    for (tag, options) in [
        ("docker", ["--format", "v2s2"]),
        ("zstd", ["--dest-compress-format", "zstd"]),
        ("zstd-chunked", ["--dest-compress-format", "zstd:chunked"]),
    ] {
        let name = format!("shop/small:{tag}");
        desk.skopeo_push(&image, &name, &options).ok();
        let layout = server.scratch().join(tag).display().to_string();
        desk.skopeo_pull(&name, &layout).ok();
    }
    let raw = desk.skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &desk.transport("shop/small:docker"),
    ]);
    assert!(raw.ok().contains("application/vnd.docker.distribution.manifest.v2+json"));

    // A layer without any compression, as `skopeo copy` to a directory leaves it.
    let plain = server.scratch().join("plain").display().to_string();
    let plain = format!("dir:{plain}");
    desk.skopeo(&["copy", "--quiet", "--dest-decompress", &image, &plain]).ok();
    desk.skopeo_push(&plain, "shop/small:plain", &["--dest-compress=false"]).ok();
    desk.skopeo_pull("shop/small:plain", &server.scratch().join("again").display().to_string())
        .ok();
}

#[test]
fn tags_are_listed_and_deleted() {
    let (_server, desk) = shop();
    let image = Image::named("small");
    for tag in ["1", "2", "10"] {
        desk.skopeo_push(&image.reference(), &format!("shop/small:{tag}"), &[]).ok();
    }
    let list = || {
        let name = desk.transport("shop/small");
        let text = desk.skopeo(&["list-tags", "--tls-verify=false", &name]).ok();
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        list["Tags"].as_array().unwrap().len()
    };
    assert_eq!(list(), 3);
    // skopeo deletes the manifest that the tag names, and with it every tag.
    desk.skopeo(&["delete", "--tls-verify=false", &desk.transport("shop/small:2")]).ok();
    let gone = desk.skopeo(&["inspect", "--tls-verify=false", &desk.transport("shop/small:10")]);
    gone.refused("unknown");
}

#[test]
fn what_was_pushed_is_there_after_a_restart() {
    let (mut server, desk) = shop();
    let image = Image::named("small");
    desk.skopeo_push(&image.reference(), "shop/small:1", &["--preserve-digests"]).ok();
    server.terminate();
    server.restart();
    assert_eq!(desk.digest_of("shop/small:1"), image.digest());
}
