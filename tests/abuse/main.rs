//! Clients that mean no good, and what everybody else notices of them: nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bodies;
mod connections;
mod graphs;
mod paths;
mod rates;
mod uploads;
mod wire;
