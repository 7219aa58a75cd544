use sealock_tests::images::Image;
use serde_json::Value;

use crate::shop;

/// Notation's own command line: keys of its making, both formats of signature, its trust policy, by
/// the referrers API and by a list under a tag.
#[test]
fn notations_command_line_signs_verifies_lists_and_inspects() {
    let (server, desk) = shop();
    let image = Image::named("small");
    desk.skopeo_push(&image.reference(), "shop/app:1", &["--preserve-digests"]).ok();
    let name = desk.name(&format!("shop/app@{}", image.digest()));
    let run = |arguments: &[&str]| desk.notation(arguments);
    let with = |verb: &str, more: &[&str], name: &str| {
        run(&[&[verb, "--insecure-registry"], more, &[name]].concat())
    };
    run(&["cert", "generate-test", "--default", "mine.example"]).ok();
    run(&["cert", "generate-test", "other.example"]).ok();
    let policy = serde_json::json!({"version": "1.0", "trustPolicies": [{
        "name": "mine", "registryScopes": ["*"], "trustedIdentities": ["*"],
        "signatureVerification": {"level": "strict"}, "trustStores": ["ca:mine.example"],
    }]});
    std::fs::write(desk.home().join("policy.json"), policy.to_string()).unwrap();
    run(&["policy", "import", "policy.json"]).ok();

    with("verify", &[], &name).refused("no signature is associated");
    // A signature under a key that the policy does not trust is none; kept by a list of its own.
    let other = ["--key", "other.example", "--force-referrers-tag=true"];
    with("sign", &other, &name).ok();
    let said = with("verify", &[], &name).refused("signature verification failed");
    assert!(!said.contains("no signature is associated"), "it was found, and not trusted: {said}");
    with("sign", &["--signature-format", "cose"], &name).ok();
    with("sign", &[], &desk.name("shop/app:1")).ok();
    with("verify", &[], &name).ok();
    assert_eq!(with("list", &[], &name).ok().matches("sha256:").count(), 4, "and the image twice");
    let seen = with("inspect", &["--output", "json"], &name).ok();
    let seen: Value = serde_json::from_str(&seen).unwrap();
    let mut kinds: Vec<&str> = seen["Signatures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|signature| signature["mediaType"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["application/cose", "application/jose+json", "application/jose+json"]);

    // What another client copies verifies there; what another client deletes is gone here.
    let copy = desk.name("shop/copies/app:1");
    let plain = ["--from-plain-http", "--to-plain-http"];
    desk.oras(&[&["copy", "--recursive"], &plain[..], &[&name, &copy]].concat()).ok();
    let copied = desk.name(&format!("shop/copies/app@{}", image.digest()));
    with("verify", &[], &copied).ok();
    let referrers = format!("/v2/shop/app/referrers/{}", image.digest());
    let referrers = server.admin().json(&referrers);
    for entry in referrers["manifests"].as_array().unwrap() {
        let signature = desk.name(&format!("shop/app@{}", entry["digest"].as_str().unwrap()));
        desk.oras(&["manifest", "delete", "--plain-http", "--force", &signature]).ok();
    }
    with("verify", &[], &name).refused("no signature is associated");
    with("verify", &[], &copied).ok();
}

/// Notation's signatures: by the referrers API and by a list that the client keeps under a tag, as
/// `--force-referrers-tag` does.
#[test]
fn notation_signs_verifies_and_lists_by_both_ways() {
    let (_server, desk) = shop();
    let image = Image::named("small");
    desk.skopeo_push(&image.reference(), "shop/app:1", &["--preserve-digests"]).ok();
    let name = desk.name(&format!("shop/app@{}", image.digest()));
    let list = |options: &[&str], name: &str| {
        let listed = desk.notation_library(&[options, &["list", name]].concat()).ok();
        listed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    desk.notation_library(&["key", "mine"]).ok();
    desk.notation_library(&["key", "other"]).ok();
    desk.notation_library(&["verify", "mine", &name]).refused("no signature");
    desk.notation_library(&["sign", "mine", &name]).ok();
    assert_eq!(desk.notation_library(&["verify", "mine", &name]).ok(), image.digest());
    desk.notation_library(&["verify", "other", &name]).refused("signature");
    assert!(list(&["-tag"], &name).is_empty(), "nobody has kept a list yet");

    desk.notation_library(&["-tag", "sign", "other", &name]).ok();
    assert_eq!(list(&["-tag"], &name).len(), 1);
    assert_eq!(list(&[], &name).len(), 2, "the API lists both");
    for key in ["mine", "other"] {
        assert_eq!(desk.notation_library(&["verify", key, &name]).ok(), image.digest());
    }
    assert_eq!(desk.notation_library(&["-tag", "verify", "other", &name]).ok(), image.digest());

    // A copy brings the signatures along, and they verify there.
    let copy = desk.name("shop/copies/app:1");
    let plain = ["--from-plain-http", "--to-plain-http"];
    desk.oras(&[&["copy", "--recursive"], &plain[..], &[&name, &copy]].concat()).ok();
    let copied = desk.name(&format!("shop/copies/app@{}", image.digest()));
    assert_eq!(desk.notation_library(&["verify", "mine", &copied]).ok(), image.digest());

    // Without its signature it is not signed, whatever the list still says.
    for signature in list(&[], &name) {
        let signature = desk.name(&format!("shop/app@{signature}"));
        desk.oras(&["manifest", "delete", "--plain-http", "--force", &signature]).ok();
    }
    assert!(list(&[], &name).is_empty());
    desk.notation_library(&["verify", "mine", &name]).refused("no signature");
    desk.notation_library(&["-tag", "verify", "other", &name]).refused("");
}
