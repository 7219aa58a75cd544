use super::Context;
use crate::{failure::Failure, files, output};
use anyhow::Result;
use reqwest::Method;
use std::path::PathBuf;

/// Policy documents.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the policy of a project, a tier, the floor or a cluster's namespace.
    Get(Scope),
    /// Replace the policy of a project, a tier, the floor or a cluster's namespace (security role
    /// for the floor and tiers).
    Set {
        #[command(flatten)]
        scope: Scope,
        /// YAML or JSON; `-` reads standard input.
        file: PathBuf,
    },
    /// List the versions of a policy, newest first.
    History(Scope),
    /// Take the policy of a project or a cluster's namespace away; the floor's and the tier's stay.
    Remove(Scope),
    /// Check a document here, without a server.
    Validate {
        /// YAML or JSON; `-` reads standard input.
        file: PathBuf,
    },
    /// Print the JSON schema of policy documents.
    Schema,
}

/// Which policy.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Scope {
    /// A project's.
    #[arg(long)]
    project: Option<String>,
    /// A tier's.
    #[arg(long)]
    tier: Option<String>,
    /// The system's floor.
    #[arg(long)]
    floor: bool,
    /// What a cluster asks in a namespace that it lists: `prod/production`; `prod` alone is every
    /// other namespace.
    #[arg(long, value_name = "CLUSTER[/NAMESPACE]")]
    cluster: Option<String>,
}

impl Scope {
    fn path(&self) -> String {
        match (&self.project, &self.tier, &self.cluster) {
            (Some(project), ..) => format!("projects/{project}/policy"),
            (_, Some(tier), _) => format!("tiers/{tier}/policy"),
            (.., Some(cluster)) => {
                let (cluster, namespace) = cluster.split_once('/').unwrap_or((cluster, "*"));
                format!("clusters/{cluster}/namespaces/{namespace}/policy")
            }
            _ => "policy/floor".to_owned(),
        }
    }
}

const FIELDS: &[output::Column] =
    &[("scope", "/scope"), ("name", "/name"), ("revision", "/revision"), ("digest", "/digest")];

const VERSIONS: &[output::Column] =
    &[("revision", "/revision"), ("at", "/created_at"), ("by", "/author"), ("digest", "/digest")];

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Get(scope) => {
            let policy = context.client.get(&scope.path(), &[]).await?;
            match (context.format, policy.get("text").and_then(|text| text.as_str())) {
                (output::Format::Table, Some(text)) => output::text(text),
                _ => output::json(&policy),
            }
        }
        Command::Set { scope, file } => {
            let text = files::read_text(&file)?;
            check(&file, &text)?;
            let policy = context
                .client
                .send_body(Method::PUT, &scope.path(), &[], "application/yaml", text.into())
                .await?;
            output::object(context.format, &policy, FIELDS)
        }
        Command::History(scope) => {
            let versions = context.client.list(&format!("{}/history", scope.path()), &[]).await?;
            output::list(context.format, &versions, VERSIONS)
        }
        Command::Remove(scope) => {
            context.client.delete(&scope.path()).await?;
            output::line(context.format, "Removed the policy.")
        }
        Command::Validate { .. } | Command::Schema => offline(context.format, command),
    }
}

/// The commands that need no server.
pub(crate) fn offline(format: output::Format, command: Command) -> Result<()> {
    match command {
        Command::Validate { file } => {
            check(&file, &files::read_text(&file)?)?;
            output::line(format, "The policy is valid.")
        }
        _ => output::json(&sealock_policy::json_schema()),
    }
}

fn check(file: &std::path::Path, text: &str) -> Result<()> {
    sealock_policy::parse(text)
        .map(|_| ())
        .map_err(|error| Failure::refused(format!("{}: {error}", file.display())))
}
