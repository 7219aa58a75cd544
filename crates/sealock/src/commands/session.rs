use super::{
    Context,
    own::{self, Which, Whose},
};
use crate::output;
use anyhow::Result;

/// Where people are logged in with a browser.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List where you are logged in, oldest first.
    List(Whose),
    /// Log a browser out, by its number in the list.
    Revoke(Which),
}

const SESSION: &[output::Column] = &[
    ("id", "/id"),
    ("address", "/address"),
    ("client", "/user_agent"),
    ("since", "/created_at"),
    ("last seen", "/used_at"),
];

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::List(whose) => own::list(context, "sessions", whose, SESSION).await,
        Command::Revoke(which) => {
            let words = ("Logged the browser out.", "Logged # browsers out.");
            own::end(context, "sessions", which, words).await
        }
    }
}
