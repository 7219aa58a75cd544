//! The audit log: each thing that people and pipelines do is in it, with who, what and from where.

use std::{collections::BTreeMap, path::Path, time::Duration};

use sealock_tests::server::eventually;
use serde_json::Value;

use crate::House;

#[test]
fn every_action_is_on_record_with_who_what_and_from_where() {
    let house = House::new();
    let (admin, dana, sofia) = (&house.admin, &house.dana, &house.sofia);
    let first = house.push("small", "shop/app:1");
    house.sign("pipeline", "shop/app", &first);
    let second = house.push("base", "shop/app:2");
    dana.crane(&["tag", &dana.name("shop/app:1"), "moving"]).ok();
    dana.crane(&["tag", &dana.name("shop/app:2"), "moving"]).ok();
    let layout = house.server.scratch().join("pulled").display().to_string();
    sofia.skopeo_pull("shop/app:1", &layout).ok();
    dana.sealock(&["promote", "shop/app:1", "shop-release"]).ok();
    dana.sealock(&["promote", "shop/app:2", "shop-release"]).refused("signature");
    let ask = ["waiver", "request", "shop-release", "CVE-2020-1", "--reason", "unreachable"];
    let waiver = dana.sealock_json(&ask)["id"].to_string();
    sofia.sealock(&["waiver", "grant", "shop-release", &waiver]).ok();
    sofia.sealock(&["waiver", "revoke", "shop-release", &waiver]).ok();
    std::fs::write(admin.home().join("own.yaml"), crate::POLICY).unwrap();
    admin.sealock(&["policy", "set", "--project", "shop", "own.yaml"]).ok();
    admin.sealock(&["policy", "remove", "--project", "shop"]).ok();
    admin.sealock(&["project", "update", "shop", "--public", "true"]).ok();
    let robot = admin.sealock_json(&["project", "robot", "create", "shop", "ci"]);
    admin.sealock(&["project", "robot", "renew", "shop", "ci"]).ok();
    admin.sealock(&["project", "member", "remove", "shop", "sofia"]).ok();
    dana.crane(&["delete", &dana.name(&format!("shop/app@{second}"))]).ok();
    sofia.sealock(&["quarantine", "add", &first, "--reason", "malware"]).ok();
    dana.skopeo(&["inspect", "--tls-verify=false", &dana.transport("shop/app:1")]).refused("");
    sofia.sealock(&["quarantine", "lift", &first]).ok();
    let wrong = house.server.http().with_user("dana", "wrong");
    assert_eq!(wrong.get("/api/v2.0/users/current").unwrap().status(), 401);
    // Allowed pulls and log-ins are written a moment later.
    eventually("the pull is on record", Duration::from_secs(10), || {
        let pulls = ["audit", "--action", "pull", "--actor", "sofia"];
        admin.sealock_json(&pulls).as_array().filter(|pulls| !pulls.is_empty()).map(|_| ())
    });

    let events = admin.sealock_json(&["audit", "--limit", "0"]);
    let events = events.as_array().unwrap();
    let find = |action: &str, result: &str, actor: &str| -> &Value {
        let found = events.iter().find(|event| {
            event["action"] == action && event["result"] == result && event["actor"] == actor
        });
        found.unwrap_or_else(|| panic!("{action} {result} by {actor} is not on record"))
    };
    let digests: BTreeMap<&str, &str> = [("first", &*first), ("second", &*second)].into();
    for (action, result, actor, digest) in [
        ("login", "allowed", "admin", ""),
        ("login", "allowed", "dana", ""),
        ("login", "denied", "anonymous", ""),
        ("push", "allowed", "dana", "second"),
        ("tag", "allowed", "dana", "first"),
        ("retag", "allowed", "dana", "second"),
        ("pull", "allowed", "sofia", "first"),
        ("pull", "denied", "dana", "first"),
        ("promote", "allowed", "dana", "first"),
        ("promote", "denied", "dana", "second"),
        ("request-waiver", "allowed", "dana", ""),
        ("grant-waiver", "allowed", "sofia", ""),
        ("revoke-waiver", "allowed", "sofia", ""),
        ("policy", "allowed", "admin", ""),
        ("create-project", "allowed", "admin", ""),
        ("update-project", "allowed", "admin", ""),
        ("put-member", "allowed", "admin", ""),
        ("remove-member", "allowed", "admin", ""),
        ("add-key", "allowed", "admin", ""),
        ("create-robot", "allowed", "admin", ""),
        ("renew-robot", "allowed", "admin", ""),
        ("create-user", "allowed", "admin", ""),
        ("delete", "allowed", "dana", "second"),
        ("quarantine", "allowed", "sofia", "first"),
        ("lift-quarantine", "allowed", "sofia", "first"),
    ] {
        let event = find(action, result, actor);
        assert_eq!(event["address"], "127.0.0.1", "{event}");
        assert!(event["at"].is_string() && event["request_id"].is_string(), "{event}");
        if let Some(digest) = digests.get(digest) {
            let about = |one: &&Value| {
                one["action"] == action && one["result"] == result && one["digest"] == *digest
            };
            assert!(events.iter().any(|one| about(&one)), "{action} of {digest} by {actor}");
        }
    }
    let retag = events.iter().find(|one| one["action"] == "retag" && one["tag"] == "moving");
    assert_eq!(retag.unwrap()["detail"]["from"], first);
    let text = serde_json::to_string(events).unwrap();
    for secret in [crate::PASSWORD, robot["secret"].as_str().unwrap()] {
        assert!(!text.contains(secret), "a secret is on record");
    }

    // Filters, paging and who may look.
    let only = admin.sealock_json(&["audit", "--action", "pull,push", "--actor", "sofia"]);
    assert!(only.as_array().unwrap().iter().all(|one| one["action"] == "pull"), "{only}");
    let page = admin.sealock(&["audit", "--limit", "3", "--output", "json"]);
    assert!(page.said().contains("--limit 0 lists all"), "{}", page.said());
    let past = admin.sealock_json(&["audit", "--until", "1h"]);
    assert_eq!(past, Value::Array(Vec::new()), "nothing is an hour old");
    assert_eq!(dana.sealock(&["audit"]).code(), Some(5));
    assert_eq!(dana.sealock(&["audit", "--project", "nowhere"]).code(), Some(4));
    let about = format!("sealock audit --digest {first} | head -1");
    let head = admin.run(Path::new("sh"), &["-c", &about]);
    assert!(head.ok().contains("ACTION"));
}
