//! Pushes.

use crate::{
    registry::{Pusher, Target},
    summary,
};
use anyhow::{Context, Result};
use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use sealock_oci::{Algorithm, Digest, media_type};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// The config's media type of an artifact that is no image.
const ARTIFACT_CONFIG: &str = "application/vnd.sealock.benchmark.config.v1+json";

/// Push unique images one after the other.
#[derive(Debug, clap::Args)]
pub(crate) struct Push {
    #[command(flatten)]
    target: Target,
    /// Layer files (gzip), lowest first; the last one is made unique by a trailing gzip member for
    /// each push.
    #[arg(required = true)]
    layers: Vec<PathBuf>,
    /// How many pushes.
    #[arg(long, default_value_t = 10)]
    count: u32,
    /// Push the same bytes as an artifact that is no image, of which nothing is ever inspected if
    /// the server inspects later.
    #[arg(long)]
    as_artifact: bool,
}

/// Push many small images.
#[derive(Debug, clap::Args)]
pub(crate) struct Seed {
    #[command(flatten)]
    target: Target,
    /// A layer file (gzip) that all of them share.
    layer: PathBuf,
    /// How many images.
    #[arg(long, default_value_t = 10_000)]
    count: u32,
    /// How many pushers at once.
    #[arg(long, default_value_t = 8)]
    pushers: u32,
}

/// Push one large layer.
#[derive(Debug, clap::Args)]
pub(crate) struct Large {
    #[command(flatten)]
    target: Target,
    /// Size of the layer in MiB.
    #[arg(long, default_value_t = 2048)]
    mebibytes: u64,
}

/// A gzip member of an empty file with a comment: appending it makes a layer unique and changes no
/// content.
fn unique_member(number: u64) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, 0x10, 0, 0, 0, 0, 0, 0xff];
    member.extend_from_slice(format!("{number:016x}").as_bytes());
    // The end of the comment, an empty final deflate block, CRC and length of nothing.
    member.extend_from_slice(&[0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    member
}

fn config(number: u64) -> Bytes {
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
                        "config": {"Labels": {"n": number.to_string()}}});
    config.to_string().into()
}

fn read(path: &PathBuf) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// Times whole pushes, the layer's 201, the manifest's 201 and the moment when contents are known.
pub(crate) async fn push(args: Push) -> Result<Value> {
    let layers = args.layers.iter().map(read).collect::<Result<Vec<_>>>()?;
    let pusher = Pusher::new(args.target)?;
    let repository = pusher.repository().to_owned();
    let config_type = if args.as_artifact { ARTIFACT_CONFIG } else { media_type::OCI_CONFIG };
    let (mut whole, mut layer_times, mut facts) = (Vec::new(), Vec::new(), Vec::new());
    let mut random = SmallRng::seed_from_u64(u64::from(std::process::id()));
    for _ in 0..args.count {
        let number: u64 = random.random();
        let bodies: Vec<Bytes> = layers
            .iter()
            .map(|layer| [layer.as_slice(), &unique_member(number)].concat().into())
            .collect();
        let digests: Vec<(Digest, u64)> =
            bodies.iter().map(|body| (Digest::sha256(body), body.len() as u64)).collect();
        let started = Instant::now();
        for (body, (digest, _)) in bodies.into_iter().zip(&digests) {
            pusher.blob_body(&repository, digest, body.into()).await?;
        }
        layer_times.push(started.elapsed());
        let config = config(number);
        let config_digest = pusher.blob(&repository, config.clone()).await?;
        let tag = format!("t{number:x}");
        let config = (config_type, &config_digest, config.len());
        pusher.manifest(&repository, &tag, config, &digests).await?;
        whole.push(started.elapsed());
        if args.as_artifact {
            continue;
        }
        let image = format!("{repository}:{tag}");
        while !pusher.contents_known(&image).await? {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        facts.push(started.elapsed());
    }
    Ok(json!({"push": summary::summary(whole), "layers": summary::summary(layer_times),
              "facts_known": summary::summary(facts)}))
}

/// Fills a server.
pub(crate) async fn seed(args: Seed) -> Result<Value> {
    let layer: Bytes = read(&args.layer)?.into();
    let digest = Digest::sha256(&layer);
    let started = Instant::now();
    let share = args.count.div_ceil(args.pushers.max(1));
    let mut tasks = tokio::task::JoinSet::new();
    for pusher_number in 0..args.pushers {
        let (target, layer) = (args.target.clone(), layer.clone());
        tasks.spawn(async move {
            let pusher = Pusher::new(target)?;
            let repository = format!("{}-{pusher_number}", pusher.repository());
            pusher.blob(&repository, layer.clone()).await?;
            for number in 0..share {
                let config = config(u64::from(pusher_number) << 32 | u64::from(number));
                let config_digest = pusher.blob(&repository, config.clone()).await?;
                let layers = [(digest, layer.len() as u64)];
                let tag = format!("t{number}");
                let config = (media_type::OCI_CONFIG, &config_digest, config.len());
                pusher.manifest(&repository, &tag, config, &layers).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let images = share * args.pushers;
    Ok(json!({"images": images, "seconds": started.elapsed().as_secs_f64()}))
}

/// Pushes a layer of random bytes, made as it is sent: the client holds one chunk.
pub(crate) async fn large(args: Large) -> Result<Value> {
    const CHUNK: usize = 1024 * 1024;
    let pusher = Pusher::new(args.target)?;
    let repository = pusher.repository().to_owned();
    let seed = u64::from(std::process::id());
    let chunk = move |number: u64| -> Bytes {
        let mut bytes = vec![0; CHUNK];
        SmallRng::seed_from_u64(seed ^ (number << 20)).fill(bytes.as_mut_slice());
        bytes.into()
    };
    let mut hash = sha2::Sha256::new();
    for number in 0..args.mebibytes {
        hash.update(chunk(number));
    }
    let digest = Digest::from_hash(Algorithm::Sha256, &hash.finalize()).context("32 bytes")?;
    let chunks = futures_util::stream::iter(0..args.mebibytes)
        .map(move |number| std::io::Result::Ok(chunk(number)));
    let started = Instant::now();
    pusher.blob_body(&repository, &digest, reqwest::Body::wrap_stream(chunks)).await?;
    let config = config(seed);
    let config_digest = pusher.blob(&repository, config.clone()).await?;
    let layers = [(digest, args.mebibytes * CHUNK as u64)];
    let config = (media_type::OCI_CONFIG, &config_digest, config.len());
    pusher.manifest(&repository, "large", config, &layers).await?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(json!({"mebibytes": args.mebibytes, "seconds": seconds,
              "mebibytes_per_second": args.mebibytes as f64 / seconds}))
}

use futures_util::StreamExt as _;
