//! A disk that records, fails, forgets and loses power on demand, for tests of this crate and of
//! the floors above.

mod chance;
mod faulty;
mod journal;
mod survivors;

pub use chance::Chance;
pub use faulty::{FaultyDisk, Operation};
pub use journal::{Change, Journal, Log, Survival};
pub use survivors::{SurvivingDisk, Survivors};
