//! Lists of referrers that clients keep under a tag, as they do for registries without the API.

use sealock_tests::clients::Desk;
use serde_json::Value;

use crate::shop;

/// The types of what a client finds beside a subject, in order.
fn found(desk: &Desk, subject: &str, options: &[&str]) -> Vec<String> {
    let mut arguments = vec!["discover", "--plain-http", "--format", "json"];
    arguments.extend(options);
    arguments.push(subject);
    let index: Value = serde_json::from_str(&desk.oras(&arguments).ok()).unwrap();
    let entries = index["referrers"].as_array().unwrap().iter();
    let mut types: Vec<String> =
        entries.map(|entry| entry["artifactType"].as_str().unwrap().to_owned()).collect();
    types.sort();
    types
}

const OLD: [&str; 2] = ["--distribution-spec", "v1.1-referrers-tag"];

#[test]
fn old_and_new_clients_see_each_others_referrers() {
    let (_server, desk) = shop();
    std::fs::write(desk.home().join("notes.txt"), "notes\n").unwrap();
    let subject = desk.name("shop/app:1");
    desk.oras(&["push", "--plain-http", "--artifact-type", "a/app", &subject, "notes.txt"]).ok();
    let attach = |kind: &str, options: &[&str]| {
        let mut arguments = vec!["attach", "--plain-http", "--artifact-type", kind];
        arguments.extend(options);
        arguments.extend([subject.as_str(), "notes.txt"]);
        desk.oras(&arguments).ok();
    };
    attach("a/old-1", &OLD);
    attach("a/old-2", &OLD);
    attach("a/new", &[]);
    let tags = desk.oras(&["repo", "tags", "--plain-http", &desk.name("shop/app")]).ok();
    let kept = tags.lines().find(|tag| tag.starts_with("sha256-")).expect("the client's list");
    let all = ["a/new", "a/old-1", "a/old-2"];
    assert_eq!(found(&desk, &subject, &[]), all);
    assert_eq!(found(&desk, &subject, &OLD), all[1..], "who reads the tag reads the tag");
    let kinds = desk.regctl(&["artifact", "list", &subject]).ok();
    assert!(all.iter().all(|kind| kinds.contains(kind)), "{kinds}");

    // A new client deletes what the list still names.
    let entries: Value = serde_json::from_str(
        &desk.oras(&["discover", "--plain-http", "--format", "json", &subject]).ok(),
    )
    .unwrap();
    let digest_of = |kind: &str| {
        let mut entries = entries["referrers"].as_array().unwrap().iter();
        let entry = entries.find(|entry| entry["artifactType"] == kind).unwrap();
        desk.name(&format!("shop/app@{}", entry["digest"].as_str().unwrap()))
    };
    desk.crane(&["delete", &digest_of("a/old-1")]).ok();
    assert_eq!(found(&desk, &subject, &[]), ["a/new", "a/old-2"]);
    // An old client deletes and rewrites its list.
    let mut delete = vec!["manifest", "delete", "--plain-http", "--force"];
    delete.extend(OLD);
    let old = digest_of("a/old-2");
    delete.push(&old);
    desk.oras(&delete).ok();
    assert_eq!(found(&desk, &subject, &[]), ["a/new"]);
    attach("a/again", &OLD);
    assert_eq!(found(&desk, &subject, &[]), ["a/again", "a/new"]);

    // The list goes with its subject.
    desk.oras(&["manifest", "delete", "--plain-http", "--force", &subject]).ok();
    desk.crane(&["manifest", &desk.name(&format!("shop/app:{kept}"))]).refused("MANIFEST_UNKNOWN");
}
