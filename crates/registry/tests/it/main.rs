//! The registry as its faces use it: a database, a folder of blobs, callers.
#![expect(clippy::unwrap_used, reason = "a test's own errors end the test")]

mod admissions;
mod clusters;
mod copies;
mod crowd;
mod doors;
mod evidence;
mod examiners;
mod flags;
mod held;
mod immutable;
mod invited;
mod later;
mod new_data;
mod opening;
mod promotions;
mod pushes;
mod quotas;
mod races;
mod renaming;
mod standing;
mod story;
mod world;
