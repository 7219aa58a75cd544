//! What each client can do beside pushing and pulling: copy, list, delete. `docs/reference/
//! conformance.md` has the table, and a test reads it.

use sealock_tests::{clients::Desk, images::Image, server::Server};
use serde_json::Value;

use crate::{assert_same_image, shop};

/// A server where an image of one layer is `shop/small:1`.
fn stocked() -> (Server, Desk, Image) {
    let (server, desk) = shop();
    let image = Image::named("small");
    desk.skopeo_push(&image.reference(), "shop/small:1", &["--preserve-digests"]).ok();
    (server, desk, image)
}

/// The tags of a repository, as the API lists them.
fn tags(server: &Server, repository: &str) -> Vec<String> {
    let list = server.admin().json(&format!("/v2/{repository}/tags/list"));
    let tags = list["tags"].as_array().unwrap().iter();
    tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

fn config_of(desk: &Desk, name: &str) -> String {
    let manifest: Value = serde_json::from_str(&desk.crane(&["manifest", name]).ok()).unwrap();
    manifest["config"]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn podman_copies_by_pull_and_push_and_lists_by_search() {
    let (server, desk, image) = stocked();
    let (name, copy) = (desk.name("shop/small:1"), desk.name("shop/copies/small:1"));
    desk.podman(&["pull", "--quiet", "--tls-verify=false", &name]).ok();
    desk.podman(&["tag", &name, &copy]).ok();
    desk.podman(&["push", "--quiet", "--tls-verify=false", &copy]).ok();
    let config = image.manifest()["config"]["digest"].as_str().unwrap().to_owned();
    assert_eq!(config_of(&desk, &copy), config);

    let search = ["search", "--tls-verify=false"];
    let small = desk.name("shop/small");
    let found = desk.podman(&[&search[..], &["--list-tags", &small]].concat()).ok();
    let row: Vec<&str> = found.lines().last().unwrap().split_whitespace().collect();
    assert_eq!((row, found.lines().count()), (vec![small.as_str(), "1"], 2));
    let names = ["--format", "{{.Name}}", &desk.name("shop")];
    let found = desk.podman(&[&search[..], &names].concat()).ok();
    assert_eq!(found.lines().collect::<Vec<_>>(), [desk.name("shop/copies/small"), small]);

    // A list of one image goes with it.
    desk.podman(&["manifest", "create", "list"]).ok();
    let from = desk.transport("shop/small:1");
    desk.podman(&["manifest", "add", "--tls-verify=false", "list", &from]).ok();
    let to = desk.transport("shop/copies/list:1");
    desk.podman(&["manifest", "push", "--all", "--tls-verify=false", "list", &to]).ok();
    let list = server.admin().json("/v2/shop/copies/list/manifests/1");
    assert_eq!(list["manifests"][0]["digest"], image.digest().as_str(), "{list}");
}

#[test]
fn buildah_pulls_and_pushes_what_it_pulled() {
    let (server, desk, image) = stocked();
    let name = desk.name("shop/small:1");
    desk.buildah(&["pull", "--quiet", "--tls-verify=false", &name]).ok();
    let to = desk.transport("shop/copies/small:1");
    desk.buildah(&["push", "--quiet", "--tls-verify=false", &name, &to]).ok();
    let config = image.manifest()["config"]["digest"].as_str().unwrap().to_owned();
    assert_eq!(config_of(&desk, &desk.name("shop/copies/small:1")), config);

    desk.buildah(&["manifest", "create", "list"]).ok();
    let from = desk.transport("shop/small:1");
    desk.buildah(&["manifest", "add", "--tls-verify=false", "list", &from]).ok();
    let to = desk.transport("shop/copies/list:1");
    desk.buildah(&["manifest", "push", "--all", "--tls-verify=false", "list", &to]).ok();
    let list = server.admin().json("/v2/shop/copies/list/manifests/1");
    assert_eq!(list["manifests"][0]["digest"], image.digest().as_str(), "{list}");
}

#[test]
fn skopeo_copies_and_syncs_within_the_registry() {
    let (server, desk, image) = stocked();
    let both = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    let (from, to) = (desk.transport("shop/small:1"), desk.transport("shop/copies/small:2"));
    let copy = [&["copy", "--quiet"], &both[..], &[from.as_str(), to.as_str()]].concat();
    desk.skopeo(&copy).ok();
    assert_eq!(desk.digest_of("shop/copies/small:2"), image.digest());

    // Every tag of a repository at once, found by its list.
    desk.skopeo(&[&copy[..5], &[desk.transport("shop/small:10").as_str()]].concat()).ok();
    let sync = ["sync", "--src", "docker", "--dest", "docker"];
    let (from, to) = (desk.name("shop/small"), desk.name("shop/mirror"));
    desk.skopeo(&[&sync[..], &both[..], &[from.as_str(), to.as_str()]].concat()).ok();
    assert_eq!(tags(&server, "shop/mirror/small"), ["1", "10"]);
    assert_eq!(desk.digest_of("shop/mirror/small:10"), image.digest());
}

#[test]
fn crane_pulls_what_others_pushed_and_deletes_a_tag() {
    let (server, desk, image) = stocked();
    let name = desk.name("shop/small:1");
    desk.crane(&["pull", "--format", "oci", &name, "pulled"]).ok();
    let pulled = Image { path: desk.home().join("pulled") };
    assert_same_image(&image, &pulled, &image.digest());
    desk.crane(&["tag", &name, "2"]).ok();
    desk.crane(&["delete", &name]).ok();
    assert_eq!(tags(&server, "shop/small"), ["2"], "the tag alone");
}

#[test]
fn oras_lists_repositories_and_deletes_a_blob() {
    let (server, desk, image) = stocked();
    let listed = desk.oras(&["repo", "ls", "--plain-http", &server.host()]).ok();
    assert_eq!(listed, "shop/small");
    std::fs::write(desk.home().join("loose"), "loose\n").unwrap();
    let small = desk.name("shop/small");
    let push = ["blob", "push", "--plain-http", "--descriptor"];
    let descriptor = desk.oras(&[&push[..], &[small.as_str(), "loose"]].concat()).ok();
    let descriptor: Value = serde_json::from_str(&descriptor).unwrap();
    let blob = format!("{small}@{}", descriptor["digest"].as_str().unwrap());
    desk.oras(&["blob", "fetch", "--plain-http", "--output", "fetched", &blob]).ok();
    assert_eq!(std::fs::read_to_string(desk.home().join("fetched")).unwrap(), "loose\n");
    desk.oras(&["blob", "delete", "--plain-http", "--force", &blob]).ok();
    desk.oras(&["blob", "fetch", "--plain-http", "--output", "-", &blob]).refused("not found");
    // Not one that a manifest names.
    let layer = image.manifest()["layers"][0]["digest"].as_str().unwrap().to_owned();
    let layer = format!("{small}@{layer}");
    desk.oras(&["blob", "delete", "--plain-http", "--force", &layer]).refused("manifest");
}

#[test]
fn regctl_exports_and_imports() {
    let (_server, desk, image) = stocked();
    desk.regctl(&["image", "export", &desk.name("shop/small:1"), "small.tar"]).ok();
    let copy = desk.name("shop/copies/small:1");
    desk.regctl(&["image", "import", &copy, "small.tar"]).ok();
    assert_eq!(desk.regctl(&["image", "digest", &copy]).ok(), image.digest());
}

/// Signatures and attestations of both kinds: pushed, listed, downloaded, copied, cleaned away.
#[test]
fn cosign_copies_lists_downloads_and_cleans() {
    let (server, desk, image) = stocked();
    let _ = desk.key_pair("k");
    let config = desk.signing_config();
    let name = desk.name(&format!("shop/small@{}", image.digest()));
    let http = "--allow-http-registry";
    desk.cosign(&["sign", http, "--key", "k.key", "--signing-config", &config, &name]).ok();
    desk.cosign2(&["sign", "--key", "k.key", "--tlog-upload=false", &name]).ok();
    std::fs::write(desk.home().join("p.json"), r#"{"scanner":{}}"#).unwrap();
    let attest = ["attest", "--key", "k.key", "--tlog-upload=false", "--type", "vuln"];
    desk.cosign2(&[&attest[..], &["--predicate", "p.json", &name]].concat()).ok();
    let tree = desk.cosign(&["tree", http, &name]).said();
    for kind in ["Signatures for an image tag", "Attestations for", "via OCI referrer"] {
        assert!(tree.contains(kind), "{tree}");
    }
    let signature = desk.cosign2(&["download", "signature", &name]).ok();
    assert!(signature.contains("Base64Signature"), "{signature}");
    let attestation = desk.cosign(&["download", "attestation", http, &name]).ok();
    assert!(attestation.contains("sigstore.bundle"), "{attestation}");

    let copy = desk.name("shop/copies/small:1");
    desk.cosign2(&["copy", &name, &copy]).ok();
    desk.cosign2(&["verify", "--key", "k.pub", "--insecure-ignore-tlog", &copy]).ok();
    let with = |end: &str| {
        let tags = tags(&server, "shop/copies/small");
        tags.iter().filter(|tag| tag.ends_with(end)).count()
    };
    assert_eq!((with(".sig"), with(".att")), (1, 1));
    // It names the copied image itself by the tag of a list of referrers, which is no list then.
    let referrers = format!("/v2/shop/copies/small/referrers/{}", image.digest());
    assert_eq!(server.admin().json(&referrers)["manifests"], serde_json::json!([]));

    desk.cosign2(&["clean", "--force", "--type", "all", &copy]).ok();
    assert_eq!((with(".sig"), with(".att")), (0, 0));
    let check = ["verify", "--key", "k.pub", "--insecure-ignore-tlog"];
    desk.cosign2(&[&check[..], &[copy.as_str()]].concat()).refused("no signatures found");
    let tree = desk.cosign(&["tree", http, &name]).said();
    assert!(tree.contains("Signatures for an image tag"), "the copied one's are gone: {tree}");
}
