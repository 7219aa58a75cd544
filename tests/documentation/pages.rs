use std::path::Path;

use reqwest::Method;
use sealock_tests::{
    clients::{Desk, run},
    images::Image,
    server::{ADMIN_PASSWORD, Options, Server, TlsFiles, binary},
    skips,
};
use serde_json::json;

use crate::page;

/// People that the pages speak of. Each has a password; `SEALOCK_PASSWORD` is the one that is
/// logged in.
const PEOPLE: &[(&str, bool)] = &[("dana", false), ("sofia", true)];
const PASSWORD: &str = "Correct-horse-1";

/// Runs every block of one page against a server of its own, over TLS, as an administrator.
fn page_runs(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join(name)).unwrap();
    let blocks = page::blocks(&text);
    assert!(!blocks.is_empty(), "{name} has nothing to run");

    let pki = tempfile::tempdir().unwrap();
    let tls = TlsFiles::new(pki.path());
    let authority = tls.authority.display().to_string();
    let options = Options { tls: Some(tls), admission: true, ..Options::default() };
    let server = Server::start_with(options);
    let admin = server.admin();
    for (person, officer) in PEOPLE {
        let body = json!({"name": person, "password": PASSWORD, "security_officer": officer});
        admin.write(Method::POST, "/api/sealock/v1/users", &body);
    }
    let desk = Desk::admin(&server);
    for image in ["base", "app", "app-rebuilt", "app-index", "small"] {
        let link = desk.home().join(image);
        std::os::unix::fs::symlink(Image::named(image).path, link).unwrap();
    }
    let environment = [
        ("REGISTRY", server.host()),
        ("ADMISSION", server.admission_address.to_string()),
        ("SSL_CERT_FILE", authority.clone()),
        ("SEALOCK_CA_FILE", authority.clone()),
        ("ADMIN_PASSWORD", ADMIN_PASSWORD.to_owned()),
        ("PASSWORD", PASSWORD.to_owned()),
    ];
    let mut script = String::new();
    for (variable, value) in environment {
        script.push_str(&format!("export {variable}='{value}'\n"));
    }
    script.push_str(&page::script(&blocks));
    let bash = skips::require_tool("bash").expect("bash");
    let ran = desk.run(&bash, &["-c", &script]);
    let said = ran.said();
    println!("{said}");
    assert_eq!(ran.code(), Some(0), "{name} fails after the last `## line` above\n{said}");
}

#[test]
fn how_to_sign_with_cosign() {
    page_runs("docs/how-to/sign-with-cosign.md");
}

#[test]
fn how_to_deploy_behind_tls() {
    page_runs("docs/how-to/deploy-behind-tls.md");
}

#[test]
fn how_to_use_projects_and_roles() {
    page_runs("docs/how-to/projects-and-roles.md");
}

#[test]
fn how_to_use_personal_access_tokens() {
    page_runs("docs/how-to/use-personal-access-tokens.md");
}

#[test]
fn how_to_free_space() {
    page_runs("docs/how-to/free-space.md");
}

#[test]
fn how_to_configure_admission() {
    page_runs("docs/how-to/configure-admission.md");
}

#[test]
fn how_to_produce_and_use_sboms() {
    page_runs("docs/how-to/produce-and-use-sboms.md");
}

#[test]
fn how_to_handle_a_new_vulnerability() {
    page_runs("docs/how-to/handle-a-new-vulnerability.md");
}

#[test]
fn how_to_limit_storage() {
    page_runs("docs/how-to/limit-storage.md");
}

#[test]
fn how_to_keep_tags_where_they_are() {
    page_runs("docs/how-to/keep-tags-where-they-are.md");
}

#[test]
fn robots_for_pipelines() {
    page_runs("docs/how-to/robots-for-pipelines.md");
}

#[test]
fn how_to_check_and_repair_a_store() {
    page_runs("docs/how-to/check-and-repair-a-store.md");
}

#[test]
fn the_first_image() {
    page_runs("docs/tutorials/your-first-release.md");
}

#[test]
fn policy_examples_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("docs/reference/policy.md")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let validate = |text: &str| {
        let path = directory.path().join("policy.yaml");
        std::fs::write(&path, text).unwrap();
        let path = path.display().to_string();
        run(&binary().display().to_string(), &["policy", "validate", &path])
    };
    let examples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a closed block"))
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        validate(example).ok();
        // The error names the line of the mistake.
        let line = 1 + example.lines().position(|line| line.starts_with("rules:")).unwrap();
        validate(&example.replace("rules:", "rulez:")).refused(&line.to_string());
    }
}
