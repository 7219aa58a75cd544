//! A decision can be replayed from its document, and the document decides.

use crate::build::*;
use sealock_facts::{Action, Door, Severity};
use sealock_oci::Digest;
use sealock_policy::{AppliedPolicy, GateInput, Scope, default_tier, evaluate};

fn decision() -> GateInput {
    let document = default_tier(sealock_facts::Tier::Release);
    let in_force_since = at("2026-01-01T00:00:00Z");
    let applied = AppliedPolicy { scope: Scope::Tier, revision: 3, in_force_since, document };
    let mut input = input(Door::Promote, vec![applied]);
    input.artifact.findings.push(finding("CVE-2", Severity::High));
    input.waivers.push(waiver(1, "CVE-2"));
    input.normalise();
    input
}

#[test]
fn the_document_gives_the_same_verdict() {
    let input = decision();
    let first = evaluate(&input);
    assert_eq!(first.action, Action::Allow);
    let bytes = input.canonical_bytes().unwrap();
    assert_eq!(input.digest().unwrap(), Digest::sha256(&bytes));
    let again = GateInput::parse(&bytes).unwrap();
    assert_eq!(again, input);
    assert_eq!(evaluate(&again), first);
    // A person may have pretty-printed it.
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let pretty = serde_json::to_vec_pretty(&value).unwrap();
    assert_eq!(GateInput::parse(&pretty).unwrap().canonical_bytes().unwrap(), bytes);
}

#[test]
fn one_changed_finding_changes_the_verdict() {
    let text = String::from_utf8(decision().canonical_bytes().unwrap()).unwrap();
    let changed = text.replace(r#""severity":"low""#, r#""severity":"high""#);
    assert_ne!(changed, text);
    let input = GateInput::parse(changed.as_bytes()).unwrap();
    assert_eq!(evaluate(&input).action, Action::Deny);
    assert_ne!(input.digest().unwrap(), decision().digest().unwrap());
}

#[test]
fn what_is_not_a_document_of_this_version_is_refused() {
    let text = String::from_utf8(decision().canonical_bytes().unwrap()).unwrap();
    for (from, to, word) in [
        (r#""format_version":1"#, r#""format_version":2"#, "format version 2"),
        (r#""door":"promote""#, r#""door":"window""#, "window"),
        (r#""door":"promote""#, r#""door":"promote","extra":1"#, "extra"),
        (r#""keys":["#, r#""keyz":["#, "keyz"),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from}");
        let error = GateInput::parse(broken.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(GateInput::parse(&text.as_bytes()[..text.len() - 1]).is_err());
    assert!(GateInput::parse(b"[[[[[[").is_err());
}

/// The bytes are the name of a decision: they must not change by accident from one version to the
/// next.
#[test]
fn the_canonical_form_is_stable() {
    let digest = decision().digest().unwrap().to_string();
    let mut other = decision();
    other.artifact.findings[0].severity = Severity::Medium;
    assert_ne!(other.digest().unwrap().to_string(), digest);
    let text = String::from_utf8(decision().canonical_bytes().unwrap()).unwrap();
    assert!(
        text.starts_with(r#"{"format_version":1,"door":"promote","now":"2026-06-01T12:00:00Z","#)
    );
    assert!(!text.contains('\n'));
}

/// Writes the documents that the fuzz corpus holds, when asked to.
#[test]
fn the_corpus_holds_documents_of_this_version() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/gate_input");
    let mut indexed = decision();
    indexed.artifact = index(vec![image("a"), image("b")]);
    for (name, input) in [("image.json", decision()), ("index.json", indexed)] {
        let path = folder.join(name);
        if std::env::var_os("SEALOCK_WRITE_CORPUS").is_some() {
            std::fs::write(&path, input.canonical_bytes().unwrap()).unwrap();
        }
        let stored = GateInput::parse(&std::fs::read(&path).unwrap()).expect("of this version");
        assert_eq!(evaluate(&stored).action, evaluate(&input).action);
    }
}
