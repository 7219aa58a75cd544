//! Which evidence counts, whichever client wrote it.

use reqwest::Method;
use serde_json::json;

use crate::{House, verified};

#[test]
fn cosign_3_bundles_and_cosign_2_tags_both_count() {
    let house = House::new();
    let digest = house.push("small", "shop/app:1");
    let image = format!("shop/app@{digest}");
    assert_eq!(house.facts(&image)["signatures"].as_array().unwrap().len(), 0);

    house.sign("pipeline", "shop/app", &digest);
    assert_eq!(verified(&house.facts(&image)["signatures"]), 1);

    let name = house.dana.name(&image);
    let arguments = ["sign", "--key", "pipeline.key", "--tlog-upload=false", &name];
    house.dana.cosign2(&arguments).ok();
    assert_eq!(verified(&house.facts(&image)["signatures"]), 2);

    // Each client reads its own back.
    let check = ["verify", "--key", "pipeline.pub", "--insecure-ignore-tlog"];
    house.dana.cosign(&[&check[..], &["--allow-http-registry", &name]].concat()).ok();
    // cosign 2 tries bundles first where it finds any, and then needs a root that it could only
    // fetch; with the signature of its own it gets along.
    let digest = house.push("base", "shop/app:2");
    let name = house.dana.name(&format!("shop/app@{digest}"));
    house.dana.cosign2(&[&arguments[..4], &[name.as_str()]].concat()).ok();
    house.dana.cosign2(&[&check[..], &[name.as_str()]].concat()).ok();
}

#[test]
fn cosign_3_legacy_signatures_count() {
    let house = House::new();
    let digest = house.push("small", "shop/app:1");
    let image = format!("shop/app@{digest}");
    let name = house.dana.name(&image);
    let legacy = ["--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"];
    let what = ["--allow-http-registry", "--key", "pipeline.key", &name];
    house.dana.cosign(&[&["sign"], &legacy[..], &what[..]].concat()).ok();
    let facts = house.facts(&image);
    assert_eq!(verified(&facts["signatures"]), 1, "{facts}");
    assert_eq!(facts["signatures"][0]["format"], "cosign_legacy");
}

#[test]
fn an_attestation_is_no_signature() {
    let house = House::new();
    let digest = house.push("small", "shop/app:1");
    house.attest("pipeline", "vuln", &json!({"scanner": {}}), "shop/app", &digest);
    let facts = house.facts(&format!("shop/app@{digest}"));
    assert_eq!(verified(&facts["attestations"]), 1, "{facts}");
    assert_eq!(facts["signatures"].as_array().unwrap().len(), 0, "{facts}");
    house.dana.sealock(&["promote", "shop/app:1", "shop-release"]).refused("signed");

    // The same image with a real signature passes: nothing but the signature was missing.
    house.sign("pipeline", "shop/app", &digest);
    house.dana.sealock(&["promote", "shop/app:1", "shop-release"]).ok();
}

#[test]
fn a_key_counts_from_the_moment_it_is_listed_until_it_is_compromised() {
    let house = House::new();
    let digest = house.push("small", "shop/app:1");
    let _ = house.dana.key_pair("other");
    house.sign("other", "shop/app", &digest);
    let promote = ["promote", "shop/app:1", "shop-release"];
    house.dana.sealock(&promote).refused("signed");
    // The signature itself stays as it is; only the list changes.
    house.list_key("shop", "other");
    house.list_key("shop-release", "other");
    let compromise = |project: &str| {
        house.admin.sealock(&["project", "key", "compromise", project, "other"]).ok();
    };
    house.dana.sealock(&promote).ok();
    compromise("shop");
    compromise("shop-release");
    house.dana.sealock(&["promote", "shop/app:1", "shop-release/app:again"]).refused("signed");
    let pull = ["validate", "--remote", &house.dana.name("shop-release/app:1")];
    house.sofia.crane(&pull).refused("PROJECTPOLICYVIOLATION");
}

#[test]
fn a_signature_over_another_image_proves_nothing() {
    let house = House::new();
    let signed = house.push("small", "shop/app:signed");
    let unsigned = house.push("base", "shop/app:unsigned");
    house.sign("pipeline", "shop/app", &signed);
    // Transplant: the bundle's manifest again, with another subject.
    let http = house.server.admin();
    let referrers = http.json(&format!("/v2/shop/app/referrers/{signed}"));
    let accessory = referrers["manifests"][0]["digest"].as_str().unwrap();
    let mut manifest = http.json(&format!("/v2/shop/app/manifests/{accessory}"));
    let base = http.get(&format!("/v2/shop/app/manifests/{unsigned}")).unwrap();
    manifest["subject"]["digest"] = json!(unsigned);
    manifest["subject"]["size"] = json!(base.bytes().unwrap().len());
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let text = manifest.to_string();
    let reference = sealock_tests::images::digest(text.as_bytes());
    let put = http.push_manifest("shop/app", &reference, media_type, &text).unwrap();
    assert_eq!(put.status(), 201, "nothing blocks the push of evidence");

    let facts = house.facts(&format!("shop/app@{unsigned}"));
    let found = facts["signatures"].as_array().unwrap();
    assert_eq!((found.len(), verified(&facts["signatures"])), (1, 0), "{facts}");
    assert_eq!(found[0]["status"]["reason"], "subject_mismatch", "{facts}");
    house.dana.sealock(&["promote", "shop/app:unsigned", "shop-release"]).refused("signed");
    house.dana.sealock(&["promote", "shop/app:signed", "shop-release"]).ok();
}

#[test]
fn a_robot_that_may_attest_signs_and_pushes_nothing_else() {
    let house = House::new();
    let digest = house.push("small", "shop/app:1");
    let made = house.server.admin().write(
        Method::POST,
        "/api/sealock/v1/projects/shop/robots",
        &json!({"name": "signer", "rights": ["pull", "attest"]}),
    );
    let robot = sealock_tests::clients::Desk::of(
        &house.server,
        "robot$shop+signer",
        made["secret"].as_str().unwrap(),
    );
    let _ = robot.key_pair("pipeline");
    let (config, name) = (robot.signing_config(), robot.name(&format!("shop/app@{digest}")));
    let sign = ["sign", "--allow-http-registry", "--signing-config", &config];
    robot.cosign(&[&sign[..], &["--key", "pipeline.key", &name]].concat()).ok();
    let facts = house.facts(&format!("shop/app@{digest}"));
    assert_eq!(facts["signatures"].as_array().unwrap().len(), 1);

    let image = sealock_tests::images::Image::named("base").reference();
    robot.skopeo_push(&image, "shop/app:2", &[]).refused("");
    robot.skopeo_push(&image, "shop/app:1", &[]).refused("");
    assert_eq!(house.dana.digest_of("shop/app:1"), digest);
}
