//! The zoo: a real store made by the real registry, with exactly known defects planted in it. Each
//! must be named by its kind and counted exactly, nothing else may be named, and after one repair
//! nothing is left that another could repair.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod files;
mod healthy;
mod mixed;
mod rows;
mod store;
mod zoo;
