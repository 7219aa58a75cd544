//! Matching in this process.

use crate::summary;
use anyhow::{Context, Result};
use sealock_facts::Component;
use serde_json::{Value, json};
use std::{path::PathBuf, time::Instant};

/// Match components against an index.
#[derive(Debug, clap::Args)]
pub(crate) struct Matching {
    /// The folder of advisories of a server (`DATA/advisories`).
    #[arg(long)]
    advisories: PathBuf,
    /// Components as JSON (a list), repeated until there are `--count`.
    #[arg(long)]
    components: PathBuf,
    /// How many components.
    #[arg(long, default_value_t = 900)]
    count: usize,
    /// How many times.
    #[arg(long, default_value_t = 50)]
    runs: usize,
}

/// Times the look-up of all components.
pub(crate) fn matching(args: &Matching) -> Result<Value> {
    let bytes =
        std::fs::read(&args.components).with_context(|| args.components.display().to_string())?;
    let known: Vec<Component> = serde_json::from_slice(&bytes)?;
    let components: Vec<Component> = known.iter().cycle().take(args.count).cloned().collect();
    let store = sealock_advisories::SnapshotStore::open(&args.advisories)?;
    let index = store.current()?.context("the folder holds no advisories")?;
    let now = index.snapshot().built_at;
    let mut times = Vec::new();
    let mut found = 0;
    for _ in 0..args.runs {
        let started = Instant::now();
        found = index.findings(&components, now)?.len();
        times.push(started.elapsed());
    }
    Ok(json!({"components": components.len(), "findings": found, "records": index.records(),
               "time": summary::summary(times)}))
}
