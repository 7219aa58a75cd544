//! The story of `totally-not-malware:latest`: closed everywhere, deleted everywhere, and who had
//! it.

use sealock_tests::admission::Webhook;

use crate::House;

#[test]
fn totally_not_malware_is_gone_and_everybody_who_had_it_is_known() {
    let house = House::with_admission();
    let webhook = Webhook::of(&house.server, &house.admin);
    let digest = house.push("small", "shop/totally-not-malware:latest");
    let bytes = sealock_tests::images::Image::named("small").reference();
    let options = ["--preserve-digests"];
    house.admin.skopeo_push(&bytes, "library/copy:1", &options).ok();
    let pinned = format!("shop/totally-not-malware@{digest}");
    let image = house.dana.name(&pinned);
    house.sofia.crane(&["validate", "--remote", &image]).ok();
    let answer = webhook.admit(&image);
    assert_eq!(answer["allowed"], true, "{answer}");

    let report = house.sofia.sealock_json(&["eradicate", &digest, "--reason", "it is malware"]);
    let report = report.to_string();
    for word in ["totally-not-malware", "library/copy", "sofia", "127.0.0.1", "prod"] {
        assert!(report.contains(word), "{word} is missing: {report}");
    }

    for name in [image.clone(), house.dana.name("library/copy:1")] {
        house.dana.crane(&["manifest", &name]).refused("");
    }
    let answer = webhook.admit(&image);
    assert_eq!(answer["allowed"], false, "{answer}");
    // The same bytes do not come back.
    house.dana.skopeo_push(&bytes, "shop/innocent:1", &options).refused("quarantine");
    // Others are not touched.
    house.push("base", "shop/innocent:2");
}

#[test]
fn quarantine_closes_every_door_and_can_be_lifted() {
    let house = House::new();
    let digest = house.push("small", "shop/app:1");
    house.sign("pipeline", "shop/app", &digest);
    let add = ["quarantine", "add", digest.as_str(), "--reason", "suspicious"];
    assert_eq!(house.dana.sealock(&add).code(), Some(5), "the security role is needed");
    house.sofia.sealock(&add).ok();
    let name = house.dana.name("shop/app:1");
    house.dana.crane(&["validate", "--remote", &name]).refused("quarantine");
    house.admin.sealock(&["promote", "shop/app:1", "shop-release"]).refused("quarantine");
    house.sofia.sealock(&["quarantine", "lift", digest.as_str()]).ok();
    house.dana.crane(&["validate", "--remote", &name]).ok();
    house.dana.sealock(&["promote", "shop/app:1", "shop-release"]).ok();
}

#[test]
fn a_quarantined_layer_closes_every_image_that_holds_it() {
    let house = House::new();
    house.push("small", "shop/app:1");
    house.push("base", "shop/app:2");
    let manifest = sealock_tests::images::Image::named("small").manifest();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let add = ["quarantine", "add", layer, "--blob", "--reason", "a bad layer"];
    house.sofia.sealock(&add).ok();
    let pull = |tag: &str| {
        let name = house.dana.name(&format!("shop/app:{tag}"));
        house.dana.crane(&["validate", "--remote", &name])
    };
    pull("1").refused("quarantine");
    pull("2").ok();
}
