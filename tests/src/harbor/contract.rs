//! Harbor's published contract: which operations there are, and what they may answer.

use super::Answer;
use crate::skips::cache_dir;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// The version of `github.com/goharbor/go-client` that `scripts/tools.sh contracts` fetches.
const VERSION: &str = "v0.213.1";

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// Its method.
    pub method: Method,
    /// Its path below the base, with parameters in braces.
    pub path: String,
    /// The tag under which it stands.
    pub tag: String,
    /// Its name.
    pub id: String,
    answers: Vec<(u16, Expected)>,
}

/// What an operation may answer with one status.
#[derive(Debug)]
struct Expected {
    /// What the body must be; none where the contract says nothing about it.
    body: Option<Validator>,
    /// Headers that the contract promises.
    headers: Vec<String>,
}

/// The contract.
#[derive(Debug)]
pub struct Contract {
    operations: Vec<Operation>,
    errors: Validator,
}

impl Contract {
    /// The contract, read once.
    ///
    /// # Panics
    /// If it was not fetched.
    #[must_use]
    pub fn get() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| Self::read(&Self::document()))
    }

    /// The contract as it was published, but for what Harbor itself breaks.
    ///
    /// # Panics
    /// If it was not fetched.
    #[must_use]
    pub fn document() -> Value {
        let path = cache_dir().join("contracts").join(format!("harbor-{VERSION}.yaml"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; run scripts/tools.sh contracts", path.display())
        });
        let options = serde_saphyr::options! { budget: None };
        let mut document: Value =
            serde_saphyr::from_str_with_options(&joined(&text), options).expect("a YAML document");
        // Harbor itself puts texts where its contract promises objects: an image's architecture.
        document["definitions"]["ExtraAttrs"] = json!({"type": "object"});
        // Its additions come as they are, JSON or not, and as no text in quotes.
        for (path, item) in document["paths"].as_object_mut().expect("paths") {
            if path.contains("/additions/") {
                item["get"]["responses"]["200"]["schema"] = json!({});
            }
        }
        document
    }

    fn read(document: &Value) -> Self {
        let mut definitions = document["definitions"].clone();
        definitions.as_object_mut().expect("definitions").values_mut().for_each(modern);
        let reader = Reader { document, definitions };
        let errors = reader.validator(&json!({"$ref": "#/definitions/Errors"}));
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                if method != "parameters" {
                    operations.push(reader.operation(method, path, operation));
                }
            }
        }
        Self { operations, errors }
    }

    /// Every operation.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation that a request is for: the one with the most parts that are no parameters.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Option<&Operation> {
        let path = path.split('?').next().unwrap_or_default();
        let fits = |operation: &&Operation| {
            let (asked, parts) = (path.split('/'), operation.path.split('/'));
            operation.method == method
                && asked.clone().count() == parts.clone().count()
                && asked
                    .zip(parts)
                    .all(|(one, part)| one == part || (part.starts_with('{') && !one.is_empty()))
        };
        let plain = |operation: &&Operation| {
            operation.path.split('/').filter(|part| !part.starts_with('{')).count()
        };
        self.operations.iter().filter(fits).max_by_key(plain)
    }

    /// Whether an answer is one that the contract knows.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, method: &Method, path: &str, answer: &Answer) -> Result<(), String> {
        if !answer.headers.contains_key("x-request-id") {
            return Err("it has no X-Request-Id".to_owned());
        }
        let status = answer.status.as_u16();
        let Some(operation) = self.find(method, path) else {
            return match status {
                404 | 405 => valid(&self.errors, &answer.body),
                _ => Err("the contract has no such operation".to_owned()),
            };
        };
        let expected = operation.answers.iter().find(|(known, _)| *known == status);
        if status >= 400 {
            // Harbor itself answers with errors that its contract does not name for an operation;
            // their form is always the same.
            return match method {
                &Method::HEAD => Ok(()),
                _ => valid(&self.errors, &answer.body).and_then(|()| {
                    match &answer.body["errors"][0]["code"] {
                        Value::String(code) if !code.is_empty() => Ok(()),
                        _ => Err("an error without a code".to_owned()),
                    }
                }),
            };
        }
        let Some((_, expected)) = expected else {
            return Err(format!("{} knows no status {status}", operation.id));
        };
        for name in &expected.headers {
            // A list that fits on a page needs no link to another one.
            if !name.eq_ignore_ascii_case("link") && !answer.headers.contains_key(name.as_str()) {
                return Err(format!("the header {name} is missing"));
            }
        }
        match &expected.body {
            Some(body) => valid(body, &answer.body),
            None if answer.body.is_null() => Ok(()),
            None => Err(format!("{} has no body with {status}", operation.id)),
        }
    }
}

/// Texts in quotes on one line each. The contract breaks some of them without indenting the rest,
/// which YAML does not allow and lenient readers let pass.
fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut line = line.to_owned();
        let quotes = |line: &str| {
            line.split_once(": '").map_or(0, |(_, rest)| 1 + rest.matches('\'').count())
        };
        while quotes(&line) % 2 == 1 {
            let Some(rest) = lines.next() else { break };
            line.push(' ');
            line.push_str(rest.trim());
        }
        joined.push_str(&line);
        joined.push('\n');
    }
    joined
}

fn valid(validator: &Validator, body: &Value) -> Result<(), String> {
    let faults: Vec<String> = validator
        .iter_errors(body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

struct Reader<'a> {
    document: &'a Value,
    definitions: Value,
}

impl Reader<'_> {
    fn operation(&self, method: &str, path: &str, operation: &Value) -> Operation {
        let answers = operation["responses"].as_object().expect("answers").iter();
        let answers = answers.filter_map(|(status, response)| {
            let status = status.parse().ok()?;
            Some((status, self.expected(response)))
        });
        Operation {
            method: Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"),
            path: path.to_owned(),
            tag: operation["tags"][0].as_str().expect("a tag").to_owned(),
            id: operation["operationId"].as_str().expect("a name").to_owned(),
            answers: answers.collect(),
        }
    }

    fn expected(&self, response: &Value) -> Expected {
        let response = match response["$ref"].as_str() {
            Some(reference) => {
                self.document.pointer(reference.trim_start_matches('#')).expect("a response")
            }
            None => response,
        };
        let mut schema = response["schema"].clone();
        let body = match schema["type"].as_str() {
            _ if schema.is_null() => None,
            Some("file") => Some(self.validator(&json!({}))),
            _ => {
                modern(&mut schema);
                Some(self.validator(&schema))
            }
        };
        let headers = response["headers"].as_object().into_iter().flat_map(Map::keys);
        Expected { body, headers: headers.cloned().collect() }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let whole = json!({"definitions": self.definitions, "allOf": [schema]});
        jsonschema::draft7::options()
            .should_validate_formats(true)
            .build(&whole)
            .expect("a schema that can be used")
    }
}

/// A schema of Swagger 2.0 in the words of JSON Schema: `x-nullable` becomes null beside the type.
/// And stricter than it is written: nearly nothing in it is required, so a field of another name
/// would pass unseen, unless objects hold nothing but what is listed.
fn modern(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    for part in ["items", "additionalProperties"] {
        object.get_mut(part).into_iter().for_each(modern);
    }
    for part in ["allOf", "anyOf", "oneOf"] {
        let parts = object.get_mut(part).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(modern);
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(modern);
        object.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    let nullable = ["x-nullable", "x-isnullable"]
        .iter()
        .any(|name| object.get(*name).is_some_and(|value| *value == Value::Bool(true)));
    // An example of the contract's is not always of its own type.
    object.remove("example");
    if nullable {
        let inner = std::mem::take(object);
        *schema = json!({"anyOf": [{"type": "null"}, inner]});
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::{StatusCode, header::HeaderMap};

    fn answer(status: u16, body: Value) -> Answer {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-request-id", "1"), ("x-total-count", "1")] {
            headers.insert(name, value.parse().expect("a value"));
        }
        Answer { status: StatusCode::from_u16(status).expect("a status"), headers, body }
    }

    fn check(path: &str, answer: &Answer) -> Result<(), String> {
        Contract::get().check(&Method::GET, path, answer)
    }

    #[test]
    fn the_contract_is_the_one_that_was_pinned() {
        assert_eq!(Contract::get().operations().len(), 203);
        let found = Contract::get().find(&Method::GET, "/users/current?x=1");
        assert_eq!(found.map(|operation| operation.id.as_str()), Some("getCurrentUserInfo"));
        let found = Contract::get().find(&Method::GET, "/users/7");
        assert_eq!(found.map(|operation| operation.id.as_str()), Some("getUser"));
        assert!(Contract::get().find(&Method::PATCH, "/users/7").is_none());
    }

    #[test]
    fn what_breaks_the_contract_is_seen() {
        let good = json!([{"name": "a", "project_id": 1, "metadata": {"public": "true"}}]);
        assert_eq!(check("/projects", &answer(200, good.clone())), Ok(()));
        for (place, value) in [
            ("/0/name", json!(1)),
            ("/0/project_id", json!(null)),
            ("/0/project_id", json!("1")),
            ("/0/metadata", json!({"public": true})),
            ("/0/metadata", json!({"secret": "x"})),
            ("/0", json!({"nmae": "a"})),
            ("", json!({"items": []})),
        ] {
            let mut body = good.clone();
            *body.pointer_mut(place).expect(place) = value;
            assert!(check("/projects", &answer(200, body)).is_err(), "{place}");
        }
        let null = json!([{"name": "a", "metadata": {"auto_scan": null}}]);
        assert_eq!(check("/projects", &answer(200, null)), Ok(()), "x-nullable");
        let time = json!([{"creation_time": "yesterday"}]);
        assert!(check("/projects", &answer(200, time)).is_err(), "a format");
        let mut lost = answer(200, good);
        lost.headers.remove("x-total-count");
        assert!(check("/projects", &lost).is_err(), "a header");
        assert!(check("/projects", &answer(202, json!([]))).is_err(), "a status");
        assert!(check("/nowhere", &answer(200, json!([]))).is_err(), "an operation");
        let error = json!({"errors": [{"code": "NOT_FOUND", "message": "x"}]});
        assert_eq!(check("/projects", &answer(404, error)), Ok(()));
        assert!(check("/projects", &answer(404, json!({"error": "x"}))).is_err());
        assert!(check("/projects", &answer(404, json!({"errors": []}))).is_err());
    }
}
