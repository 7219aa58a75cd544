use super::Context;
use crate::output;
use anyhow::Result;
use reqwest::Method;
use serde_json::json;

/// Banned digests.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Ban a digest: every door closes (security role).
    Add {
        /// The digest, sha256:….
        digest: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The digest is a blob: every image that holds it is closed.
        #[arg(long)]
        blob: bool,
    },
    /// Lift a ban (security role).
    Lift {
        /// The digest.
        digest: String,
    },
    /// List bans.
    List,
}

/// Quarantine, delete everywhere, and list who had it.
#[derive(Debug, clap::Args)]
pub(crate) struct Eradicate {
    /// The digest, sha256:….
    digest: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

const COLUMNS: &[output::Column] = &[
    ("digest", "/digest"),
    ("target", "/target"),
    ("by", "/by"),
    ("since", "/since"),
    ("reason", "/reason"),
];

const USES: &[output::Column] = &[
    ("when", "/at"),
    ("who", "/actor"),
    ("from", "/address"),
    ("repository", "/repository"),
    ("tag", "/tag"),
];

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::List => {
            let items = context.client.list("quarantines", &[]).await?;
            output::list(context.format, &items, COLUMNS)
        }
        Command::Add { digest, reason, blob } => {
            let target = if blob { "blob" } else { "manifest" };
            let body = json!({"target": target, "reason": reason});
            let path = format!("quarantines/{digest}");
            let ban = context.client.write(Method::PUT, &path, &body).await?;
            output::object(context.format, &ban, COLUMNS)
        }
        Command::Lift { digest } => {
            context.client.delete(&format!("quarantines/{digest}")).await?;
            output::line(context.format, &format!("Lifted: {digest}"))
        }
    }
}

pub(crate) async fn eradicate(context: &Context, args: Eradicate) -> Result<()> {
    let body = json!({"digest": args.digest, "reason": args.reason});
    let report = context.client.write(Method::POST, "eradications", &body).await?;
    if context.format == output::Format::Json {
        return output::json(&report);
    }
    let part =
        |name: &str| report.get(name).and_then(|v| v.as_array()).cloned().unwrap_or_default();
    let deleted = part("deleted");
    output::line(
        context.format,
        &format!("Quarantined {} and deleted it from {} places:", args.digest, deleted.len()),
    )?;
    output::list(context.format, &deleted, &[("repository", "/repository"), ("tags", "/tags")])?;
    for (heading, name) in [("Pulled by", "pulled"), ("Admitted by", "admitted")] {
        output::line(context.format, &format!("\n{heading}:"))?;
        output::list(context.format, &part(name), USES)?;
    }
    if report["cut"] == true {
        let rest =
            format!("\nThese lists are cut; `sealock audit --digest {}` has all.", args.digest);
        output::line(context.format, &rest)?;
    }
    Ok(())
}
