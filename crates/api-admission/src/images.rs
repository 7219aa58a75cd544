//! Where images stand in objects.

use crate::review::{GroupVersionKind, Operation, Request};
use serde_json::Value;
use std::collections::BTreeSet;

/// Most image references in one object.
pub(crate) const MAX_IMAGES: usize = 200;

/// An image reference and where it stands (JSON pointer, RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) pointer: String,
    pub(crate) image: String,
}

/// Why the images of an object cannot be told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ObjectError {
    #[error(
        "Sealock judges Pods and Deployments, not {0}; leave it out of the webhook's rules: the \
         Pods that it makes are judged when they are made"
    )]
    Kind(String),
    #[error("the object has no {0}")]
    Missing(&'static str),
    #[error("{0} is not what Kubernetes puts there")]
    Shape(String),
    #[error("the object names more than {MAX_IMAGES} images")]
    TooMany,
}

/// The kinds that are judged, with the place of the Pod's specification in each.
const KINDS: &[(&str, &str, &str)] = &[
    ("", "Pod", "/spec"),
    ("apps", "Deployment", "/spec/template/spec"),
    // The subresource `pods/ephemeralcontainers` before Kubernetes 1.22: the containers stand at
    // the top.
    ("", "EphemeralContainers", ""),
];

/// The lists in a Pod's specification that name images: list, and the field in each item.
const PLACES: &[(&str, &str)] = &[
    ("initContainers", "/image"),
    ("containers", "/image"),
    ("ephemeralContainers", "/image"),
    ("volumes", "/image/reference"),
];

/// The images that a request would newly run, in the object's order. None of them when nothing is
/// asked to run: on deletion and connection, on an update that keeps to images which the object has
/// already, and for a subresource that is no Pod, such as `pods/eviction` or `deployments/scale`: a
/// drain or a scaling must not fail because a webhook's rules say `pods/*`.
pub(crate) fn newly_named(request: &Request) -> Result<Vec<Found>, ObjectError> {
    if !matches!(request.operation, Operation::Create | Operation::Update) {
        return Ok(Vec::new());
    }
    let specification = match place_of(&request.kind) {
        Err(_) if request.sub_resource.as_ref().is_some_and(|name| !name.is_empty()) => {
            return Ok(Vec::new());
        }
        found => found?,
    };
    let found = find(&request.object, specification)?;
    if request.operation == Operation::Create {
        return Ok(found);
    }
    // An old object that cannot be read excuses nothing.
    let before = find(&request.old_object, specification).unwrap_or_default();
    let before: BTreeSet<&str> = before.iter().map(|found| found.image.as_str()).collect();
    Ok(found.iter().filter(|found| !before.contains(found.image.as_str())).cloned().collect())
}

fn place_of(kind: &GroupVersionKind) -> Result<&'static str, ObjectError> {
    KINDS
        .iter()
        .find(|(group, name, _)| kind.version == "v1" && kind.group == *group && kind.kind == *name)
        .map(|(_, _, specification)| *specification)
        .ok_or_else(|| {
            let group = if kind.group.is_empty() { "core" } else { &kind.group };
            let text = format!("{} of {group}/{}", kind.kind, kind.version);
            ObjectError::Kind(text.chars().take(200).collect())
        })
}

fn find(object: &Value, specification: &'static str) -> Result<Vec<Found>, ObjectError> {
    let pod = object
        .pointer(specification)
        .filter(|pod| pod.is_object())
        .ok_or(ObjectError::Missing("Pod specification"))?;
    let mut found = Vec::new();
    for (list, field) in PLACES {
        let items = match &pod[*list] {
            Value::Null => continue,
            Value::Array(items) => items,
            _ => return Err(ObjectError::Shape(format!("{specification}/{list}"))),
        };
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{specification}/{list}/{index}{field}");
            match item.pointer(field) {
                // A template may leave the image to somebody else; then nothing runs yet.
                None | Some(Value::Null) => {}
                Some(Value::String(image)) if image.is_empty() => {}
                Some(Value::String(image)) => {
                    found.push(Found { pointer, image: image.clone() });
                }
                Some(_) => return Err(ObjectError::Shape(pointer)),
            }
            if found.len() > MAX_IMAGES {
                return Err(ObjectError::TooMany);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(kind: &str, operation: &str, object: &Value, old: &Value) -> Request {
        let group = if kind == "Deployment" { "apps" } else { "" };
        serde_json::from_value(json!({
            "uid": "1", "operation": operation, "namespace": "n", "object": object,
            "oldObject": old, "kind": { "group": group, "version": "v1", "kind": kind },
        }))
        .unwrap()
    }

    fn named(request: &Request) -> Vec<(String, String)> {
        let found = newly_named(request).unwrap();
        found.into_iter().map(|found| (found.pointer, found.image)).collect()
    }

    fn pod() -> Value {
        json!({ "spec": {
            "initContainers": [{ "name": "i", "image": "init" }],
            "containers": [{ "name": "a", "image": "one" }, { "name": "b", "image": "two" }],
            "ephemeralContainers": [{ "name": "e", "image": "debug" }],
            "volumes": [
                { "name": "v", "emptyDir": {} },
                { "name": "w", "image": { "reference": "data", "pullPolicy": "Always" } },
            ],
        }})
    }

    #[test]
    fn every_place_of_a_pod_is_seen() {
        let found = named(&request("Pod", "CREATE", &pod(), &Value::Null));
        let expected = [
            ("/spec/initContainers/0/image", "init"),
            ("/spec/containers/0/image", "one"),
            ("/spec/containers/1/image", "two"),
            ("/spec/ephemeralContainers/0/image", "debug"),
            ("/spec/volumes/1/image/reference", "data"),
        ];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        for (pointer, image) in &found {
            assert_eq!(pod().pointer(pointer).unwrap(), image.as_str());
        }
    }

    #[test]
    fn a_deployment_has_its_pod_in_a_template() {
        let object = json!({ "spec": { "template": pod() } });
        let found = named(&request("Deployment", "CREATE", &object, &Value::Null));
        assert_eq!(found.len(), 5);
        assert_eq!(found[0].0, "/spec/template/spec/initContainers/0/image");
    }

    #[test]
    fn an_update_is_judged_for_new_images_only() {
        assert_eq!(named(&request("Pod", "UPDATE", &pod(), &pod())), []);
        for pointer in [
            "/spec/initContainers/0/image",
            "/spec/containers/1/image",
            "/spec/ephemeralContainers/0/image",
            "/spec/volumes/1/image/reference",
        ] {
            let mut changed = pod();
            *changed.pointer_mut(pointer).unwrap() = json!("new");
            let found = named(&request("Pod", "UPDATE", &changed, &pod()));
            assert_eq!(found, [(pointer.to_owned(), "new".to_owned())]);
        }
        let found = named(&request("Pod", "UPDATE", &pod(), &Value::Null));
        assert_eq!(found.len(), 5, "an old object that is missing excuses nothing");
        assert_eq!(named(&request("Pod", "DELETE", &Value::Null, &pod())), []);
    }

    #[test]
    fn what_runs_nothing_is_not_refused() {
        let eviction = |sub: Option<&str>, operation: &str| {
            let mut asked = request("Pod", operation, &json!({}), &Value::Null);
            asked.kind = serde_json::from_value(
                json!({ "group": "policy", "version": "v1", "kind": "Eviction" }),
            )
            .unwrap();
            asked.sub_resource = sub.map(str::to_owned);
            asked
        };
        assert_eq!(named(&eviction(Some("eviction"), "CREATE")), []);
        assert_eq!(named(&eviction(None, "DELETE")), []);
        assert_eq!(named(&eviction(Some("exec"), "CONNECT")), []);
        assert!(newly_named(&eviction(None, "CREATE")).is_err());
        assert!(newly_named(&eviction(Some(""), "CREATE")).is_err());
        // A subresource that holds a Pod is judged as one.
        let mut asked = request("Pod", "UPDATE", &pod(), &json!({ "spec": {} }));
        asked.sub_resource = Some("ephemeralcontainers".to_owned());
        assert_eq!(named(&asked).len(), 5);
    }

    #[test]
    fn other_kinds_and_shapes_are_refused() {
        for (group, version, kind) in [
            ("apps", "v1", "DaemonSet"),
            ("batch", "v1", "Job"),
            ("example.com", "v1", "Deployment"),
            ("", "v2", "Pod"),
            ("apps", "v1beta1", "Deployment"),
        ] {
            let mut asked = request("Pod", "CREATE", &pod(), &Value::Null);
            asked.kind = GroupVersionKind {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: kind.to_owned(),
            };
            let error = newly_named(&asked).unwrap_err();
            assert!(error.to_string().contains(kind), "{error}");
        }
        for bad in [
            json!(null),
            json!({}),
            json!({ "spec": [] }),
            json!({ "spec": { "containers": {} } }),
            json!({ "spec": { "containers": [{ "image": ["one"] }] } }),
            json!({ "spec": { "volumes": [{ "image": { "reference": 1 } }] } }),
            json!({ "spec": { "containers": vec![json!({ "image": "x" }); MAX_IMAGES + 1] } }),
        ] {
            assert!(newly_named(&request("Pod", "CREATE", &bad, &Value::Null)).is_err(), "{bad}");
        }
    }

    /// Requests that a real API server sent, where the shared test data lies beside the checkout.
    #[test]
    fn real_requests() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/testdata/signing/admission-reviews");
        if !folder.is_dir() {
            println!("SKIP shared-data: no recorded requests beside this checkout");
            return;
        }
        let all = ["reg.example/app/init:1", "reg.example:5000/app/web:v1", "busybox"];
        let by_digest = concat!(
            "reg.example/app/web@sha256:",
            "2d4a807e75369eb175e7270ee15925184a0dc6ffd208d1b69074d5530a8d0077"
        );
        let expected: &[(&str, Option<&[&str]>)] = &[
            ("pod-create-p1", Some(&all)),
            ("pod-delete-p1", Some(&[])),
            ("deployment-create-d1", Some(&["reg.example/app/init:1", by_digest, "busybox"])),
            ("job-create-j1", None),
            ("cronjob-create-cj1", None),
            ("daemonset-create-ds1", None),
        ];
        for (name, images) in expected {
            let body = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
            let request = Request::parse(&body).unwrap();
            let found = newly_named(&request).ok();
            let found = found.map(|found| found.into_iter().map(|f| f.image).collect::<Vec<_>>());
            let images = images.map(|images| images.iter().map(ToString::to_string).collect());
            assert_eq!(found, images, "{name}");
        }
        for (name, new) in [("pod-update-p1", 1), ("deployment-update-d1", 1)] {
            let body = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
            let mut request = Request::parse(&body).unwrap();
            let found = newly_named(&request).unwrap();
            assert!(found.len() <= new, "{name}: {found:?}");
            request.old_object = request.object.clone();
            assert_eq!(newly_named(&request).unwrap(), [], "{name}");
        }
        let body = std::fs::read(folder.join("pod-create-dry-dryrun.json")).unwrap();
        assert_eq!(Request::parse(&body).unwrap().dry_run, Some(true));
    }
}
