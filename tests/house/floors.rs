//! Dependency arrows only go down, and siblings never import one another (ARCHITECTURE.md).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::tree;

/// The floors, lowest first. A crate may depend on crates of lower floors only.
const FLOORS: &[&[&str]] = &[
    &["sealock-oci"],
    &["sealock-facts"],
    &[
        "sealock-blobs",
        "sealock-metadata",
        "sealock-sbom",
        "sealock-advisories",
        "sealock-signing",
        "sealock-policy",
    ],
    &["sealock-auth", "sealock-jobs"],
    &["sealock-registry"],
    &["sealock-lifecycle"],
    &["sealock-http"],
    &[
        "sealock-api-distribution",
        "sealock-api-harbor",
        "sealock-api-sealock",
        "sealock-api-admission",
    ],
    &["sealock"],
    &["sealock-tests", "sealock-bench"],
];

/// Libraries that anyone could use without the rest, and what they must therefore do without,
/// however indirectly.
const FREE_STANDING: &[&str] =
    &["sealock-sbom", "sealock-advisories", "sealock-signing", "sealock-policy"];
const NO_SERVER: &[&str] = &["sqlx", "rusqlite", "axum", "sealock-metadata"];

fn floor_of(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

/// Arrows between our own crates that do not go down.
fn wrong_arrows(arrows: &[(String, String)]) -> Vec<String> {
    arrows
        .iter()
        .filter(|(from, to)| floor_of(to) >= floor_of(from))
        .map(|(from, to)| format!("{from} -> {to}"))
        .collect()
}

/// The arrows (of every kind: ordinary, build and test) between workspace members.
fn arrows(metadata: &Value) -> Vec<(String, String)> {
    let mut arrows = Vec::new();
    for package in members(metadata) {
        let from = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            // A crate may name itself for its tests, to turn a feature on.
            if dependency["path"].is_string() && to != from {
                arrows.push((from.to_owned(), to.to_owned()));
            }
        }
    }
    arrows
}

fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().unwrap().iter().filter(|package| package["source"].is_null())
}

#[test]
fn every_crate_has_a_floor() {
    let metadata = tree::metadata();
    let names: BTreeSet<&str> =
        members(&metadata).map(|package| package["name"].as_str().unwrap()).collect();
    let known: BTreeSet<&str> = FLOORS.iter().copied().flatten().copied().collect();
    assert_eq!(names, known, "crates of the workspace (left) and of the floors (right) differ");
}

#[test]
fn arrows_only_go_down() {
    let arrows = arrows(&tree::metadata());
    assert!(arrows.len() > 20, "found only {} arrows: is the reading right?", arrows.len());
    let wrong = wrong_arrows(&arrows);
    assert!(wrong.is_empty(), "arrows that do not go down: {wrong:#?}");
}

#[test]
fn an_arrow_up_or_sideways_is_seen() {
    let arrow = |from: &str, to: &str| vec![(from.to_owned(), to.to_owned())];
    assert!(wrong_arrows(&arrow("sealock-registry", "sealock-sbom")).is_empty());
    assert_eq!(wrong_arrows(&arrow("sealock-sbom", "sealock-registry")).len(), 1);
    assert_eq!(wrong_arrows(&arrow("sealock-sbom", "sealock-policy")).len(), 1);
    assert_eq!(wrong_arrows(&arrow("sealock-api-sealock", "sealock-api-harbor")).len(), 1);
}

#[test]
fn free_standing_libraries_bring_no_server() {
    let metadata = tree::metadata();
    let name_by_id: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let needs: BTreeMap<&str, Vec<&str>> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (name_by_id[node["id"].as_str().unwrap()], ordinary_dependencies(node)))
        .collect();
    for library in FREE_STANDING {
        let mut seen = BTreeSet::new();
        let mut open = vec![*library];
        while let Some(name) = open.pop() {
            if seen.insert(name) {
                open.extend(needs[name].iter().map(|id| name_by_id[id]));
            }
        }
        for server in NO_SERVER {
            assert!(!seen.contains(server), "{library} brings {server}");
        }
    }
}

/// Ids of what a package needs when it is used, without what only its tests need.
fn ordinary_dependencies(node: &Value) -> Vec<&str> {
    node["deps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| {
            dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
        })
        .map(|dependency| dependency["pkg"].as_str().unwrap())
        .collect()
}
