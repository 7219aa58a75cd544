//! The record of a release, and its replay.

use serde_json::{Value, json};

use crate::House;

const COMMIT: &str = "8a7c1f0c6d3a4be2b8b0b2b7b0a3f5d1c2e3f405";

fn released() -> (House, String) {
    let house = House::new();
    let digest = house.push("small", "shop/app:1");
    house.sign("pipeline", "shop/app", &digest);
    let provenance = json!({
        "buildDefinition": {"buildType": "https://example.com/build/v1",
            "externalParameters": {}, "internalParameters": {},
            "resolvedDependencies": [{"uri": "git+https://example.com/shop.git",
                "digest": {"gitCommit": COMMIT}}]},
        "runDetails": {"builder": {"id": "https://example.com/pipeline"},
            "metadata": {"invocationId": "build-4711"}}});
    house.attest("pipeline", "slsaprovenance1", &provenance, "shop/app", &digest);
    house.dana.sealock(&["promote", "shop/app:1", "shop-release"]).ok();
    (house, digest)
}

#[test]
fn one_document_tells_where_a_release_comes_from() {
    let (house, digest) = released();
    let text = house.admin.sealock(&["evidence", &format!("shop-release/app@{digest}")]).ok();
    let _: Value = serde_json::from_str(&text).unwrap();
    for word in [&digest, COMMIT, "https://example.com/pipeline", "dana", "promote", "pipeline"] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
}

#[test]
fn a_decision_is_made_again_from_its_document_alone() {
    let (house, digest) = released();
    let list =
        house.admin.sealock_json(&["decision", "list", "--door", "promote", "--digest", &digest]);
    let decision = list.as_array().unwrap().iter().find(|one| one["action"] != "deny").unwrap();
    let id = decision["id"].to_string();
    house.admin.sealock(&["decision", "replay", &id]).ok();

    let document = house.admin.sealock(&["decision", "export", &id]).ok();
    let replay = |name: &str, document: &str| {
        let path = house.admin.home().join(name);
        std::fs::write(&path, document).unwrap();
        // A fresh process that knows no server.
        let arguments = ["decision", "replay", "--document", name, "--url", "http://127.0.0.1:1"];
        house.admin.sealock(&arguments).said()
    };
    let before = replay("as-it-was.json", &document);
    assert!(before.contains("allow"), "{before}");

    // One changed fact is another decision.
    let mut changed: Value = serde_json::from_str(&document).unwrap();
    let signatures = changed.pointer_mut("/artifact/signatures").expect("signatures");
    *signatures = json!([]);
    let after = replay("changed.json", &changed.to_string());
    assert!(after.contains("deny") && after.contains("signed"), "{after}");
}

#[test]
fn refusals_and_changes_are_audited_with_who_and_what() {
    let house = House::new();
    let digest = house.push("small", "shop/app:1");
    house.dana.sealock(&["promote", "shop/app:1", "shop-release"]).refused("signed");
    let events = house.admin.sealock_json(&["audit"]);
    let events = events.as_array().unwrap();
    let find = |actor: &str, word: &str| {
        let hit = |event: &&Value| event["actor"] == actor && event.to_string().contains(word);
        events.iter().find(hit).unwrap_or_else(|| panic!("no {word} by {actor}: {events:#?}"))
    };
    assert!(find("dana", "push").to_string().contains(&digest));
    let refusal = find("dana", "promot").to_string();
    assert!(refusal.contains("127.0.0.1") && refusal.contains(&digest), "{refusal}");
    find("admin", "policy");
    find("admin", "project");
}
