//! Whole histories: what clients do to a real registry is recorded, the power is cut at every
//! moment, and every disk and database that may be left is opened and looked at.
//!
//! # What is recorded
//! One sequence holds every change of the blob store, through its disk seam, and every transaction
//! of the database, in the order in which they happened: of pushes, of deletions, and of the
//! collector. A transaction is one step of it that is there or not there as a whole; it stands in
//! the sequence when its last record is in the log of SQLite. The flush of that log is a step of
//! its own, at the moment at which the database asked for it.
//!
//! # What may be left
//! `sealock_blobs::testing::Survivors` says what is legal, and is exact: names, bytes and the log's
//! unsynced tail are kept or lost on their own. On small histories every combination at every
//! moment is built and opened; on long ones moments and combinations are chosen by a seed, which is
//! printed and set by `SEALOCK_HISTORY_SEED`; `SEALOCK_HISTORY_ROUNDS` asks for more of them.
//!
//! # What must hold
//! - Start-up works.
//! - Every blob, manifest and tag is in a state that it may have after what was acknowledged, with
//!   what was under way done or not done ([`known`]). An acknowledged delete stays done.
//! - Whatever is visible is whole: bytes have their digest, a manifest has all its blobs.
//! - `sealock fsck`, reading every byte, finds leaked bytes at most, and uploads whose clients
//!   begin again.
//! - A collection after the restart completes what was cut off, and takes nothing that is visible.
//! - An upload goes on from what it says it holds and ends bit-exact, or it is unknown.
//! - The registry goes on working.
//!
//! [`planted`] breaks the product in one place after the other and sees that this is noticed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod check;
mod client;
mod collecting;
mod exhaustive;
mod known;
mod planted;
mod random;
mod recording;
mod wal;
