//! What is in an image and what is wrong with it, on the server and without one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod completions;
mod verbs;

use std::collections::BTreeSet;

use sealock_tests::{clients::Desk, images::Image, server::Server};
use serde_json::Value;

/// The purls of an SBOM.
fn purls(sbom: &Value) -> BTreeSet<String> {
    let components = sbom["components"].as_array().expect("components");
    components.iter().filter_map(|one| one["purl"].as_str().map(str::to_owned)).collect()
}

/// The vulnerabilities that `sealock scan` reports at or above high.
fn high(desk: &Desk, target: &str) -> BTreeSet<String> {
    let found = desk.sealock_json(&["scan", target, "--severity", "high"]);
    let found = found.as_array().expect("findings").iter();
    found.map(|one| one["vulnerability"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn contents_are_the_same_on_the_server_and_without_one() {
    let server = Server::start();
    let desk = Desk::admin(&server);
    let image = Image::named("app");
    desk.skopeo_push(&image.reference(), "library/app:1", &[]).ok();
    let pushed = purls(&desk.sealock_json(&["sbom", "library/app:1"]));
    let local = purls(&desk.sealock_json(&["sbom", &image.reference()]));
    assert_eq!(pushed, local);
    for purl in ["pkg:npm/minimist@0.0.8", "pkg:pypi/jinja2@3.1.2"] {
        assert!(pushed.contains(purl), "{purl} is missing");
    }
}

#[test]
fn every_debian_package_of_the_base_is_listed_with_its_version() {
    let server = Server::start();
    let desk = Desk::anonymous(&server);
    let image = Image::named("base");
    let bundle = desk.home().join("bundle").display().to_string();
    let layout = format!("{}:latest", image.path.display());
    desk.umoci(&["unpack", "--rootless", "--image", &layout, &bundle]).ok();
    let status = format!("{bundle}/rootfs/var/lib/dpkg");
    let program = std::path::Path::new("/usr/bin/dpkg-query");
    let format = "--showformat=${Package} ${Version} ${Architecture}\n";
    let told = desk.run(program, &[&format!("--admindir={status}"), "--show", format]).ok();
    let told: BTreeSet<String> = told.lines().map(str::to_owned).collect();

    let sbom = desk.sealock_json(&["sbom", &image.reference()]);
    let read: BTreeSet<String> = purls(&sbom)
        .iter()
        .filter_map(|purl| purl.strip_prefix("pkg:deb/debian/"))
        .map(|rest| {
            let (package, qualifiers) = rest.split_once('?').unwrap();
            let (name, version) = package.split_once('@').unwrap();
            let arch = qualifiers.split('&').find_map(|one| one.strip_prefix("arch=")).unwrap();
            let plain = |text: &str| text.replace("%2B", "+").replace("%3A", ":");
            format!("{} {} {arch}", plain(name), plain(version))
        })
        .collect();
    assert!(told.len() > 50, "dpkg-query lists only {}", told.len());
    assert_eq!(read, told);
}

#[test]
fn what_an_upper_layer_deletes_is_no_longer_found() {
    let server = Server::start();
    let desk = Desk::admin(&server);
    let of = |name: &str| high(&desk, &Image::named(name).reference());
    let before = of("app");
    let minimist = "CVE-2021-44906";
    assert!(before.contains(minimist), "{before:?}");
    for name in ["app-deleted", "app-rebuilt"] {
        let mut after = of(name);
        assert!(!after.contains(minimist), "{name}: {after:?}");
        after.insert(minimist.to_owned());
        assert_eq!(after, before, "{name} differs in more than that");
    }
}

#[test]
fn a_pipeline_sees_by_the_exit_code_what_was_found() {
    let server = Server::start();
    let desk = Desk::anonymous(&server);
    let app = Image::named("app").reference();
    let run = |arguments: &[&str]| desk.sealock(&[&["scan", &app], arguments].concat()).code();
    assert_eq!(run(&["--fail-on", "high"]), Some(3));
    assert_eq!(run(&[]), Some(0));
    assert_eq!(desk.sealock(&["scan", "library/none:1"]).code(), Some(4));
}

#[test]
fn an_index_answers_for_each_of_its_platforms() {
    let server = Server::start();
    let desk = Desk::admin(&server);
    let image = Image::named("app-index");
    desk.skopeo_push(&image.reference(), "library/app:1", &["--all"]).ok();
    let of = |platform: &str| {
        purls(&desk.sealock_json(&["sbom", "library/app:1", "--platform", platform]))
    };
    let (amd, arm) = (of("linux/amd64"), of("linux/arm64"));
    assert!(amd.contains("pkg:npm/minimist@0.0.8") && !arm.contains("pkg:npm/minimist@0.0.8"));
    assert!(arm.contains("pkg:pypi/jinja2@3.1.2"));
    let high = |platform: &str| {
        desk.sealock(&["scan", "library/app:1", "--platform", platform, "--severity", "high"])
    };
    assert!(high("linux/amd64").ok().contains("CVE-2021-44906"));
    assert!(!high("linux/arm64").ok().contains("CVE-2021-44906"));
    assert_eq!(high("linux/s390x").code(), Some(4));
    // Without a platform nobody guesses.
    desk.sealock(&["sbom", "library/app:1"]).refused("linux/arm64");
}
