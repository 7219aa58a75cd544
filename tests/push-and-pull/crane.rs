use sealock_tests::images::Image;

use crate::shop;

#[test]
fn crane_pushes_validates_copies_tags_and_deletes() {
    let (server, desk) = shop();
    let image = Image::named("small");
    let layout = image.path.display().to_string();
    let name = desk.name("shop/small:1");
    desk.crane(&["push", &layout, &name]).ok();
    assert_eq!(desk.crane(&["digest", &name]).ok(), image.digest());
    desk.crane(&["validate", "--remote", &name]).ok();

    // Copying in one registry mounts blobs instead of sending them.
    let copy = desk.name("shop/copies/small:1");
    desk.crane(&["copy", &name, &copy]).ok();
    desk.crane(&["tag", &copy, "second"]).ok();
    let tags = desk.crane(&["ls", &desk.name("shop/copies/small")]).ok();
    assert_eq!(tags.lines().collect::<Vec<_>>(), ["1", "second"]);
    desk.crane(&["validate", "--remote", &copy]).ok();

    let catalogue = desk.crane(&["catalog", &server.host()]).ok();
    assert_eq!(catalogue.lines().collect::<Vec<_>>(), ["shop/copies/small", "shop/small"]);

    let pinned = desk.name(&format!("shop/copies/small@{}", image.digest()));
    desk.crane(&["delete", &pinned]).ok();
    desk.crane(&["digest", &copy]).refused("MANIFEST_UNKNOWN");
    desk.crane(&["validate", "--remote", &name]).ok();
}

#[test]
fn crane_pushes_an_index_and_pulls_one_platform() {
    let (_server, desk) = shop();
    let index = Image::named("app-index");
    let name = desk.name("shop/app:1");
    let layout = index.path.display().to_string();
    desk.crane(&["push", "--index", &layout, &name]).ok();
    let manifest: serde_json::Value =
        serde_json::from_str(&desk.crane(&["manifest", &name]).ok()).unwrap();
    let children = manifest["manifests"].as_array().unwrap();
    // crane pushes the layout's own index, whose one entry is ours.
    let of = |child: &serde_json::Value| child["digest"].as_str().unwrap().to_owned();
    assert!(children.iter().map(of).any(|digest| digest == index.digest()), "{manifest}");
    let arm = desk.crane(&[
        "digest",
        "--platform",
        "linux/arm64",
        &desk.name(&format!("shop/app@{}", index.digest())),
    ]);
    assert_eq!(arm.ok(), Image::named("app-arm64").digest());
}
