//! What happens to an artifact with time: bytes that nothing refers to are collected, abandoned
//! uploads are dropped, and what an older inspector has read is read again;
//! and a check of everything that is stored.
//!
//! # Collection (decision D13)
//! Nothing is searched for. Whatever may have lost its last user is queued by the transaction that
//! took the user away, in `metadata`, no earlier than the lease from then on. [`Collector`] reviews
//! what is due in short transactions that wait for nobody: a link that no manifest of its
//! repository names goes, with the last link its blob goes, and the file becomes a *dying* one in
//! the same transaction. Then the files are removed, by generation, and the directories flushed;
//! then the dying rows go. A crash at any point is completed by whoever comes next. What has to
//! hold at every moment stands in [`invariants`], which the model of the protocol and the tests of
//! the running server share.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod collector;
pub mod fsck;
pub mod invariants;
mod metrics;
mod report;
mod requests;
mod upkeep;

pub use collector::{Collector, Limits};
pub use metrics::CollectionMetrics;
pub use report::{Report, Tally};
pub use requests::{CollectionOptions, CollectionRun};
pub use upkeep::{Upkeep, look_after};
