use crate::{Collector, Limits, Report};
use sealock_metadata::collections;
use sealock_registry::{Error, Registry, Result};
use std::time::{Duration, Instant};

/// Shortest pause between two rounds: an interval of zero means without a pause, and lets others
/// in all the same.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// How often the length of the queue is read into the metrics at most.
const MEASURE: Duration = Duration::from_secs(15);
/// Who acts when nobody asked.
const SYSTEM: &str = "sealock";

/// How the registry is looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// Pause between two rounds of collection.
    pub interval: Duration,
    /// How hard a round works.
    pub limits: Limits,
}

/// Looks after the registry for as long as it is polled: what an older inspector has read is read
/// again, and what nothing refers to is collected. Whoever serves runs it beside; replicas share
/// the work.
pub async fn look_after(registry: &Registry, collector: &Collector, upkeep: Upkeep) {
    if let Err(error) = registry.queue_old_contents().await {
        tracing::warn!(error = error.log(), "images of an older inspector were not queued");
    }
    let mut measured: Option<Instant> = None;
    loop {
        if let Err(error) = round(registry, collector, upkeep.limits).await {
            tracing::warn!(error = error.log(), "a collection broke off; the next one goes on");
        }
        if measured.is_none_or(|at| at.elapsed() >= MEASURE) {
            measured = Some(Instant::now());
            if let Err(error) = collector.measure(registry.database()).await {
                tracing::warn!(error = error.log(), "the queue of collection was not measured");
            }
        }
        tokio::time::sleep(upkeep.interval.max(SHORTEST_PAUSE)).await;
    }
}

async fn round(registry: &Registry, collector: &Collector, limits: Limits) -> Result<()> {
    let started_at = registry.database().clock().now();
    let report = collector.run_once(registry, limits).await?;
    if report.found_something() {
        tracing::info!(
            files = report.freed.files,
            bytes = report.freed.bytes,
            failures = report.failures,
            "collected"
        );
        record(registry, &report, started_at).await?;
    }
    Ok(())
}

async fn record(registry: &Registry, report: &Report, started_at: jiff::Timestamp) -> Result<()> {
    let text = serde_json::to_string(report).map_err(Error::internal)?;
    let mut tx = registry.database().write().await?;
    collections::record(&mut tx, SYSTEM, "{}", &text, started_at).await?;
    Ok(tx.commit().await?)
}
