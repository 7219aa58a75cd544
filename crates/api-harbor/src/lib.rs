//! Harbor's API, as far as it exists: ping, the current user, and making and finding projects, in
//! Harbor's exact form.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod projects;
mod routes;
mod users;

pub use routes::router;
