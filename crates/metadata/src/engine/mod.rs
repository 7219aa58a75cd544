//! The layer under the entities: one connection type, one transaction type and one SQL text for
//! SQLite and PostgreSQL.

mod basis;
mod clock;
mod database;
mod dialect;
mod error;
mod lease;
mod log;
mod pool;
mod row;
mod sqlite;
mod statement;
mod tables;
mod tx;
mod value;

pub use basis::Basis;
pub use clock::{Clock, SystemClock, TestClock};
pub use database::{Access, Database, DatabaseConfig, Engine};
pub use error::{Error, Result};
pub use lease::Lease;
pub use row::{Column, Row};
pub use tx::Tx;
pub(crate) use value::words;
pub use value::{ToValue, Value};
