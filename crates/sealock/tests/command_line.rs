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

/// A root filesystem with one Debian package and, if named, one of Python's.
fn root(version_id: &str, python: Option<(&str, &str)>, status: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("etc/os-release", &format!("ID=debian\nVERSION_ID={version_id}\n"));
    write("var/lib/dpkg/status", status);
    if let Some((name, version)) = python {
        let place = format!("opt/{name}-{version}.dist-info/METADATA");
        write(&place, &format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"));
    }
    root
}

const HELLO: &str = "Package: hello\nStatus: install ok installed\nVersion: 1\n";

/// The exit code of a scan with the starter set, and what it says.
fn scan(root: &tempfile::TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let none = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sealock"))
        .args([&["scan", root.path().to_str().unwrap()], arguments].concat())
        .env_remove("SEALOCK_ADVISORIES_DIR")
        .env("XDG_DATA_HOME", none.path())
        .output()
        .unwrap();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_scan_tells_findings_from_a_want_of_knowledge() {
    let clean = root("12", None, HELLO);
    let (code, said) = scan(&clean, &["--fail-on", "high"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Debian:12: the vulnerability data is a part only"), "{said}");
    let (code, said) = scan(&clean, &["--fail-on", "high", "--strict"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("not everything is known"), "{said}");

    let vulnerable = root("12", Some(("PyYAML", "5.3.1")), HELLO);
    assert_eq!(scan(&vulnerable, &["--fail-on", "high"]).0, Some(3));
    assert_eq!(scan(&vulnerable, &[]).0, Some(0));

    let (code, said) = scan(&root("4", None, HELLO), &["--fail-on", "high"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("Debian:4: there is no vulnerability data"), "{said}");
    let (code, said) = scan(&root("", None, HELLO), &["--fail-on", "high"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("1 of the packages are of no known release"), "{said}");
    let broken = HELLO.replace("Version: 1", "Version: 1 2");
    let (code, said) = scan(&root("12", None, &broken), &["--fail-on", "high"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("not read whole"), "{said}");

    let (code, said) = scan(&tempfile::tempdir().unwrap(), &["--fail-on", "high", "--strict"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("no package was recognised"), "{said}");

    // Beside JSON the remarks do not spoil the document.
    let output = Command::new(env!("CARGO_BIN_EXE_sealock"))
        .args(["scan", "--output", "json", clean.path().to_str().unwrap()])
        .output()
        .unwrap();
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(list.is_array() && text(&output.stderr).contains("Debian:12"), "{list}");
}
