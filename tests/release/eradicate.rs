//! The story of `totally-not-malware:latest`: closed everywhere, deleted everywhere, and who had
//! it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::House;

/// Asks the admission webhook about a Pod.
fn admit(house: &House, url: &str, ca: &std::path::Path, image: &str) -> Value {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "operation": "CREATE", "namespace": "default",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {"username": "deployer"},
        "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default"},
            "spec": {"containers": [{"name": "a", "image": image}]}}}});
    house.server.http().trusting(ca).write(Method::POST, url, &review)["response"].clone()
}

/// The address of the validating webhook and the authority to trust, out of the manifest that the
/// product prints for a cluster.
fn webhook(house: &House) -> (String, std::path::PathBuf) {
    let host = house.server.host();
    let register =
        ["cluster", "register", "prod", "--host-name", &host, "--namespace", "*=sandbox"];
    let token = house.admin.sealock_json(&register)["token"].as_str().unwrap().to_owned();
    let base = format!("https://{}", house.server.admission_address);
    let print = ["admission", "manifest", "prod", "--webhook-url", &base, "--token", &token];
    let manifest = house.admin.sealock(&print).ok();
    let url = manifest
        .split(['"', ' ', '\n'])
        .find(|word| word.contains("/admission/validate"))
        .expect("an address")
        .to_owned();
    let bundle = manifest.split("caBundle").nth(1).expect("a CA bundle");
    let bundle = bundle.trim_start_matches([':', ' ', '"']);
    let end = bundle.find(['"', '\n']).unwrap_or(bundle.len());
    use base64::Engine as _;
    let pem = base64::engine::general_purpose::STANDARD.decode(bundle[..end].trim()).unwrap();
    let ca = house.server.scratch().join("webhook-ca.pem");
    std::fs::write(&ca, pem).unwrap();
    (url, ca)
}

#[test]
fn totally_not_malware_is_gone_and_everybody_who_had_it_is_known() {
    let house = House::with_admission();
    let (url, ca) = webhook(&house);
    let digest = house.push("small", "shop/totally-not-malware:latest");
    let bytes = sealock_tests::images::Image::named("small").reference();
    let options = ["--preserve-digests"];
    house.admin.skopeo_push(&bytes, "library/copy:1", &options).ok();
    let pinned = format!("shop/totally-not-malware@{digest}");
    let image = house.dana.name(&pinned);
    house.sofia.crane(&["validate", "--remote", &image]).ok();
    let answer = admit(&house, &url, &ca, &image);
    assert_eq!(answer["allowed"], true, "{answer}");

    let report = house.sofia.sealock_json(&["eradicate", &digest, "--reason", "it is malware"]);
    let report = report.to_string();
    for word in ["totally-not-malware", "library/copy", "sofia", "127.0.0.1", "prod"] {
        assert!(report.contains(word), "{word} is missing: {report}");
    }

    for name in [image.clone(), house.dana.name("library/copy:1")] {
        house.dana.crane(&["manifest", &name]).refused("");
    }
    let answer = admit(&house, &url, &ca, &image);
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
