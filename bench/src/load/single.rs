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

/// The repository that a path names, if it names one.
pub(super) fn repository_of(path: &str) -> Option<&str> {
    let (path, _query) = path.split_once('?').unwrap_or((path, ""));
    // A repository may have the name of a part: the last one counts.
    let (name, _last) = path.strip_prefix("/v2/")?.rsplit_once('/')?;
    let parts = ["/tags", "/referrers", "/manifests", "/blobs"];
    parts.iter().find_map(|part| name.strip_suffix(part))
}

/// GET of any path, with the credentials of the repository that it names, or of none.
pub(super) async fn path(client: &mut Client, path: &str) -> Result<u64> {
    let name = repository_of(path).unwrap_or_default();
    let request = client.request(Method::GET, path, name).body(Body::empty())?;
    client.expect(request, StatusCode::OK).await?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_names_its_repository() {
        for (path, name) in [
            ("/v2/a/b/tags/list?n=1", Some("a/b")),
            ("/v2/a/b/referrers/sha256:00", Some("a/b")),
            ("/v2/a/tags/tags/list", Some("a/tags")),
            ("/v2/a/referrers/referrers/sha256:00?n=1&last=a/tags/b", Some("a/referrers")),
            ("/v2/_catalog", None),
            ("/v2/_catalog?last=a/tags/b", None),
        ] {
            assert_eq!(super::repository_of(path), name);
        }
    }
}
