//! The gate's function: truth tables, properties, time, access, waivers, replay, and the readers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod access;
mod artifacts;
mod build;
mod corpus;
mod parser;
mod properties;
mod replay;
mod tables;
mod time;
mod waivers;
