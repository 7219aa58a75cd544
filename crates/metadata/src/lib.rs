//! The database, SQLite or PostgreSQL: migrations, one file per entity, transactions, outbox, the
//! clock seam.
//!
//! Every entity is a module of free functions that take a [`Tx`]. What belongs to a project is
//! found only with the project (or the repository, which belongs to one) in the WHERE clause; lists
//! are keyset-paged; each function runs a constant number of statements.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answers;
mod engine;
mod schema;

pub mod artifacts;
pub mod audit;
pub mod blobs;
pub mod clusters;
pub mod collections;
pub mod components;
pub mod contents;
pub mod cve_allowlists;
pub mod decisions;
pub mod dying_files;
pub mod evidence;
pub mod examiners;
pub mod findings;
pub mod forecast;
pub mod former_names;
pub mod fsck;
pub mod immutable_rules;
pub mod impact;
pub mod jobs;
pub mod labels;
pub mod listing;
pub mod manifests;
pub mod members;
pub mod overviews;
pub mod personal_tokens;
#[cfg(test)]
mod plan;
pub mod policies;
pub mod product_keys;
pub mod project_keys;
pub mod project_settings;
pub mod projects;
pub mod promotions;
pub mod quarantines;
pub mod quotas;
pub mod repositories;
pub mod reviews;
pub mod robots;
pub mod sessions;
pub mod settings;
pub mod tags;
#[cfg(feature = "testing")]
pub mod testing;
pub mod uploads;
pub mod user_groups;
pub mod users;
pub mod verdicts;
pub mod waivers;

pub use answers::Answers;
pub use engine::{
    Access, Basis, Clock, Column, Database, DatabaseConfig, Engine, Error, Lease, Result, Row,
    SystemClock, TestClock, ToValue, Tx, Value,
};
pub use schema::VERSION as SCHEMA_VERSION;
