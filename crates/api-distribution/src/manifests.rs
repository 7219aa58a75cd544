//! Manifests in and out.

use crate::{
    conditional::{etag, precondition, reading},
    routes::{Asked, CONTENT_DIGEST, value},
    warning,
};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sealock_http::{HttpError, Result, read_limited};
use sealock_oci::{ErrorCode, MAX_MANIFEST_BYTES, Reference, Tag};
use sealock_registry::{MAX_TAGS, ManifestPush, PulledManifest};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// Most lines of `OCI-Tag` in one answer: many clients give up on a head of a hundred lines.
const MAX_TAG_LINES: usize = 10;

/// `GET /v2/<name>/manifests/<tag or digest>`
pub(crate) async fn get(asked: Asked<'_>, reference: &Reference) -> Result<Response> {
    let pulled = asked.registry.get_manifest(asked.caller, asked.name, reference).await?;
    answer(&asked, pulled, false)
}

/// `HEAD /v2/<name>/manifests/<tag or digest>`: the same answer, and no pull.
pub(crate) async fn head(asked: Asked<'_>, reference: &Reference) -> Result<Response> {
    let pulled = asked.registry.head_manifest(asked.caller, asked.name, reference).await?;
    answer(&asked, pulled, true)
}

fn answer(asked: &Asked<'_>, pulled: PulledManifest, head: bool) -> Result<Response> {
    let mut headers = HeaderMap::from_iter([
        (header::ETAG, etag(&pulled.digest)),
        (CONTENT_DIGEST, value(pulled.digest.to_string())?),
    ]);
    warning::add(&mut headers, pulled.warnings.iter().map(String::as_str));
    let not_modified = reading(asked.headers, &pulled.digest)?;
    // Of what a GET would send: an answer 304 to HEAD would be given a length of 0 otherwise.
    if head || !not_modified {
        headers.insert(header::CONTENT_LENGTH, pulled.payload.len().into());
    }
    if not_modified {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(header::CONTENT_TYPE, value(&pulled.media_type)?);
    Ok((headers, pulled.payload).into_response())
}

/// `PUT /v2/<name>/manifests/<tag or digest>[?tag=...]`
pub(crate) async fn put(asked: Asked<'_>, reference: &Reference, body: Body) -> Result<Response> {
    let tags = asked.query.tags()?;
    if tags.len() > MAX_TAGS {
        return Err(HttpError::new(
            StatusCode::URI_TOO_LONG,
            ErrorCode::Unsupported,
            format!("a push sets at most {MAX_TAGS} tags"),
        ));
    }
    let content_type = match asked.headers.get(header::CONTENT_TYPE) {
        None => "",
        Some(value) => value.to_str().map_err(|_| {
            HttpError::bad_request(ErrorCode::ManifestInvalid, "Content-Type is not readable")
        })?,
    };
    if asked.caller.principal.is_anonymous() {
        // Whoever is nobody pushes nothing: megabytes of theirs are not read to say so.
        return Err(sealock_registry::Error::unauthenticated().into());
    }
    let payload = read_limited(body, MAX_MANIFEST_BYTES, "a manifest").await?;
    let push = ManifestPush {
        repository: asked.name,
        reference,
        tags: &tags,
        content_type,
        payload,
        condition: &precondition(asked.headers),
    };
    let pushed = asked.registry.put_manifest(asked.caller, push).await?;
    let digest = pushed.digest;
    let mut headers = HeaderMap::from_iter([
        (header::LOCATION, value(format!("/v2/{}/manifests/{digest}", asked.name))?),
        (CONTENT_DIGEST, value(digest.to_string())?),
        (header::ETAG, etag(&digest)),
        (header::CONTENT_LENGTH, HeaderValue::from(0)),
    ]);
    if let Some(subject) = pushed.subject {
        headers.insert(OCI_SUBJECT, value(subject.to_string())?);
    }
    for tags in in_few_lines(tags.iter().filter(|tag| pushed.tags.contains(tag))) {
        headers.append(OCI_TAG, value(tags)?);
    }
    let held = "the artifact is held until it is judged; no door but examine opens it before";
    let warnings = pushed.warnings.iter().map(String::as_str);
    warning::add(&mut headers, pushed.held.then_some(held).into_iter().chain(warnings));
    Ok((StatusCode::CREATED, headers).into_response())
}

/// Each tag once, as the values of `OCI-Tag`: a line for each while they are few, lists of them
/// when they are many.
fn in_few_lines<'t>(tags: impl Iterator<Item = &'t Tag>) -> Vec<String> {
    let mut once: Vec<&str> = Vec::new();
    for tag in tags.map(Tag::as_str) {
        if !once.contains(&tag) {
            once.push(tag);
        }
    }
    let in_one = once.len().div_ceil(MAX_TAG_LINES).max(1);
    once.chunks(in_one).map(|some| some.join(", ")).collect()
}

/// `DELETE /v2/<name>/manifests/<tag or digest>`
pub(crate) async fn delete(asked: Asked<'_>, reference: &Reference) -> Result<Response> {
    let condition = precondition(asked.headers);
    asked.registry.delete_manifest(asked.caller, asked.name, reference, &condition).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}
