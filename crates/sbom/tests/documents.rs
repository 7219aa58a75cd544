//! CycloneDX documents.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use jiff::Timestamp;
use sealock_facts::ImageContents;
use sealock_oci::Digest;
use sealock_sbom::{SbomSubject, cyclonedx, merge};
use serde_json::Value;
use support::*;

fn subject() -> SbomSubject {
    SbomSubject {
        name: "Registry.example.com:5000/team/App".to_owned(),
        tag: Some("1.0".to_owned()),
        digest: Some(Digest::sha256(b"manifest")),
    }
}

fn at() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn contents() -> ImageContents {
    let layer = Layer::new()
        .file("etc/os-release", format!("{DEBIAN}PRETTY_NAME=\"Debian\"\n"))
        .file(
            "var/lib/dpkg/status",
            status(&[("bash", "5.2"), ("bash", "5.2"), ("g++", "4:12+b1")]),
        )
        .file("usr/share/doc/bash/copyright", "License: GPL-3+\nLicense: MIT\n")
        .file("p/a.dist-info/METADATA", metadata("Zope.Interface", "1.0"))
        .file("q/a.dist-info/METADATA", metadata("Zope.Interface", "1.0"))
        .file(
            "node_modules/x/package.json",
            r#"{"name":"@s/x","version":"1","license":"(MIT OR Apache-2.0)"}"#,
        )
        .file(
            "node_modules/y/package.json",
            r#"{"name":"y","version":"1","license":"SEE LICENSE IN x"}"#,
        )
        .file("node_modules/z/package.json", "{");
    merge(&[layer.pair()], None)
}

#[test]
fn the_same_contents_give_the_same_bytes() {
    let write = |contents: &ImageContents, subject: &SbomSubject, at| {
        serde_json::to_string(&cyclonedx(contents, subject, at)).unwrap()
    };
    let first = write(&contents(), &subject(), at());
    assert_eq!(first, write(&contents(), &subject(), at()));
    let serial = |text: &str| serde_json::from_str::<Value>(text).unwrap()["serialNumber"].clone();
    let later = write(&contents(), &subject(), "2026-01-03T03:04:05Z".parse().unwrap());
    assert_ne!(first, later);
    assert_eq!(serial(&first), serial(&later));
    let other = SbomSubject { tag: Some("1.1".to_owned()), ..subject() };
    assert_ne!(serial(&first), serial(&write(&contents(), &other, at())));
    let mut fewer = contents();
    fewer.components.pop();
    assert_ne!(serial(&first), serial(&write(&fewer, &subject(), at())));
}

#[test]
fn structure() {
    let document = cyclonedx(&contents(), &subject(), at());
    assert_eq!(document["specVersion"], "1.6");
    assert_eq!(document["metadata"]["timestamp"], "2026-01-02T03:04:05Z");
    assert_eq!(
        document["metadata"]["component"]["purl"],
        format!(
            "pkg:oci/app@{}?repository_url=registry.example.com:5000%2Fteam%2Fapp&tag=1.0",
            Digest::sha256(b"manifest")
        )
    );
    let components = document["components"].as_array().unwrap();
    let by = |name: &str| components.iter().find(|c| c["name"] == name).unwrap();
    assert_eq!(by("bash")["licenses"].as_array().unwrap().len(), 2);
    assert_eq!(by("bash")["licenses"][0]["license"]["name"], "GPL-3+");
    assert_eq!(by("bash")["licenses"][1]["license"]["id"], "MIT");
    assert_eq!(by("x")["group"], "@s");
    assert_eq!(by("x")["licenses"][0]["expression"], "(MIT OR Apache-2.0)");
    assert_eq!(by("y")["licenses"][0]["license"]["name"], "SEE LICENSE IN x");
    assert_eq!(by("debian")["type"], "operating-system");
    assert_eq!(by("bash")["evidence"]["occurrences"][0]["location"], "/var/lib/dpkg/status");
    let mut references: Vec<&str> =
        components.iter().map(|c| c["bom-ref"].as_str().unwrap()).collect();
    assert_eq!(
        document["dependencies"][0]["dependsOn"].as_array().unwrap().len(),
        references.len()
    );
    references.sort_unstable();
    references.dedup();
    assert_eq!(references.len(), components.len());
    assert_eq!(components.len(), 7);
    assert_eq!(document["compositions"][0]["aggregate"], "incomplete");
    let properties = document["metadata"]["properties"].to_string();
    assert!(properties.contains("sealock:partial:malformed_package_file"), "{properties}");
}

#[test]
fn it_validates_against_the_schema() {
    let Some(folder) = shared("scanning/cyclonedx-schema") else { return };
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
    };
    let base = "http://cyclonedx.org/schema/";
    let mut registry = jsonschema::Registry::new();
    for name in ["spdx.schema.json", "jsf-0.82.schema.json"] {
        registry = registry.add(format!("{base}{name}"), read(name)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let validator = jsonschema::options()
        .with_registry(&registry)
        .should_validate_formats(true)
        .build(&read("bom-1.6.schema.json"))
        .unwrap();
    let empty = merge(&[], None);
    let bare = SbomSubject { name: "root".to_owned(), tag: None, digest: None };
    for document in [
        cyclonedx(&contents(), &subject(), at()),
        cyclonedx(&empty, &bare, at()),
        cyclonedx(&contents(), &bare, at()),
    ] {
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|e| format!("{} {e}", e.instance_path()))
            .collect();
        assert_eq!(errors, [""; 0]);
        let mut broken = document.clone();
        broken["serialNumber"] = "7".into();
        assert!(!validator.is_valid(&broken), "the schema must be able to refuse");
    }
}
