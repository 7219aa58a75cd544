//! From a question to an answer, whoever judges.

use crate::{
    answer::Answer,
    images::{self, Found},
    review::Request,
};
use sealock_registry::{Admission, Pinned};
use std::collections::BTreeMap;

/// Who knows whether an image may run. The registry, and in tests somebody else.
pub(crate) trait Judge: Sync {
    /// May this image run here?
    fn admit(
        &self,
        request: &Request,
        image: &str,
    ) -> impl Future<Output = sealock_registry::Result<Admission>> + Send;

    /// The image by its digest.
    fn pin(&self, image: &str) -> impl Future<Output = sealock_registry::Result<Pinned>> + Send;
}

/// Answers whether every image that the request newly names may run.
pub(crate) async fn validate(judge: &impl Judge, request: &Request) -> Answer {
    let mut answer = Answer::default();
    let Some(found) = named(request, &mut answer) else { return answer };
    // The same image in several containers is judged once.
    for image in distinct(&found).into_keys() {
        match judge.admit(request, image).await {
            Ok(admission) => {
                answer.decided(admission.decision);
                for warning in &admission.warnings {
                    answer.warn(format!("{image}: {warning}"));
                }
                if !admission.allowed {
                    answer.deny(format!("{image}: {}", admission.reasons.join(", ")));
                }
            }
            Err(error) => failed(&mut answer, image, &error),
        }
    }
    answer
}

/// Replaces tags of images that are hosted here by the digests that they name now.
pub(crate) async fn mutate(judge: &impl Judge, request: &Request) -> Answer {
    let mut answer = Answer::default();
    let Some(found) = named(request, &mut answer) else { return answer };
    for (image, places) in distinct(&found) {
        match judge.pin(image).await {
            Ok(Pinned::Unchanged) => {}
            Ok(Pinned::To(pinned)) => {
                places.iter().for_each(|place| answer.replace(place, &pinned));
            }
            Ok(Pinned::Unknown(reason)) => answer.deny(format!("{image}: {reason}")),
            Err(error) => failed(&mut answer, image, &error),
        }
    }
    answer
}

fn named(request: &Request, answer: &mut Answer) -> Option<Vec<Found>> {
    match images::newly_named(request) {
        Ok(found) => Some(found),
        Err(error) => {
            answer.deny(error.to_string());
            None
        }
    }
}

fn distinct(found: &[Found]) -> BTreeMap<&str, Vec<&Found>> {
    let mut images: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
    for place in found {
        images.entry(place.image.as_str()).or_default().push(place);
    }
    images
}

fn failed(answer: &mut Answer, image: &str, error: &sealock_registry::Error) {
    tracing::error!(image, error = error.log().unwrap_or(error.message()), "admission failed");
    answer.unavailable(format!("{image}: {}", error.message()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::Request;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sealock_oci::Digest;
    use serde_json::{Value, json};
    use std::sync::Mutex;

    /// Lets run what is called `good`, by digest, and pins every tag of it.
    #[derive(Default)]
    struct Fake {
        asked: Mutex<Vec<(String, bool)>>,
    }

    fn digest() -> Digest {
        Digest::sha256(b"the image")
    }

    impl Judge for Fake {
        async fn admit(
            &self,
            request: &Request,
            image: &str,
        ) -> sealock_registry::Result<Admission> {
            let dry_run = request.dry_run == Some(true);
            self.asked.lock().unwrap().push((image.to_owned(), dry_run));
            if image.contains("broken") {
                return Err(sealock_registry::Error::internal("the disk is on fire"));
            }
            let allowed = image.contains("good");
            Ok(Admission {
                digest: Some(digest()),
                allowed,
                reasons: if allowed { Vec::new() } else { vec!["not signed".to_owned()] },
                warnings: vec!["advisories are old".to_owned()],
                decision: (!dry_run).then_some(7),
            })
        }

        async fn pin(&self, image: &str) -> sealock_registry::Result<Pinned> {
            Ok(match image {
                image if image.contains('@') || image.starts_with("elsewhere") => Pinned::Unchanged,
                image if image.contains("good") => {
                    Pinned::To(format!("registry/good@{}", digest()))
                }
                _ => Pinned::Unknown("this registry holds no such image".to_owned()),
            })
        }
    }

    fn review(kind: &str, images: &[&str]) -> Value {
        let containers: Vec<Value> =
            images.iter().map(|image| json!({ "name": "c", "image": image })).collect();
        let specification = json!({
            "containers": containers, "initContainers": containers,
            "volumes": [{ "name": "v", "image": { "reference": images[0] } }],
        });
        let (group, object) = match kind {
            "Pod" => ("", json!({ "spec": specification })),
            _ => ("apps", json!({ "spec": { "template": { "spec": specification } } })),
        };
        json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "c0ffee", "operation": "CREATE", "namespace": "production", "name": "web",
                "kind": { "group": group, "version": "v1", "kind": kind }, "object": object,
            },
        })
    }

    fn request(review: &Value) -> Request {
        Request::parse(review.to_string().as_bytes()).unwrap()
    }

    async fn validated(review: &Value) -> Value {
        validate(&Fake::default(), &request(review)).await.into_review("c0ffee")["response"].clone()
    }

    #[tokio::test]
    async fn one_bad_image_denies_and_says_why() {
        for kind in ["Pod", "Deployment"] {
            let response = validated(&review(kind, &["registry/good:1"])).await;
            assert_eq!(response["uid"], "c0ffee");
            assert_eq!(response["allowed"], true);
            assert_eq!(response["warnings"][0], "registry/good:1: advisories are old");
            assert_eq!(response["auditAnnotations"]["decisions"], "7");
            let response = validated(&review(kind, &["registry/good:1", "registry/bad:1"])).await;
            assert_eq!(response["allowed"], false);
            assert_eq!(response["status"]["code"], 403);
            let message = response["status"]["message"].as_str().unwrap();
            assert_eq!(message, "registry/bad:1: not signed");
        }
    }

    #[tokio::test]
    async fn a_failure_of_the_registry_denies() {
        let response = validated(&review("Pod", &["registry/good:1", "registry/broken:1"])).await;
        assert_eq!(response["allowed"], false);
        assert_eq!(response["status"]["code"], 503);
        let message = response["status"]["message"].as_str().unwrap();
        assert!(!message.contains("fire"), "what belongs into the log stays there: {message}");
    }

    #[tokio::test]
    async fn the_same_image_is_judged_once_and_dry_runs_say_so() {
        let mut review = review("Pod", &["registry/good:1", "registry/good:1"]);
        review["request"]["dryRun"] = json!(true);
        let fake = Fake::default();
        let response = validate(&fake, &request(&review)).await.into_review("u");
        assert_eq!(*fake.asked.lock().unwrap(), [("registry/good:1".to_owned(), true)]);
        assert_eq!(response["response"].get("auditAnnotations"), None);
    }

    #[tokio::test]
    async fn an_unknown_kind_is_denied_by_name() {
        let mut review = review("Pod", &["registry/good:1"]);
        review["request"]["kind"] = json!({ "group": "batch", "version": "v1", "kind": "Job" });
        for answer in [
            validate(&Fake::default(), &request(&review)).await,
            mutate(&Fake::default(), &request(&review)).await,
        ] {
            let review = answer.into_review("u");
            assert_eq!(review["response"]["allowed"], false);
            let message = review["response"]["status"]["message"].as_str().unwrap();
            assert!(message.contains("Job of batch/v1"), "{message}");
        }
    }

    /// The patch is applied by a library that knows nothing of how it was made.
    #[tokio::test]
    async fn tags_become_digests_and_nothing_else_changes() {
        let images =
            ["registry/good:1", "elsewhere/x:1", "registry/good@sha256:00", "registry/good:2"];
        for kind in ["Pod", "Deployment"] {
            let review = review(kind, &images);
            let answer = mutate(&Fake::default(), &request(&review)).await;
            let response = answer.into_review("u")["response"].clone();
            assert_eq!(
                (&response["allowed"], &response["patchType"]),
                (&json!(true), &json!("JSONPatch"))
            );
            let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
            let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
            let before = review["request"]["object"].clone();
            let mut after = before.clone();
            json_patch::patch(&mut after, &patch).unwrap();
            let pinned = json!(format!("registry/good@{}", digest()));
            let expected = before
                .to_string()
                .replace("\"registry/good:1\"", &pinned.to_string())
                .replace("\"registry/good:2\"", &pinned.to_string());
            assert_ne!(after, before);
            assert_eq!(after, serde_json::from_str::<Value>(&expected).unwrap());
            // What is pinned already needs no patch.
            let mut again = review.clone();
            again["request"]["object"] = after;
            let response = mutate(&Fake::default(), &request(&again)).await.into_review("u");
            assert_eq!(response["response"].get("patch"), None);
        }
    }

    #[tokio::test]
    async fn a_tag_that_names_nothing_is_denied() {
        let review = review("Pod", &["registry/good:1", "registry/gone:1"]);
        let response = mutate(&Fake::default(), &request(&review)).await.into_review("u");
        assert_eq!(response["response"]["allowed"], false);
        assert_eq!(response["response"].get("patch"), None);
    }
}
