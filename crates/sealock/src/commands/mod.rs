//! One file per noun; each turns words into requests and answers into lines.

pub(crate) mod admission;
pub(crate) mod advisories;
pub(crate) mod affected;
pub(crate) mod artifact;
pub(crate) mod audit;
pub(crate) mod cluster;
pub(crate) mod decision;
pub(crate) mod fsck;
pub(crate) mod gc;
mod own;
pub(crate) mod policy;
pub(crate) mod project;
pub(crate) mod promote;
pub(crate) mod promotions;
pub(crate) mod quarantine;
pub(crate) mod scan;
pub(crate) mod serve;
pub(crate) mod serve_limits;
pub(crate) mod session;
pub(crate) mod token;
pub(crate) mod user;
pub(crate) mod waiver;

use crate::{client::Client, output::Format};

/// How many items a list has that grows for ever.
#[derive(Debug, clap::Args)]
pub(crate) struct Limit {
    /// Most rows, newest first; 0 for all.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

impl Limit {
    /// The number.
    pub(crate) fn most(&self) -> usize {
        if self.limit == 0 { usize::MAX } else { self.limit }
    }
}

/// The filters that were given, as a query.
pub(crate) fn given<'a>(filters: &'a [(&'a str, Option<String>)]) -> Vec<(&'a str, &'a str)> {
    filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect()
}

/// What every command that talks to a server needs.
pub(crate) struct Context {
    /// The server.
    pub(crate) client: Client,
    /// How to print.
    pub(crate) format: Format,
}
