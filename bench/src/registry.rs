//! A minimal pushing client: one connection, no retries, so that what is timed is the server.

use anyhow::{Result, bail};
use bytes::Bytes;
use reqwest::{Body, Response, StatusCode};
use sealock_oci::{Digest, media_type};
use serde_json::{Value, json};

/// Where to push, and as whom.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Target {
    /// The server, such as http://127.0.0.1:5000.
    #[arg(long)]
    pub(crate) url: String,
    /// The repository.
    #[arg(long)]
    pub(crate) repository: String,
    /// User; the password is in SEALOCK_PASSWORD.
    #[arg(long, default_value = "admin")]
    pub(crate) user: String,
}

/// A connection to the server.
pub(crate) struct Pusher {
    http: reqwest::Client,
    target: Target,
    password: String,
}

impl Pusher {
    /// Prepares a client.
    pub(crate) fn new(target: Target) -> Result<Self> {
        let http = reqwest::Client::builder().build()?;
        Ok(Self { http, target, password: std::env::var("SEALOCK_PASSWORD")? })
    }

    fn v2(&self, repository: &str, rest: &str) -> String {
        format!("{}/v2/{repository}/{rest}", self.target.url)
    }

    /// The repository given on the command line.
    pub(crate) fn repository(&self) -> &str {
        &self.target.repository
    }

    /// Pushes a blob in one request.
    pub(crate) async fn blob(&self, repository: &str, content: Bytes) -> Result<Digest> {
        let digest = Digest::sha256(&content);
        self.blob_body(repository, &digest, content.into()).await?;
        Ok(digest)
    }

    /// Pushes a blob whose digest is known beforehand.
    pub(crate) async fn blob_body(
        &self,
        repository: &str,
        digest: &Digest,
        body: Body,
    ) -> Result<()> {
        let url = self.v2(repository, &format!("blobs/uploads/?digest={digest}"));
        let request = self.http.post(url).basic_auth(&self.target.user, Some(&self.password));
        let answer =
            request.header("Content-Type", "application/octet-stream").body(body).send().await?;
        expect(answer, StatusCode::CREATED).await
    }

    /// Pushes a manifest of these layers under a tag, with a config of this media type, digest and
    /// size.
    pub(crate) async fn manifest(
        &self,
        repository: &str,
        tag: &str,
        (config_type, config, config_size): (&str, &Digest, usize),
        layers: &[(Digest, u64)],
    ) -> Result<Digest> {
        let layers: Vec<Value> = layers
            .iter()
            .map(|(digest, size)| {
                json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                       "digest": digest, "size": size})
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
            "config": {"mediaType": config_type, "digest": config, "size": config_size},
            "layers": layers,
        })
        .to_string();
        let digest = Digest::sha256(manifest.as_bytes());
        let request = self
            .http
            .put(self.v2(repository, &format!("manifests/{tag}")))
            .basic_auth(&self.target.user, Some(&self.password))
            .header("Content-Type", media_type::OCI_MANIFEST)
            .body(manifest);
        expect(request.send().await?, StatusCode::CREATED).await?;
        Ok(digest)
    }

    /// Whether the server knows the contents of an image yet.
    pub(crate) async fn contents_known(&self, image: &str) -> Result<bool> {
        let url = format!("{}/api/sealock/v1/artifact/sbom", self.target.url);
        let request = self.http.get(url).query(&[("image", image)]);
        let answer = request.basic_auth(&self.target.user, Some(&self.password)).send().await?;
        Ok(answer.status().is_success())
    }
}

async fn expect(answer: Response, status: StatusCode) -> Result<()> {
    if answer.status() != status {
        bail!("{} instead of {status}: {}", answer.status(), answer.text().await?);
    }
    answer.bytes().await?;
    Ok(())
}
