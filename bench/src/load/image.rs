//! Whole images, pushed and pulled as real clients do it.

use super::{
    bodies::{Base, Blob, Body},
    client::Client,
};
use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use sealock_oci::{Digest, media_type};
use serde_json::json;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const OCTETS: &str = "application/octet-stream";

/// How a blob is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Style {
    /// HEAD, POST, then PUT with all bytes (containerd, crane, zb).
    Put,
    /// HEAD, POST, PATCH with all bytes, then PUT without (docker, podman, skopeo).
    Patch,
    /// HEAD, then POST with all bytes.
    Post,
}

/// An image that can be pushed.
pub(super) struct Image {
    /// Its repository.
    pub(super) repository: String,
    /// Its tag.
    pub(super) tag: String,
    /// Its layers, lowest first.
    pub(super) layers: Vec<Blob>,
    config: (Digest, Bytes),
    /// Its manifest.
    pub(super) manifest: (Digest, Bytes),
}

/// Makes images that differ in every blob.
pub(super) struct Maker {
    /// Where layers are cut from.
    pub(super) base: Base,
    /// Repositories, used in turn.
    pub(super) names: Vec<String>,
    /// Sizes of the layers in bytes.
    pub(super) layers: Vec<u64>,
    /// Tells one run's images from another's.
    pub(super) seed: u64,
}

impl Maker {
    /// The image of a number below 2^20.
    pub(super) fn image(&self, number: u64) -> Image {
        let seed = self.seed + number;
        let layers: Vec<Blob> = (0..)
            .zip(&self.layers)
            .map(|(position, size)| Blob::new(&self.base, seed << 6 | position, *size))
            .collect();
        let ids: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
        let config = named(json!({
            "architecture": "amd64", "os": "linux",
            "config": {"Labels": {"number": seed.to_string()}},
            "rootfs": {"type": "layers", "diff_ids": ids},
        }));
        let list: Vec<_> = layers
            .iter()
            .map(|blob| json!({"mediaType": LAYER, "digest": blob.digest, "size": blob.size}))
            .collect();
        let about = json!({
            "mediaType": media_type::OCI_CONFIG, "digest": config.0, "size": config.1.len(),
        });
        let manifest = named(json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
            "config": about, "layers": list,
        }));
        let names = self.names.len().max(1) as u64;
        let repository = usize::try_from(number % names).ok().and_then(|at| self.names.get(at));
        let repository = repository.cloned().unwrap_or_default();
        Image { repository, tag: format!("t{seed:x}"), layers, config, manifest }
    }
}

fn named(document: serde_json::Value) -> (Digest, Bytes) {
    let bytes = Bytes::from(document.to_string());
    (Digest::sha256(&bytes), bytes)
}

/// Pushes layers, configuration and manifest; gives the number of requests.
pub(super) async fn push(client: &mut Client, image: &Image, style: Style) -> Result<u64> {
    let mut requests = 0;
    for layer in &image.layers {
        let body = (&layer.digest, layer.size, layer.body());
        requests += push_blob(client, &image.repository, body, style).await?;
    }
    let (digest, bytes) = &image.config;
    let body = (digest, bytes.len() as u64, bytes.clone().into());
    requests += push_blob(client, &image.repository, body, style).await?;
    let path = format!("/v2/{}/manifests/{}", image.repository, image.tag);
    let request = client
        .request(Method::PUT, &path, &image.repository)
        .header(header::CONTENT_TYPE, media_type::OCI_MANIFEST)
        .body(image.manifest.1.clone().into())?;
    client.expect(request, StatusCode::CREATED).await?;
    Ok(requests + 1)
}

async fn push_blob(
    client: &mut Client,
    name: &str,
    (digest, size, body): (&Digest, u64, Body),
    style: Style,
) -> Result<u64> {
    let path = format!("/v2/{name}/blobs/{digest}");
    let head = client.request(Method::HEAD, &path, name).body(Body::empty())?;
    client.expect(head, StatusCode::NOT_FOUND).await?;
    let bytes = |client: &Client, method, path: &str| {
        client
            .request(method, path, name)
            .header(header::CONTENT_TYPE, OCTETS)
            .header(header::CONTENT_LENGTH, size)
    };
    let uploads = format!("/v2/{name}/blobs/uploads/");
    if style == Style::Post {
        let path = format!("{uploads}?digest={digest}");
        let request = bytes(client, Method::POST, &path).body(body)?;
        client.expect(request, StatusCode::CREATED).await?;
        return Ok(2);
    }
    let begin = client.request(Method::POST, &uploads, name).header(header::CONTENT_LENGTH, 0);
    let (headers, _) = client.expect(begin.body(Body::empty())?, StatusCode::ACCEPTED).await?;
    let mut location = path_of(&headers)?;
    let mut rest = Some(body);
    if style == Style::Patch {
        let body = rest.take().unwrap_or_else(Body::empty);
        let request = bytes(client, Method::PATCH, &location).body(body)?;
        let (headers, _) = client.expect(request, StatusCode::ACCEPTED).await?;
        location = path_of(&headers)?;
    }
    let joint = if location.contains('?') { '&' } else { '?' };
    let path = format!("{location}{joint}digest={digest}");
    let request = match rest {
        Some(body) => bytes(client, Method::PUT, &path).body(body)?,
        None => {
            let put = client.request(Method::PUT, &path, name).header(header::CONTENT_LENGTH, 0);
            put.body(Body::empty())?
        }
    };
    client.expect(request, StatusCode::CREATED).await?;
    Ok(if style == Style::Patch { 4 } else { 3 })
}

/// Path and query of the Location header, which may name the host, too.
fn path_of(headers: &HeaderMap) -> Result<String> {
    let location = headers.get(header::LOCATION).context("an upload without a Location")?;
    let uri: http::Uri = location.to_str()?.parse()?;
    Ok(uri.path_and_query().context("a Location without a path")?.as_str().to_owned())
}

/// Pulls an image as containerd does; gives the number of requests.
pub(super) async fn pull(client: &mut Client, image: &Image, verify: bool) -> Result<u64> {
    let name = &image.repository;
    let path = format!("/v2/{name}/manifests/{}", image.tag);
    let head = manifest_request(client, Method::HEAD, &path, name)?;
    client.expect(head, StatusCode::OK).await?;
    let (digest, bytes) = &image.manifest;
    let path = format!("/v2/{name}/manifests/{digest}");
    let get = manifest_request(client, Method::GET, &path, name)?;
    client.fetch(get, (digest, bytes.len() as u64), verify).await?;
    let config = (&image.config.0, image.config.1.len() as u64);
    let blobs = image.layers.iter().map(|layer| (&layer.digest, layer.size));
    for (digest, size) in std::iter::once(config).chain(blobs) {
        let path = format!("/v2/{name}/blobs/{digest}");
        let get = client.request(Method::GET, &path, name).body(Body::empty())?;
        client.fetch(get, (digest, size), verify).await?;
    }
    Ok(3 + image.layers.len() as u64)
}

/// A request for a manifest, with the types that clients accept.
pub(super) fn manifest_request(
    client: &Client,
    method: Method,
    path: &str,
    name: &str,
) -> Result<http::Request<Body>> {
    const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
        application/vnd.oci.image.manifest.v1+json, \
        application/vnd.docker.distribution.manifest.list.v2+json, \
        application/vnd.docker.distribution.manifest.v2+json";
    let request = client.request(method, path, name).header(header::ACCEPT, ACCEPT);
    Ok(request.body(Body::empty())?)
}
