//! The registry as its faces use it: a database, a folder of blobs, callers.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test's own errors end the test"
)]

mod doors;
mod promotions;
mod pushes;
mod world;
