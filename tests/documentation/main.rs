//! The commands of the documentation run as they stand there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod page;
mod pages;
