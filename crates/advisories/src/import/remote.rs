//! Downloads: one file, or osv.dev's layout `BASE/ECOSYSTEM/all.zip`.

use super::{EgressPolicy, ImportLimits};
use crate::error::{AdvisoryError, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 5;
/// How long a connection may take, and how long nothing may arrive, in seconds.
const STALL_SECONDS: u64 = 60;

/// What to download.
#[derive(Debug, Clone, Default)]
pub struct Download {
    /// A file (`….zip`, `….json`, `….jsonl`, each also with `.zst`), or a base in osv.dev's layout.
    pub url: String,
    /// Ecosystems to take from a base, such as `PyPI` or `Debian:12`.
    pub ecosystems: Vec<String>,
    /// Where it may go.
    pub egress: EgressPolicy,
    /// Bounds.
    pub limits: ImportLimits,
}

/// Resolves names and leaves out what the policy denies.
struct Guarded(EgressPolicy);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|a| policy.permits(name.as_str(), a.ip())).collect();
            if allowed.is_empty() {
                let text =
                    format!("{}: the egress policy allows none of its addresses", name.as_str());
                return Err(io::Error::other(text).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Literal addresses do not pass a resolver.
fn check(url: &reqwest::Url, policy: &EgressPolicy) -> std::result::Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https are fetched".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    match host.trim_matches(['[', ']']).parse() {
        Ok(address) if !policy.permits(host, address) => {
            Err(format!("the egress policy does not allow the address {host}"))
        }
        _ => Ok(()),
    }
}

fn client(download: &Download) -> Result<reqwest::Client> {
    let policy = download.egress.clone();
    let follow = redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error("too many redirects");
        }
        let from_https = attempt.previous().last().is_some_and(|u| u.scheme() == "https");
        if from_https && attempt.url().scheme() != "https" {
            return attempt.error("a redirect leaves https");
        }
        match check(attempt.url(), &policy) {
            Ok(()) => attempt.follow(),
            Err(reason) => attempt.error(reason),
        }
    });
    reqwest::Client::builder()
        .dns_resolver(Arc::new(Guarded(download.egress.clone())))
        .redirect(follow)
        .connect_timeout(Duration::from_secs(STALL_SECONDS))
        .read_timeout(Duration::from_secs(STALL_SECONDS))
        .timeout(Duration::from_secs(download.limits.download_seconds))
        .user_agent(concat!("sealock/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| failed(&download.url, e))
}

fn failed(url: &str, error: reqwest::Error) -> AdvisoryError {
    use std::error::Error;
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        reason = format!("{reason}: {inner}");
        cause = inner.source();
    }
    AdvisoryError::Download { url: url.to_owned(), reason }
}

const FORMS: [&str; 5] = [".zip", ".json", ".jsonl", ".json.zst", ".jsonl.zst"];

/// Downloads into `folder`; gives the files, whose names end in their form.
pub async fn download(download: &Download, folder: &Path) -> Result<Vec<PathBuf>> {
    let client = client(download)?;
    let refuse =
        |url: &str, reason: String| AdvisoryError::Download { url: url.to_owned(), reason };
    let base: reqwest::Url =
        download.url.parse().map_err(|e| refuse(&download.url, format!("no URL: {e}")))?;
    let form = |url: &reqwest::Url| {
        FORMS.into_iter().filter(|f| url.path().ends_with(f)).max_by_key(|f| f.len())
    };
    let mut wanted = Vec::new();
    if let Some(form) = form(&base) {
        wanted.push((base.clone(), form));
    } else {
        for ecosystem in &download.ecosystems {
            let mut url = base.clone();
            url.path_segments_mut()
                .map_err(|()| refuse(&download.url, "it has no path".to_owned()))?
                .pop_if_empty()
                .push(ecosystem)
                .push("all.zip");
            wanted.push((url, ".zip"));
        }
    }
    if wanted.is_empty() {
        return Err(refuse(&download.url, "name a file, or ecosystems to take from it".to_owned()));
    }
    let mut files = Vec::new();
    for (at, (url, form)) in wanted.into_iter().enumerate() {
        check(&url, &download.egress).map_err(|reason| refuse(url.as_str(), reason))?;
        let path = folder.join(format!("download-{at}{form}"));
        fetch(&client, &url, &path, download.limits.download_bytes).await?;
        files.push(path);
    }
    Ok(files)
}

async fn fetch(
    client: &reqwest::Client,
    url: &reqwest::Url,
    path: &Path,
    limit: u64,
) -> Result<()> {
    let error = |e| failed(url.as_str(), e);
    let mut response =
        client.get(url.clone()).send().await.and_then(|r| r.error_for_status()).map_err(error)?;
    let too_long = || AdvisoryError::Limit {
        what: format!("the download of {url}"),
        limit: format!("{limit} bytes"),
    };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    let mut file = tokio::fs::File::create(path).await.map_err(AdvisoryError::file(path))?;
    let mut length = 0_u64;
    while let Some(chunk) = response.chunk().await.map_err(error)? {
        length += chunk.len() as u64;
        if length > limit {
            return Err(too_long());
        }
        file.write_all(&chunk).await.map_err(AdvisoryError::file(path))?;
    }
    file.flush().await.map_err(AdvisoryError::file(path))
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
