//! `/v2/` through a real socket, on a real registry; one module for each part of the URL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod base;
mod blobs;
mod faults;
mod lists;
mod manifests;
mod matrix;
mod referrers_tag;
mod refusals;
mod roles;
mod sha512;
mod uploads;
