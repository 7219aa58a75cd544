//! Puts the floors together and runs until the server is told to stop.

use super::{first_start, home::Home, keys, logging, tls};
use crate::commands::serve::Serve;
use anyhow::{Context, Result};
use axum::Router;
use sealock_blobs::{BlobStore, RealDisk};
use sealock_http::{Front, ListenerLimits};
use sealock_metadata::{Clock, Database, DatabaseConfig, SystemClock};
use sealock_registry::Registry;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};

/// `sealock serve`.
pub(crate) async fn run(args: Serve) -> Result<()> {
    logging::start(args.log_json);
    let home = Home::open(&args.data_dir)?;
    let registry_tls = match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => Some(tls::from_files(chain, key, None)?),
        _ => None,
    };
    let scheme = if registry_tls.is_some() { "https" } else { "http" };
    let listener = bind(args.listen).await?;
    let address = listener.local_addr()?;
    let url = match &args.external_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("{scheme}://{address}"),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let database = open_database(&args, &home, clock).await?;
    let registry = open_registry(&args, &home, database.clone(), url.clone()).await?;
    let front = Arc::new(Front {
        external_url: args.external_url.as_ref().map(|_| url.clone()),
        trusted_proxies: Vec::new(),
    });
    let _ = (registry, front);
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another with --listen"))
}

async fn open_database(args: &Serve, home: &Home, clock: Arc<dyn Clock>) -> Result<Database> {
    let config = match &args.database_url {
        Some(url) => DatabaseConfig::postgres(url),
        None => DatabaseConfig::sqlite(home.join("sealock.db")),
    };
    Ok(Database::open(config, clock).await?)
}

async fn open_registry(
    args: &Serve,
    home: &Home,
    database: Database,
    external_url: String,
) -> Result<Registry> {
    let blobs = BlobStore::open(&home.join("blobs"), Arc::new(RealDisk))?;
    let snapshots = sealock_advisories::SnapshotStore::open(&home.join("advisories"))?;
    let config = sealock_registry::Config {
        database,
        blobs,
        snapshots,
        master_key: keys::master_key(home, args.master_key_file.as_deref())?,
        external_url,
        inspectors: None,
        door_wait: sealock_registry::DOOR_WAIT,
    };
    Ok(Registry::open(config).await?)
}
