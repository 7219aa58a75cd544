//! Clients that mean no good, and what everybody else notices of them: nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod connections;
mod rates;
mod wire;
