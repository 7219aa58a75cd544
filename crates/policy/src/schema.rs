//! The published JSON Schema of policy documents, generated from the types that read them.

use crate::{PolicyDocument, document::CHECKS};
use schemars::{Schema, SchemaGenerator, json_schema};
use sealock_facts::Tier;
use serde_json::{Value, json};

/// The JSON Schema (draft 2020-12) of a policy document.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(PolicyDocument).to_value();
    let definitions = schema.pointer_mut("/$defs").and_then(Value::as_object_mut);
    // The definition of a rule is the one that has the checks as properties.
    let is_rule = |definition: &&mut Value| {
        CHECKS.iter().all(|check| definition.pointer(&format!("/properties/{check}")).is_some())
    };
    let rule = definitions.and_then(|definitions| definitions.values_mut().find(is_rule));
    if let Some(rule) = rule.and_then(Value::as_object_mut) {
        let one_check: Vec<_> = CHECKS.iter().map(|check| json!({"required": [check]})).collect();
        rule.insert("oneOf".to_owned(), Value::Array(one_check));
    }
    schema
}

fn words(tiers: impl IntoIterator<Item = Tier>) -> Vec<&'static str> {
    tiers.into_iter().map(Tier::as_str).collect()
}

pub(crate) fn tier(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": words(Tier::ALL)})
}

pub(crate) fn tiers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"type": "string", "enum": words(Tier::ALL)}})
}

pub(crate) fn threshold(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "enum": ["negligible", "low", "medium", "high", "critical"],
        "description": "Findings of this severity and above count."
    })
}
