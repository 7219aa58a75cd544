use super::Context;
use crate::{files, output};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Clusters.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Register a cluster; its token is printed once.
    Register {
        /// Its name.
        name: String,
        /// Host names under which it knows this registry (repeatable).
        #[arg(long = "host-name", required = true)]
        host_names: Vec<String>,
        /// Least tier per namespace, such as `production=release`; `*` is every other namespace.
        /// With `:warn` behind it, a lower tier is only warned of.
        #[arg(long = "namespace", value_name = "NAMESPACE=TIER", value_parser = namespace,
              default_value = "*=release")]
        namespaces: Vec<(String, Value)>,
        /// Images hosted elsewhere that may run all the same, as globs (repeatable).
        #[arg(long = "other-image")]
        other_images: Vec<String>,
        /// PEM of the client certificate that its API servers show, instead of the token.
        #[arg(long, value_name = "FILE")]
        client_certificate: Option<PathBuf>,
    },
    /// List clusters.
    List,
    /// Show a cluster.
    Get {
        /// Its name.
        name: String,
    },
    /// Change a cluster: what is not named stays as it is.
    Update {
        /// Its name.
        name: String,
        /// Host names under which it knows this registry: all of them (repeatable).
        #[arg(long = "host-name")]
        host_names: Vec<String>,
        /// Least tier per namespace: all of them (repeatable). With a namespace that is left out
        /// goes its policy.
        #[arg(long = "namespace", value_name = "NAMESPACE=TIER", value_parser = namespace)]
        namespaces: Vec<(String, Value)>,
        /// Images hosted elsewhere that may run all the same: all of them (repeatable).
        #[arg(long = "other-image")]
        other_images: Vec<String>,
        /// PEM of the client certificate that its API servers show.
        #[arg(long, value_name = "FILE", conflicts_with = "no_client_certificate")]
        client_certificate: Option<PathBuf>,
        /// No client certificate opens the door any more.
        #[arg(long)]
        no_client_certificate: bool,
        /// `true`: the cluster gets no answer.
        #[arg(long)]
        disabled: Option<bool>,
    },
    /// Give a cluster a new token, printed once; the former one stops working at once.
    Token {
        /// Its name.
        name: String,
    },
    /// Forget a cluster: its token stops working at once.
    Remove {
        /// Its name.
        name: String,
    },
}

const COLUMNS: &[output::Column] = &[
    ("name", "/name"),
    ("token", "/token"),
    ("host names", "/host_names"),
    ("namespaces", "/namespaces"),
    ("other images", "/other_images"),
    ("client certificate", "/client_certificate"),
    ("disabled", "/disabled"),
];

/// `NAMESPACE=TIER`, or `NAMESPACE=TIER:warn`, as the API takes it.
fn namespace(text: &str) -> Result<(String, Value), String> {
    let (name, rule) = text.split_once('=').ok_or("give it as NAMESPACE=TIER")?;
    let (tier, enforce) = match rule.split_once(':') {
        None => (rule, true),
        Some((tier, "warn")) => (tier, false),
        Some((_, word)) => return Err(format!("{word:?} may only be `warn`")),
    };
    tier.parse::<sealock_facts::Tier>()?;
    Ok((name.to_owned(), json!({"minimum_tier": tier, "enforce": enforce})))
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Register { name, host_names, namespaces, other_images, client_certificate } => {
            let mut body = json!({
                "name": name, "host_names": host_names,
                "namespaces": Map::from_iter(namespaces), "other_images": other_images,
            });
            if let Some(path) = client_certificate {
                body["client_certificate"] = files::read_text(&path)?.into();
            }
            let cluster = context.client.write(Method::POST, "clusters", &body).await?;
            output::object(context.format, &cluster, COLUMNS)
        }
        Command::Get { name } => {
            let cluster = context.client.get(&format!("clusters/{name}"), &[]).await?;
            output::object(context.format, &cluster, COLUMNS)
        }
        Command::Update {
            name,
            host_names,
            namespaces,
            other_images,
            client_certificate,
            no_client_certificate,
            disabled,
        } => {
            let mut body = Map::new();
            if !host_names.is_empty() {
                body.insert("host_names".to_owned(), json!(host_names));
            }
            if !namespaces.is_empty() {
                body.insert("namespaces".to_owned(), Map::from_iter(namespaces).into());
            }
            if !other_images.is_empty() {
                body.insert("other_images".to_owned(), json!(other_images));
            }
            if let Some(path) = client_certificate {
                body.insert("client_certificate".to_owned(), files::read_text(&path)?.into());
            } else if no_client_certificate {
                body.insert("client_certificate".to_owned(), "".into());
            }
            if let Some(disabled) = disabled {
                body.insert("disabled".to_owned(), disabled.into());
            }
            let path = format!("clusters/{name}");
            let cluster = context.client.write(Method::PATCH, &path, &body.into()).await?;
            output::object(context.format, &cluster, COLUMNS)
        }
        Command::Token { name } => {
            let path = format!("clusters/{name}/token");
            let made = context.client.write(Method::POST, &path, &json!({})).await?;
            output::object(context.format, &made, &[("name", "/name"), ("token", "/token")])
        }
        Command::List => {
            output::list(context.format, &context.client.list("clusters", &[]).await?, COLUMNS)
        }
        Command::Remove { name } => {
            context.client.delete(&format!("clusters/{name}")).await?;
            output::line(context.format, &format!("Removed cluster {name}."))
        }
    }
}
