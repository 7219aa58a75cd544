//! deny.toml holds even where `cargo deny` is not installed.

use std::collections::BTreeSet;

use crate::tree;

#[derive(serde::Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
}

#[derive(serde::Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(serde::Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
}

fn rules() -> Deny {
    let text = std::fs::read_to_string(tree::root().join("deny.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

/// Whether the SPDX expression can be met by allowed licences alone.
fn permitted(expression: &str, allowed: &[String]) -> bool {
    let parsed = spdx::Expression::parse_mode(expression, spdx::ParseMode::LAX);
    parsed.is_ok_and(|expression| {
        expression.evaluate(|requirement| allowed.contains(&requirement.to_string()))
    })
}

#[test]
fn every_licence_is_permissive() {
    let rules = rules();
    let mut refused = Vec::new();
    for (name, licence) in tree::used_packages() {
        if !permitted(&licence, &rules.licenses.allow) {
            refused.push(format!("{name} ({licence})"));
        }
    }
    assert!(refused.is_empty(), "not permitted by deny.toml: {refused:#?}");
}

#[test]
fn a_licence_with_conditions_is_refused() {
    let allowed = rules().licenses.allow;
    assert!(permitted("MIT OR GPL-3.0-only", &allowed));
    assert!(permitted("MIT/Apache-2.0", &allowed));
    assert!(!permitted("MIT AND GPL-3.0-only", &allowed));
    assert!(!permitted("", &allowed));
}

#[test]
fn no_banned_crate_is_used() {
    let used: BTreeSet<String> = tree::used_packages().into_iter().map(|(name, _)| name).collect();
    assert!(used.len() > 100 && used.contains("rustls"), "only {} crates are seen", used.len());
    for ban in rules().bans.deny {
        assert!(!used.contains(&ban.name), "{} is banned by deny.toml", ban.name);
    }
}
