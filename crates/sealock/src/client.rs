//! A client of `/api/sealock/v1`.

use crate::{cli::Global, failure::Failure};
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};

/// Most pages followed for one list.
const MAX_PAGES: usize = 100_000;
/// Rows asked for at a time.
const PAGE_ROWS: usize = 500;

/// Talks to one server as one caller.
pub(crate) struct Client {
    http: reqwest::Client,
    base: url::Url,
    user: Option<(String, Password)>,
}

/// Cannot be printed.
struct Password(String);

impl Client {
    /// Builds a client from the global options.
    pub(crate) fn new(global: &Global) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("sealock/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10));
        if let Some(path) = &global.ca_file {
            let pem = crate::files::read(path)?;
            for certificate in reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("{} holds no PEM certificates", path.display()))?
            {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let user = credentials(global)?;
        Ok(Self { http: builder.build()?, base: global.url.clone(), user })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} cannot be the address of a server", self.base))?
            .pop_if_empty()
            .extend(["api", "sealock", "v1"])
            .extend(path.split('/').filter(|part| !part.is_empty()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url);
        if let Some((name, password)) = &self.user {
            request = request.basic_auth(name, Some(&password.0));
        }
        Ok(request)
    }

    /// GET of one object.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        self.send(self.request(Method::GET, path, query)?).await
    }

    /// GET of every page of a list.
    pub(crate) async fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>> {
        Ok(self.first(path, query, usize::MAX).await?.0)
    }

    /// GET of the first `most` items of a list, and whether there are more.
    pub(crate) async fn first(
        &self,
        path: &str,
        query: &[(&str, &str)],
        most: usize,
    ) -> Result<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut after = String::new();
        for _ in 0..MAX_PAGES {
            let mut query = query.to_vec();
            let rows = most.saturating_sub(items.len()).min(PAGE_ROWS).to_string();
            query.push(("limit", &rows));
            if !after.is_empty() {
                query.push(("after", &after));
            }
            let mut page = self.get(path, &query).await?;
            if let Some(Value::Array(rows)) = page.get_mut("items").map(Value::take) {
                items.extend(rows);
            }
            match page.get("next").and_then(Value::as_str) {
                Some(_) if items.len() >= most => return Ok((items, true)),
                Some(next) => after = next.to_owned(),
                None => return Ok((items, false)),
            }
        }
        bail!("the server's list does not end")
    }

    /// A request with a JSON body.
    pub(crate) async fn write(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        self.send(self.request(method, path, &[])?.json(body)).await
    }

    /// A request with a body of bytes.
    pub(crate) async fn send_body(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        content_type: &str,
        body: reqwest::Body,
    ) -> Result<Value> {
        let request = self.request(method, path, query)?.header("Content-Type", content_type);
        self.send(request.body(body)).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        self.send(self.request(Method::DELETE, path, &[])?).await.map(|_| ())
    }

    /// DELETE of what a query chooses, with what the server says of it.
    pub(crate) async fn delete_all(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        self.send(self.request(Method::DELETE, path, query)?).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value> {
        let response = request.send().await.with_context(|| {
            format!("cannot reach {}; name the server with --url or SEALOCK_URL", self.base)
        })?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let body = response.bytes().await.context("the answer was cut off")?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        match serde_json::from_slice(&body) {
            Ok(value) => Ok(value),
            Err(_) => Ok(Value::String(String::from_utf8_lossy(&body).into_owned())),
        }
    }
}

/// Turns the error envelope into a message a person can act on.
async fn refusal(response: Response) -> anyhow::Error {
    let status = response.status();
    let body: Value = match response.bytes().await {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Value::Null,
    };
    let mut lines = Vec::new();
    for error in body.pointer("/errors").and_then(Value::as_array).into_iter().flatten() {
        let code = error.get("code").and_then(Value::as_str).unwrap_or("UNKNOWN");
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        lines.push(format!("{code}: {message}"));
        lines.extend(detail_lines(error.get("detail")));
    }
    if lines.is_empty() {
        lines.push(format!("the server answered {status}"));
    }
    if status.as_u16() == 401 {
        lines.push(
            "Log in with `docker login` or set SEALOCK_USER and SEALOCK_PASSWORD.".to_owned(),
        );
    }
    Failure::from_status(status.as_u16(), lines.join("\n"))
}

/// The reasons of a refusal, one indented line each.
fn detail_lines(detail: Option<&Value>) -> Vec<String> {
    let reasons = detail.and_then(|detail| detail.get("reasons").unwrap_or(detail).as_array());
    reasons
        .into_iter()
        .flatten()
        .filter_map(|reason| {
            let message = reason.get("message").and_then(Value::as_str)?;
            let policy = reason.get("policy").and_then(Value::as_str).unwrap_or_default();
            let rule = reason.get("rule").and_then(Value::as_str).unwrap_or_default();
            let remedy = match reason.get("remedy").and_then(Value::as_str) {
                Some(remedy) if !remedy.is_empty() => format!("\n      {remedy}"),
                _ => String::new(),
            };
            Some(format!("  - {policy}: {rule}: {message}{remedy}"))
        })
        .collect()
}

fn credentials(global: &Global) -> Result<Option<(String, Password)>> {
    if let Some(user) = &global.user {
        let password = if global.password_stdin {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).context("reading the password")?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            std::env::var("SEALOCK_PASSWORD").map_err(|_| {
                Failure::not_allowed(format!(
                    "no password for {user}; set SEALOCK_PASSWORD or use --password-stdin"
                ))
            })?
        };
        return Ok(Some((user.clone(), Password(password))));
    }
    Ok(stored_login(&global.url))
}

/// What `docker login`, `podman login` or `skopeo login` stored for this host.
fn stored_login(url: &url::Url) -> Option<(String, Password)> {
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str()?),
        None => url.host_str()?.to_owned(),
    };
    login_files().iter().find_map(|path| {
        let config: Value = serde_json::from_slice(&crate::files::read(path).ok()?).ok()?;
        in_file(&config, &host).or_else(|| in_helper(&config, &host))
    })
}

fn in_file(config: &Value, host: &str) -> Option<(String, Password)> {
    let auths = config.get("auths")?;
    let keys = [host.to_owned(), format!("https://{host}"), format!("http://{host}")];
    let entry = keys.iter().find_map(|key| auths.get(key))?;
    let decoded =
        base64::engine::general_purpose::STANDARD.decode(entry.get("auth")?.as_str()?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), Password(password.to_owned())))
}

/// Asks the program that keeps logins in the system's own store (docker-credential-helpers).
fn in_helper(config: &Value, host: &str) -> Option<(String, Password)> {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    let own = config.get("credHelpers").and_then(|helpers| helpers.get(host));
    let helper = own.or_else(|| config.get("credsStore"))?.as_str()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if helper.is_empty() || !helper.chars().all(plain) {
        return None;
    }
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(host.as_bytes()).ok()?;
    let answer = child.wait_with_output().ok().filter(|answer| answer.status.success())?;
    let answer: Value = serde_json::from_slice(&answer.stdout).ok()?;
    let word = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    Some((word("Username")?, Password(word("Secret")?)))
}

/// Where container clients keep logins, in their own order (containers-auth.json(5)).
fn login_files() -> Vec<PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    let from = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let home = from("HOME");
    let mut files = Vec::new();
    files.extend(from("REGISTRY_AUTH_FILE"));
    files.extend(from("DOCKER_CONFIG").map(|dir| dir.join("config.json")));
    files.extend(from("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")));
    // Where the session manager gives no such directory, podman and skopeo make their own.
    let user = std::fs::metadata("/proc/self").map(|process| process.uid());
    files.extend(user.map(|id| format!("/run/containers/{id}/auth.json").into()));
    let config = from("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    files.extend(config.map(|dir| dir.join("containers/auth.json")));
    files.extend(home.map(|dir| dir.join(".docker/config.json")));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_as_clients_write_them() {
        let config = serde_json::json!({"auths": {"https://r:1": {"auth": "YW5uOmE6Yg=="}}});
        let (name, password) = in_file(&config, "r:1").expect("found");
        assert_eq!((name.as_str(), password.0.as_str()), ("ann", "a:b"));
        assert!(in_file(&config, "r:2").is_none());
        let escape = serde_json::json!({"credsStore": "../../bin/sh"});
        assert!(in_helper(&escape, "r:1").is_none());
    }
}
