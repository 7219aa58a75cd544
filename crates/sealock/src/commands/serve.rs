use super::serve_limits::Limits;
use crate::server;
use anyhow::Result;
use clap::builder::FalseyValueParser;
use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    path::PathBuf,
    time::Duration,
};

/// Run the server.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first start makes keys, the public project `library` and an administrator, whose password \
is printed once, or taken from SEALOCK_ADMIN_PASSWORD. Everything lies in the data directory."
)]
pub(crate) struct Serve {
    /// Folder for blobs, keys, advisories and the embedded database.
    #[arg(long, env = "SEALOCK_DATA_DIR", default_value = "sealock-data")]
    pub(crate) data_dir: PathBuf,
    /// Address for registry and API: 127.0.0.1:5000, [::1]:5000, a host name, or :5000 for all.
    #[arg(long, env = "SEALOCK_LISTEN", default_value = "127.0.0.1:5000", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// PostgreSQL instead of the embedded database: postgres://user@host/name.
    #[arg(long, env = "SEALOCK_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// URL under which clients reach this server (default: what --listen and --tls-cert give).
    #[arg(long, env = "SEALOCK_EXTERNAL_URL")]
    pub(crate) external_url: Option<url::Url>,
    /// PEM certificate chain: registry and API speak TLS.
    #[arg(long, env = "SEALOCK_TLS_CERT", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM private key of --tls-cert.
    #[arg(long, env = "SEALOCK_TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// PEM of the authority of --tls-cert, for people to fetch (/api/v2.0/systeminfo/getcert).
    #[arg(long, env = "SEALOCK_TLS_CA", requires = "tls_cert")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Address for the Kubernetes admission webhooks, always TLS.
    #[arg(
        long,
        env = "SEALOCK_ADMISSION_LISTEN",
        default_value = "127.0.0.1:5443",
        value_parser = address
    )]
    pub(crate) admission_listen: SocketAddr,
    /// Do not serve the admission webhooks.
    #[arg(long, env = "SEALOCK_NO_ADMISSION", value_parser = FalseyValueParser::new())]
    pub(crate) no_admission: bool,
    /// Host names or addresses under which clusters reach the webhooks (repeatable, or with
    /// commas).
    #[arg(
        long = "admission-host",
        env = "SEALOCK_ADMISSION_HOSTS",
        value_delimiter = ',',
        default_values = ["localhost", "127.0.0.1"]
    )]
    pub(crate) admission_hosts: Vec<String>,
    /// PEM certificate chain for the webhooks (default: made by an authority in the data
    /// directory).
    #[arg(long, env = "SEALOCK_ADMISSION_CERT", requires = "admission_key")]
    pub(crate) admission_cert: Option<PathBuf>,
    /// PEM private key of --admission-cert.
    #[arg(long, env = "SEALOCK_ADMISSION_KEY", requires = "admission_cert")]
    pub(crate) admission_key: Option<PathBuf>,
    /// PEM of the authority of --admission-cert, for the webhooks' caBundle.
    #[arg(long, env = "SEALOCK_ADMISSION_CA", requires = "admission_cert")]
    pub(crate) admission_ca: Option<PathBuf>,
    /// File with the master key (default: SEALOCK_MASTER_KEY, else made in the data directory).
    #[arg(long, env = "SEALOCK_MASTER_KEY_FILE")]
    pub(crate) master_key_file: Option<PathBuf>,
    /// Read layers by a job after the push instead of while they are received.
    #[arg(long, env = "SEALOCK_INSPECT_LATER", value_parser = FalseyValueParser::new())]
    pub(crate) inspect_later: bool,
    /// Addresses of proxies whose X-Forwarded-* headers are believed (repeatable, or with commas).
    #[arg(long = "trusted-proxy", env = "SEALOCK_TRUSTED_PROXIES", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Hosts that advisories may be fetched from even though their addresses are private
    /// (repeatable, or with commas).
    #[arg(long = "egress-host", env = "SEALOCK_EGRESS_HOSTS", value_delimiter = ',')]
    pub(crate) egress_hosts: Vec<String>,
    /// Pause between two collections of what nothing refers to: 5m, 1h, 0s for none.
    #[arg(
        long,
        env = "SEALOCK_COLLECTION_INTERVAL",
        default_value = "5m",
        value_parser = crate::moment::pause
    )]
    pub(crate) collection_interval: Duration,
    /// How long a client that was told that a blob is there has to push a manifest that names it:
    /// 24h, 2h; the same on every replica. 0s is unsafe: for tests only.
    #[arg(
        long,
        env = "SEALOCK_COLLECTION_LEASE",
        default_value = "24h",
        value_parser = crate::moment::pause
    )]
    pub(crate) collection_lease: Duration,
    /// Address for metrics (`/metrics`, for Prometheus), open to whoever reaches it:
    /// 127.0.0.1:9090.
    #[arg(long, env = "SEALOCK_METRICS_LISTEN", value_parser = address)]
    pub(crate) metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Log as JSON lines.
    #[arg(long, env = "SEALOCK_LOG_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) log_json: bool,
}

/// Reads where to listen.
fn address(text: &str) -> Result<SocketAddr, String> {
    let whole = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.to_owned(),
    };
    let help = "give an address and a port: 127.0.0.1:5000, 0.0.0.0:5000, [::]:5000, :5000";
    let found = whole.to_socket_addrs().map_err(|error| format!("{error}; {help}"))?;
    let mut found: Vec<_> = found.collect();
    // A name may have addresses of both kinds; clients of names try the older kind, too.
    found.sort_by_key(|address| !address.is_ipv4());
    found.first().copied().ok_or_else(|| help.to_owned())
}

pub(crate) async fn run(args: Serve) -> Result<()> {
    server::run(args).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_a_variable_of_its_name() {
        let command = <Serve as clap::Args>::augment_args(clap::Command::new("serve"));
        for option in command.get_arguments() {
            // Where an option is repeatable, its field and its variable are in the plural.
            let name = format!("SEALOCK_{}", option.get_id().as_str().to_uppercase());
            assert_eq!(option.get_env().and_then(|env| env.to_str()), Some(name.as_str()));
        }
    }

    #[test]
    fn addresses_as_operators_write_them() {
        for (text, means) in [
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            (":5000", "0.0.0.0:5000"),
            ("[::]:80", "[::]:80"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(address(text).map(|found| found.to_string()).as_deref(), Ok(means));
        }
        for bad in ["", "5000", "127.0.0.1", "127.0.0.1:99999", "::", "http://a:1", "no host:1"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
