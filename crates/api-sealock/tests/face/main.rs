//! The face as a client sees it: requests and answers, over a real registry on SQLite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod artifacts;
mod clusters;
mod document;
mod exceptions;
mod people;
mod policies;
mod projects;
mod server;
