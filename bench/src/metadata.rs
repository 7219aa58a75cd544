//! What a transaction on SQLite costs, without a server around it.

use crate::load::process::Server;
use anyhow::Result;
use sealock_metadata::{Database, DatabaseConfig, SystemClock, settings};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Rows that are there to be read.
const ROWS: u64 = 1_000;

/// Small transactions on a new SQLite database, in this process.
#[derive(Debug, clap::Args)]
pub(crate) struct Metadata {
    /// An empty folder on the disk that is measured.
    #[arg(long)]
    folder: PathBuf,
    /// Transactions that read one row.
    #[arg(long, default_value_t = 100_000)]
    reads: u64,
    /// Transactions that read a row and write it, and wait until that is durable.
    #[arg(long, default_value_t = 20_000)]
    writes: u64,
    /// How many tasks ask at once.
    #[arg(long, default_value_t = 8)]
    tasks: u64,
}

/// How long each kind takes, and how much processor time.
pub(crate) async fn metadata(args: Metadata) -> Result<Value> {
    let config = DatabaseConfig::sqlite(args.folder.join("sealock.db"));
    let database = Database::open(config, Arc::new(SystemClock)).await?;
    let mut tx = database.write().await?;
    for row in 0..ROWS {
        settings::put(&mut tx, &format!("key-{row}"), "a value of no great length").await?;
    }
    tx.commit().await?;
    let reads = measure(&database, args.reads, args.tasks, read).await?;
    let writes = measure(&database, args.writes, args.tasks, write).await?;
    database.close().await;
    Ok(json!({"read": reads, "write": writes}))
}

async fn read(database: Database, key: String) -> Result<()> {
    let mut tx = database.read().await?;
    settings::get(&mut tx, &key).await?;
    Ok(())
}

async fn write(database: Database, key: String) -> Result<()> {
    let mut tx = database.write().await?;
    let value = settings::get(&mut tx, &key).await?.unwrap_or_default();
    settings::put(&mut tx, &key, &value).await?;
    Ok(tx.commit().await?)
}

async fn measure<F>(
    database: &Database,
    count: u64,
    tasks: u64,
    one: impl Fn(Database, String) -> F + Copy + Send + 'static,
) -> Result<Value>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let own = Server::new(std::process::id());
    let (before, started) = (own.cpu()?, Instant::now());
    let mut asking = JoinSet::new();
    for task in 0..tasks.max(1) {
        let database = database.clone();
        asking.spawn(async move {
            for number in (task..count).step_by(usize::try_from(tasks.max(1))?) {
                one(database.clone(), format!("key-{}", number % ROWS)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = asking.join_next().await {
        done??;
    }
    let (cpu, wall) = (own.cpu()?.saturating_sub(before), started.elapsed());
    let each = |time: Duration| (time.as_secs_f64() * 1e7 / count.max(1) as f64).round() / 10.0;
    Ok(json!({
        "count": count, "cpu_us_each": each(cpu),
        "per_second": (count as f64 / wall.as_secs_f64()).round(),
    }))
}
