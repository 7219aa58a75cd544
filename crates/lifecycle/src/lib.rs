//! What happens to an artifact with time: uploads that were abandoned are dropped, and what an
//! older inspector has read is read again; and a check of everything that is stored.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod fsck;
mod reaper;
mod upkeep;

pub use reaper::drop_stale_uploads;
pub use upkeep::look_after;
