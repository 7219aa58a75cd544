//! Blobs in: in one request, streamed, in chunks, mounted, cancelled.

use crate::{
    path::digest,
    range::chunk,
    routes::{Asked, CONTENT_DIGEST, value},
};
use axum::{
    body::{Body, HttpBody as _},
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt as _;
use http::{HeaderMap, HeaderName, StatusCode, header};
use sealock_http::{HttpError, Result};
use sealock_oci::{Algorithm, Digest, ErrorCode, RepositoryName};
use sealock_registry::{Kind, PushedBlob, UploadStatus};
use std::io;
use uuid::Uuid;

/// `POST /v2/<name>/blobs/uploads/`: begins an upload, takes a whole blob (`?digest=`) or mounts
/// one (`?mount=`). A mount that is not possible begins an upload.
pub(crate) async fn begin(asked: Asked<'_>, body: Body) -> Result<Response> {
    let Asked { registry, caller, name, query, .. } = &asked;
    if let Some(mount) = query.one("mount")? {
        let mount = digest(mount)?;
        // What cannot be a repository's name is that of none that has the blob.
        let from = query.one("from")?.filter(|from| !from.is_empty()).map(str::parse);
        if let Ok(from) = from.transpose()
            && registry.mount_blob(caller, name, &mount, from.as_ref()).await?
        {
            return stored(name, &mount);
        }
        let upload = registry.begin_upload(caller, name, mount.algorithm()).await?;
        return accepted(StatusCode::ACCEPTED, name, upload);
    }
    if let Some(text) = query.one("digest")? {
        let digest = digest(text)?;
        let PushedBlob { digest, .. } =
            registry.push_blob(caller, name, &digest, stream(body)).await?;
        return stored(name, &digest);
    }
    let algorithm = query.algorithm()?.unwrap_or(Algorithm::Sha256);
    let upload = registry.begin_upload(caller, name, algorithm).await?;
    accepted(StatusCode::ACCEPTED, name, upload)
}

/// `GET <location>`: where the upload stands.
pub(crate) async fn status(asked: Asked<'_>, id: Uuid) -> Result<Response> {
    let upload = asked.registry.upload_status(asked.caller, asked.name, id).await?;
    accepted(StatusCode::NO_CONTENT, asked.name, upload)
}

/// `PATCH <location>`: more bytes, as a chunk with `Content-Range` or streamed without.
pub(crate) async fn append(asked: Asked<'_>, id: Uuid, body: Body) -> Result<Response> {
    let range = chunk(content_range(asked.headers)?)?;
    let appended = asked
        .registry
        .append_upload(asked.caller, asked.name, id, range, stream(body))
        .await
        .map_err(|error| out_of_order(error, asked.name, id))?;
    accepted(StatusCode::ACCEPTED, asked.name, appended)
}

/// `PUT <location>?digest=`: the end, perhaps with the last bytes.
pub(crate) async fn finish(asked: Asked<'_>, id: Uuid, body: Body) -> Result<Response> {
    let Some(text) = asked.query.one("digest")? else {
        return Err(HttpError::bad_request(
            ErrorCode::DigestInvalid,
            "an upload ends with ?digest=<digest of the whole blob>",
        ));
    };
    let digest = digest(text)?;
    let range = chunk(content_range(asked.headers)?)?;
    let pushed = asked
        .registry
        .finish_upload(asked.caller, asked.name, id, &digest, range, stream(body))
        .await
        .map_err(|error| out_of_order(error, asked.name, id))?;
    stored(asked.name, &pushed.digest)
}

/// `DELETE <location>`: drops the upload.
pub(crate) async fn cancel(asked: Asked<'_>, id: Uuid) -> Result<Response> {
    asked.registry.cancel_upload(asked.caller, asked.name, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

fn accepted(status: StatusCode, name: &RepositoryName, upload: UploadStatus) -> Result<Response> {
    Ok((status, progress(name, upload)?).into_response())
}

fn progress(name: &RepositoryName, upload: UploadStatus) -> Result<HeaderMap> {
    let UploadStatus { id, offset } = upload;
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, value(format!("/v2/{name}/blobs/uploads/{id}"))?);
    // The range is inclusive and cannot say "nothing"; Docker's registry writes 0-0 for that, and
    // its clients expect it.
    headers.insert(header::RANGE, value(format!("0-{}", offset.saturating_sub(1)))?);
    headers.insert(UPLOAD_UUID, value(id.to_string())?);
    headers.insert(header::CONTENT_LENGTH, 0.into());
    Ok(headers)
}

fn stored(name: &RepositoryName, digest: &Digest) -> Result<Response> {
    let headers = [
        (header::LOCATION, value(format!("/v2/{name}/blobs/{digest}"))?),
        (CONTENT_DIGEST, value(digest.to_string())?),
        (header::CONTENT_LENGTH, 0.into()),
    ];
    Ok((StatusCode::CREATED, headers).into_response())
}

/// A chunk out of order learns where the upload stands, so that the client can go on there.
fn out_of_order(error: sealock_registry::Error, name: &RepositoryName, id: Uuid) -> HttpError {
    let offset = error.upload_offset().filter(|_| error.kind() == Kind::Range);
    let mut made = HttpError::from(error);
    if let Some(offset) = offset
        && let Ok(headers) = progress(name, UploadStatus { id, offset })
    {
        for header in [header::LOCATION, header::RANGE] {
            if let Some(value) = headers.get(&header) {
                made = made.with_header(header, value.clone());
            }
        }
    }
    made
}

fn content_range(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| {
        HttpError::bad_request(ErrorCode::BlobUploadInvalid, "Content-Range is not readable")
    })
}

fn stream(body: Body) -> sealock_registry::Body<'static> {
    let length = body.size_hint().exact();
    let stream = body.into_data_stream().map_err(io::Error::other);
    sealock_registry::Body::new(stream).with_length(length)
}
