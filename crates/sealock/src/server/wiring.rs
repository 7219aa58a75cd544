//! Puts the floors together and runs until the server is told to stop.

#[cfg(test)]
mod expiry;

use super::{
    descriptors, first_start, health,
    home::Home,
    keys, logging, metrics,
    metrics::{Counted, Metrics},
    renewal, tls,
    tls::Tls,
};
use crate::commands::serve::Serve;
use anyhow::{Context, Result, bail};
use axum::Router;
use jiff::SignedDuration;
use sealock_advisories::{EgressPolicy, SnapshotStore};
use sealock_auth::{Authenticator, SystemRandomness, TokenKey, Tokens};
use sealock_blobs::{BlobStore, RealDisk};
use sealock_http::{Authorities, Front, Gatekeeper, ListenerLimits};
use sealock_lifecycle::{Collector, Upkeep};
use sealock_metadata::{Clock, Database, DatabaseConfig, Lease, SystemClock};
use sealock_registry::{Config, DOOR_WAIT, Registry};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};

/// How long jobs under way may take to end when the server stops. Requests have 15 seconds at the
/// same time; with what follows, a stop takes less than the 30 seconds after which container
/// platforms lose patience.
const JOBS_GRACE: Duration = Duration::from_secs(10);
/// How long connections to the database may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// A lease below which the log warns.
const SHORT_LEASE: SignedDuration = SignedDuration::from_mins(10);
/// Connections to the listener of metrics; half of them from one address.
const MAX_METRICS_CONNECTIONS: usize = 64;
/// Jobs that run at a time.
const WORKERS: usize = 4;

/// What the listeners serve.
struct Product {
    registry: Registry,
    database: Database,
    accounts: Authenticator,
    front: Arc<Front>,
    collector: Collector,
    metrics: Arc<Metrics>,
}

/// `sealock serve`.
pub(crate) async fn run(args: Serve) -> Result<()> {
    let _log = logging::start(args.log_json)?;
    let home = Home::open(&args.data_dir)?;
    let mut registry_tls = match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => Some(tls::from_files(chain, key, args.tls_ca.as_deref())?),
        _ => None,
    };
    let listener = bind(args.listen, "--listen").await?;
    let url = url(&args, registry_tls.is_some(), listener.local_addr()?);
    let product = open(&args, &home, &url).await?;
    let mut admission = match args.no_admission {
        true => None,
        false => Some((
            bind(args.admission_listen, "--admission-listen").await?,
            admission_tls(&args, &home)?,
        )),
    };
    let numbers = match args.metrics_listen {
        Some(address) => Some(bind(address, "--metrics-listen").await?),
        None => None,
    };
    let workers = product.registry.jobs().start(WORKERS).await?;
    // All that may fail is done: a generated password is told right after it is made.
    let welcome = first_start::prepare(&product.database, &product.accounts).await?;
    first_start::greet(&welcome, &url)?;
    drop(welcome);
    let upkeep = tokio::spawn({
        let (registry, collector) = (product.registry.clone(), product.collector.clone());
        let limits = sealock_lifecycle::Limits::default();
        let upkeep = Upkeep { interval: args.collection_interval, limits };
        async move { sealock_lifecycle::look_after(&registry, &collector, upkeep).await }
    });
    let ca = admission.as_ref().map(|(_, tls)| tls.authorities.clone());
    let certificate = match (&args.tls_ca, &registry_tls) {
        (Some(_), Some(tls)) => Some(tls.authorities.clone()),
        // A proxy's, in front of this server.
        (Some(path), None) => Some(Authorities::new(crate::files::read_text(path)?)),
        (None, _) => None,
    };
    let app = faces(&product, &args, ca, certificate);
    let given = registry_tls.as_mut().and_then(|tls| tls.renewal.take());
    let for_webhooks = admission.as_mut().and_then(|(_, tls)| tls.renewal.take());
    let renewals =
        tokio::spawn(renewal::look_after(given.into_iter().chain(for_webhooks).collect()));
    let stop = stop_signals();
    tracing::info!(%url, "serving");
    let most = descriptors::connections(args.limits.max_connections());
    let limits = args.limits.listener(most, &args.trusted_proxies);
    let main = sealock_http::serve(
        listener,
        registry_tls.map(|tls| tls.config),
        app,
        limits.clone(),
        signals(stop.clone(), 1),
    );
    let webhooks = serve_admission(&product, admission, limits.clone(), signals(stop.clone(), 1));
    let numbers = serve_metrics(&product, numbers, limits, signals(stop.clone(), 1));
    let jobs = async {
        signals(stop.clone(), 1).await;
        upkeep.abort();
        renewals.abort();
        workers.stop(JOBS_GRACE).await;
    };
    let all = async {
        tokio::join!(main, webhooks, numbers, jobs);
        close(&product).await;
    };
    tokio::select! {
        () = all => {}
        () = signals(stop.clone(), 2) => bail!("told to stop a second time: ended at once"),
    }
    tracing::info!("stopped");
    Ok(())
}

/// Writes what is held in memory, then closes the database: SQLite folds its log into the file.
async fn close(product: &Product) {
    product.registry.close().await;
    if tokio::time::timeout(CLOSE_LIMIT, product.database.close()).await.is_err() {
        tracing::warn!("the database was still in use; its log is read at the next start");
    }
}

fn url(args: &Serve, tls: bool, address: SocketAddr) -> String {
    match &args.external_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => {
            let scheme = if tls { "https" } else { "http" };
            if !address.ip().is_unspecified() {
                return format!("{scheme}://{address}");
            }
            tracing::warn!(
                "--external-url is not set: references in evidence will name 127.0.0.1, which \
                 other machines cannot reach"
            );
            format!("{scheme}://127.0.0.1:{}", address.port())
        }
    }
}

async fn bind(address: SocketAddr, option: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another with {option}"))
}

async fn open(args: &Serve, home: &Home, url: &str) -> Result<Product> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = match &args.database_url {
        Some(url) => DatabaseConfig::postgres(url),
        None => {
            DatabaseConfig::Sqlite { path: home.join("sealock.db"), must_exist: home.was_used() }
        }
    };
    let lease = Lease::new(SignedDuration::try_from(args.collection_lease)?);
    if lease.span() < SHORT_LEASE {
        tracing::warn!(
            "--collection-lease is short: a push that takes longer may lose layers that it was \
             told are there; use it for tests only"
        );
    }
    let database = Database::open(config, clock.clone()).await?.with_lease(lease);
    let registry = Registry::open(Config {
        database: database.clone(),
        blobs: BlobStore::open(&home.join("blobs"), Arc::new(RealDisk))?,
        snapshots: SnapshotStore::open(&home.join("advisories"))?,
        master_key: keys::master_key(home, args.master_key_file.as_deref())?,
        external_url: url.to_owned(),
        inspectors: None,
        inspect_while_receiving: !args.inspect_later,
        door_wait: DOOR_WAIT,
    })
    .await?;
    let key = TokenKey::from_pkcs8(&registry.product_keys().token().to_pkcs8())?;
    let random = Arc::new(SystemRandomness);
    // The service's name stands in every token; it must not change with the address.
    let tokens = Tokens::new("sealock", &key, &[], clock, random.clone());
    let accounts = Authenticator::new(database.clone(), tokens, random)?
        .limiting_failures(args.limits.failed_logins());
    let front = Arc::new(Front {
        external_url: args.external_url.as_ref().map(|_| url.to_owned()),
        trusted_proxies: args.trusted_proxies.clone(),
    });
    let counted = Counted::default();
    let metrics = Arc::new(Metrics::of(&counted));
    let collector = Collector::new(counted.collection);
    Ok(Product { registry, database, accounts, front, collector, metrics })
}

fn admission_tls(args: &Serve, home: &Home) -> Result<Tls> {
    match (&args.admission_cert, &args.admission_key) {
        (Some(chain), Some(key)) => tls::from_files(chain, key, args.admission_ca.as_deref()),
        _ => tls::self_made(home, &args.admission_hosts),
    }
}

/// Registry and APIs on one listener.
fn faces(
    product: &Product,
    args: &Serve,
    admission_ca: Option<Authorities>,
    certificate: Option<Authorities>,
) -> Router {
    let registry = product.registry.clone();
    let rates = Arc::new(args.limits.rates());
    let gatekeeper =
        Gatekeeper::new(product.front.clone(), product.accounts.clone(), registry.clone())
            .with_rates(rates.clone());
    let egress = match args.egress_hosts.is_empty() {
        true => EgressPolicy::public_only(),
        false => EgressPolicy::with_hosts(args.egress_hosts.iter().cloned()),
    };
    let own = sealock_api_sealock::Face {
        registry: registry.clone(),
        gatekeeper: gatekeeper.clone(),
        accounts: product.accounts.clone(),
        collector: product.collector.clone(),
        egress,
        admission_ca,
    };
    let harbor = sealock_api_harbor::Face {
        registry: registry.clone(),
        gatekeeper: gatekeeper.clone(),
        accounts: product.accounts.clone(),
        certificate,
    };
    let app = sealock_api_distribution::router(registry.clone(), gatekeeper)
        .merge(sealock_api_sealock::router(own))
        .merge(sealock_api_harbor::router(harbor))
        .merge(health::router(product.database.clone()));
    let app = sealock_http::unless_read_only(app, registry);
    sealock_http::around_limited(app, product.front.clone(), rates, args.limits.access_log())
}

async fn serve_admission(
    product: &Product,
    admission: Option<(TcpListener, Tls)>,
    limits: ListenerLimits,
    stop: impl Future<Output = ()>,
) {
    let Some((listener, tls)) = admission else { return };
    let app = sealock_api_admission::router(product.registry.clone(), product.front.clone())
        .merge(health::router(product.database.clone()));
    let app = sealock_http::around(app, product.front.clone());
    sealock_http::serve(listener, Some(tls.config), app, limits, stop).await;
}

/// Metrics have a listener of their own, so that whoever may reach the registry need not see them.
async fn serve_metrics(
    product: &Product,
    listener: Option<TcpListener>,
    limits: ListenerLimits,
    stop: impl Future<Output = ()>,
) {
    let Some(listener) = listener else { return };
    let limits = ListenerLimits {
        connections: MAX_METRICS_CONNECTIONS,
        connections_per_address: MAX_METRICS_CONNECTIONS / 2,
        ..limits
    };
    let app = sealock_http::around(metrics::router(product.metrics.clone()), product.front.clone());
    sealock_http::serve(listener, None, app, limits, stop).await;
}

/// Counts SIGTERM and SIGINT.
fn stop_signals() -> watch::Receiver<u32> {
    let (say, hear) = watch::channel(0);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            tracing::error!("signals cannot be heard; end the server with SIGKILL");
            return std::future::pending::<()>().await;
        };
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping; requests under way may end");
            say.send_modify(|heard| *heard += 1);
        }
    });
    hear
}

/// Waits until this many signals were heard.
async fn signals(mut stop: watch::Receiver<u32>, count: u32) {
    // An error means that the sender is gone: that is a stop, too.
    let _ = stop.wait_for(|heard| *heard >= count).await;
}
