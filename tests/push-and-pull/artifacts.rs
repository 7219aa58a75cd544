use sealock_tests::images::Image;

use crate::shop;

#[test]
fn oras_attaches_discovers_and_pulls_artifacts() {
    let (server, desk) = shop();
    std::fs::write(desk.home().join("notes.txt"), "release notes\n").unwrap();
    let name = desk.name("shop/notes:1");
    desk.oras(&[
        "push",
        "--plain-http",
        "--artifact-type",
        "application/vnd.example.notes",
        &name,
        "notes.txt:text/plain",
    ])
    .ok();
    let out = desk.home().join("out").display().to_string();
    desk.oras(&["pull", "--plain-http", "--output", &out, &name]).ok();
    assert_eq!(std::fs::read_to_string(format!("{out}/notes.txt")).unwrap(), "release notes\n");

    let image = Image::named("small");
    desk.skopeo_push(&image.reference(), "shop/small:1", &["--preserve-digests"]).ok();
    let subject = desk.name("shop/small:1");
    for kind in ["application/vnd.example.review", "application/vnd.example.ticket"] {
        desk.oras(&["attach", "--plain-http", "--artifact-type", kind, &subject, "notes.txt"]).ok();
    }
    let discover = |options: &[&str]| -> serde_json::Value {
        let mut arguments = vec!["discover", "--plain-http", "--format", "json"];
        arguments.extend(options);
        arguments.push(&subject);
        serde_json::from_str(&desk.oras(&arguments).ok()).unwrap()
    };
    assert_eq!(discover(&[])["referrers"].as_array().unwrap().len(), 2);
    let reviews = discover(&["--artifact-type", "application/vnd.example.review"]);
    assert_eq!(reviews["referrers"].as_array().unwrap().len(), 1, "{reviews}");

    // No client had to keep a fallback tag.
    let tags = desk.oras(&["repo", "tags", "--plain-http", &desk.name("shop/small")]).ok();
    assert_eq!(tags, "1");

    // Copying with referrers brings them along.
    desk.oras(&[
        "copy",
        "--recursive",
        "--from-plain-http",
        "--to-plain-http",
        &subject,
        &desk.name("shop/other:1"),
    ])
    .ok();
    let path = format!("/v2/shop/other/referrers/{}", image.digest());
    let referrers = server.admin().json(&path);
    assert_eq!(referrers["manifests"].as_array().unwrap().len(), 2, "{referrers}");
}

#[test]
fn accessories_die_with_their_subject() {
    let (server, desk) = shop();
    std::fs::write(desk.home().join("notes.txt"), "release notes\n").unwrap();
    let image = Image::named("small");
    desk.skopeo_push(&image.reference(), "shop/small:1", &["--preserve-digests"]).ok();
    let subject = desk.name("shop/small:1");
    desk.oras(&["attach", "--plain-http", "--artifact-type", "a/b", &subject, "notes.txt"]).ok();
    let path = format!("/v2/shop/small/referrers/{}", image.digest());
    let referrers = server.admin().json(&path);
    let accessory = referrers["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let accessory = format!("/v2/shop/small/manifests/{accessory}");
    assert_eq!(server.admin().get(&accessory).unwrap().status(), 200);

    desk.oras(&["manifest", "delete", "--plain-http", "--force", &subject]).ok();
    assert_eq!(server.admin().get(&accessory).unwrap().status(), 404);
    let referrers = server.admin().json(&path);
    assert_eq!(referrers["manifests"].as_array().unwrap().len(), 0);
}
