//! `sealock serve`: configuration, first start, wiring, listeners.

mod descriptors;
mod first_start;
mod health;
mod home;
mod keys;
mod logging;
pub(crate) mod metrics;
mod recover;
mod renewal;
mod tls;
mod wiring;

pub(crate) use home::Home;
pub(crate) use keys::existing_master_key;
pub(crate) use recover::reset_password;
pub(crate) use wiring::run;
