//! What this machine's disk and processor can do at best, whatever the server.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::{
    fs::{self, File},
    hint::black_box,
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Hash for a while, on one core.
#[derive(Debug, clap::Args)]
pub(crate) struct Hash {
    /// For how many seconds.
    #[arg(long, default_value_t = 2)]
    seconds: u32,
}

/// How many MiB a second SHA-256 and SHA-512 take here.
pub(crate) fn hash(args: &Hash) -> Result<Value> {
    let time = Duration::from_secs(args.seconds.into());
    Ok(json!({
        "sha256_mib_per_second": rate(time, sha2::Sha256::new()),
        "sha512_mib_per_second": rate(time, sha2::Sha512::new()),
    }))
}

fn rate(time: Duration, mut hash: impl sha2::Digest) -> f64 {
    let block = vec![7; 1024 * 1024];
    let started = Instant::now();
    let mut blocks = 0_u32;
    while started.elapsed() < time {
        hash.update(&block);
        blocks += 1;
    }
    black_box(hash.finalize());
    (f64::from(blocks) / started.elapsed().as_secs_f64()).round()
}

/// Store files as a durable registry must: create, write, fdatasync, rename, fsync of the folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Files {
    /// An empty or missing folder on the disk that is measured.
    #[arg(long)]
    folder: PathBuf,
    /// Size of a file in KiB.
    #[arg(long, default_value_t = 1024)]
    kib: usize,
    /// How many writers at once.
    #[arg(long, default_value_t = 8)]
    writers: u32,
    /// For how many seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
}

/// How many files a second the disk takes in that way.
pub(crate) fn files(args: &Files) -> Result<Value> {
    fs::create_dir_all(args.folder.join("stored"))?;
    let content = vec![0xa5; args.kib * 1024];
    let next = AtomicU64::new(0);
    let started = Instant::now();
    let end = started + Duration::from_secs(args.seconds.into());
    std::thread::scope(|scope| {
        let write = || -> Result<()> {
            while Instant::now() < end {
                store(&args.folder, next.fetch_add(1, Ordering::Relaxed), &content)?;
            }
            Ok(())
        };
        let writers: Vec<_> = (0..args.writers.max(1)).map(|_| scope.spawn(write)).collect();
        for writer in writers {
            writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        }
        anyhow::Ok(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let count = next.load(Ordering::Relaxed) as f64;
    Ok(json!({
        "files": count, "per_second": (count / seconds).round(),
        "mib_per_second": (count * args.kib as f64 / 1024.0 / seconds).round(),
    }))
}

fn store(folder: &Path, number: u64, content: &[u8]) -> Result<()> {
    let (new, stored) = (folder.join(format!("new-{number}")), folder.join("stored"));
    let mut file = File::create(&new).with_context(|| new.display().to_string())?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&new, stored.join(number.to_string()))?;
    File::open(&stored)?.sync_all()?;
    Ok(())
}
