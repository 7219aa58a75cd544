use sealock_tests::images::Image;

use crate::shop;

/// Notation's signatures: by the referrers API and by a list that the client keeps under a tag, as
/// `--force-referrers-tag` does.
#[test]
fn notation_signs_verifies_and_lists_by_both_ways() {
    let (_server, desk) = shop();
    let image = Image::named("small");
    desk.skopeo_push(&image.reference(), "shop/app:1", &["--preserve-digests"]).ok();
    let name = desk.name(&format!("shop/app@{}", image.digest()));
    let list = |options: &[&str], name: &str| {
        let listed = desk.notation(&[options, &["list", name]].concat()).ok();
        listed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    desk.notation(&["key", "mine"]).ok();
    desk.notation(&["key", "other"]).ok();
    desk.notation(&["verify", "mine", &name]).refused("no signature");
    desk.notation(&["sign", "mine", &name]).ok();
    assert_eq!(desk.notation(&["verify", "mine", &name]).ok(), image.digest());
    desk.notation(&["verify", "other", &name]).refused("signature");
    assert!(list(&["-tag"], &name).is_empty(), "nobody has kept a list yet");

    desk.notation(&["-tag", "sign", "other", &name]).ok();
    assert_eq!(list(&["-tag"], &name).len(), 1);
    assert_eq!(list(&[], &name).len(), 2, "the API lists both");
    for key in ["mine", "other"] {
        assert_eq!(desk.notation(&["verify", key, &name]).ok(), image.digest());
    }
    assert_eq!(desk.notation(&["-tag", "verify", "other", &name]).ok(), image.digest());

    // A copy brings the signatures along, and they verify there.
    let copy = desk.name("shop/copies/app:1");
    let plain = ["--from-plain-http", "--to-plain-http"];
    desk.oras(&[&["copy", "--recursive"], &plain[..], &[&name, &copy]].concat()).ok();
    let copied = desk.name(&format!("shop/copies/app@{}", image.digest()));
    assert_eq!(desk.notation(&["verify", "mine", &copied]).ok(), image.digest());

    // Without its signature it is not signed, whatever the list still says.
    for signature in list(&[], &name) {
        let signature = desk.name(&format!("shop/app@{signature}"));
        desk.oras(&["manifest", "delete", "--plain-http", "--force", &signature]).ok();
    }
    assert!(list(&[], &name).is_empty());
    desk.notation(&["verify", "mine", &name]).refused("no signature");
    desk.notation(&["-tag", "verify", "other", &name]).refused("");
}
