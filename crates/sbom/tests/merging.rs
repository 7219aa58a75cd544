//! Layers over one another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use sealock_facts::{ComponentKind, ImageContents};
use sealock_oci::Digest;
use sealock_sbom::{LayerContents, code, merge};
use support::*;

const JSON: &str = "app/node_modules/a/package.json";

fn image(layers: Vec<Layer>) -> (ImageContents, Vec<Digest>) {
    let pairs: Vec<(Digest, LayerContents)> = layers.into_iter().map(Layer::pair).collect();
    let contents = merge(&pairs, None);
    let again = merge(&pairs, None);
    assert_eq!(serde_json::to_vec(&contents).unwrap(), serde_json::to_vec(&again).unwrap());
    (contents, pairs.iter().map(|(digest, _)| *digest).collect())
}

fn names(layers: Vec<Layer>) -> Vec<String> {
    let (contents, _) = image(layers);
    assert_eq!(image_codes(&contents), [""; 0]);
    packages(&contents)
}

fn a() -> Layer {
    Layer::new().directory("app").file(JSON, package_json("a", "1"))
}

#[test]
fn what_removes_a_file() {
    assert_eq!(names(vec![a(), Layer::new().file("other", "x")]), ["a@1"]);
    for remover in [
        Layer::new().file("app/node_modules/a/.wh.package.json", ""),
        Layer::new().file("app/node_modules/.wh.a", ""),
        Layer::new().file(".wh.app", ""),
        Layer::new().file("./app/.wh..wh..opq", ""),
        Layer::new().file(".wh..wh..opq", ""),
        // A file, a link and a device in place of a directory.
        Layer::new().file("app/node_modules", "x"),
        Layer::new().symlink("app/node_modules/a", "../b"),
        Layer::new().header(b'3', b"app", b"", 0),
        // Another kind of file in the same place, or other content.
        Layer::new().directory(JSON),
        Layer::new().file(JSON, "{\"type\": \"module\"}"),
    ] {
        assert_eq!(names(vec![a(), remover]), [""; 0]);
    }
    for harmless in [
        Layer::new().file("app/node_modules/.wh.b", ""),
        Layer::new().file("app/node_modules/a/x/.wh..wh..opq", ""),
        Layer::new().file("app/node_modules/.wh..wh.plnk", ""),
        Layer::new().file("app2", "x").file("ap", "x"),
        Layer::new().directory("app").directory("app/node_modules/a"),
    ] {
        assert_eq!(names(vec![a(), harmless]), ["a@1"]);
    }
}

#[test]
fn whiteouts_hide_only_what_is_below() {
    let b = || Layer::new().file("app/node_modules/b/package.json", package_json("b", "2"));
    // An opaque directory keeps what its own layer brings, in either order.
    let before = b().file("app/.wh..wh..opq", "");
    let after = Layer::new().file("app/.wh..wh..opq", "").raw(&b().0);
    assert_eq!(names(vec![a(), before]), ["b@2"]);
    assert_eq!(names(vec![a(), after]), ["b@2"]);
    // Removed and brought back.
    let gone = Layer::new().file(".wh.app", "");
    assert_eq!(names(vec![a(), gone, a()]), ["a@1"]);
    // A layer that hides what it holds is read differently by different runtimes.
    let (contents, _) = image(vec![a().file("app/node_modules/.wh.a", "")]);
    assert_eq!(
        (image_codes(&contents), packages(&contents).len()),
        (vec![code::AMBIGUOUS_LAYER], 1)
    );
    let (contents, _) = image(vec![a().file("app/node_modules", "x")]);
    assert_eq!(
        (image_codes(&contents), packages(&contents).len()),
        (vec![code::AMBIGUOUS_LAYER], 1)
    );
}

#[test]
fn paths_lead_through_links_of_lower_layers() {
    let base = || {
        Layer::new()
            .symlink("lib", "usr/lib")
            .file("usr/lib/apk/db/installed", "P:musl\nV:1.2.4-r0\n\n")
            .file("etc/alpine-release", "3.20.3\n")
    };
    let update = || Layer::new().file("lib/apk/db/installed", "P:musl\nV:1.2.5-r0\n\n");
    assert_eq!(names(vec![base(), update()]), ["musl@1.2.5-r0"]);
    // An entry for the directory replaces the link, and then both files are there.
    let real = Layer::new().directory("lib").raw(&update().0);
    assert_eq!(names(vec![base(), real]), ["musl@1.2.4-r0", "musl@1.2.5-r0"]);
    // The same within one layer.
    let one = base().raw(&update().0);
    assert_eq!(names(vec![one]), ["musl@1.2.5-r0"]);
    let hidden = Layer::new().file("lib/apk/db/.wh.installed", "");
    assert_eq!(names(vec![base(), hidden]), [""; 0]);
}

#[test]
fn hard_links_to_lower_layers() {
    let link = Layer::new().hard_link("srv/node_modules/a/package.json", JSON);
    assert_eq!(names(vec![a(), link]), ["a@1", "a@1"]);
    let link = Layer::new().hard_link("srv/node_modules/a/package.json", "nowhere");
    let (contents, _) = image(vec![a(), link]);
    assert_eq!(image_codes(&contents), [code::UNREAD_LINK]);
    // Replaced by a readable file, the link no longer matters.
    let link = Layer::new().hard_link(JSON, "nowhere");
    assert_eq!(names(vec![link, a()]), ["a@1"]);
}

#[test]
fn a_component_belongs_to_the_layer_that_brought_it() {
    let base = || {
        Layer::new()
            .file("etc/os-release", DEBIAN)
            .file("var/lib/dpkg/status", status(&[("bash", "1"), ("tar", "1")]))
    };
    let update = Layer::new()
        .file("var/lib/dpkg/status", status(&[("bash", "2"), ("curl", "1"), ("tar", "1")]));
    let touched = Layer::new().file("var/lib/dpkg/status", status(&[("bash", "2"), ("tar", "1")]));
    let (contents, layers) = image(vec![base(), update, touched]);
    assert_eq!(packages(&contents), ["bash@2", "tar@1"]);
    let layer = |at: usize| contents.components[at].layer;
    assert_eq!((layer(0), layer(1)), (layers[1], layers[0]));
    let key = contents.components[0].match_key.as_ref().unwrap();
    assert_eq!((key.ecosystem.as_str(), key.name.as_str()), ("Debian:12", "bash"));
    assert_eq!(contents.components[0].path, "var/lib/dpkg/status");
}

#[test]
fn a_broken_database_matters_only_while_it_is_there() {
    let broken =
        || Layer::new().file("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\n");
    let (contents, layers) = image(vec![a(), broken()]);
    assert_eq!(image_codes(&contents), [code::MALFORMED_PACKAGE_DATABASE]);
    assert!(
        serde_json::to_string(&contents.completeness).unwrap().contains(&layers[1].to_string())
    );
    let good = Layer::new().file("var/lib/dpkg/status", status(&[("a", "1")]));
    assert_eq!(names(vec![broken(), good]), ["a@1"]);
}

const SIX: &str = "usr/lib/python3/dist-packages/six-1.16.0.dist-info";

fn owned() -> Layer {
    Layer::new()
        .file("etc/os-release", DEBIAN)
        .file("var/lib/dpkg/status", status(&[("python3-six", "1.16.0-4")]))
        .file("var/lib/dpkg/info/python3-six.list", format!("/.\n/usr\n/{SIX}\n/{SIX}/METADATA\n"))
        .file(&format!("{SIX}/METADATA"), metadata("six", "1.16.0"))
}

fn owner(layers: Vec<Layer>) -> Option<String> {
    let (contents, _) = image(layers);
    let python: Vec<_> =
        contents.components.into_iter().filter(|c| c.kind == ComponentKind::Python).collect();
    assert_eq!(python.len(), 1);
    python[0].owner.clone()
}

#[test]
fn ownership_by_dpkg() {
    let purl = "pkg:deb/debian/python3-six@1.16.0-4?arch=amd64&distro=debian-12";
    assert_eq!(owner(vec![owned()]).as_deref(), Some(purl));
    // Copied up unchanged, as a change of mode does.
    let same = Layer::new().file(&format!("{SIX}/METADATA"), metadata("six", "1.16.0"));
    assert_eq!(owner(vec![owned(), same]).as_deref(), Some(purl));
    // Changed later by something else; removed package; pip's own record beside it.
    let changed = Layer::new().file(&format!("{SIX}/METADATA"), metadata("six", "1.17.0"));
    assert_eq!(owner(vec![owned(), changed]), None);
    let removed = Layer::new().file("var/lib/dpkg/status", status(&[("other", "1")]));
    assert_eq!(owner(vec![owned(), removed]), None);
    let record = Layer::new().file(&format!("{SIX}/RECORD"), "x");
    assert_eq!(owner(vec![owned(), record]), None);
    let unlisted = Layer::new().file("var/lib/dpkg/info/.wh.python3-six.list", "");
    assert_eq!(owner(vec![owned(), unlisted]), None);
}

#[test]
fn ownership_by_apk() {
    let path = "usr/lib/python3.12/site-packages/six-1.16.0.dist-info";
    let database = |files: &str| format!("P:py3-six\nV:1.16.0-r9\nA:x86_64\nF:{path}\n{files}\n\n");
    let layer = |files: &str| {
        Layer::new()
            .file("etc/alpine-release", "3.20.3\n")
            .file("lib/apk/db/installed", database(files))
            .file(&format!("{path}/METADATA"), metadata("six", "1.16.0"))
            .file(&format!("{path}/RECORD"), "x")
    };
    assert_eq!(
        owner(vec![layer("R:METADATA\nR:RECORD")]).as_deref(),
        Some("pkg:apk/alpine/py3-six@1.16.0-r9?arch=x86_64&distro=alpine-3.20.3")
    );
    assert_eq!(owner(vec![layer("R:METADATA")]), None);
    assert_eq!(owner(vec![layer("R:RECORD")]), None);
}

#[test]
fn releases_and_nested_systems() {
    let base = Layer::new()
        .file("usr/lib/os-release", DEBIAN)
        .symlink("etc/os-release", "../usr/lib/os-release")
        .file("var/lib/dpkg/status", status(&[("bash", "1")]))
        .file("srv/root/etc/os-release", "ID=alpine\nVERSION_ID=3.20.3\n")
        .file("srv/root/etc/apk/repositories", "https://x/alpine/edge/main\n")
        .file("srv/root/lib/apk/db/installed", "P:musl\nV:1.2\no:musl-src\n\n")
        .file("srv/bare/var/lib/dpkg/status", status(&[("unknown", "1")]));
    let (contents, _) = image(vec![base]);
    assert_eq!(contents.distro.as_ref().unwrap().ecosystem.as_deref(), Some("Debian:12"));
    let keys: Vec<_> = contents
        .components
        .iter()
        .map(|c| c.match_key.as_ref().map(|k| format!("{} {}", k.ecosystem, k.name)))
        .collect();
    assert_eq!(
        keys,
        [Some("Debian:12 bash".to_owned()), None, Some("Alpine:edge musl-src".to_owned())]
    );
}

#[test]
fn distroless_and_licences() {
    let layer = Layer::new()
        .file("usr/lib/os-release", DEBIAN)
        .file(
            "var/lib/dpkg/status.d/libc6",
            "Package: libc6\nVersion: 2.36-9+deb12u4\nArchitecture: amd64\nSource: glibc\n",
        )
        .file(
            "var/lib/dpkg/status.d/libc6.md5sums",
            "0123456789abcdef0123456789abcdef  usr/lib/x\n",
        )
        .file(
            "usr/share/doc/libc6/copyright",
            "Format: x\nLicense: LGPL-2.1+\n text\n\nLicense: GPL-2\n",
        );
    let (contents, _) = image(vec![layer]);
    assert_eq!(packages(&contents), ["libc6@2.36-9+deb12u4"]);
    assert_eq!(contents.components[0].licences, ["GPL-2", "LGPL-2.1+"]);
    assert_eq!(contents.components[0].match_key.as_ref().unwrap().name, "glibc");
}

#[test]
fn diff_ids_are_checked() {
    let pairs: Vec<_> = vec![a().pair(), owned().pair()];
    let right: Vec<Digest> = pairs.iter().map(|(_, layer)| layer.diff_id.unwrap()).collect();
    assert_eq!(image_codes(&merge(&pairs, Some(&right))), [""; 0]);
    let wrong = [right[0], Digest::sha256(b"other")];
    assert_eq!(image_codes(&merge(&pairs, Some(&wrong))), [code::DIFF_ID_MISMATCH]);
    assert_eq!(image_codes(&merge(&pairs, Some(&right[..1]))), [code::DIFF_ID_COUNT]);
    assert_eq!(image_codes(&merge(&[], Some(&[]))), [""; 0]);
    assert_eq!(image_codes(&merge(&[], Some(&right))), [code::DIFF_ID_COUNT]);
}
