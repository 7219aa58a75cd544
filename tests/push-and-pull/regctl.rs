use sealock_tests::images::Image;

use crate::{assert_same_image, shop};

#[test]
fn regctl_copies_lists_and_deletes() {
    let (server, desk) = shop();
    let image = Image::named("app-index");
    let layout = format!("ocidir://{}:latest", image.path.display());
    let name = desk.name("shop/app:1");
    desk.regctl(&["image", "copy", &layout, &name]).ok();
    assert_eq!(desk.regctl(&["image", "digest", &name]).ok(), image.digest());
    let copy = desk.name("shop/copies/app:1");
    desk.regctl(&["image", "copy", &name, &copy]).ok();
    desk.regctl(&["image", "copy", &copy, &desk.name("shop/copies/app:2")]).ok();
    let list = |repository: &str| {
        let tags = desk.regctl(&["tag", "ls", &desk.name(repository)]).ok();
        tags.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list("shop/copies/app"), ["1", "2"]);
    let repositories = desk.regctl(&["repo", "ls", &server.host()]).ok();
    assert_eq!(repositories.lines().collect::<Vec<_>>(), ["shop/app", "shop/copies/app"]);

    let pulled = Image { path: desk.home().join("pulled") };
    let target = format!("ocidir://{}:latest", pulled.path.display());
    desk.regctl(&["image", "copy", &copy, &target]).ok();
    assert_same_image(&image, &pulled, &image.digest());

    // A tag alone, then the manifest with every tag.
    desk.regctl(&["tag", "delete", &copy]).ok();
    assert_eq!(list("shop/copies/app"), ["2"]);
    let pinned = desk.name(&format!("shop/copies/app@{}", image.digest()));
    desk.regctl(&["manifest", "delete", &pinned]).ok();
    assert!(list("shop/copies/app").is_empty());
    desk.regctl(&["manifest", "head", &pinned]).refused("404");
    assert_eq!(desk.regctl(&["image", "digest", &name]).ok(), image.digest());
}

#[test]
fn regctl_sends_blobs_named_by_sha512() {
    let (server, desk) = shop();
    let content = "a blob that its client names by SHA-512\n".repeat(100_000);
    std::fs::write(desk.home().join("blob"), &content).unwrap();
    let repository = desk.name("shop/long");
    let script = format!("regctl blob put {repository} --digest-algo sha512 <blob");
    let shell = std::path::Path::new("/bin/sh");
    let put = desk.run(shell, &["-c", &script]).ok();
    let digest = put.lines().last().unwrap().trim().to_owned();
    assert!(digest.starts_with("sha512:"), "{put}");
    assert!(desk.regctl(&["blob", "get", &repository, &digest]).ok() == content.trim_end());
    let head = server.admin().get(&format!("/v2/shop/long/blobs/{digest}")).unwrap();
    assert_eq!(head.headers()["docker-content-digest"], digest.as_str());
}
