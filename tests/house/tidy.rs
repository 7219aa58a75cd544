//! What no compiler checks: lengths, words that must not stand in the tree, machine paths.

use crate::tree;

/// A reader holds about 500 lines; past this a file must be split.
const MAX_LINES: usize = 600;
/// `rustfmt` leaves comments alone, so their width is checked here.
const MAX_WIDTH: usize = 100;

/// Words that must not stand in Rust code. Written in two halves, so that this file passes itself.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("todo", "!(", "unfinished code"),
    ("unimplemented", "!(", "unfinished code"),
    ("FIX", "ME", "unfinished code"),
    ("XX", "X", "unfinished code"),
    ("TO", "DO", "unfinished code"),
    ("#[ig", "nore", "a test that never runs; permitted skips stand in tests/skips.toml"),
    ("db", "g!(", "a debugging aid"),
    (
        "#[al",
        "low(",
        "use #[expect(lint, reason = \"...\")], which tells when it is no longer true",
    ),
];

/// Hosts that a tree should not depend on by name. Each in two halves as above.
const MACHINE: &[(&str, &str)] = &[
    ("proxy.gol", "ang.org"),
    ("registry.np", "mjs.org"),
    ("py", "pi.org"),
    ("index.crat", "es.io"),
];

fn text_of(file: &str) -> Option<String> {
    String::from_utf8(std::fs::read(tree::root().join(file)).unwrap()).ok()
}

fn is_rust(file: &str) -> bool {
    file.ends_with(".rs")
}

/// Whether a line is a comment that could be broken; a table's row could not.
fn is_prose(line: &str) -> bool {
    let comment = line.trim_start();
    comment.starts_with("//") && !comment.trim_start_matches(['/', '!', ' ']).starts_with('|')
}

/// What is wrong with one Rust file.
fn faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{file}: {lines} lines, more than {MAX_LINES}"));
    }
    for (number, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", number + 1);
        if is_prose(line) && line.chars().count() > MAX_WIDTH {
            faults.push(format!("{place}: comment wider than {MAX_WIDTH} columns"));
        }
        if line.trim_end() != line {
            faults.push(format!("{place}: space at the end of the line"));
        }
        for (first, second, why) in FORBIDDEN {
            let word = format!("{first}{second}");
            if line.contains(&word) {
                faults.push(format!("{place}: {word} ({why})"));
            }
        }
    }
    if !text.ends_with('\n') {
        faults.push(format!("{file}: no newline at the end"));
    }
    faults
}

#[test]
fn rust_files_are_tidy() {
    let mut found = Vec::new();
    for file in tree::files().iter().filter(|file| is_rust(file)) {
        found.extend(faults(file, &text_of(file).expect("Rust is UTF-8")));
    }
    assert!(found.is_empty(), "{} faults:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_tree_names_no_machine() {
    let mut found = Vec::new();
    for file in tree::files().iter().filter(|file| *file != "Cargo.lock") {
        let Some(text) = text_of(file) else { continue };
        for (number, line) in text.lines().enumerate() {
            for (first, second) in MACHINE {
                if line.contains(&format!("{first}{second}")) {
                    found.push(format!("{file}:{}: {first}{second}", number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn untidiness_is_seen() {
    let tidy = "//! A page.\n";
    assert!(faults("a.rs", tidy).is_empty());
    assert_eq!(faults("a.rs", "//! A page.").len(), 1);
    assert_eq!(faults("a.rs", "//! A page. \n").len(), 1);
    assert_eq!(faults("a.rs", &format!("//! {}\n", "a".repeat(MAX_WIDTH))).len(), 1);
    assert_eq!(faults("a.rs", &tidy.repeat(MAX_LINES + 1)).len(), 1);
    assert_eq!(faults("a.rs", &format!("fn a() {{ {}{}) }}\n", "todo", "!(")).len(), 1);
}

#[test]
fn every_member_takes_the_lints_of_the_workspace() {
    let members = tree::files();
    let manifests = members.iter().filter(|file| file.ends_with("/Cargo.toml"));
    for file in manifests.filter(|file| !file.contains("/fuzz/")) {
        let text = text_of(file).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{file} has lints of its own");
    }
}
