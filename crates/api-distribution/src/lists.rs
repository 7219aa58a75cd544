//! Tags, referrers, catalog.

use crate::{
    query::Query,
    routes::{Asked, value},
};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use sealock_auth::Caller;
use sealock_http::{HttpError, Result, encode, next_link};
use sealock_oci::{Descriptor, Digest, RepositoryName, Tag, media_type};
use sealock_registry::{MAX_PAGE_ITEMS, PageRequest, REFERRERS_PIECE, Registry, TagsShown};
use serde::Serialize;
use tokio::task::yield_now;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

// Written as they are: a page has a thousand items, and a tree of them would cost more than the
// look into the database.

#[derive(Serialize)]
struct Tags<'a> {
    name: &'a RepositoryName,
    tags: &'a [Tag],
}

#[derive(Serialize)]
struct Catalog<'a> {
    repositories: &'a [RepositoryName],
}

/// `GET /v2/<name>/tags/list[?n=&last=]`
pub(crate) async fn tags(asked: Asked<'_>) -> Result<Response> {
    let page = page(asked.query)?;
    let tags = asked.registry.list_tags(asked.caller, asked.name, TagsShown::All, &page).await?;
    let path = format!("/v2/{}/tags/list", asked.name);
    let link = more(&path, asked.query, tags.next.as_deref(), &[])?;
    let body = Tags { name: asked.name, tags: &tags.items };
    answer("application/json", written(&body)?, link)
}

/// `GET /v2/_catalog[?n=&last=]`: the repositories that the caller may read.
pub(crate) async fn catalog(
    registry: &Registry,
    caller: &Caller,
    query: &Query,
) -> Result<Response> {
    let names = registry.catalog(caller, &page(query)?).await?;
    let link = more("/v2/_catalog", query, names.next.as_deref(), &[])?;
    answer("application/json", written(&Catalog { repositories: &names.items })?, link)
}

/// `GET /v2/<name>/referrers/<digest>[?artifactType=]`
pub(crate) async fn referrers(asked: Asked<'_>, subject: &Digest) -> Result<Response> {
    // No type has a space; a plus that a client wrote as it stands was read as one.
    let filter = asked.query.one("artifactType")?.map(|filter| filter.replace(' ', "+"));
    let filter = filter.as_deref().filter(|filter| !filter.is_empty());
    let found = asked
        .registry
        .list_referrers(asked.caller, asked.name, subject, filter, &page(asked.query)?)
        .await?;
    let path = format!("/v2/{}/referrers/{}", asked.name, encode(&subject.to_string()));
    let repeated: Vec<_> = filter.map(|filter| ("artifactType", filter)).into_iter().collect();
    let link = more(&path, asked.query, found.next.as_deref(), &repeated)?;
    let mut response = answer(media_type::OCI_INDEX, index(&found.items).await?, link)?;
    if filter.is_some() {
        response.headers_mut().insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}

fn page(query: &Query) -> Result<PageRequest> {
    let after = query.one("last")?.filter(|last| !last.is_empty()).map(str::to_owned);
    Ok(PageRequest { after, limit: Some(query.n()?.unwrap_or(MAX_PAGE_ITEMS)) })
}

/// The link to the next page, with what this request asked for.
fn more(
    path: &str,
    query: &Query,
    next: Option<&str>,
    repeated: &[(&str, &str)],
) -> Result<Option<HeaderValue>> {
    let Some(next) = next else { return Ok(None) };
    let mut pairs = repeated.to_vec();
    let n = query.n()?.map(|n| n.to_string());
    if let Some(n) = &n {
        pairs.push(("n", n));
    }
    pairs.push(("last", next));
    next_link(path, &pairs)
        .map(Some)
        .ok_or_else(|| HttpError::internal("a link could not be written"))
}

fn written(body: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(HttpError::internal)
}

/// An index of `manifests`. A page of a thousand is a quarter of a megabyte: it is written in
/// pieces, between which others have their turn.
async fn index(manifests: &[Descriptor]) -> Result<Vec<u8>> {
    let media_type = media_type::OCI_INDEX;
    let mut index =
        format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":["#).into_bytes();
    for (number, manifest) in manifests.iter().enumerate() {
        if number > 0 {
            index.push(b',');
        }
        if number % REFERRERS_PIECE as usize == 0 {
            yield_now().await;
        }
        serde_json::to_writer(&mut index, manifest).map_err(HttpError::internal)?;
    }
    index.extend_from_slice(b"]}");
    Ok(index)
}

fn answer(content_type: &str, body: Vec<u8>, link: Option<HeaderValue>) -> Result<Response> {
    let mut response = ([(header::CONTENT_TYPE, value(content_type)?)], body).into_response();
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}
