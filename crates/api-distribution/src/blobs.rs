//! Blobs out: whole, in part, or only whether they are there.

use crate::{
    conditional::{etag, precondition, range_counts, reading},
    range::{Wanted, wanted},
    routes::{Asked, CONTENT_DIGEST, value},
};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sealock_http::{HttpError, Result, SendFile};
use sealock_oci::{Digest, ErrorCode};
use sealock_registry::{BlobReader, Error};
use std::{io, ops::Range};

/// `HEAD /v2/<name>/blobs/<digest>`
pub(crate) async fn head(asked: Asked<'_>, digest: &Digest) -> Result<Response> {
    let info = asked.registry.head_blob(asked.caller, asked.name, digest).await?;
    let mut headers = about(&info.digest)?;
    // Of what a GET would send: an answer 304 to HEAD would be given a length of 0 otherwise.
    headers.insert(header::CONTENT_LENGTH, info.size.into());
    let status = match reading(asked.headers, &info.digest)? {
        true => StatusCode::NOT_MODIFIED,
        false => StatusCode::OK,
    };
    Ok((status, headers, Body::empty()).into_response())
}

/// `GET /v2/<name>/blobs/<digest>`
pub(crate) async fn get(asked: Asked<'_>, digest: &Digest) -> Result<Response> {
    let reader = asked.registry.open_blob(asked.caller, asked.name, digest).await?;
    let (digest, size) = (reader.key().digest, reader.size());
    let mut headers = about(&digest)?;
    if reading(asked.headers, &digest)? {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let asked_range = asked.headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let asked_range = asked_range.filter(|_| range_counts(asked.headers, &digest));
    let (status, range) = match wanted(asked_range, size) {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(range) => {
            let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            headers.insert(header::CONTENT_RANGE, value(text)?);
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Wanted::Unsatisfiable => {
            return Err(HttpError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                ErrorCode::SizeInvalid,
                format!("the blob has {size} bytes; the range asked for has none of them"),
            )
            .with_header(header::CONTENT_RANGE, value(format!("bytes */{size}"))?));
        }
    };
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    let body = bytes_of(&reader, range, asked.send_file)?;
    Ok((status, headers, body).into_response())
}

/// Shorter answers are copied: that costs less than to map a file and to send it apart from the
/// answer's head. In bytes.
const LEAST_TO_SEND_AS_FILE: u64 = 64 * 1024;

fn bytes_of(reader: &BlobReader, range: Range<u64>, connection: Option<&SendFile>) -> Result<Body> {
    let long = range.end - range.start >= LEAST_TO_SEND_AS_FILE;
    let file = reader.system_file().filter(|_| long);
    // Who cannot map a file reads it.
    let mapped = connection.zip(file).and_then(|(to, file)| to.announce(file, range.clone()).ok());
    let digest = reader.key().digest;
    let broken_off = move |error| {
        // The status is out already; breaking off tells the client that this is not the whole.
        tracing::error!(%digest, %error, "a blob could not be read to its end");
        io::Error::other("the blob could not be read")
    };
    Ok(match mapped {
        Some(mapped) => {
            let chunks = reader.stream_mapped(range, mapped).map_err(Error::from)?;
            Body::from_stream(chunks.map_err(broken_off))
        }
        None => {
            let chunks = reader.stream(range).map_err(Error::from)?;
            Body::from_stream(chunks.map_err(broken_off))
        }
    })
}

/// `DELETE /v2/<name>/blobs/<digest>`
pub(crate) async fn delete(asked: Asked<'_>, digest: &Digest) -> Result<Response> {
    let condition = precondition(asked.headers);
    let deleted = asked.registry.delete_blob(asked.caller, asked.name, digest, &condition).await;
    deleted.map_err(|error| {
        let error = HttpError::from(error);
        match error.status() {
            StatusCode::METHOD_NOT_ALLOWED => {
                error.with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
            }
            _ => error,
        }
    })?;
    Ok(StatusCode::ACCEPTED.into_response())
}

fn about(digest: &Digest) -> Result<HeaderMap> {
    Ok(HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::ETAG, etag(digest)),
        (CONTENT_DIGEST, value(digest.to_string())?),
    ]))
}
