//! Harbor's API v2.0, so that its clients work unchanged.
//!
//! `routes` is the whole surface on one page; each tag of the API has a module, and `later` lists
//! the operations that this version does not have. What all share stands in `face` (who asks, what
//! they sent, how errors are worded), `paging` and `query` (the languages of `q` and `sort`).
//! Deviations from Harbor are listed with their reasons in `docs/reference/harbor-differences.md`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod additions;
mod allowlists;
mod artifacts;
mod browser;
mod configure;
mod counts;
mod face;
mod groups;
mod icons;
mod immutable;
mod labels;
mod later;
mod log;
mod members;
mod metadata;
mod paging;
mod projects;
mod query;
mod quotas;
mod repositories;
mod robots;
mod routes;
mod system;
mod users;

pub use face::Face;
pub use routes::router;
