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
