//! A disk that records, fails and loses power on demand, for tests of this crate and of the floors
//! above.

mod faulty;
mod journal;

pub use faulty::{FaultyDisk, Operation};
pub use journal::{Journal, Survival};
