use sealock_tests::images::Image;
use serde_json::Value;

use crate::{assert_same_image, shop};

#[test]
fn regctl_copies_lists_and_deletes() {
    let (server, desk) = shop();
    let image = Image::named("small");
    let layout = format!("ocidir://{}:latest", image.path.display());
    let (single, name) = (desk.name("shop/app:single"), desk.name("shop/app:1"));
    desk.regctl(&["image", "copy", &layout, &single]).ok();
    assert_eq!(desk.regctl(&["image", "digest", &single]).ok(), image.digest());
    desk.regctl(&["index", "create", &name, "--ref", &single]).ok();
    let index = desk.regctl(&["image", "digest", &name]).ok();
    assert_ne!(index, image.digest());
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
    assert_eq!(pulled.digest(), index);
    assert_same_image(&image, &pulled, &image.digest());

    // A tag alone, then the manifest with every tag.
    desk.regctl(&["tag", "delete", &copy]).ok();
    assert_eq!(list("shop/copies/app"), ["2"]);
    let pinned = desk.name(&format!("shop/copies/app@{index}"));
    desk.regctl(&["manifest", "delete", &pinned]).ok();
    assert!(list("shop/copies/app").is_empty());
    desk.regctl(&["manifest", "head", &pinned]).refused("404");
    assert_eq!(desk.regctl(&["image", "digest", &name]).ok(), index);
}

/// A whole image named by SHA-512: blobs, manifest, tag, referrers, copy and deletion.
#[test]
fn regctl_names_an_image_by_sha512() {
    let (server, desk) = shop();
    let image = Image::named("small");
    let layout = format!("ocidir://{}:latest", image.path.display());
    let (short, long) = (desk.name("shop/app:short"), desk.name("shop/app:long"));
    desk.regctl(&["image", "copy", &layout, &short]).ok();
    desk.regctl(&["image", "mod", &short, "--digest-algo", "sha512", "--create", &long]).ok();
    let digest = desk.regctl(&["image", "digest", &long]).ok();
    assert!(digest.starts_with("sha512:"), "{digest}");
    let head = server.admin().get("/v2/shop/app/manifests/long").unwrap();
    assert_eq!(head.headers()["docker-content-digest"], digest.as_str());
    let manifest: Value = serde_json::from_str(&head.text().unwrap()).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    assert!(layer.starts_with("sha512:"), "{manifest}");

    std::fs::write(desk.home().join("note"), "a note\n").unwrap();
    let put = ["artifact", "put", "--artifact-type", "a/note", "-f", "note", "--subject"];
    desk.regctl(&[&put[..], &[&long]].concat()).ok();
    let pinned = desk.name(&format!("shop/app@{digest}"));
    assert!(desk.regctl(&["artifact", "list", &pinned]).ok().contains("a/note"));

    let copy = desk.name("shop/copies/app:long");
    desk.regctl(&["image", "copy", "--referrers", &pinned, &copy]).ok();
    assert_eq!(desk.regctl(&["image", "digest", &copy]).ok(), digest);
    assert!(desk.regctl(&["artifact", "list", &copy]).ok().contains("a/note"));
    let pulled = Image { path: desk.home().join("pulled") };
    let target = format!("ocidir://{}:latest", pulled.path.display());
    desk.regctl(&["image", "copy", &copy, &target]).ok();
    assert_eq!(pulled.digest(), digest);
    let original = image.manifest()["layers"][0]["digest"].as_str().unwrap().to_owned();
    assert!(pulled.blob(&layer) == image.blob(&original), "the layer's bytes");

    desk.regctl(&["manifest", "delete", &pinned]).ok();
    let tags = desk.regctl(&["tag", "ls", &desk.name("shop/app")]).ok();
    assert_eq!(tags, "short");
    let referrers = server.admin().json(&format!("/v2/shop/app/referrers/{digest}"));
    assert_eq!(referrers["manifests"], serde_json::json!([]));
    assert_eq!(desk.regctl(&["image", "digest", &copy]).ok(), digest);
}
