use super::Context;
use crate::{failure::Failure, output};
use anyhow::Result;

/// Where people are logged in with a browser.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List where you are logged in, oldest first.
    List {
        /// Somebody else (system administrators).
        #[arg(long = "of")]
        whose: Option<String>,
    },
    /// Log a browser out, by its number in the list.
    Revoke {
        /// The number (system administrators: anybody's).
        #[arg(required_unless_present = "all")]
        id: Option<i64>,
        /// Every browser.
        #[arg(long, conflicts_with = "id")]
        all: bool,
        /// Of somebody else (system administrators), with --all.
        #[arg(long = "of", requires = "all")]
        whose: Option<String>,
    },
}

const SESSION: &[output::Column] = &[
    ("id", "/id"),
    ("address", "/address"),
    ("client", "/user_agent"),
    ("since", "/created_at"),
    ("last seen", "/used_at"),
];

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    let (client, format) = (&context.client, context.format);
    match command {
        Command::List { whose } => {
            let filters = [("user", whose)];
            let query = super::given(&filters);
            output::list(format, &client.list("sessions", &query).await?, SESSION)
        }
        Command::Revoke { id: Some(id), .. } => {
            client.delete(&format!("sessions/{id}")).await?;
            output::line(format, "Logged the browser out.")
        }
        Command::Revoke { id: None, all: true, whose } => {
            let filters = [("user", whose)];
            let answer = client.delete_all("sessions", &super::given(&filters)).await?;
            output::line(format, &format!("Logged {} browsers out.", answer["ended"]))
        }
        Command::Revoke { id: None, all: false, .. } => {
            Err(Failure::usage("name a log-in by its number, or --all"))
        }
    }
}
