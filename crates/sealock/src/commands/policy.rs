use super::Context;
use crate::{failure::Failure, files, output};
use anyhow::Result;
use reqwest::Method;
use std::path::PathBuf;

/// Policy documents.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the policy of a project, a tier or the floor.
    Get(Scope),
    /// Replace the policy of a project, a tier or the floor (security role for the floor and
    /// tiers).
    Set {
        #[command(flatten)]
        scope: Scope,
        /// YAML or JSON; `-` reads standard input.
        file: PathBuf,
    },
    /// List the versions of a policy, newest first.
    History(Scope),
    /// Take a project's own policy away; the floor's and the tier's stay.
    Remove {
        /// The project.
        #[arg(long)]
        project: String,
    },
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
}

impl Scope {
    fn path(&self) -> String {
        match (&self.project, &self.tier) {
            (Some(project), _) => format!("projects/{project}/policy"),
            (_, Some(tier)) => format!("tiers/{tier}/policy"),
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
        Command::Remove { project } => {
            context.client.delete(&format!("projects/{project}/policy")).await?;
            output::line(context.format, &format!("Removed the policy of {project}."))
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
