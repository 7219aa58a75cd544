//! Clusters that ask for admission.

use crate::{
    face::{Face, Known, List, Paging, Path, Query, Sent, created, list, unstored},
    schema,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use sealock_http::{Authorities, Result};
use sealock_registry::{Cluster, ClusterChange, NamespaceRule, NewCluster, WebhookOptions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// A cluster to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterToRegister {
    /// Its name.
    name: String,
    /// Host names, with ports, under which it knows this registry.
    host_names: Vec<String>,
    /// What it asks of images, per namespace; `*` stands for every other one.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, schema::NamespaceRule>)]
    namespaces: BTreeMap<String, NamespaceRule>,
    /// Globs over images from elsewhere that it may run.
    #[serde(default)]
    other_images: Vec<String>,
    /// PEM of the client certificate with which it asks, instead of the token in the address.
    client_certificate: Option<String>,
}

/// What changes about a cluster; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterToChange {
    /// Host names, with ports, under which it knows this registry.
    host_names: Option<Vec<String>>,
    /// What it asks of images, per namespace, all of them. With an entry that is left out goes its
    /// policy.
    #[schema(value_type = Option<BTreeMap<String, schema::NamespaceRule>>)]
    namespaces: Option<BTreeMap<String, NamespaceRule>>,
    /// Globs over images from elsewhere that it may run.
    other_images: Option<Vec<String>>,
    /// Gets no answer.
    disabled: Option<bool>,
    /// PEM of the client certificate with which it asks; empty for none.
    client_certificate: Option<String>,
}

/// A cluster's new token, which is shown now and never again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClusterToken {
    /// The cluster.
    name: String,
    /// Shown now and never again.
    token: String,
}

/// A cluster with its token, which is shown now and never again.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterWithToken {
    #[serde(flatten)]
    cluster: Cluster,
    token: String,
}

/// Clusters by name. For system administrators and security officers.
#[utoipa::path(get, path = "/clusters", tag = "clusters", params(Paging),
    responses((status = 200, body = List<schema::Cluster>)))]
pub(crate) async fn clusters(
    State(face): State<Face>,
    Known(caller): Known,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Cluster>>> {
    Ok(list(face.registry.clusters(&caller, &paging.request()?).await?))
}

/// Registers a cluster. Its token is in this answer and nowhere else. For system administrators.
#[utoipa::path(post, path = "/clusters", tag = "clusters", request_body = ClusterToRegister,
    responses((status = 201, body = schema::ClusterWithToken)))]
pub(crate) async fn register(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(sent): Sent<ClusterToRegister>,
) -> Result<Response> {
    let ClusterToRegister { name, host_names, namespaces, other_images, client_certificate } = sent;
    let new = NewCluster { name, host_names, namespaces, other_images, client_certificate };
    let (cluster, token) = face.registry.register_cluster(&caller, &new).await?;
    Ok(unstored(created(ClusterWithToken { cluster, token: token.expose().to_owned() })))
}

/// A cluster. For system administrators and security officers.
#[utoipa::path(get, path = "/clusters/{name}", tag = "clusters",
    params(("name" = String, Path)), responses((status = 200, body = schema::Cluster)))]
pub(crate) async fn cluster(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
) -> Result<Json<Cluster>> {
    Ok(Json(face.registry.cluster(&caller, &name).await?))
}

/// Changes a cluster. For system administrators.
#[utoipa::path(patch, path = "/clusters/{name}", tag = "clusters",
    params(("name" = String, Path)), request_body = ClusterToChange,
    responses((status = 200, body = schema::Cluster)))]
pub(crate) async fn update_cluster(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
    Sent(sent): Sent<ClusterToChange>,
) -> Result<Json<Cluster>> {
    let ClusterToChange { host_names, namespaces, other_images, disabled, client_certificate } =
        sent;
    let change =
        ClusterChange { host_names, namespaces, other_images, disabled, client_certificate };
    Ok(Json(face.registry.update_cluster(&caller, &name, &change).await?))
}

/// Gives a cluster a new token; the former one stops at once. For system administrators.
#[utoipa::path(post, path = "/clusters/{name}/token", tag = "clusters",
    params(("name" = String, Path)), responses((status = 201, body = ClusterToken)))]
pub(crate) async fn renew_cluster_token(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
) -> Result<Response> {
    let token = face.registry.renew_cluster_token(&caller, &name).await?;
    Ok(unstored(created(ClusterToken { name, token: token.expose().to_owned() })))
}

/// Forgets a cluster: its token stops at once. For system administrators.
#[utoipa::path(delete, path = "/clusters/{name}", tag = "clusters",
    params(("name" = String, Path)), responses((status = 204)))]
pub(crate) async fn remove(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
) -> Result<StatusCode> {
    face.registry.remove_cluster(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where the cluster finds this server.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WebhookQuery {
    /// Address of the admission listener as the cluster reaches it, `https://…`.
    url: String,
    /// The cluster's token, which was shown when it was registered; absent where the cluster shows
    /// its client certificate.
    token: Option<String>,
}

/// The webhook configurations for a cluster, with the CA bundle, for `kubectl apply`. For system
/// administrators and security officers.
#[utoipa::path(get, path = "/clusters/{name}/webhooks", tag = "clusters",
    params(("name" = String, Path), WebhookQuery),
    responses((status = 200, body = String, content_type = "application/yaml")))]
pub(crate) async fn webhooks(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
    Query(query): Query<WebhookQuery>,
) -> Result<Response> {
    let ca = face.admission_ca.as_ref().map(Authorities::pem);
    let options = WebhookOptions {
        cluster: &name,
        token: query.token.as_deref(),
        url: &query.url,
        ca_pem: ca.as_deref(),
    };
    let text = face.registry.webhooks(&caller, &options).await?;
    let kind = [(header::CONTENT_TYPE, "application/yaml")];
    Ok(unstored((kind, text).into_response()))
}
