//! Clusters that ask for admission.

use crate::{
    face::{Face, Known, List, Paging, Path, Query, Sent, bad, created, list, unstored},
    schema,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{StatusCode, header};
use sealock_http::{HttpError, Result};
use sealock_registry::{Cluster, NamespaceRule, NewCluster};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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
    let ClusterToRegister { name, host_names, namespaces, other_images } = sent;
    let new = NewCluster { name, host_names, namespaces, other_images };
    let (cluster, token) = face.registry.register_cluster(&caller, &new).await?;
    Ok(unstored(created(ClusterWithToken { cluster, token: token.expose().to_owned() })))
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
    /// The cluster's token, which was shown when it was registered.
    token: String,
}

/// The webhook configurations for a cluster, with the CA bundle, for `kubectl apply`. JSON, which is
/// YAML. For system administrators and security officers.
#[utoipa::path(get, path = "/clusters/{name}/webhooks", tag = "clusters",
    params(("name" = String, Path), WebhookQuery),
    responses((status = 200, body = String, content_type = "application/yaml")))]
pub(crate) async fn webhooks(
    State(face): State<Face>,
    Known(caller): Known,
    Path(name): Path<String>,
    Query(query): Query<WebhookQuery>,
) -> Result<Response> {
    let cluster = face.registry.cluster(&caller, &name).await?;
    let base = query.url.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:/[]".contains(&b);
    if !base.starts_with("https://") || !base.bytes().all(plain) {
        return Err(bad("url is the admission listener's https address; Kubernetes asks no other"));
    }
    let token_byte = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if query.token.is_empty() || !query.token.bytes().all(token_byte) {
        return Err(bad("token is the one that was shown when the cluster was registered"));
    }
    let bundle = face.admission_ca.as_deref().map(|pem| BASE64_STANDARD.encode(pem));
    let mut text = String::new();
    for kind in [Kind::Mutating, Kind::Validating] {
        let address = format!("{base}/admission/{}?token={}", kind.verb(), query.token);
        let document = configuration(kind, &cluster.name, &address, bundle.as_deref());
        text.push_str("---\n");
        text.push_str(&serde_json::to_string_pretty(&document).map_err(HttpError::internal)?);
        text.push('\n');
    }
    let kind = [(header::CONTENT_TYPE, "application/yaml")];
    Ok(unstored((kind, text).into_response()))
}

#[derive(Clone, Copy)]
enum Kind {
    Mutating,
    Validating,
}

impl Kind {
    const fn verb(self) -> &'static str {
        match self {
            Self::Mutating => "mutate",
            Self::Validating => "validate",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Mutating => "MutatingWebhookConfiguration",
            Self::Validating => "ValidatingWebhookConfiguration",
        }
    }
}

/// One configuration. It fails closed, asks nothing about the system's own namespaces (a cluster that
/// cannot start its network cannot reach this server), and has no side effects.
fn configuration(kind: Kind, cluster: &str, address: &str, bundle: Option<&str>) -> Value {
    let mut client = json!({"url": address});
    if let Some(bundle) = bundle {
        client["caBundle"] = json!(bundle);
    }
    let rule = |group: &str, resources: &[&str]| {
        json!({
            "apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
            "resources": resources, "scope": "Namespaced",
        })
    };
    let mut webhook = json!({
        "name": format!("{}.admission.sealock.dev", kind.verb()),
        "clientConfig": client,
        "rules": [
            rule("", &["pods", "pods/ephemeralcontainers"]),
            rule("apps", &["deployments"]),
        ],
        "namespaceSelector": {"matchExpressions": [{
            "key": "kubernetes.io/metadata.name", "operator": "NotIn",
            "values": ["kube-system", "kube-node-lease", "kube-public"],
        }]},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "timeoutSeconds": 10,
    });
    if matches!(kind, Kind::Mutating) {
        webhook["reinvocationPolicy"] = json!("IfNeeded");
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind.name(),
        "metadata": {
            "name": format!("sealock-{}", kind.verb()),
            "labels": {"app.kubernetes.io/name": "sealock", "sealock.dev/cluster": cluster},
        },
        "webhooks": [webhook],
    })
}
