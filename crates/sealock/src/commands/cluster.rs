use super::Context;
use crate::output;
use anyhow::Result;
use reqwest::Method;
use serde_json::{Map, Value, json};

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
        #[arg(long = "namespace", value_parser = namespace, default_value = "*=release")]
        namespaces: Vec<(String, String)>,
        /// Images hosted elsewhere that may run all the same, as globs (repeatable).
        #[arg(long = "other-image")]
        other_images: Vec<String>,
    },
    /// List clusters.
    List,
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
];

fn namespace(text: &str) -> Result<(String, String), String> {
    let (name, tier) = text.split_once('=').ok_or("give it as NAMESPACE=TIER")?;
    tier.parse::<sealock_facts::Tier>()?;
    Ok((name.to_owned(), tier.to_owned()))
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Register { name, host_names, namespaces, other_images } => {
            let namespaces: Map<String, Value> = namespaces
                .into_iter()
                .map(|(name, tier)| (name, json!({"minimum_tier": tier})))
                .collect();
            let body = json!({
                "name": name, "host_names": host_names,
                "namespaces": namespaces, "other_images": other_images,
            });
            let cluster = context.client.write(Method::POST, "clusters", &body).await?;
            output::object(context.format, &cluster, COLUMNS)
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
