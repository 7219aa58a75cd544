//! What whole-product tests share: the permitted skips, a real server in a process of its own, and
//! wrappers for the real clients. Knows the product only by its binary and its network faces.
// Test code: a broken expectation ends the test, and what it prints is for the reader of a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

pub mod admission;
pub mod clients;
pub mod harbor;
pub mod http;
pub mod images;
pub mod server;
pub mod skips;
