//! The registry as its faces use it: a database, a folder of blobs, callers.
#![expect(clippy::unwrap_used, reason = "a test's own errors end the test")]

mod admissions;
mod doors;
mod promotions;
mod pushes;
mod world;
