use super::{Context, Limit, given};
use crate::output;
use anyhow::Result;

/// List promotions.
#[derive(Debug, clap::Args)]
pub(crate) struct Promotions {
    /// Only into or from this project.
    #[arg(long)]
    project: Option<String>,
    /// Only of this digest.
    #[arg(long)]
    digest: Option<String>,
    #[command(flatten)]
    limit: Limit,
}

const COLUMNS: &[output::Column] = &[
    ("at", "/at"),
    ("from", "/source"),
    ("to", "/target"),
    ("tag", "/tag"),
    ("digest", "/digest"),
    ("by", "/actor"),
    ("decision", "/decision"),
];

pub(crate) async fn run(context: &Context, args: Promotions) -> Result<()> {
    let filters = [("project", args.project), ("digest", args.digest)];
    let found = context.client.first("promotions", &given(&filters), args.limit.most()).await?;
    output::first(context.format, found, COLUMNS)
}
