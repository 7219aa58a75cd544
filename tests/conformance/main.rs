//! The official conformance program of the distribution specification against a real server, with
//! authentication on and every switch on that the product supports. What is off or skipped stands
//! with its reason in `docs/reference/conformance.md`, and nothing else may be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod page;

use page::Page;
use sealock_tests::{
    server::{ADMIN_PASSWORD, Server},
    skips,
};
use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

/// The switches of the program, without `OCI_`. All are on unless the page says why not.
const SWITCHES: [&str; 32] = [
    "API_PING",
    "API_PULL",
    "API_PUSH",
    "API_BLOBS_ATOMIC",
    "API_BLOBS_DELETE",
    "API_BLOBS_DIGEST_HEADER",
    "API_BLOBS_MOUNT_ANONYMOUS",
    "API_BLOBS_UPLOAD_CANCEL",
    "API_MANIFESTS_ATOMIC",
    "API_MANIFESTS_DELETE",
    "API_MANIFESTS_DIGEST_HEADER",
    "API_MANIFESTS_TAG_PARAM",
    "API_TAGS_ATOMIC",
    "API_TAGS_DELETE",
    "API_TAGS_LIST",
    "API_REFERRER",
    "DATA_IMAGE",
    "DATA_INDEX",
    "DATA_INDEX_LIST",
    "DATA_SPARSE",
    "DATA_ARTIFACT",
    "DATA_SUBJECT",
    "DATA_SUBJECT_MISSING",
    "DATA_ARTIFACT_LIST",
    "DATA_SUBJECT_LIST",
    "DATA_DATA_FIELD",
    "DATA_NONDISTRIBUTABLE",
    "DATA_CUSTOM_FIELDS",
    "DATA_NO_LAYERS",
    "DATA_EMPTY_BLOB",
    "DATA_SHA512",
    "CACHE_AUTH",
];

/// Least number of checks that must pass: fewer mean that the program ended early.
const LEAST_PASSED: usize = 750;

/// What one check came to.
#[derive(Debug, PartialEq, Eq)]
struct Check {
    /// Its path below the root. Not unique.
    name: String,
    /// `Pass`, `Skip`, `Disabled`, `FAIL` or `Error`.
    state: String,
    /// What the program said to it.
    why: String,
}

/// Runs the program against a server; `off` names the switches that are off.
fn conformance(server: &Server, version: &str, off: &BTreeSet<String>) -> Option<Vec<Check>> {
    let program = skips::require_tool("oci-conformance")?;
    let project = serde_json::json!({"name": "conformance", "tier": "sandbox"});
    server.admin().write(reqwest::Method::POST, "/api/sealock/v1/projects", &project);
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("OCI_VERSION", version)
        .env("OCI_REGISTRY", server.host())
        .env("OCI_TLS", "disabled")
        .env("OCI_REPO1", "conformance/one")
        .env("OCI_REPO2", "conformance/two")
        .env("OCI_USERNAME", "admin")
        .env("OCI_PASSWORD", ADMIN_PASSWORD)
        .env("OCI_RESULTS_DIR", server.scratch().join(version))
        .stdin(Stdio::null());
    for switch in SWITCHES {
        let name = format!("OCI_{switch}");
        let value = if off.contains(&name) { "false" } else { "true" };
        command.env(name, value);
    }
    let output = command.output().expect("the conformance program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    let checks = leaves(&text);
    let failed: Vec<_> = checks.iter().filter(|check| !check.is_good()).collect();
    assert!(failed.is_empty(), "version {version}: {failed:#?}\n{said}");
    assert!(output.status.success(), "version {version}: {}\n{text}\n{said}", output.status);
    Some(checks)
}

impl Check {
    fn passed(&self) -> bool {
        self.state == "Pass"
    }

    fn is_good(&self) -> bool {
        matches!(self.state.as_str(), "Pass" | "Skip" | "Disabled")
    }
}

/// The checks that have no checks below them, of the tree that the program prints.
fn leaves(text: &str) -> Vec<Check> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_check = |line: &&str| line.trim_start().starts_with("OCI Conformance Test");
    let mut checks = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, state)) = line.trim_start().rsplit_once(": ") else { continue };
        let Some(name) = name.strip_prefix("OCI Conformance Test/") else { continue };
        let mut why = String::new();
        while let Some(more) = lines.next_if(|next| !is_check(next) && !next.trim().is_empty()) {
            why.push_str(more.trim());
        }
        if lines.peek().is_none_or(|next| indent(next) <= indent(line)) {
            checks.push(Check { name: name.to_owned(), state: state.to_owned(), why });
        }
    }
    checks
}

/// The run must come to what the page lists, no less and no more.
fn passes_as_the_page_says(server: &Server, version: &str) {
    let page = Page::read();
    let Some(checks) = conformance(server, version, &page.switches_off) else { return };
    let passed = checks.iter().filter(|check| check.passed()).count();
    println!("conformance {version}: {passed} of {} checks passed", checks.len());
    assert!(passed >= LEAST_PASSED, "the program ended early");
    let mut skipped = BTreeSet::new();
    for Check { name, why, .. } in checks.into_iter().filter(|check| !check.passed()) {
        assert!(page.skips.contains(&name), "{name} was not run ({why}); the page does not say it");
        skipped.insert(name);
    }
    assert_eq!(skipped, page.skips, "the page lists checks that were run");
}

#[test]
fn version_1_1_on_sqlite() {
    passes_as_the_page_says(&Server::start(), "1.1");
}

#[test]
fn what_main_added_on_sqlite() {
    passes_as_the_page_says(&Server::start(), "dev");
}

#[test]
fn what_main_added_on_postgres() {
    let Some(server) = Server::start_on_postgres() else { return };
    passes_as_the_page_says(&server, "dev");
}

#[test]
fn a_failed_check_is_seen() {
    let text = "OCI Conformance Test: FAIL\n  OCI Conformance Test/a: FAIL\n    \
                OCI Conformance Test/a/b: Pass\n    OCI Conformance Test/a/c: FAIL\n     - broken\n  \
                OCI Conformance Test/d: Skip\n";
    let checks = leaves(text);
    let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["a/b", "a/c", "d"]);
    assert!(checks[1].why == "- broken" && !checks[1].is_good());
    assert!(checks[0].passed() && checks[2].is_good() && !checks[2].passed());
}
