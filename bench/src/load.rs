//! Whole images pushed to and pulled from any registry that speaks the OCI distribution protocol,
//! and single requests to it, with the server's own processor time beside the client's latencies.
//!
//! The load is made to cost little: kept connections, HTTP/1.1, bodies made by copying one block of
//! random bytes and changing a counter in each page of it (unique, not compressible, hashed before
//! the clock runs). What is pulled is hashed only on request, so that the price of that is known.

mod bodies;
mod client;
mod drive;
mod image;
mod login;
pub(crate) mod process;
mod shapes;
mod single;

pub(crate) use shapes::{Shapes, shapes};

use crate::summary;
use anyhow::{Context, Result, bail};
use bodies::Base;
use client::{Client, Endpoint};
use drive::{Limits, Outcome, Work};
use image::{Image, Maker, Style};
use login::Pass;
use process::Server;
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Workload {
    /// Push unique images.
    Push,
    /// Pull images: the tag by HEAD, the manifest by digest, configuration and layers.
    Pull,
    /// Three pulls to one push.
    Mixed,
    /// GET a manifest by tag.
    GetTag,
    /// GET a manifest by digest.
    GetDigest,
    /// HEAD a manifest by tag.
    HeadTag,
    /// HEAD a manifest by digest.
    HeadDigest,
    /// HEAD a blob.
    HeadBlob,
    /// GET the path given with --path.
    Path,
}

/// Load a registry and report latencies and the server's processor time and memory.
#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// What is asked.
    workload: Workload,
    /// The server, such as http://127.0.0.1:5000.
    #[arg(long)]
    url: String,
    /// PEM of the certificate authority of an https server.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Repositories are NAME-0, NAME-1 and so on.
    #[arg(long, default_value = "library/bench")]
    repository: String,
    /// How many repositories.
    #[arg(long, default_value_t = 8)]
    repositories: u32,
    /// User, where the server asks for one; the password is in SEALOCK_PASSWORD.
    #[arg(long)]
    user: Option<String>,
    /// Clients, each with one connection.
    #[arg(long, default_value_t = 8)]
    clients: u32,
    /// Open loop: so many images (or requests) a second are due, whether or not earlier ones were
    /// answered, as far as there are clients to send them. Without it, each client asks again as
    /// soon as it is answered (closed loop).
    #[arg(long)]
    rate: Option<f64>,
    /// Ends after so many seconds,
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// or after so many images (or requests).
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Size of a layer in KiB; repeated for several.
    #[arg(long = "layer", default_values_t = [1024])]
    layers: Vec<u64>,
    /// How a blob is sent.
    #[arg(long, value_enum, default_value_t = Style::Put)]
    style: Style,
    /// Images pushed before a pull is timed.
    #[arg(long, default_value_t = 32)]
    images: u64,
    /// Makes bodies differ from those of another run.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Hash what is pulled and compare (this costs the client time).
    #[arg(long)]
    verify: bool,
    /// Path for the workload `path`, such as /v2/_catalog.
    #[arg(long)]
    path: Option<String>,
    /// Process of the server, to read its processor time and memory; its children count with it.
    #[arg(long)]
    server_pid: Option<u32>,
}

impl Load {
    fn pushes(&self) -> bool {
        matches!(self.workload, Workload::Push | Workload::Mixed)
    }

    fn repository_names(&self) -> Vec<String> {
        if let Some(path) = &self.path {
            return single::repository_of(path).map(str::to_owned).into_iter().collect();
        }
        (0..self.repositories.max(1)).map(|n| format!("{}-{n}", self.repository)).collect()
    }
}

/// Runs the load.
pub(crate) async fn load(args: Load) -> Result<Value> {
    let endpoint = Arc::new(Endpoint::new(&args.url, args.ca.as_deref())?);
    let names = args.repository_names();
    let pass = Arc::new(Pass::obtain(&endpoint, args.user.as_deref(), &names).await?);
    let maker = Maker {
        base: Base::new(),
        names,
        layers: args.layers.iter().map(|kib| kib * 1024).collect(),
        seed: args.seed << 44 | u64::from(std::process::id()) << 20,
    };
    let there = match args.workload {
        Workload::Push | Workload::Path => Vec::new(),
        _ => set_up(&args, &endpoint, &pass, &maker).await?,
    };
    // Hashing a body takes as long as a fast server takes to store it: it is done beforehand.
    let fresh = if args.pushes() { prepare(&args, &maker) } else { Vec::new() };
    let limits = Limits {
        clients: args.clients,
        rate: args.rate,
        time: Duration::from_secs(args.seconds.into()),
        count: if args.workload == Workload::Push {
            args.count.min(fresh.len() as u64)
        } else {
            args.count
        },
    };
    let task = Arc::new(Task {
        work: args.workload,
        style: args.style,
        there,
        fresh,
        path: args.path.clone(),
        verify: args.verify,
    });
    let server = args.server_pid.map(Server::new);
    let before = server.as_ref().map(Server::begin).transpose()?;
    let own = Server::new(std::process::id());
    let own_before = own.cpu()?;
    let worker =
        |_| Worker { client: Client::new(endpoint.clone(), pass.clone()), task: task.clone() };
    let outcome = drive::drive(&limits, worker).await;
    let own_spent = own.cpu()?.saturating_sub(own_before);
    let spent = match (&server, before) {
        (Some(server), Some(before)) => Some(server.end(before)?),
        _ => None,
    };
    report(&args, outcome, own_spent, spent)
}

/// Pushes what is pulled afterwards; not timed.
async fn set_up(
    args: &Load,
    endpoint: &Arc<Endpoint>,
    pass: &Arc<Pass>,
    maker: &Maker,
) -> Result<Vec<Image>> {
    let images: Vec<Image> = (0..args.images.max(1)).map(|n| maker.image(1 << 19 | n)).collect();
    let mut client = Client::new(endpoint.clone(), pass.clone());
    for image in &images {
        image::push(&mut client, image, args.style)
            .await
            .context("pushing what is pulled later")?;
    }
    Ok(images)
}

/// As many images as the run can use at the fastest rate that is thinkable here.
fn prepare(args: &Load, maker: &Maker) -> Vec<Image> {
    const FASTEST_MIB_PER_SECOND: u64 = 800;
    const FASTEST_PER_SECOND: f64 = 800.0;
    let kib = args.layers.iter().sum::<u64>().max(1);
    let fastest = (FASTEST_MIB_PER_SECOND as f64 * 1024.0 / kib as f64).min(FASTEST_PER_SECOND);
    let part = if args.workload == Workload::Mixed { 0.25 } else { 1.0 };
    let rate = args.rate.unwrap_or(f64::INFINITY).min(fastest) * part;
    let most = Duration::from_secs(args.seconds.into()).mul_f64(rate).as_secs();
    (0..most.clamp(1, args.count)).map(|number| maker.image(number)).collect()
}

/// What the workers share.
struct Task {
    work: Workload,
    style: Style,
    there: Vec<Image>,
    fresh: Vec<Image>,
    path: Option<String>,
    verify: bool,
}

struct Worker {
    client: Client,
    task: Arc<Task>,
}

impl Work for Worker {
    async fn once(&mut self, number: u64) -> Result<u64> {
        let Task { style, there, fresh, verify, .. } = &*self.task;
        let client = &mut self.client;
        // Not in order, so that neighbours do not ask for the same at once.
        let old = || pick(there, number.wrapping_mul(7));
        match self.task.work {
            Workload::Push => image::push(client, pick(fresh, number)?, *style).await,
            Workload::Pull => image::pull(client, old()?, *verify).await,
            Workload::Mixed if number % 4 == 3 && number / 4 < fresh.len() as u64 => {
                image::push(client, pick(fresh, number / 4)?, *style).await
            }
            Workload::Mixed => image::pull(client, old()?, *verify).await,
            Workload::GetTag => single::manifest(client, old()?, true, true).await,
            Workload::GetDigest => single::manifest(client, old()?, false, true).await,
            Workload::HeadTag => single::manifest(client, old()?, true, false).await,
            Workload::HeadDigest => single::manifest(client, old()?, false, false).await,
            Workload::HeadBlob => single::head_blob(client, old()?).await,
            Workload::Path => {
                single::path(client, self.task.path.as_deref().context("--path is missing")?).await
            }
        }
    }
}

fn pick(images: &[Image], number: u64) -> Result<&Image> {
    let length = images.len() as u64;
    let at = number.checked_rem(length).context("no image to work with")?;
    images.get(usize::try_from(at)?).context("no such image")
}

fn report(
    args: &Load,
    outcome: Outcome,
    own: Duration,
    spent: Option<process::Spent>,
) -> Result<Value> {
    let Outcome { times, requests, errors, first_error, took } = outcome;
    if times.is_empty() {
        bail!("nothing succeeded: {}", first_error.unwrap_or_else(|| "no time".to_owned()));
    }
    let done = times.len() as f64;
    let seconds = took.as_secs_f64();
    let mebibytes = args.layers.iter().sum::<u64>() as f64 / 1024.0;
    let micros = |part: Duration, by: f64| (part.as_secs_f64() * 1e7 / by).round() / 10.0;
    let server = spent.map(|spent| {
        json!({
            "cpu_us_per_operation": micros(spent.cpu, done),
            "cpu_us_per_request": micros(spent.cpu, requests as f64),
            "cpu_percent": (spent.cpu.as_secs_f64() / seconds * 100.0).round(),
            "resident_mib": spent.resident_mib,
            "peak_mib": spent.peak_mib,
        })
    });
    Ok(json!({
        "operations": times.len(), "requests": requests, "errors": errors,
        "first_error": first_error, "seconds": seconds,
        "per_second": (done / seconds * 10.0).round() / 10.0,
        "mib_per_second": (done * mebibytes / seconds * 10.0).round() / 10.0,
        "latency": summary::summary(times),
        "server_use": server,
        "load_cpu_percent": (own.as_secs_f64() / seconds * 100.0).round(),
    }))
}
