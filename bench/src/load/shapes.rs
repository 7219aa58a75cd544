//! Many lists, each asked for some times by one client: whatever a caller may put into a list's
//! query, it is to cost about the same.

use super::{
    client::{Client, Endpoint},
    login::Pass,
    process::Server,
    single,
};
use crate::summary;
use anyhow::Result;
use serde_json::{Value, json};
use std::{
    io::BufRead as _,
    sync::Arc,
    time::{Duration, Instant},
};

/// Times from which on there is no more asking for one list, in all.
const ENOUGH: Duration = Duration::from_secs(10);

/// Ask for lists, whose paths stand in lines on standard input, and report latencies of each.
#[derive(Debug, clap::Args)]
pub(crate) struct Shapes {
    /// The server, such as http://127.0.0.1:5000.
    #[arg(long)]
    url: String,
    /// User; the password is in SEALOCK_PASSWORD.
    #[arg(long)]
    user: String,
    /// How often each is asked for, if it does not take ten seconds sooner.
    #[arg(long, default_value_t = 100)]
    count: u64,
    /// Process of the server, to read its memory.
    #[arg(long)]
    server_pid: u32,
}

/// Asks for them.
pub(crate) async fn shapes(args: Shapes) -> Result<Value> {
    let endpoint = Arc::new(Endpoint::new(&args.url, None)?);
    let pass = Arc::new(Pass::obtain(&endpoint, Some(&args.user), &[]).await?);
    let mut client = Client::new(endpoint, pass);
    // The first request has its password hashed, which is no part of a list.
    single::path(&mut client, "/api/v2.0/users/current").await?;
    let server = Server::new(args.server_pid);
    let before = server.begin()?;
    let mut found = Vec::new();
    for path in std::io::stdin().lock().lines() {
        found.push(shape(&mut client, &path?, args.count).await);
    }
    let spent = server.end(before)?;
    Ok(json!({"shapes": found, "peak_mib": spent.peak_mib}))
}

async fn shape(client: &mut Client, path: &str, count: u64) -> Value {
    let begun = Instant::now();
    let mut times = Vec::new();
    for _ in 0..count.max(1) {
        let asked = Instant::now();
        if let Err(error) = single::path(client, path).await {
            return json!({"path": path, "error": format!("{error:#}")});
        }
        times.push(asked.elapsed());
        if begun.elapsed() > ENOUGH {
            break;
        }
    }
    json!({"path": path, "latency": summary::summary(times)})
}
