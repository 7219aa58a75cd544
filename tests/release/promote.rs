//! The promote door and what follows from it.

use std::time::Duration;

use sealock_tests::{images::Image, server::eventually};

use crate::{House, verified};

#[test]
fn a_promoted_image_is_the_same_image_with_its_evidence() {
    let house = House::new();
    let digest = house.push("app-index", "shop/app:1");
    house.sign("pipeline", "shop/app", &digest);
    house.dana.sealock(&["promote", "shop/app:1", "shop-release"]).ok();

    assert_eq!(house.dana.digest_of("shop-release/app:1"), digest);
    let layout = house.server.scratch().join("pulled");
    house.sofia.skopeo_pull("shop-release/app:1", &layout.display().to_string()).ok();
    let pulled = Image { path: layout };
    assert_eq!(pulled.blob(&digest), Image::named("app-index").blob(&digest));
    assert_eq!(verified(&house.facts("shop-release/app:1")["signatures"]), 1);

    // The summary that the server signed, checked by a client that knows nothing of it.
    let key = house.server.http().get("/api/sealock/v1/evidence-key").unwrap().text().unwrap();
    std::fs::write(house.dana.home().join("sealock.pub"), key).unwrap();
    let name = house.dana.name(&format!("shop-release/app@{digest}"));
    let kind = "https://slsa.dev/verification_summary/v1";
    let verify = |key: &str, name: &str| {
        let options = ["--allow-http-registry", "--insecure-ignore-tlog", "--type", kind];
        house.dana.cosign(&[&["verify-attestation", "--key", key], &options[..], &[name]].concat())
    };
    verify("sealock.pub", &name).ok();
    verify("pipeline.pub", &name).refused("");
    verify("sealock.pub", &house.dana.name(&format!("shop/app@{digest}"))).refused("");
}

#[test]
fn release_is_entered_by_promotion_only_and_its_tags_stay() {
    let house = House::new();
    let image = Image::named("small").reference();
    let direct = house.dana.skopeo_push(&image, "shop-release/app:1", &[]);
    direct.refused("promot");
    house.admin.skopeo_push(&image, "shop-release/app:1", &[]).refused("promot");
    house.dana.crane(&["digest", &house.dana.name("shop-release/app:1")]).refused("");

    let first = house.push("small", "shop/app:1");
    house.sign("pipeline", "shop/app", &first);
    house.dana.sealock(&["promote", "shop/app:1", "shop-release"]).ok();
    let second = house.push("base", "shop/app:1");
    house.sign("pipeline", "shop/app", &second);
    house.dana.sealock(&["promote", "shop/app:1", "shop-release"]).refused("immutable");
    house.dana.sealock(&["promote", "shop/app:1", "shop-release/app:2"]).ok();
    assert_eq!(house.dana.digest_of("shop-release/app:1"), first);
    assert_eq!(house.dana.digest_of("shop-release/app:2"), second);
}

#[test]
fn who_may_not_promote_does_not() {
    let house = House::new();
    let digest = house.push("small", "shop/app:1");
    house.sign("pipeline", "shop/app", &digest);
    let ran = house.sofia.sealock(&["promote", "shop/app:1", "shop-release"]);
    assert_eq!(ran.code(), Some(5), "{}", ran.said());
    let nobody = sealock_tests::clients::Desk::anonymous(&house.server);
    let ran = nobody.sealock(&["promote", "shop/app:1", "shop-release"]);
    assert_ne!(ran.code(), Some(0), "{}", ran.said());
    house.dana.sealock(&["promote", "shop/app:1", "shop-release"]).ok();
}

const ADVISORY: &str = r#"{"schema_version": "1.6.0", "id": "CVE-2031-0001",
 "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z", "summary": "made up",
 "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}],
 "affected": [{"package": {"ecosystem": "PyPI", "name": "packaging"},
   "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "24.3"}]}]}]}"#;

const NO_CRITICAL: &str = "apiVersion: sealock/v1
kind: Policy
name: release
access: {sources: {tiers: [sandbox]}}
rules:
  - name: signed
    signed: {}
  - name: no-critical-findings
    findings: {severity: critical}
";

#[test]
fn a_new_advisory_closes_the_door_and_a_second_person_opens_it() {
    let house = House::new();
    house.policy(NO_CRITICAL);
    let digest = house.push("small", "shop/app:1");
    house.sign("pipeline", "shop/app", &digest);
    house.dana.sealock(&["promote", "shop/app:1", "shop-release"]).ok();

    std::fs::write(house.admin.home().join("advisory.json"), ADVISORY).unwrap();
    house.admin.sealock(&["advisories", "import", "advisory.json", "--source", "today"]).ok();
    let affected = || house.admin.sealock_json(&["affected", "CVE-2031-0001"]);
    let found = eventually("the images are reported", Duration::from_secs(5), || {
        Some(affected()).filter(|found| found.as_array().is_some_and(|all| all.len() == 2))
    });
    let found = found.to_string();
    for word in ["shop/app", "shop-release/app", "24.3", "pkg:pypi/packaging@24.2"] {
        assert!(found.contains(word), "{word} is missing: {found}");
    }

    // What was released goes on pulling; nothing new gets in.
    let pull = ["validate", "--remote", &house.sofia.name("shop-release/app:1")];
    house.sofia.crane(&pull).ok();
    let again = ["promote", "shop/app:1", "shop-release/app:again"];
    house.dana.sealock(&again).refused("CVE-2031-0001");

    let request = ["waiver", "request", "shop-release", "CVE-2031-0001", "--reason", "not used"];
    let id = house.dana.sealock_json(&request)["id"].to_string();
    let grant = ["waiver", "grant", "shop-release", &id];
    assert_eq!(house.dana.sealock(&grant).code(), Some(5));
    house.dana.sealock(&again).refused("CVE-2031-0001");
    house.sofia.sealock(&grant).ok();
    house.dana.sealock(&again).ok();
    house.sofia.sealock(&["waiver", "revoke", "shop-release", &id]).ok();
    house.dana.sealock(&["promote", "shop/app:1", "shop-release/app:third"]).refused("CVE-2031");
}

#[test]
fn nobody_grants_their_own_waiver() {
    let house = House::new();
    let request = ["waiver", "request", "shop", "CVE-2031-0001", "--reason", "trust me"];
    let own = house.sofia.sealock(&request);
    // Whether a guest may ask or not: the one who asks is never the one who grants.
    if own.code() == Some(0) {
        let list = house.sofia.sealock_json(&["waiver", "list", "shop"]);
        let id = list[0]["id"].to_string();
        let ran = house.sofia.sealock(&["waiver", "grant", "shop", &id]);
        assert_ne!(ran.code(), Some(0), "{}", ran.said());
    }
    let id = house.admin.sealock_json(&request)["id"].to_string();
    let ran = house.admin.sealock(&["waiver", "grant", "shop", &id]);
    assert_ne!(ran.code(), Some(0), "{}", ran.said());
    house.sofia.sealock(&["waiver", "grant", "shop", &id]).ok();
}
