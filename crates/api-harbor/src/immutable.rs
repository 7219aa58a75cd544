//! The tag immutable.

use crate::{
    face::{Face, Known, Naming, Path, Sent, created},
    paging::{Listing, place},
};
use axum::{extract::State, response::Response};
use http::StatusCode;
use sealock_http::Result;
use sealock_registry::{ImmutableRule, Selector};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Harbor's `ImmutableRule`. Nulls say nothing, as clients send them for what they leave out.
#[derive(Deserialize)]
pub(crate) struct RuleRequest {
    id: Option<i64>,
    priority: Option<i64>,
    disabled: Option<bool>,
    action: Option<String>,
    template: Option<String>,
    tag_selectors: Option<Vec<Selector>>,
    scope_selectors: Option<BTreeMap<String, Option<Vec<Selector>>>>,
}

impl From<RuleRequest> for ImmutableRule {
    fn from(said: RuleRequest) -> Self {
        let scopes = said.scope_selectors.unwrap_or_default();
        Self {
            id: said.id.unwrap_or_default(),
            priority: said.priority.unwrap_or_default(),
            disabled: said.disabled.unwrap_or_default(),
            action: said.action.unwrap_or_default(),
            template: said.template.unwrap_or_default(),
            tag_selectors: said.tag_selectors.unwrap_or_default(),
            scope_selectors: scopes
                .into_iter()
                .map(|(scope, selectors)| (scope, selectors.unwrap_or_default()))
                .collect(),
        }
    }
}

/// `GET /projects/{project_name_or_id}/immutabletagrules`
pub(crate) async fn list(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path(project): Path<String>,
    listing: Listing,
) -> Result<Response> {
    let project = naming.project(&project);
    let listed = face.registry.immutable_rules(&caller, &project, &listing.wanted).await?;
    Ok(listing.answer(listed, |rule| rule))
}

/// `POST /projects/{project_name_or_id}/immutabletagrules`
pub(crate) async fn create(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path(project): Path<String>,
    Sent(request): Sent<RuleRequest>,
) -> Result<Response> {
    let (project, rule) = (naming.project(&project), request.into());
    let (project, id) = face.registry.create_immutable_rule(&caller, &project, &rule).await?;
    created(&place(&format!("/projects/{project}/immutabletagrules"), id))
}

/// `PUT /projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id}`
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path((project, id)): Path<(String, i64)>,
    Sent(request): Sent<RuleRequest>,
) -> Result<StatusCode> {
    let (project, rule) = (naming.project(&project), request.into());
    face.registry.update_immutable_rule(&caller, &project, id, &rule).await?;
    Ok(StatusCode::OK)
}

/// `DELETE /projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id}`
pub(crate) async fn delete(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path((project, id)): Path<(String, i64)>,
) -> Result<StatusCode> {
    let project = naming.project(&project);
    face.registry.delete_immutable_rule(&caller, &project, id).await?;
    Ok(StatusCode::OK)
}
