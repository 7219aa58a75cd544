//! The house keeps its shape: floors, tidiness, licences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod floors;
mod licences;
mod links;
mod promises;
mod tidy;
mod tree;
