use super::Context;
use crate::output;
use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::json;

/// People.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Create a user; the password comes from SEALOCK_NEW_PASSWORD.
    Create {
        /// Name to log in with.
        name: String,
        /// Mail address.
        #[arg(long)]
        email: Option<String>,
        /// May administer everything.
        #[arg(long)]
        admin: bool,
        /// May grant waivers, quarantine and edit the floor policy.
        #[arg(long)]
        security_officer: bool,
    },
    /// List users.
    List,
    /// Say who you are for the server.
    Me,
}

const USER: &[output::Column] = &[
    ("name", "/name"),
    ("email", "/email"),
    ("admin", "/admin"),
    ("security officer", "/security_officer"),
    ("disabled", "/disabled"),
];

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    let (client, format) = (&context.client, context.format);
    match command {
        Command::Create { name, email, admin, security_officer } => {
            let password = std::env::var("SEALOCK_NEW_PASSWORD")
                .context("set SEALOCK_NEW_PASSWORD to the new user's password")?;
            let body = json!({
                "name": name, "password": password, "email": email,
                "admin": admin, "security_officer": security_officer,
            });
            output::object(format, &client.write(Method::POST, "users", &body).await?, USER)
        }
        Command::List => output::list(format, &client.list("users", &[]).await?, USER),
        Command::Me => {
            let me = client.get("me", &[]).await?;
            let fields = [
                ("name", "/name"),
                ("kind", "/kind"),
                ("admin", "/admin"),
                ("security officer", "/security_officer"),
            ];
            output::object(format, &me, &fields)
        }
    }
}
