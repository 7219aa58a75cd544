//! What other tools say of the same files, and package files met in the field.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use sealock_facts::{ComponentKind, ImageContents};
use sealock_sbom::{code, merge};
use std::{fs, path::Path, process::Command};
use support::*;

fn image(files: &[(&str, Vec<u8>)]) -> ImageContents {
    let layer = files.iter().fold(Layer::new(), |layer, (path, bytes)| layer.file(path, bytes));
    merge(&[layer.pair()], None)
}

/// name, version, architecture, source, source version
fn rows(contents: &ImageContents) -> Vec<[String; 5]> {
    let mut rows: Vec<_> = contents
        .components
        .iter()
        .filter(|c| c.kind == ComponentKind::Deb)
        .map(|c| {
            let key = c.match_key.clone().unwrap();
            let architecture = c.architecture.clone().unwrap();
            [c.name.clone(), c.version.clone(), architecture, key.name, key.version]
        })
        .collect();
    rows.sort();
    rows
}

fn query(text: &str) -> Vec<[String; 5]> {
    let mut rows: Vec<[String; 5]> = text
        .lines()
        .map(|line| {
            let mut parts = line.split('\t').map(str::to_owned);
            std::array::from_fn(|_| parts.next().unwrap())
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn dpkg_query_agrees_on_a_debian_base() {
    let Some(folder) = shared("scanning/dpkg/bookworm-minbase") else { return };
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let status = zstd::decode_all(&read("status.zst")[..]).unwrap();
    let contents =
        image(&[("var/lib/dpkg/status", status), ("etc/os-release", read("os-release"))]);
    assert_eq!(image_codes(&contents), [""; 0]);
    assert_eq!(contents.distro.as_ref().unwrap().ecosystem.as_deref(), Some("Debian:12"));
    let expected = query(&String::from_utf8(read("expected-dpkg-query.tsv")).unwrap());
    assert!(expected.len() > 80);
    assert_eq!(rows(&contents), expected);
}

/// The machine's own dpkg is asked about a database made here, with every state and form of source.
#[test]
fn the_installed_dpkg_query_agrees() {
    if Command::new("dpkg-query").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "dpkg-query is missing");
        eprintln!("skipped: dpkg-query is not installed");
        return;
    }
    let mut text = String::new();
    for (name, state, source, version) in [
        ("plain", "install ok installed", "", "1.0-1"),
        ("rebuilt", "install ok installed", "Source: rebuilt (1.0-1)\n", "1.0-1+b2"),
        ("binary", "install ok installed", "Source: source\n", "2:1.0-1"),
        ("other", "hold ok installed", "Source: source (3.0~rc1-1)\n", "1:4"),
        ("leaving", "deinstall ok installed", "", "1"),
        ("half", "install reinstreq half-installed", "", "1"),
        ("unpacked", "install ok unpacked", "", "1"),
        ("gone", "deinstall ok config-files", "", "1"),
    ] {
        text += &format!(
            "Package: {name}\nStatus: {state}\nMaintainer: a <a@b.c>\nArchitecture: amd64\n{source}Version: {version}\nDescription: x\n y\n .\n z\n\n"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("status"), &text).unwrap();
    for part in ["info", "updates"] {
        fs::create_dir(folder.path().join(part)).unwrap();
    }
    fs::write(folder.path().join("available"), "").unwrap();
    let output = Command::new("dpkg-query")
        .arg(format!("--admindir={}", folder.path().display()))
        .args(["-W", "-f", "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verdict: String = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(state, _)| !matches!(*state, "config-files" | "not-installed"))
        .map(|(_, row)| format!("{row}\n"))
        .collect();
    let contents = image(&[
        ("var/lib/dpkg/status", text.into_bytes()),
        ("etc/os-release", DEBIAN.as_bytes().to_vec()),
    ]);
    assert_eq!(rows(&contents).len(), 7);
    assert_eq!(rows(&contents), query(&verdict));
}

/// Packages found, and whether the file is told as broken.
fn read(place: &str, file: &Path) -> (usize, bool) {
    let contents = image(&[(place, fs::read(file).unwrap())]);
    let broken = image_codes(&contents);
    assert!(
        broken
            .iter()
            .all(|c| [code::MALFORMED_PACKAGE_DATABASE, code::MALFORMED_PACKAGE_FILE].contains(c)),
        "{broken:?}"
    );
    (contents.components.len(), !broken.is_empty())
}

#[test]
fn package_databases_from_the_field() {
    let Some(folder) = shared("scanning/package-files/os") else { return };
    for (file, count, broken) in [
        ("dpkg/dpkg/valid", 7, false),
        ("dpkg/dpkg/single", 1, false),
        ("dpkg/dpkg/empty", 0, false),
        ("dpkg/dpkg/invalid", 0, true),
        ("dpkg/dpkg/nopackage", 2, true),
        ("dpkg/dpkg/noversion", 2, true),
        ("dpkg/dpkg/trailingnewlines", 1, false),
        ("dpkg/dpkg/transitional", 1, false),
        ("dpkg/dpkg/statusfield", 5, false),
    ] {
        let found = read("var/lib/dpkg/status", &folder.join(file));
        assert_eq!(found, (count, broken), "{file}");
    }
    let part = folder.join("dpkg/dpkg/status.d/foo");
    assert_eq!(read("var/lib/dpkg/status.d/foo", &part), (1, false));
    for (file, count, broken) in [
        ("apk/installed", 15, false),
        ("apk/single", 1, false),
        ("apk/no-origin", 1, false),
        ("apk/different-arch", 1, false),
        ("apk/empty", 0, false),
        ("apk/invalid", 0, true),
    ] {
        assert_eq!(read("lib/apk/db/installed", &folder.join(file)), (count, broken), "{file}");
    }
}

#[test]
fn package_json_from_the_field() {
    let Some(folder) = shared("scanning/package-files/language/javascript/packagejson") else {
        return;
    };
    for (file, count, broken) in [
        ("package.json", 1, false),
        ("duplicate-keys.json", 1, false),
        ("undici-package.json", 1, false),
        ("not-vscode.json", 1, false),
        ("package-with-deps.json", 1, false),
        ("invalid", 0, true),
    ] {
        let found = read("node_modules/x/package.json", &folder.join(file));
        assert_eq!(found, (count, broken), "{file}");
    }
}
