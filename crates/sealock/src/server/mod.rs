//! `sealock serve`: configuration, first start, wiring, listeners.

mod first_start;
mod health;
mod home;
mod keys;
mod logging;
mod recover;
mod tls;
mod wiring;

pub(crate) use recover::reset_password;
pub(crate) use wiring::run;
