//! One file per noun; each turns words into requests and answers into lines.

pub(crate) mod admission;
pub(crate) mod advisories;
pub(crate) mod affected;
pub(crate) mod artifact;
pub(crate) mod audit;
pub(crate) mod cluster;
pub(crate) mod decision;
pub(crate) mod policy;
pub(crate) mod project;
pub(crate) mod promote;
pub(crate) mod quarantine;
pub(crate) mod scan;
pub(crate) mod serve;
pub(crate) mod user;
pub(crate) mod waiver;

use crate::{client::Client, output::Format};

/// What every command that talks to a server needs.
pub(crate) struct Context {
    /// The server.
    pub(crate) client: Client,
    /// How to print.
    pub(crate) format: Format,
}
