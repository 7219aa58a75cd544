//! Downloads: one file, or osv.dev's layout `BASE/ECOSYSTEM/all.zip`.

use super::{EgressPolicy, ImportLimits, file_ending};
use crate::error::{AdvisoryError, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, StatusCode, redirect};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 5;
/// Longest `ETag` or `Last-Modified` that is kept, in bytes.
const MAX_VERSION_BYTES: usize = 256;
/// How long a connection may take, and how long nothing may arrive, in seconds.
const STALL_SECONDS: u64 = 60;

/// What to download.
#[derive(Debug, Clone, Default)]
pub struct Download {
    /// A file that ends in one of [`super::FILE_ENDINGS`], or a base in osv.dev's layout.
    pub url: String,
    /// Ecosystems to take from a base, such as `PyPI` or `Debian:12`.
    pub ecosystems: Vec<String>,
    /// The versions that were fetched last, by URL: when the same files are wanted and none has
    /// changed, nothing is downloaded.
    pub known: BTreeMap<String, FileVersion>,
    /// Where it may go.
    pub egress: EgressPolicy,
    /// Bounds.
    pub limits: ImportLimits,
}

/// What a server said about a file, by which it is asked whether the file has changed (RFC 9110,
/// section 13.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileVersion {
    /// `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl FileVersion {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            let value: &HeaderValue = headers.get(name)?;
            let text = value.to_str().ok().filter(|text| text.len() <= MAX_VERSION_BYTES)?;
            Some(text.to_owned())
        };
        Self { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
    }

    /// A request that this version can be the answer to; none when the server gave no name to it.
    fn condition(&self, request: RequestBuilder) -> Option<RequestBuilder> {
        match (&self.etag, &self.last_modified) {
            (Some(etag), _) => Some(request.header(header::IF_NONE_MATCH, etag)),
            (None, Some(date)) => Some(request.header(header::IF_MODIFIED_SINCE, date)),
            (None, None) => None,
        }
    }
}

/// What a download brought.
#[derive(Debug, Clone, Default)]
pub struct Downloaded {
    /// The files, whose names end in their form; none when nothing has changed.
    pub files: Vec<PathBuf>,
    /// The version of each, by URL.
    pub versions: BTreeMap<String, FileVersion>,
}

impl Downloaded {
    /// Whether every file is the one that was fetched last.
    pub fn is_unchanged(&self) -> bool {
        self.files.is_empty()
    }
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

/// Downloads into `folder`. Files that were fetched before are asked for on the condition that they
/// have changed; when one has, all are fetched, because together they replace the source.
pub async fn download(download: &Download, folder: &Path) -> Result<Downloaded> {
    let client = client(download)?;
    let wanted = wanted(download)?;
    let known = |url: &reqwest::Url| download.known.get(url.as_str());
    let same =
        wanted.len() == download.known.len() && wanted.iter().all(|(url, _)| known(url).is_some());
    let path = |at: usize, ending: &str| folder.join(format!("download-{at}.{ending}"));
    let limit = download.limits.download_bytes;
    let mut got = Downloaded::default();
    let mut unchanged = Vec::new();
    for (at, (url, ending)) in wanted.iter().enumerate() {
        let before = known(url).filter(|_| same);
        match fetch(&client, url, &path(at, ending), limit, before).await? {
            Some(version) => _ = got.versions.insert(url.to_string(), version),
            None => unchanged.push((at, url, ending)),
        }
    }
    if unchanged.len() == wanted.len() {
        return Ok(Downloaded { files: Vec::new(), versions: download.known.clone() });
    }
    for (at, url, ending) in unchanged {
        if let Some(version) = fetch(&client, url, &path(at, ending), limit, None).await? {
            got.versions.insert(url.to_string(), version);
        }
    }
    got.files = wanted.iter().enumerate().map(|(at, (_, ending))| path(at, ending)).collect();
    Ok(got)
}

/// The addresses of what is to be downloaded, each with its form.
fn wanted(download: &Download) -> Result<Vec<(reqwest::Url, &'static str)>> {
    let refuse =
        |url: &str, reason: String| AdvisoryError::Download { url: url.to_owned(), reason };
    let base: reqwest::Url =
        download.url.parse().map_err(|e| refuse(&download.url, format!("no URL: {e}")))?;
    let mut wanted = Vec::new();
    if let Some(ending) = file_ending(base.path()) {
        wanted.push((base.clone(), ending));
    } else {
        for ecosystem in &download.ecosystems {
            let mut url = base.clone();
            url.path_segments_mut()
                .map_err(|()| refuse(&download.url, "it has no path".to_owned()))?
                .pop_if_empty()
                .push(ecosystem)
                .push("all.zip");
            wanted.push((url, "zip"));
        }
    }
    if wanted.is_empty() {
        return Err(refuse(&download.url, "name a file, or ecosystems to take from it".to_owned()));
    }
    for (url, _) in &wanted {
        check(url, &download.egress).map_err(|reason| refuse(url.as_str(), reason))?;
    }
    Ok(wanted)
}

/// Fetches one file; none when it is still the version `before`.
async fn fetch(
    client: &reqwest::Client,
    url: &reqwest::Url,
    path: &Path,
    limit: u64,
    before: Option<&FileVersion>,
) -> Result<Option<FileVersion>> {
    let error = |e| failed(url.as_str(), e);
    let conditional = before.and_then(|before| before.condition(client.get(url.clone())));
    let asked = conditional.is_some();
    let request = conditional.unwrap_or_else(|| client.get(url.clone()));
    let mut response = request.send().await.and_then(|r| r.error_for_status()).map_err(error)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if asked => return Ok(None),
        other => {
            let reason = format!("it answers {other} to a plain request");
            return Err(AdvisoryError::Download { url: url.to_string(), reason });
        }
    }
    let version = FileVersion::of(response.headers());
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
    file.flush().await.map_err(AdvisoryError::file(path))?;
    Ok(Some(version))
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
