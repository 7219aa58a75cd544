use super::{Context, Limit, given};
use crate::{moment, output};
use anyhow::Result;
use sealock_metadata::{Clock as _, SystemClock};

/// Who did what, when, from where.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sealock audit --since 1d --action login\n  sealock audit \
--project shop --action push,promote,waiver\n  sealock audit --digest sha256:… --limit 0 --output json")]
pub(crate) struct Audit {
    /// Only in this project.
    #[arg(long)]
    project: Option<String>,
    /// Only about this digest.
    #[arg(long)]
    digest: Option<String>,
    /// Only these actions (repeatable, or separated by commas), such as push, pull, delete, tag,
    /// retag, promote, login, policy.
    #[arg(long = "action", value_delimiter = ',')]
    actions: Vec<String>,
    /// Only by this user or robot.
    #[arg(long)]
    actor: Option<String>,
    /// Only since then: 2h (ago), 2027-01-31, 2027-01-31T12:00:00Z.
    #[arg(long)]
    since: Option<String>,
    /// Only before then, in the same forms.
    #[arg(long)]
    until: Option<String>,
    #[command(flatten)]
    limit: Limit,
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
    let now = SystemClock.now();
    let moment = |text: Option<String>| {
        text.map(|text| moment::begin(&text, now).map(|at| at.to_string())).transpose()
    };
    let filters = [
        ("project", args.project),
        ("digest", args.digest),
        ("action", Some(args.actions.join(",")).filter(|actions| !actions.is_empty())),
        ("actor", args.actor),
        ("since", moment(args.since)?),
        ("until", moment(args.until)?),
    ];
    let found = context.client.first("audit", &given(&filters), args.limit.most()).await?;
    output::first(context.format, found, COLUMNS)
}
