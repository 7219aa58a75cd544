//! The OpenAPI document: what the routes say of themselves, completed with what holds for all of
//! them, so that no route has to repeat it.

use crate::face::MAX_CURSOR_BYTES;
use sealock_registry::MAX_PAGE_ITEMS;
use serde_json::{Map, Value, json};

/// The form of a digest.
const DIGEST: &str = "^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$";
/// Errors that every route may answer with.
const ERRORS: [(&str, &str); 6] = [
    ("400", "The request is not what this resource takes; the message says what is wrong."),
    ("401", "Nobody is logged in, or the name or secret is wrong."),
    ("403", "Logged in, but without the right."),
    ("404", "It does not exist, or the caller may not see it: the same answer."),
    ("413", "Larger than this resource takes."),
    (
        "default",
        "Another error, in the same form: a stable code, and a message that says what to do.",
    ),
];

/// Adds descriptions to answers, the errors that any route may give, and the limits of parameters.
pub(crate) fn complete(document: &mut Value) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flat_map(Map::values_mut) {
        let operations = item.as_object_mut().into_iter().flat_map(Map::values_mut);
        for operation in operations.filter_map(Value::as_object_mut) {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            parameters.into_iter().flatten().for_each(limit);
            let answers = operation.entry("responses").or_insert_with(|| json!({}));
            answers.as_object_mut().into_iter().for_each(answer);
        }
    }
}

fn answer(answers: &mut Map<String, Value>) {
    for (status, text) in ERRORS {
        let error = json!({
            "description": text,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}},
        });
        answers.entry(status).or_insert(error);
    }
    for (status, one) in answers {
        let described = one["description"].as_str().is_some_and(|text| !text.is_empty());
        if !described {
            one["description"] = match status.as_str() {
                "200" => "Done.",
                "201" => "Made.",
                "204" => "Done; there is nothing to say.",
                "409" => "It exists already, or changed meanwhile.",
                "412" => "Refused by policy; the detail has the verdict with its reasons.",
                "422" => "Well formed, but it cannot be used; the message says why.",
                _ => "See the message.",
            }
            .into();
        }
    }
}

fn limit(parameter: &mut Value) {
    let more = match parameter["name"].as_str() {
        Some("limit") => json!({"minimum": 1, "maximum": MAX_PAGE_ITEMS}),
        Some("after") => json!({"maxLength": MAX_CURSOR_BYTES}),
        Some("digest") => json!({"pattern": DIGEST}),
        Some("tier") => json!({"$ref": "#/components/schemas/Tier"}),
        Some("image" | "project" | "repository" | "name" | "user") => json!({"minLength": 1}),
        _ => return,
    };
    if more.get("$ref").is_some() {
        parameter["schema"] = more;
        return;
    }
    let schema = parameter["schema"].as_object_mut();
    for (schema, more) in schema.into_iter().zip(more.as_object().cloned()) {
        schema.extend(more);
    }
}
