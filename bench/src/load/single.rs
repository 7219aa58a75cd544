//! Single requests.

use super::{bodies::Body, client::Client, image::Image, image::manifest_request};
use anyhow::Result;
use http::{Method, StatusCode};

/// GET or HEAD of a manifest by tag or digest.
pub(super) async fn manifest(
    client: &mut Client,
    image: &Image,
    by_tag: bool,
    whole: bool,
) -> Result<u64> {
    let name = &image.repository;
    let (digest, bytes) = &image.manifest;
    let path = match by_tag {
        true => format!("/v2/{name}/manifests/{}", image.tag),
        false => format!("/v2/{name}/manifests/{digest}"),
    };
    if whole {
        let request = manifest_request(client, Method::GET, &path, name)?;
        client.fetch(request, (digest, bytes.len() as u64), false).await?;
    } else {
        let request = manifest_request(client, Method::HEAD, &path, name)?;
        client.expect(request, StatusCode::OK).await?;
    }
    Ok(1)
}

/// HEAD of an image's first layer.
pub(super) async fn head_blob(client: &mut Client, image: &Image) -> Result<u64> {
    let Some(layer) = image.layers.first() else { return Ok(0) };
    let path = format!("/v2/{}/blobs/{}", image.repository, layer.digest);
    let request = client.request(Method::HEAD, &path, &image.repository).body(Body::empty())?;
    client.expect(request, StatusCode::OK).await?;
    Ok(1)
}

/// GET of any path, with the credentials of the repository that it names, or of none.
pub(super) async fn path(client: &mut Client, path: &str) -> Result<u64> {
    let name = path.strip_prefix("/v2/").unwrap_or_default();
    let end = ["/tags/", "/referrers/", "/manifests/", "/blobs/"]
        .iter()
        .find_map(|part| name.find(part))
        .unwrap_or_default();
    let name = name.get(..end).unwrap_or_default();
    let request = client.request(Method::GET, path, name).body(Body::empty())?;
    client.expect(request, StatusCode::OK).await?;
    Ok(1)
}
