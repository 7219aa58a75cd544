use super::Context;
use crate::{
    client::Client,
    failure::Failure,
    output::{self, Format},
    server,
};
use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use std::path::PathBuf;

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
    /// Change what a user may do, or close the account.
    Update {
        /// The user.
        name: String,
        /// May administer everything.
        #[arg(long)]
        admin: Option<bool>,
        /// May grant waivers, quarantine and edit the floor policy.
        #[arg(long)]
        security_officer: Option<bool>,
        /// May not log in.
        #[arg(long)]
        disabled: Option<bool>,
    },
    /// Call a user otherwise. What is theirs stays theirs; log-ins with the old name end.
    #[command(
        after_help = "Nobody else can take the old name while the user is here. Policies that name it mean \
nobody any more: the answer says which they are."
    )]
    Rename {
        /// The user.
        name: String,
        /// The new name.
        to: String,
    },
    /// Change a password, one's own if no name is given; the new one comes from
    /// SEALOCK_NEW_PASSWORD.
    Password {
        /// The user.
        name: Option<String>,
    },
    /// Give a user a new password on the machine that holds the data, when nobody can log in any
    /// more. Without SEALOCK_NEW_PASSWORD one is made and shown once.
    #[command(
        after_help = "The server must be stopped, unless it uses PostgreSQL. The account is opened if it was \
closed; what it may do stays as it is. The audit log says that it was done."
    )]
    ResetPassword(ResetPassword),
    /// Remove a user; records go on naming them.
    Remove {
        /// The user.
        name: String,
    },
    /// Say who you are for the server.
    Me,
}

/// Give a user a new password on the machine that holds the data, when nobody can log in any
/// more. Without SEALOCK_NEW_PASSWORD one is made and shown once.
#[derive(Debug, clap::Args)]
pub(crate) struct ResetPassword {
    /// The user.
    pub(crate) name: String,
    /// The server's data directory.
    #[arg(long, env = "SEALOCK_DATA_DIR", default_value = "sealock-data")]
    pub(crate) data_dir: PathBuf,
    /// The server's PostgreSQL database, if it uses one: postgres://user@host/name.
    #[arg(long, env = "SEALOCK_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
}

/// `sealock user reset-password`.
pub(crate) async fn reset_password(format: Format, args: ResetPassword) -> Result<()> {
    let chosen = std::env::var("SEALOCK_NEW_PASSWORD").ok();
    let made = server::reset_password(&args, chosen.clone()).await?;
    let name = &args.name;
    let said = match chosen {
        Some(_) => format!("Changed the password of {name}."),
        None => format!("The password of {name} is now {} (shown only now).", made.expose()),
    };
    output::remark(format, &said)
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
            let body = json!({
                "name": name, "password": new_password()?, "email": email,
                "admin": admin, "security_officer": security_officer,
            });
            output::object(format, &client.write(Method::POST, "users", &body).await?, USER)
        }
        Command::List => output::list(format, &client.list("users", &[]).await?, USER),
        Command::Update { name, admin, security_officer, disabled } => {
            if admin.or(security_officer).or(disabled).is_none() {
                return Err(Failure::usage("say what changes; see sealock user update --help"));
            }
            let body = json!({
                "admin": admin, "security_officer": security_officer, "disabled": disabled,
            });
            let path = format!("users/{name}");
            output::object(format, &client.write(Method::PATCH, &path, &body).await?, USER)
        }
        Command::Rename { name, to } => {
            let path = format!("users/{name}/name");
            let user = client.write(Method::PUT, &path, &json!({"name": to})).await?;
            output::object(format, &user, USER)?;
            let named_by = user["named_by"].as_array().into_iter().flatten();
            let named_by: Vec<&str> = named_by.filter_map(|policy| policy.as_str()).collect();
            if named_by.is_empty() {
                return Ok(());
            }
            let named_by = named_by.join(", ");
            output::remark(
                format,
                &format!("Policies that name {name}, which is nobody now: of {named_by}."),
            )
        }
        Command::Password { name } => {
            let name = match name {
                Some(name) => name,
                None => own_name(client).await?,
            };
            let body = json!({"password": new_password()?});
            client.write(Method::PATCH, &format!("users/{name}"), &body).await?;
            output::line(format, &format!("Changed the password of {name}."))
        }
        Command::ResetPassword(args) => reset_password(format, args).await,
        Command::Remove { name } => {
            client.delete(&format!("users/{name}")).await?;
            output::line(format, &format!("Removed user {name}."))
        }
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

/// Not an argument: other people on the machine see those.
fn new_password() -> Result<String> {
    std::env::var("SEALOCK_NEW_PASSWORD")
        .map_err(|_| Failure::usage("set SEALOCK_NEW_PASSWORD to the new password"))
}

async fn own_name(client: &Client) -> Result<String> {
    let me = client.get("me", &[]).await?;
    match (me["kind"].as_str(), me["name"].as_str()) {
        (Some("user"), Some(name)) => Ok(name.to_owned()),
        _ => Err(Failure::not_allowed("log in as a user; only users have passwords")),
    }
}
