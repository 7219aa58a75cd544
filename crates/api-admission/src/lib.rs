//! Kubernetes admission webhooks: `admission.k8s.io/v1`.
//!
//! | route | what |
//! | --- | --- |
//! | POST `/admission/validate/{cluster}/{token}` | may every image of this object run? |
//! | POST `/admission/mutate/{cluster}/{token}` | tags of images hosted here become digests |
//!
//! The token may stand in `Authorization: Bearer` instead of the address, which ends after
//! `validate` or `mutate` then; so it does where the cluster shows its registered client
//! certificate. Without a credential there is no answer: 401, and 403 with a wrong one. Every other
//! failure is an answer that denies, so that the cluster's user reads why.
//!
//! Judged are Pods (containers, init containers, ephemeral containers and image volumes) and
//! Deployments. Another kind is refused by name; its Pods are judged when they are made. An update
//! that names no new image is not judged again, so that what runs can still be changed and scaled.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
pub mod fuzz;
mod images;
mod judge;
mod review;
mod routes;

pub use review::MAX_REVIEW_BYTES;
pub use routes::router;
