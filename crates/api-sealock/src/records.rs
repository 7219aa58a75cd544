//! What is on record: impact, audit events.

use crate::{
    face::{Asking, Face, Known, List, Paging, Query, bad, digest, list},
    schema,
};
use axum::{Json, extract::State};
use jiff::Timestamp;
use sealock_http::Result;
use sealock_registry::AuditEvent as Event;
use sealock_registry::{AffectedImage, AuditQuery, ImpactQuery};
use serde::Deserialize;
use utoipa::IntoParams;

/// What is searched for: a vulnerability, or a package.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Affected {
    /// Any id of a vulnerability.
    vulnerability: Option<String>,
    /// Package URL, with or without a version.
    purl: Option<String>,
    /// Versions of the package, in its ecosystem's order, such as `>=1.2,<2`.
    range: Option<String>,
    /// The cursor of the page before.
    after: Option<String>,
    /// Most items, 1 to 1,000; 100 when absent.
    limit: Option<u32>,
}

/// Images that hold a vulnerability or a package, among the projects that the caller may read.
#[utoipa::path(get, path = "/affected", tag = "records", params(Affected),
    responses((status = 200, body = List<schema::AffectedImage>)))]
pub(crate) async fn affected(
    State(face): State<Face>,
    Asking(caller): Asking,
    Query(query): Query<Affected>,
) -> Result<Json<List<AffectedImage>>> {
    let page = Paging::new(query.after, query.limit).request()?;
    let wanted = match (query.vulnerability, query.purl, query.range) {
        (Some(id), None, None) if !id.is_empty() => ImpactQuery::Vulnerability(id),
        (None, Some(purl), range) => ImpactQuery::Package { purl, range },
        _ => {
            return Err(bad("name either a vulnerability, or a purl with a range if you wish"));
        }
    };
    Ok(list(face.registry.affected(&caller, &wanted, &page).await?))
}

/// Which events are asked for. Every given part must match.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Audit {
    /// In this project.
    project: Option<String>,
    /// About this digest.
    digest: Option<String>,
    /// One of these actions, separated by commas.
    action: Option<String>,
    /// By this user or robot.
    actor: Option<String>,
    /// Not before this moment, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Before this moment, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// The cursor of the page before.
    after: Option<String>,
    /// Most items, 1 to 1,000; 100 when absent.
    limit: Option<u32>,
}

/// Audit events, newest first: of projects that the caller administers; of everything for system
/// administrators and security officers.
#[utoipa::path(get, path = "/audit", tag = "records", params(Audit),
    responses((status = 200, body = List<schema::AuditEvent>)))]
pub(crate) async fn audit(
    State(face): State<Face>,
    Known(caller): Known,
    Query(query): Query<Audit>,
) -> Result<Json<List<Event>>> {
    let page = Paging::new(query.after, query.limit).request()?;
    let digest = query.digest.as_deref().map(digest).transpose()?;
    let actions = query.action.iter().flat_map(|text| text.split(',')).map(str::trim);
    let wanted = AuditQuery {
        project: query.project,
        digest,
        actions: actions.filter(|action| !action.is_empty()).map(str::to_owned).collect(),
        actor: query.actor,
        since: query.since,
        until: query.until,
    };
    Ok(list(face.registry.audit_events(&caller, &wanted, &page).await?))
}
