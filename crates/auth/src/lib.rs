//! Who is asking, what may they do: users, robots, tokens, roles.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod principal;
mod right;
mod role;
mod secret;

pub use access::{Access, project_rights, readable_projects};
pub use principal::{Caller, Principal};
pub use right::{Right, RightSet};
pub use role::Role;
pub use secret::SecretString;
