use super::Context;
use crate::{moment, output};
use anyhow::Result;
use reqwest::Method;
use sealock_metadata::{Clock as _, SystemClock};
use serde_json::json;

/// Exceptions from findings.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Ask for a waiver; somebody else has to grant it.
    Request(Request),
    /// Grant a waiver that another person asked for (security role).
    Grant(Decide),
    /// Refuse a waiver (security role).
    Refuse(Decide),
    /// Take a granted waiver back (security role).
    Revoke(Decide),
    /// List the waivers of a project.
    List {
        /// The project.
        project: String,
    },
}

/// Ask for a waiver.
#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    /// The project in which it shall count.
    project: String,
    /// Vulnerability id; any id of its alias group.
    vulnerability: String,
    /// Why it may be accepted.
    #[arg(long)]
    reason: String,
    /// When it ends: a date (2027-01-31), a moment (RFC 3339), or days from now (30d).
    #[arg(long, default_value = "30d")]
    until: String,
    /// Only for this package URL (without a version: any version).
    #[arg(long)]
    component: Option<String>,
    /// Only for repositories that match this glob (`*` one part, `**` any).
    #[arg(long)]
    repository: Option<String>,
    /// Only for this digest.
    #[arg(long)]
    digest: Option<String>,
}

/// Decide about a waiver.
#[derive(Debug, clap::Args)]
pub(crate) struct Decide {
    /// The project.
    project: String,
    /// The waiver's number.
    id: i64,
    /// A remark that is kept with the decision.
    #[arg(long)]
    reason: Option<String>,
}

const COLUMNS: &[output::Column] = &[
    ("id", "/id"),
    ("state", "/state"),
    ("vulnerability", "/scope/vulnerability"),
    ("component", "/scope/component"),
    ("repository", "/scope/repository"),
    ("until", "/expires_at"),
    ("asked by", "/requested_by"),
    ("decided by", "/decided_by"),
    ("reason", "/reason"),
];

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    let (verb, decide) = match command {
        Command::List { project } => {
            let items = context.client.list(&format!("projects/{project}/waivers"), &[]).await?;
            return output::list(context.format, &items, COLUMNS);
        }
        Command::Request(request) => return ask(context, request).await,
        Command::Grant(decide) => ("grant", decide),
        Command::Refuse(decide) => ("refuse", decide),
        Command::Revoke(decide) => ("revoke", decide),
    };
    let path = format!("projects/{}/waivers/{}/{verb}", decide.project, decide.id);
    let body = json!({"reason": decide.reason});
    let waiver = context.client.write(Method::POST, &path, &body).await?;
    output::object(context.format, &waiver, COLUMNS)
}

async fn ask(context: &Context, request: Request) -> Result<()> {
    let body = json!({
        "vulnerability": request.vulnerability,
        "component": request.component,
        "repository": request.repository,
        "digest": request.digest,
        "reason": request.reason,
        "expires_at": moment::end(&request.until, SystemClock.now())?,
    });
    let path = format!("projects/{}/waivers", request.project);
    let waiver = context.client.write(Method::POST, &path, &body).await?;
    output::object(context.format, &waiver, COLUMNS)
}
