//! The durability contract names tests that exist, at least one for each clause.

use crate::tree;

const CONTRACT: &str = "docs/reference/durability.md";

/// `path.rs#name` of every test that a text names.
fn named(text: &str) -> Vec<(&str, &str)> {
    text.split('`').filter_map(|piece| piece.split_once(".rs#").map(|_| piece)).map(split).collect()
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('#').unwrap_or((name, ""))
}

/// Whether a source text has a test of this name: a function right under a test's attribute, or one
/// that is listed to run on both databases.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let heads = [format!("fn {name}("), format!("async fn {name}(")];
    let attribute = |line: &str| line == "#[test]" || line.starts_with("#[tokio::test");
    lines.windows(2).any(|pair| {
        attribute(pair[0]) && heads.iter().any(|head| pair[1].starts_with(head.as_str()))
    }) || source.split("both_engines!").skip(1).any(|list| {
        let list = list.split('}').next().unwrap_or_default();
        list.split([',', '{', ' ', '\n']).any(|word| word == name)
    })
}

#[test]
fn every_clause_of_the_durability_contract_names_a_test_that_exists() {
    let contract = std::fs::read_to_string(tree::root().join(CONTRACT)).unwrap();
    let tests = named(&contract);
    assert!(tests.len() > 25, "found only {} names: is the reading right?", tests.len());
    let missing: Vec<String> = tests
        .iter()
        .filter(|(file, name)| {
            let source = std::fs::read_to_string(tree::root().join(file)).unwrap_or_default();
            !has_test(&source, name)
        })
        .map(|(file, name)| format!("{file}#{name}"))
        .collect();
    assert!(missing.is_empty(), "{CONTRACT} names tests that do not exist: {missing:#?}");
    let clauses = contract.lines().filter(|line| {
        let number = line.strip_prefix("| ").and_then(|line| line.split(' ').next());
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    let (with, without): (Vec<_>, Vec<_>) = clauses.partition(|line| !named(line).is_empty());
    assert!(with.len() > 10, "found only {} clauses: is the reading right?", with.len());
    assert!(without.is_empty(), "clauses without a test: {without:#?}");
}

#[test]
fn a_test_that_is_none_is_seen() {
    let source = "#[test]\nfn one() {}\n\nfn two() {}\n\n#[tokio::test(flavor = \"x\")]\n\
                  async fn three() {}\nboth_engines! {\n    four,\n}\n";
    let found = ["one", "two", "three", "four", "five", "on"].map(|name| has_test(source, name));
    assert_eq!(found, [true, false, true, true, false, false]);
    assert_eq!(named("`a/b.rs#c` and `d.rs`"), [("a/b.rs", "c")]);
}
