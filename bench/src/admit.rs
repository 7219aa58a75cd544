//! Admission at a fixed rate.

use crate::summary;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// Ask the admission webhook at a fixed rate.
#[derive(Debug, clap::Args)]
pub(crate) struct Admit {
    /// The webhook's address with its credential.
    #[arg(long)]
    url: String,
    /// PEM of the certificate authority.
    #[arg(long)]
    ca: PathBuf,
    /// The image, by digest.
    #[arg(long)]
    image: String,
    /// Requests per second.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// For how many seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

/// Open loop: a request is due at its time whether or not earlier ones were answered, and its
/// latency counts from when it was due.
pub(crate) async fn admit(args: Admit) -> Result<Value> {
    let pem = std::fs::read(&args.ca).with_context(|| args.ca.display().to_string())?;
    let http = reqwest::Client::builder()
        .add_root_certificate(reqwest::Certificate::from_pem(&pem)?)
        .build()?;
    let body = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "bench", "operation": "CREATE", "namespace": "production", "name": "bench",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "userInfo": {"username": "bench"}, "dryRun": false,
            "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bench"},
                       "spec": {"containers": [{"name": "bench", "image": args.image}]}},
        }
    })
    .to_string();
    let ask = Arc::new(move || {
        http.post(&args.url).header("Content-Type", "application/json").body(body.clone())
    });
    let first: Value = ask().send().await?.json().await?;
    if first.pointer("/response/allowed") != Some(&json!(true)) {
        bail!("the image is not admitted: {first}");
    }
    let pause = Duration::from_secs(1) / args.rate;
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..args.rate * args.seconds {
        let due = started + pause * number;
        tokio::time::sleep_until(due.into()).await;
        let ask = Arc::clone(&ask);
        tasks.spawn(async move {
            let answer = ask().send().await?.error_for_status()?;
            answer.bytes().await?;
            anyhow::Ok(due.elapsed())
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.push(done??);
    }
    Ok(json!({"rate": args.rate, "latency": summary::summary(times)}))
}
