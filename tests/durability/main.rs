//! A 201 is a promise: SIGKILL in the middle of pushes loses nothing that was acknowledged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod collection;
mod flush;
mod fsck;
mod full;
mod kill;
mod numbers;
mod outage;
mod starts;
mod stop;
