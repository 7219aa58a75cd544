//! Who is asking, what may they do: users, robots, tokens, roles.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod attempts;
mod authenticator;
mod error;
mod fuzz;
mod grants;
mod hashing;
mod matrix;
mod name;
mod password;
mod permission;
mod personal;
mod principal;
mod random;
mod rates;
mod right;
mod robot;
mod role;
mod scope;
mod secret;
mod session;
mod standing;
mod token;

pub use access::{Access, rights_at, visible, visible_in};
pub use attempts::{FAILURES_PER_MINUTE, neighbourhood};
pub use authenticator::{Authenticator, FIRST_ADMIN, Login, secret_hash};
pub use error::AuthError;
#[doc(hidden)]
pub use fuzz::fuzz_credentials;
pub use grants::{Grant, Grants, Limit, Place};
pub use matrix::{ADDITIONS, DOORS, MATRIX};
pub use name::{
    MAX_ROBOT_NAME_BYTES, ROBOT_PREFIX, check_robot_name, check_user_name, robot_login, split_robot,
};
pub use password::{
    MAX_MIXED_CHARS, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, check_mixed_password,
    check_new_password,
};
pub use permission::{
    Act, Catalogue, OWN_CATALOGUE, PROJECT_CATALOGUE, Permission, Permissions, Resource,
    SYSTEM_CATALOGUE, is_for_the_limited, lists,
};
pub use personal::{Bounds, TOKEN_PREFIX, TokenScope};
pub use principal::{Caller, Principal};
pub use random::{Randomness, SystemRandomness};
pub use rates::{Allowance, MAX_RATED_KEYS, Rates};
pub use right::{Right, RightSet};
pub use robot::RobotSecret;
pub use role::Role;
pub use scope::{MAX_SCOPES, Scope};
pub use secret::SecretString;
pub use session::{Browser, MAX_BROWSERS, SESSION_LIFETIME, csrf_token, is_csrf_token};
pub use standing::{Spot, Standing};
pub use token::{IssuedToken, TOKEN_LIFETIME, TokenError, TokenKey, Tokens};
