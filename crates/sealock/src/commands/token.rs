use super::{
    Context,
    own::{self, Which, Whose},
};
use crate::output::{self, Format};
use anyhow::Result;
use reqwest::Method;
use serde_json::json;

/// Tokens to use in place of your password.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token; its secret is printed once. Log in with your password for this.
    #[command(after_help = "Use it wherever your password is asked for, with your own name: \
docker login, podman login, helm registry login, SEALOCK_PASSWORD.")]
    Create {
        /// What you call it.
        name: String,
        /// What it may do of what you may: read, push, delete, promote (repeatable).
        #[arg(long = "scope", default_values = ["read"])]
        scopes: Vec<String>,
        /// A project that it is for (repeatable); all of yours when absent.
        #[arg(long = "project")]
        projects: Vec<String>,
        /// Days until it stops, 1 to 366.
        #[arg(long, default_value_t = 90)]
        expires_in_days: u32,
    },
    /// List your tokens, oldest first.
    List(Whose),
    /// End a token at once, by its number in the list.
    Revoke(Which),
}

const TOKEN: &[output::Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("scopes", "/scopes"),
    ("projects", "/projects"),
    ("expires", "/expires_at"),
    ("last used", "/used_at"),
];

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    let (client, format) = (&context.client, context.format);
    match command {
        Command::Create { name, scopes, projects, expires_in_days } => {
            let mut body =
                json!({"name": name, "scopes": scopes, "expires_in_days": expires_in_days});
            if !projects.is_empty() {
                body["projects"] = json!(projects);
            }
            let made = client.write(Method::POST, "tokens", &body).await?;
            if format == Format::Json {
                return output::object(format, &made, &[]);
            }
            let secret = made["secret"].as_str().unwrap_or_default();
            output::line(format, &format!("The token is {secret} (shown only now)."))
        }
        Command::List(whose) => own::list(context, "tokens", whose, TOKEN).await,
        Command::Revoke(which) => {
            own::end(context, "tokens", which, ("Revoked the token.", "Revoked # tokens.")).await
        }
    }
}
