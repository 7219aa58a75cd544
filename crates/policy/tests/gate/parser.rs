//! Policy documents: what is read, what is refused, and that an error names its place.

use sealock_policy::{MAX_POLICY_BYTES, json_schema, parse};

const GOOD: &str = "apiVersion: sealock/v1
kind: Policy
name: x
doors:
  push: off
  pull: {mode: warn, unknown: allow}
rules:
  - name: a
    doors: {pull: off}
    signed:
      by: [k1, k2]
      atLeast: 1
  - name: b
    findings:
      severity: high
      graceDays: 3
";

#[test]
fn errors_name_line_column_path_and_remedy() {
    assert!(parse(GOOD).is_ok());
    let cases: &[(&str, &str, u64, u64, &str, &str)] = &[
        (
            "severity: high",
            "severity: hihg",
            15,
            17,
            "rules[1].findings.severity",
            "low, medium, high",
        ),
        ("severity: high", "severity: unknown", 15, 17, "rules[1].findings.severity", "threshold"),
        ("severity: high", "severity: [high]", 15, 17, "rules[1].findings.severity", "string"),
        ("graceDays: 3", "graceDays: 99999", 16, 18, "rules[1].findings.graceDays", "0 to 3650"),
        ("graceDays: 3", "graceDays: -1", 16, 18, "rules[1].findings.graceDays", "whole number"),
        ("graceDays: 3", "graceDas: 3", 16, 7, "rules[1].findings.graceDas", "graceDays"),
        ("by: [k1, k2]", "by: [a, a]", 11, 11, "rules[0].signed.by", "listed twice"),
        ("by: [k1, k2]", "by: []", 11, 11, "rules[0].signed.by", "at least one"),
        ("by: [k1, k2]", "by: k1", 11, 11, "rules[0].signed.by", "[k1]"),
        ("atLeast: 1", "atLeast: 0", 12, 16, "rules[0].signed.atLeast", "1 to 100"),
        ("atLeast: 1", "atLeast: 3", 12, 16, "rules[0].signed.atLeast", "2 are listed"),
        ("signed:\n      by: [k1, k2]\n      atLeast: 1", "", 8, 5, "rules[0]", "exactly one"),
        ("name: b", "name: b\n    contents: {}", 13, 5, "rules[1]", "holds 2 checks"),
        ("name: b", "name: a", 13, 11, "rules[1].name", "another rule"),
        ("name: b", "name: 'b c'", 13, 11, "rules[1].name", "letters, digits"),
        ("name: b", "nam: b", 13, 5, "rules[1].nam", "name"),
        ("{pull: off}", "{pull: of}", 9, 19, "rules[0].doors.pull", "off, warn, enforce"),
        ("{pull: off}", "{pul: off}", 9, 13, "rules[0].doors.pul", "push, pull"),
        ("{pull: off}", "{pull: true}", 9, 19, "rules[0].doors.pull", "enforce"),
        (
            "{pull: off}",
            "{pull: {mode: enforce, unknown: hold}}",
            9,
            44,
            "rules[0].doors.pull.unknown",
            "push door only",
        ),
        (
            "{pull: off}",
            "{pull: {mode: enforce, afterDays: 1, from: 2026-01-01}}",
            9,
            19,
            "rules[0].doors.pull",
            "not both",
        ),
        (
            "{pull: off}",
            "{pull: {mode: warn, afterDays: 1}}",
            9,
            19,
            "rules[0].doors.pull",
            "need the mode enforce",
        ),
        (
            "{pull: off}",
            "{pull: {mode: enforce, from: tomorrow}}",
            9,
            41,
            "rules[0].doors.pull.from",
            "2026-12-01",
        ),
        ("kind: Policy", "kind: Polisy", 2, 7, "kind", "Policy"),
        ("apiVersion: sealock/v1", "apiVersion: sealock/v2", 1, 13, "apiVersion", "sealock/v1"),
        ("name: x", "name: x\nname: y", 4, 1, "", "there twice"),
        ("name: x", "name: &a x", 3, 10, "", "anchors and aliases"),
        ("name: x", "name: *a", 3, 7, "", "anchors and aliases"),
        ("name: x", "name: x\n<<: {}", 4, 1, "", "merge keys"),
        ("name: x", "name: !foo x", 3, 12, "", "tag"),
        ("name: x\n", "", 1, 1, "", "missing field `name`"),
        ("graceDays: 3\n", "graceDays: 3\n---\nname: y\n", 17, 1, "", "one policy is one document"),
        (
            "name: x",
            "name: x\naccess: {directPush: {robots: [dana]}}",
            4,
            32,
            "access.directPush.robots[0]",
            "robot$project+name",
        ),
        (
            "name: x",
            "name: x\naccess: {consumers: {networks: [10.0.0.0/33]}}",
            4,
            33,
            "access.consumers.networks[0]",
            "10.0.0.0/8",
        ),
        (
            "name: x",
            "name: x\nunscannableArtifactTypes: ['[']",
            4,
            28,
            "unscannableArtifactTypes[0]",
            "pattern",
        ),
    ];
    for (from, to, line, column, path, word) in cases {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(&text, GOOD, "{from}");
        let error = parse(&text).expect_err(to);
        assert!(error.message.contains(word), "{to:?}: {error}");
        assert!(!error.message.contains(" at line "), "{error}");
        assert_eq!(
            (error.line, error.column, error.path.as_str()),
            (*line, *column, *path),
            "{error}"
        );
    }
}

#[test]
fn json_is_read_too_with_its_lines() {
    let json = "{\"apiVersion\": \"sealock/v1\",\n \"kind\": \"Policy\", \"name\": \"a\",\n \
                \"rules\": [{\"name\": \"r\", \"findings\": {\"severity\": \"hi\"}}]}";
    let error = parse(json).unwrap_err();
    assert_eq!((error.line, error.column), (3, 51), "{error}");
    assert!(parse(&json.replace("hi\"", "high\"")).is_ok());
}

#[test]
fn bombs_end_early() {
    let mut laughs = "a0: &a0 [x]\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        laughs.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n"));
    }
    let deep_flow = format!("name: {}", "[".repeat(100_000));
    let deep_block: String = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let many = format!("rules: [{}]", "1,".repeat(100_000));
    let large = format!("name: {}", "x".repeat(MAX_POLICY_BYTES));
    let documents = "---\n".repeat(50_000);
    for bomb in [laughs, deep_flow, deep_block, many, large, documents, String::new(), "\0".into()]
    {
        let begin = std::time::Instant::now();
        parse(&bomb).expect_err("a bomb");
        let head: String = bomb.chars().take(20).collect();
        assert!(begin.elapsed().as_secs() < 5, "{head:?} took {:?}", begin.elapsed());
    }
    let many = |rules: usize| {
        let rule = |n| format!("- name: r{n}\n  contents: {{}}\n");
        format!(
            "apiVersion: sealock/v1\nkind: Policy\nname: x\nrules:\n{}",
            (0..rules).map(rule).collect::<String>()
        )
    };
    assert!(parse(&many(100)).is_ok());
    assert!(parse(&many(101)).unwrap_err().message.contains("100 rules"));
}

/// The schema and the reader agree on what a document is.
#[test]
fn the_schema_and_the_reader_agree() {
    let validator = jsonschema::validator_for(&json_schema()).expect("a schema");
    let good = serde_json::to_value(parse(GOOD).unwrap()).unwrap();
    assert!(validator.is_valid(&good), "{good}");
    let spoiled: &[(&str, serde_json::Value)] = &[
        ("/name", serde_json::json!(3)),
        ("/kind", serde_json::json!("Polisy")),
        ("/rules/0", serde_json::json!({"name": "a"})),
        ("/rules/0", serde_json::json!({"name": "a", "contents": {}, "signed": {}})),
        ("/rules/1/findings/severity", serde_json::json!("unknown")),
        ("/rules/1/findings/graceDays", serde_json::json!(3651)),
        ("/rules/1/findings/graceDays", serde_json::json!(-1)),
        ("/rules/1/findings", serde_json::json!({"severity": "high", "other": 1})),
        ("/rules/0/signed/by", serde_json::json!("some")),
        ("/rules/0/signed/by", serde_json::json!([])),
        ("/rules/0/signed/atLeast", serde_json::json!(0)),
        ("/rules/0/doors/pull", serde_json::json!("of")),
        ("/rules/0/doors/pull", serde_json::json!({"unknown": "deny"})),
        ("/doors", serde_json::json!({"pul": "off"})),
        ("/apiVersion", serde_json::json!("sealock/v2")),
    ];
    for (pointer, value) in spoiled {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} in {good}")) =
            value.clone();
        assert!(!validator.is_valid(&document), "the schema takes {pointer} = {value}");
        assert!(parse(&document.to_string()).is_err(), "the reader takes {pointer} = {value}");
    }
}
