//! The OCI distribution face and Docker's token service.
//!
//! Only HTTP: paths, headers, bodies and statuses of the distribution specification 1.1 and what
//! its main branch has added. Every decision is the registry's.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod blobs;
mod conditional;
mod fuzz;
mod lists;
mod manifests;
mod path;
mod query;
mod range;
mod routes;
mod token;
mod uploads;
mod warning;

#[doc(hidden)]
pub use fuzz::fuzz_request;
pub use routes::router;
