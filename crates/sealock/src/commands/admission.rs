use super::Context;
use crate::output;
use anyhow::Result;

/// Kubernetes admission.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the webhook configurations for a registered cluster, with the CA bundle.
    #[command(after_help = "Example: sealock admission manifest prod --webhook-url \
https://registry.example.com:5443 --token \"$TOKEN\" | kubectl apply -f -")]
    Manifest {
        /// The cluster's name.
        cluster: String,
        /// Address of the admission listener as the API server reaches it (https).
        #[arg(long)]
        webhook_url: url::Url,
        /// The cluster's token, printed when it was registered; left out where its API servers show
        /// their client certificate.
        #[arg(long, env = "SEALOCK_CLUSTER_TOKEN", hide_env_values = true)]
        token: Option<String>,
    },
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    let Command::Manifest { cluster, webhook_url, token } = command;
    let mut query = vec![("url", webhook_url.as_str())];
    query.extend(token.as_deref().map(|token| ("token", token)));
    let path = format!("clusters/{cluster}/webhooks");
    let answer = context.client.get(&path, &query).await?;
    match answer.as_str() {
        Some(yaml) => output::text(yaml),
        None => output::json(&answer),
    }
}
