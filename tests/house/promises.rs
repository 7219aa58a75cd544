//! The durability contract and the pages of limits, of the specification and of advisories name
//! tests that exist, at least one for each clause, limit, line and advisory; and limits have the
//! value that the code gives them.

use crate::tree;

const CONTRACT: &str = "docs/reference/durability.md";
const LIMITS: &str = "docs/reference/limits.md";
const SPECIFICATION: &str = "docs/reference/specification.md";
const ADVISORIES: &str = "docs/reference/harbor-advisories.md";
const CONFORMANCE: &str = "docs/reference/conformance.md";

/// The clients that must push, pull, copy, list and delete, as far as each can.
const CLIENTS: [&str; 9] =
    ["podman", "buildah", "skopeo", "crane", "oras", "regctl", "helm", "cosign", "notation"];

/// The endpoints of the specification's table.
const ENDPOINTS: [&str; 17] =
    ["1", "2", "3", "4a", "4b", "4c", "5", "6", "7a", "7b", "8", "9", "10", "11", "12", "13", "14"];
/// What the specification says beside its table, and the least number of lines about it.
const SUBJECTS: [(&str, usize); 10] = [
    ("Names", 4),
    ("Digests", 5),
    ("Pulls", 4),
    ("Manifests", 11),
    ("Uploads", 13),
    ("Tags", 5),
    ("Referrers", 8),
    ("Deletions", 2),
    ("Errors", 5),
    ("Conditions", 2),
];

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
        let list = list.split(['}', ')', ']']).next().unwrap_or_default();
        list.split([',', '{', '(', '[', ' ', '\n']).any(|word| word == name)
    })
}

/// The text of a page, every test of which exists.
fn page(path: &str, least: usize) -> String {
    let page = std::fs::read_to_string(tree::root().join(path)).unwrap();
    let tests = named(&page);
    assert!(tests.len() > least, "found only {} names: is the reading right?", tests.len());
    let missing: Vec<String> = tests
        .iter()
        .filter(|(file, name)| {
            let source = std::fs::read_to_string(tree::root().join(file)).unwrap_or_default();
            !has_test(&source, name)
        })
        .map(|(file, name)| format!("{file}#{name}"))
        .collect();
    assert!(missing.is_empty(), "{path} names tests that do not exist: {missing:#?}");
    page
}

#[test]
fn every_clause_of_the_durability_contract_names_a_test_that_exists() {
    let contract = page(CONTRACT, 25);
    let clauses = contract.lines().filter(|line| {
        let number = line.strip_prefix("| ").and_then(|line| line.split(' ').next());
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    let (with, without): (Vec<_>, Vec<_>) = clauses.partition(|line| !named(line).is_empty());
    assert!(with.len() > 10, "found only {} clauses: is the reading right?", with.len());
    assert!(without.is_empty(), "clauses without a test: {without:#?}");
}

/// The first cells of the rows under a heading; every row names a test.
fn lines_under<'p>(page: &'p str, heading: &str) -> Vec<&'p str> {
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let rows: Vec<&str> = rows.skip(1).collect();
    let without: Vec<_> = rows.iter().filter(|row| named(row).is_empty()).collect();
    assert!(without.is_empty(), "lines without a test: {without:#?}");
    rows.iter().map(|row| row.split('|').nth(1).unwrap().trim()).collect()
}

#[test]
fn every_line_of_the_specification_names_a_test_that_exists() {
    let page = page(SPECIFICATION, 100);
    assert_eq!(lines_under(&page, "Endpoints"), ENDPOINTS);
    let lines = lines_under(&page, "Behaviour");
    for (subject, least) in SUBJECTS {
        let count = lines.iter().filter(|line| **line == subject).count();
        assert!(count >= least, "{SPECIFICATION} has {count} lines about {subject}");
    }
    assert!(lines_under(&page, "What other registries").len() >= 9);
}

#[test]
fn every_advisory_about_harbor_names_a_test_that_exists() {
    let page = page(ADVISORIES, 35);
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let rows: Vec<_> = rows.filter(|line| !line.starts_with("| advisory |")).collect();
    assert!(rows.len() >= 33, "found only {} advisories", rows.len());
    let without: Vec<_> = rows.iter().filter(|row| named(row).is_empty()).collect();
    assert!(without.is_empty(), "advisories without a test: {without:#?}");
}

/// The lines of a test in a source text.
fn body_of<'s>(source: &'s str, name: &str) -> &'s str {
    let rest = source.split(&format!("fn {name}(")).nth(1).unwrap_or_default();
    rest.split("\n}\n").next().unwrap_or_default()
}

#[test]
fn every_client_and_verb_names_a_test_in_which_it_is_used() {
    let page = page(CONFORMANCE, 30);
    let table = page.split("\n## ").find(|section| section.starts_with("Clients")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let rows: Vec<Vec<&str>> =
        rows.skip(1).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), CLIENTS);
    for row in rows {
        assert_eq!(row.len(), 6, "{}: push, pull, copy, list, delete", row[0]);
        for cell in &row[1..] {
            let tests = named(cell);
            assert!(cell.starts_with("none of its own") || !tests.is_empty(), "{}: {cell}", row[0]);
            for (file, name) in tests {
                let source = std::fs::read_to_string(tree::root().join(file)).unwrap();
                assert!(body_of(&source, name).contains(row[0]), "{name} does not use {}", row[0]);
            }
        }
    }
}

/// `value (NAME)` of every constant that a text gives a value for.
fn valued(text: &str) -> Vec<(u64, &str)> {
    text.split("(`")
        .collect::<Vec<_>>()
        .windows(2)
        .filter_map(|pair| {
            let name = pair[1].split_once("`)")?.0;
            let constant = |c: char| c.is_ascii_uppercase() || c == '_';
            let cell = pair[0].rsplit('|').next()?.trim();
            let number: String = cell.chars().take_while(|c| *c != ' ').collect();
            let number = number.replace(',', "").parse().ok()?;
            name.chars().all(constant).then_some((number, name))
        })
        .collect()
}

/// The values of a constant wherever it stands in the sources; products of numbers are worked out.
fn values(sources: &[String], name: &str) -> Vec<u64> {
    let beginning = format!("const {name}: ");
    let texts = sources.iter().flat_map(|text| text.split(&beginning).skip(1));
    texts
        .filter_map(|rest| rest.split_once(" = ")?.1.split_once(';'))
        .filter_map(|(value, _)| {
            value
                .split(" * ")
                .map(|factor| factor.replace('_', "").parse::<u64>().ok())
                .try_fold(1, |product, factor| Some(product * factor?))
        })
        .collect()
}

#[test]
fn every_limit_has_the_value_of_the_code_and_a_test_that_exists() {
    let limits = page(LIMITS, 25);
    let rows = limits.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let rows: Vec<_> = rows.filter(|line| !line.starts_with("| limit |")).collect();
    assert!(rows.len() > 20, "found only {} limits: is the reading right?", rows.len());
    let without: Vec<_> = rows.iter().filter(|line| named(line).is_empty()).collect();
    assert!(without.is_empty(), "limits without a test: {without:#?}");
    let sources: Vec<String> = tree::files()
        .into_iter()
        .filter(|name| name.starts_with("crates/") && name.ends_with(".rs"))
        .map(|name| std::fs::read_to_string(tree::root().join(name)).unwrap())
        .collect();
    let valued = valued(&limits);
    assert!(valued.len() > 14, "found only {valued:?}: is the reading right?");
    for (value, name) in valued {
        let found = values(&sources, name);
        assert!(found.contains(&value), "{LIMITS}: {name} is {value}, in the code {found:?}");
    }
}

#[test]
fn a_wrong_value_is_seen() {
    let page = "| a | 4,096 bytes (`MAX_A`) | `x.rs#y` |\n| b | 7 (`MAX_B`), (`c`) | |";
    assert_eq!(valued(page), [(4096, "MAX_A"), (7, "MAX_B")]);
    let source = "pub const MAX_A: usize = 4 * 1_024;\nconst MAX_A: u8 = other();".to_owned();
    assert_eq!(values(&[source], "MAX_A"), [4096]);
}

#[test]
fn a_test_that_is_none_is_seen() {
    let source = "#[test]\nfn one() {}\n\nfn two() {}\n\n#[tokio::test(flavor = \"x\")]\n\
                  async fn three() {}\nboth_engines! {\n    four,\n}\nboth_engines!(five);\nlet six";
    let names = ["one", "two", "three", "four", "five", "six", "on"];
    let found = names.map(|name| has_test(source, name));
    assert_eq!(found, [true, false, true, true, true, false, false]);
    assert_eq!(named("`a/b.rs#c` and `d.rs`"), [("a/b.rs", "c")]);
}
