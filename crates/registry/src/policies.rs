//! Policy documents: the floor, the tiers', the projects', the clusters'.

use crate::{
    Error, Page, PageRequest, Registry, Result, access::Need, audit::Event, gate::ClusterPolicies,
};
use sealock_auth::{Caller, Right};
use sealock_facts::Tier;
use sealock_metadata::{
    self as metadata, Tx,
    policies::{Policy as PolicyRow, PolicyScope},
    projects::Project,
    verdicts::Revisions,
};
use sealock_oci::{Digest, ErrorCode};
use sealock_policy::{AppliedPolicy, PolicyDocument, PolicyError, Scope as DocumentScope};
use std::{collections::HashMap, sync::Arc};

/// Most parsed documents kept in memory.
const CACHED_DOCUMENTS: u64 = 4_096;
/// Who writes what ships with the product.
const SHIPPED: &str = "sealock";

/// Which policy is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyTarget {
    /// The whole system's.
    Floor,
    /// A tier's.
    Tier(Tier),
    /// A project's, by name.
    Project(String),
    /// What a cluster asks of images in one of the namespaces that it lists; `*` is every other.
    Cluster {
        /// The cluster's name.
        cluster: String,
        /// The namespace.
        namespace: String,
    },
}

/// The target of the policy of a cluster's namespace, which also names its verdicts in the cache.
pub(crate) fn namespace_target(cluster_id: i64, namespace: &str) -> String {
    format!("{cluster_id}/{namespace}")
}

/// A policy as it stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PolicyText {
    /// Where it is set: `floor`, `tier`, `project` or `cluster`.
    pub scope: &'static str,
    /// Which tier or project, or `cluster/namespace`; empty for the floor.
    pub name: String,
    /// Its version, counted from 1.
    pub revision: i64,
    /// SHA-256 of the text.
    pub digest: Digest,
    /// The text as it was written.
    pub text: String,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub created_at: jiff::Timestamp,
}

/// The documents of a project at a revision: project, its revision, the system's.
type Revision = (i64, i64, i64);

/// Parsed documents by row, which never changes, and what applies to a project by the revisions
/// that every change counts in. The revisions themselves are read each time (decision D4).
pub(crate) struct PolicyCache {
    documents: moka::sync::Cache<i64, Arc<PolicyDocument>>,
    applied: moka::sync::Cache<Revision, Arc<Vec<AppliedPolicy>>>,
}

impl PolicyCache {
    pub(crate) fn new() -> Self {
        Self {
            documents: moka::sync::Cache::new(CACHED_DOCUMENTS),
            applied: moka::sync::Cache::new(CACHED_DOCUMENTS),
        }
    }

    pub(crate) fn parse(&self, row: &PolicyRow) -> Result<Arc<PolicyDocument>> {
        if let Some(document) = self.documents.get(&row.id) {
            return Ok(document);
        }
        let text = row.document.as_deref().unwrap_or_default();
        let document = sealock_policy::parse(text).map_err(|error| {
            Error::internal(format!("the stored policy {} does not parse: {error}", row.id))
        })?;
        let document = Arc::new(document);
        self.documents.insert(row.id, document.clone());
        Ok(document)
    }
}

impl Registry {
    /// The documents that apply to a project: floor, tier, itself, and a cluster's.
    pub(crate) async fn policies_of(
        &self,
        tx: &mut Tx,
        project: &Project,
        cluster: Option<&ClusterPolicies>,
    ) -> Result<Vec<AppliedPolicy>> {
        let target = cluster.map(|cluster| cluster.context.as_str());
        let rows = metadata::policies::applicable(tx, project.tier, project.id, target).await?;
        let mut applied = Vec::with_capacity(rows.len());
        for row in rows {
            applied.push(AppliedPolicy {
                scope: match row.scope {
                    PolicyScope::Floor => DocumentScope::Floor,
                    PolicyScope::Tier => DocumentScope::Tier,
                    PolicyScope::Project => DocumentScope::Project,
                    PolicyScope::Cluster => DocumentScope::Cluster,
                },
                revision: row.version,
                in_force_since: row.created_at,
                document: (*self.policy_cache().parse(&row)?).clone(),
            });
        }
        applied.extend(cluster.and_then(ClusterPolicies::minimum_tier));
        Ok(applied)
    }

    /// The documents that apply to a project at revisions that were just read.
    pub(crate) async fn policies_at(
        &self,
        tx: &mut Tx,
        project: &Project,
        revisions: Revisions,
    ) -> Result<Arc<Vec<AppliedPolicy>>> {
        let key = (project.id, revisions.policy, revisions.system);
        if let Some(applied) = self.policy_cache().applied.get(&key) {
            return Ok(applied);
        }
        let applied = Arc::new(self.policies_of(tx, project, None).await?);
        self.policy_cache().applied.insert(key, applied.clone());
        Ok(applied)
    }

    /// A policy as it stands. The floor and the tiers' may be read by everybody who is logged in:
    /// who is refused has a right to know by what. A cluster's is for administrators and security
    /// officers.
    pub async fn policy(
        &self,
        caller: &Caller,
        target: &PolicyTarget,
    ) -> Result<Option<PolicyText>> {
        let mut tx = self.database().read().await?;
        let (scope, key, name) = self.policy_key(&mut tx, caller, target, false).await?.words();
        let row = metadata::policies::current(&mut tx, scope, &key).await?;
        Ok(row.map(|row| text_of(row, name)))
    }

    /// Versions of a policy, newest first; one whose text is empty removed it.
    pub async fn policy_history(
        &self,
        caller: &Caller,
        target: &PolicyTarget,
        page: &PageRequest,
    ) -> Result<Page<PolicyText>> {
        let mut tx = self.database().read().await?;
        let (scope, key, name) = self.policy_key(&mut tx, caller, target, false).await?.words();
        let (before, limit) = (page.after_id().unwrap_or(i64::MAX), page.limit());
        let rows = metadata::policies::history(&mut tx, scope, &key, before, limit + 1).await?;
        let rows = rows.into_iter().map(|row| text_of(row, name.clone())).collect();
        Ok(Page::cut(rows, limit, |row: &PolicyText| row.revision.to_string()))
    }

    /// Sets a policy. Only the security role edits the floor and the tiers'; a project's is edited
    /// by its administrators, a cluster's by the security role and system administrators. Both can
    /// only add to the others, for policies are never merged (decision D2).
    pub async fn put_policy(
        &self,
        caller: &Caller,
        target: &PolicyTarget,
        text: &str,
    ) -> Result<PolicyText> {
        sealock_policy::parse(text).map_err(|error| invalid(&error))?;
        self.write_policy(caller, target, Some(text))
            .await?
            .ok_or_else(|| Error::internal("a policy was written and is not there"))
    }

    /// Removes the policy of a project or a cluster's namespace. The floor and the tiers always
    /// have one.
    pub async fn delete_policy(&self, caller: &Caller, target: &PolicyTarget) -> Result<()> {
        if matches!(target, PolicyTarget::Floor | PolicyTarget::Tier(_)) {
            return Err(Error::invalid(
                ErrorCode::Unsupported,
                "the floor and the tiers always have a policy; set one without rules instead",
            ));
        }
        self.write_policy(caller, target, None).await.map(|_| ())
    }

    async fn write_policy(
        &self,
        caller: &Caller,
        target: &PolicyTarget,
        text: Option<&str>,
    ) -> Result<Option<PolicyText>> {
        let mut tx = self.database().write().await?;
        let found = self.policy_key(&mut tx, caller, target, true).await?;
        let stored = self.store_policy(&mut tx, caller, &found, text).await?;
        tx.commit().await?;
        Ok(stored)
    }

    /// Writes a document where the caller may, if it says something else than the one that stands.
    pub(crate) async fn store_policy(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        found: &Found,
        text: Option<&str>,
    ) -> Result<Option<PolicyText>> {
        let (scope, key, name) = found.words();
        let before = metadata::policies::current(tx, scope, &key).await?;
        if before.as_ref().and_then(|row| row.document.as_deref()) == text {
            // Written again as it stands: "enforce after N days" goes on counting.
            return Ok(before.map(|row| text_of(row, name)));
        }
        let who = caller.principal.to_string();
        let row = metadata::policies::put(tx, scope, &key, text, &who).await?;
        let mut event = Event::new(caller, "policy")
            .detail("scope", scope.as_str())
            .detail("name", name.clone())
            .detail("revision", row.version)
            .detail("removed", text.is_none());
        match found {
            Found::Project(project) => {
                metadata::projects::bump_policy_rev(tx, project.id).await?;
                event = event.project(project);
            }
            Found::Floor | Found::Tier(_) | Found::Cluster { .. } => {
                metadata::settings::bump_system_rev(tx).await?;
            }
        }
        event.record(tx).await?;
        Ok(row.document.is_some().then(|| text_of(row, name)))
    }

    async fn policy_key(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        target: &PolicyTarget,
        write: bool,
    ) -> Result<Found> {
        if matches!(target, PolicyTarget::Cluster { .. }) {
            self.require_admin(caller).or_else(|_| self.require_security(caller))?;
        } else if write && !matches!(target, PolicyTarget::Project(_)) {
            self.require_security(caller)?;
        } else if matches!(caller.principal, sealock_auth::Principal::Anonymous) {
            return Err(Error::unauthenticated());
        }
        Ok(match target {
            PolicyTarget::Floor => Found::Floor,
            PolicyTarget::Tier(tier) => Found::Tier(*tier),
            PolicyTarget::Project(name) => {
                let right = if write { Right::ManageProject } else { Right::Pull };
                Found::Project(self.project_scope(tx, caller, name, Need::Has(right)).await?.0)
            }
            PolicyTarget::Cluster { cluster, namespace } => {
                let row = metadata::clusters::find(tx, cluster).await?;
                let row = row.ok_or_else(|| crate::clusters::unknown(cluster))?;
                if !row.namespaces.contains_key(namespace) {
                    return Err(Error::not_found(
                        ErrorCode::NameUnknown,
                        format!(
                            "cluster {cluster} does not list the namespace {namespace:?}; list it \
                             with its least tier first, * is every other namespace"
                        ),
                    ));
                }
                Found::Cluster {
                    target: namespace_target(row.id, namespace),
                    name: format!("{cluster}/{namespace}"),
                }
            }
        })
    }

    /// Sets the documents that ship with the product where none was ever set.
    pub(crate) async fn set_shipped_policies(&self) -> Result<()> {
        let mut shipped: HashMap<(PolicyScope, String), &'static str> = HashMap::new();
        shipped.insert((PolicyScope::Floor, String::new()), sealock_policy::default_text(None));
        for tier in Tier::ALL {
            let key = (PolicyScope::Tier, tier.as_str().to_owned());
            shipped.insert(key, sealock_policy::default_text(Some(tier)));
        }
        let mut tx = self.database().read().await?;
        let mut missing = Vec::new();
        for ((scope, key), text) in shipped {
            if metadata::policies::version(&mut tx, scope, &key, 1).await?.is_none() {
                missing.push((scope, key, text));
            }
        }
        drop(tx);
        if missing.is_empty() {
            return Ok(());
        }
        let mut tx = self.database().write().await?;
        for (scope, key, text) in missing {
            metadata::policies::put(&mut tx, scope, &key, Some(text), SHIPPED).await?;
        }
        metadata::settings::bump_system_rev(&mut tx).await?;
        match tx.commit().await {
            // Another replica was first.
            Ok(()) | Err(metadata::Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A scope in which a document stands.
pub(crate) enum Found {
    Floor,
    Tier(Tier),
    Project(Project),
    Cluster { target: String, name: String },
}

impl Found {
    /// Scope, key of the row, name for people.
    fn words(&self) -> (PolicyScope, String, String) {
        match self {
            Self::Floor => (PolicyScope::Floor, String::new(), String::new()),
            Self::Tier(tier) => {
                (PolicyScope::Tier, tier.as_str().to_owned(), tier.as_str().to_owned())
            }
            Self::Project(project) => {
                (PolicyScope::Project, project.id.to_string(), project.name.clone())
            }
            Self::Cluster { target, name } => (PolicyScope::Cluster, target.clone(), name.clone()),
        }
    }
}

fn text_of(row: PolicyRow, name: String) -> PolicyText {
    let text = row.document.unwrap_or_default();
    PolicyText {
        scope: row.scope.as_str(),
        name,
        revision: row.version,
        digest: Digest::sha256(text.as_bytes()),
        text,
        author: row.author,
        created_at: row.created_at,
    }
}

/// A document that does not parse, with its line.
pub(crate) fn invalid(error: &PolicyError) -> Error {
    Error::new(crate::Kind::Unprocessable, ErrorCode::ManifestInvalid, error.to_string())
}
