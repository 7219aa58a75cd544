//! Harbor's API as its clients use it. Every answer in here is held against Harbor's published
//! contract by the client itself (`sealock_tests::harbor`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod surface;
