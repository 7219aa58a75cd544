//! A small blocking HTTP client: the requests that no real client sends.

use std::{net::IpAddr, path::Path, time::Duration};

use reqwest::{
    Certificate, Method,
    blocking::{Body, Client, ClientBuilder, RequestBuilder, Response},
};
use serde_json::Value;

/// A client of one server.
#[derive(Debug, Clone)]
pub struct Http {
    base: String,
    client: Client,
    user: Option<(String, String)>,
}

impl Http {
    /// A client without credentials.
    ///
    /// # Panics
    /// If TLS cannot be set up.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { base: base.to_owned(), client: client(None), user: None }
    }

    /// Trusts the certificates of a PEM file, and nothing else.
    ///
    /// # Panics
    /// If the file holds none.
    #[must_use]
    pub fn trusting(mut self, ca: &Path) -> Self {
        self.client = client(Some(ca));
        self
    }

    /// Connects from this address of the machine.
    ///
    /// # Panics
    /// If it has no such address.
    #[must_use]
    pub fn from_address(mut self, address: IpAddr) -> Self {
        self.client = builder().local_address(address).build().expect("a client");
        self
    }

    /// Sends these credentials with every request.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str) -> Self {
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Any request; `path` begins with a slash, or is a whole address.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.into() };
        let request = self.client.request(method, url);
        match &self.user {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        }
    }

    /// GET.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn get(&self, path: &str) -> reqwest::Result<Response> {
        self.request(Method::GET, path).send()
    }

    /// GET of JSON that must succeed.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn json(&self, path: &str) -> Value {
        good(self.get(path).expect("an answer"))
    }

    /// A request with a JSON body that must succeed.
    ///
    /// # Panics
    /// If it does not.
    pub fn write(&self, method: Method, path: &str, body: &Value) -> Value {
        let body = serde_json::to_vec(body).expect("JSON");
        let request = self.request(method, path).header("Content-Type", "application/json");
        good(request.body(body).send().expect("an answer"))
    }

    /// Uploads a blob in one request (distribution 1.1, "POST then PUT").
    ///
    /// # Errors
    /// If no answer comes.
    pub fn push_blob(
        &self,
        repository: &str,
        digest: &str,
        body: impl Into<Body>,
    ) -> reqwest::Result<Response> {
        let start =
            self.request(Method::POST, &format!("/v2/{repository}/blobs/uploads/")).send()?;
        let Some(location) = start.headers().get("Location") else { return Ok(start) };
        let location = location.to_str().expect("a plain location");
        let join = if location.contains('?') { '&' } else { '?' };
        self.request(Method::PUT, &format!("{location}{join}digest={digest}"))
            .header("Content-Type", "application/octet-stream")
            .body(body)
            .send()
    }

    /// PUT of a manifest under a tag or digest.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        body: &str,
    ) -> reqwest::Result<Response> {
        self.request(Method::PUT, &format!("/v2/{repository}/manifests/{reference}"))
            .header("Content-Type", media_type)
            .body(body.to_owned())
            .send()
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .timeout(Duration::from_secs(60))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

fn client(ca: Option<&Path>) -> Client {
    let mut builder = builder();
    if let Some(path) = ca {
        let pem = std::fs::read(path).expect("a certificate file");
        let certificates = Certificate::from_pem_bundle(&pem).expect("PEM certificates");
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().expect("a client")
}

fn good(response: Response) -> Value {
    let status = response.status();
    let url = response.url().to_string();
    let body = response.text().expect("a body");
    assert!(status.is_success(), "{url}: {status}\n{body}");
    serde_json::from_str(&body).unwrap_or(Value::Null)
}
