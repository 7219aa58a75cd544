//! What the faces share: errors to HTTP, authentication of a request, paging, listeners.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access_log;
mod authorities;
mod body;
mod browsers;
mod client_certificate;
mod credentials;
mod crowd;
mod error;
mod front;
mod gatekeeper;
mod layers;
mod paging;
mod patience;
mod rates;
mod read_only;
mod room;
mod sender;
mod sendfile;
mod server;
#[cfg(feature = "testing")]
pub mod testing;
mod turns;

pub use access_log::{AccessLog, LOG_LINES_PER_ADDRESS};
pub use authorities::Authorities;
pub use body::{discard, read_limited};
pub use browsers::{CSRF_TOKEN, SessionCookie, give_session, take_session, with_browsers};
pub use client_certificate::registered_client_certificates;
pub use credentials::Credentials;
pub use error::{HttpError, Result};
pub use front::{ClientCertificate, Front, Peer, bearer_challenge};
pub use gatekeeper::Gatekeeper;
pub use layers::{REQUEST_ID, RequestId, around, around_limited};
pub use paging::{encode, next_link};
pub use rates::{BURST_SECONDS, REQUESTS_PER_ACCOUNT, REQUESTS_PER_ADDRESS, RequestRates};
pub use read_only::unless_read_only;
pub use sendfile::SendFile;
pub use server::{ListenerLimits, serve};
pub use turns::Turns;
