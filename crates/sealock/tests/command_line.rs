//! What a person meets on the command line before there is any server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

fn sealock(arguments: &[&str]) -> Output {
    run(arguments, "")
}

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealock"))
        .args(arguments)
        .env_remove("SEALOCK_URL")
        .env_remove("SEALOCK_USER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The verbs that `--help` lists under `path`.
fn verbs(path: &[&str]) -> Vec<String> {
    let help = sealock(&[path, &["--help"]].concat());
    assert!(help.status.success(), "{path:?} --help fails");
    let help = text(&help.stdout);
    assert!(help.lines().count() > 5, "{path:?} --help says almost nothing:\n{help}");
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    list.lines()
        .take_while(|line| !line.trim().is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|verb| verb != "help")
        .collect()
}

#[test]
fn every_verb_explains_itself() {
    let top = verbs(&[]);
    for verb in ["serve", "scan", "sbom", "promote", "evidence", "affected", "eradicate"] {
        assert!(top.iter().any(|known| known == verb), "no {verb} in {top:?}");
    }
    for verb in &top {
        for second in verbs(&[verb]) {
            for third in verbs(&[verb, &second]) {
                let _ = verbs(&[verb, &second, &third]);
            }
        }
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = sealock(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        assert!(text(&output.stdout).contains("quarantine"), "{shell} does not know the verbs");
    }
}

/// `sealock … | head`: the reader has seen enough, and that is no failure.
#[test]
fn a_closed_pipe_is_no_panic() {
    for arguments in [&["completions", "bash"][..], &["policy", "schema"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealock"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sealock"))
        .args(["policy", "schema"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "what cannot be written is a failure");
}

/// No colours, no progress and no tables cut to a width in what a program reads.
#[test]
fn a_pipe_gets_plain_text() {
    let output = sealock(&["--help"]);
    assert!(!text(&output.stdout).contains('\u{1b}'));
    let output = sealock(&["promot"]);
    assert!(!text(&output.stderr).contains('\u{1b}'));
}

#[test]
fn wrong_usage_ends_with_2_and_a_hint() {
    let output = sealock(&["promot"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("promote"), "{said}");
    for arguments in [
        &["affected", "CVE-2021-3711", "--range", "<1"][..],
        &["waiver", "request", "a", "CVE-1", "--reason", "x", "--until", "soon"],
        &["user", "update", "ann"],
        &["user", "password", "ann"],
        &["serve", "--listen", "5000"],
        &["audit", "--since", "yesterday"],
    ] {
        let output = sealock(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn an_absent_server_is_named_with_what_to_do() {
    let output = sealock(&["--url", "http://127.0.0.1:1", "project", "list"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("127.0.0.1:1") && said.contains("SEALOCK_URL"), "{said}");
}

#[test]
fn a_policy_is_checked_without_a_server() {
    let policy =
        "apiVersion: sealock/v1\nkind: Policy\nname: p\nrules:\n  - name: s\n    signed: {}\n";
    let output = run(&["policy", "validate", "-"], policy);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = run(&["policy", "validate", "-"], &policy.replace("signed", "singed"));
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(said.contains("line 6") || said.contains("6:"), "no line in: {said}");

    let schema = sealock(&["policy", "schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema["properties"]["rules"].is_object(), "{schema}");
}
