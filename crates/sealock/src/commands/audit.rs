use super::Context;
use crate::output;
use anyhow::Result;

/// Who did what, when, from where.
#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    /// Only in this project.
    #[arg(long)]
    project: Option<String>,
    /// Only about this digest.
    #[arg(long)]
    digest: Option<String>,
    /// Only this action, such as push, pull, delete, promote, login.
    #[arg(long)]
    action: Option<String>,
    /// Only by this actor.
    #[arg(long)]
    actor: Option<String>,
    /// Only since this moment (RFC 3339).
    #[arg(long)]
    since: Option<String>,
}

const COLUMNS: &[output::Column] = &[
    ("at", "/at"),
    ("action", "/action"),
    ("result", "/result"),
    ("actor", "/actor"),
    ("from", "/address"),
    ("repository", "/repository"),
    ("tag", "/tag"),
    ("digest", "/digest"),
];

pub(crate) async fn run(context: &Context, args: Audit) -> Result<()> {
    let filters = [
        ("project", args.project),
        ("digest", args.digest),
        ("action", args.action),
        ("actor", args.actor),
        ("since", args.since),
    ];
    let query: Vec<(&str, &str)> = filters
        .iter()
        .filter_map(|(name, value)| value.as_deref().map(|value| (*name, value)))
        .collect();
    output::list(context.format, &context.client.list("audit", &query).await?, COLUMNS)
}
