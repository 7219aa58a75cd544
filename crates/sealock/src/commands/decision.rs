use super::{Context, Limit, given};
use crate::{failure::Failure, output};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Decisions of the gate.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List decisions, newest first.
    List {
        /// Only about this digest.
        #[arg(long)]
        digest: Option<String>,
        /// Only at this door: push, pull, promote, replicate, admit.
        #[arg(long)]
        door: Option<String>,
        /// Only in this project.
        #[arg(long)]
        project: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show one decision with its reasons.
    Show {
        /// Its number.
        id: i64,
    },
    /// Print the canonical input document that it was made from.
    Export {
        /// Its number.
        id: i64,
    },
    /// Decide again: on the server by number, or here from an exported document.
    Replay {
        /// Its number on the server.
        #[arg(required_unless_present = "document", conflicts_with = "document")]
        id: Option<i64>,
        /// An exported document; no server is asked.
        #[arg(long)]
        document: Option<PathBuf>,
    },
}

const COLUMNS: &[output::Column] = &[
    ("id", "/id"),
    ("at", "/at"),
    ("door", "/door"),
    ("action", "/action"),
    ("repository", "/repository"),
    ("digest", "/digest"),
    ("actor", "/actor"),
];

const REASONS: &[output::Column] = &[
    ("action", "/action"),
    ("outcome", "/outcome"),
    ("policy", "/policy"),
    ("rule", "/rule"),
    ("message", "/message"),
];

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    let format = context.format;
    match command {
        Command::List { digest, door, project, limit } => {
            let filters = [("digest", digest), ("door", door), ("project", project)];
            let found = context.client.first("decisions", &given(&filters), limit.most()).await?;
            output::first(format, found, COLUMNS)
        }
        Command::Show { id } => {
            let decision = context.client.get(&format!("decisions/{id}"), &[]).await?;
            if format == output::Format::Json {
                return output::json(&decision);
            }
            output::object(format, &decision, COLUMNS)?;
            reasons(context, decision.get("verdict"))
        }
        Command::Export { id } => {
            let document = context.client.get(&format!("decisions/{id}/document"), &[]).await?;
            output::json(&document)
        }
        Command::Replay { id: Some(id), .. } => {
            let path = format!("decisions/{id}/replay");
            let replay = context.client.write(Method::POST, &path, &json!({})).await?;
            output::object(
                format,
                &replay,
                &[
                    ("same", "/same"),
                    ("recorded", "/recorded/action"),
                    ("replayed", "/replayed/action"),
                ],
            )?;
            match replay.get("same").and_then(Value::as_bool) {
                Some(true) => Ok(()),
                _ => Err(Failure::refused("the replay gave another verdict than the record")),
            }
        }
        Command::Replay { document, .. } => offline(context, &document.unwrap_or_default()),
    }
}

/// Evaluates an exported document in this process.
fn offline(context: &Context, path: &std::path::Path) -> Result<()> {
    let bytes = crate::files::read(path)?;
    let input: sealock_policy::GateInput = serde_json::from_slice(&bytes)?;
    let verdict = serde_json::to_value(sealock_policy::evaluate(&input))?;
    if context.format == output::Format::Json {
        return output::json(&verdict);
    }
    output::object(context.format, &verdict, &[("action", "/action"), ("until", "/valid_until")])?;
    reasons(context, Some(&verdict))
}

/// Prints the reasons of a verdict.
pub(crate) fn reasons(context: &Context, verdict: Option<&Value>) -> Result<()> {
    let reasons = verdict.and_then(|v| v.get("reasons")).and_then(Value::as_array).cloned();
    output::list(context.format, &reasons.unwrap_or_default(), REASONS)
}
