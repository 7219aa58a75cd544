//! What people have of their own on a server and end: tokens, and log-ins with browsers.

use super::Context;
use crate::{failure::Failure, output};
use anyhow::Result;

/// Whose.
#[derive(Debug, clap::Args)]
pub(crate) struct Whose {
    /// Somebody else's (system administrators).
    #[arg(long = "of")]
    whose: Option<String>,
}

/// Which of them end.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The number (system administrators: anybody's).
    #[arg(required_unless_present = "all")]
    id: Option<i64>,
    /// All of them.
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// Of somebody else (system administrators), with --all.
    #[arg(long = "of", requires = "all")]
    whose: Option<String>,
}

/// Lists those of a path.
pub(crate) async fn list(
    context: &Context,
    path: &str,
    whose: Whose,
    columns: &[output::Column],
) -> Result<()> {
    let filters = [("user", whose.whose)];
    let items = context.client.list(path, &super::given(&filters)).await?;
    output::list(context.format, &items, columns)
}

/// Ends some of a path; what they are called, in words for one and for many.
pub(crate) async fn end(
    context: &Context,
    path: &str,
    which: Which,
    (done, many): (&str, &str),
) -> Result<()> {
    let (client, format) = (&context.client, context.format);
    match which {
        Which { id: Some(id), .. } => {
            client.delete(&format!("{path}/{id}")).await?;
            output::line(format, done)
        }
        Which { all: true, whose, .. } => {
            let filters = [("user", whose)];
            let answer = client.delete_all(path, &super::given(&filters)).await?;
            output::line(format, &many.replace('#', &answer["ended"].to_string()))
        }
        Which { .. } => Err(Failure::usage("say which by its number, or --all")),
    }
}
