//! Clusters that ask for admission (decision D11).

use crate::{Error, Page, PageRequest, Registry, Result, audit::Event, robots::fresh_secret};
use sealock_auth::{Caller, SecretString};
use sealock_facts::Tier;
use sealock_metadata::{
    self as metadata,
    clusters::{Cluster as ClusterRow, ClusterSettings, NamespacePolicy},
};
use sealock_oci::{Digest, ErrorCode};
use sealock_policy::Pattern;
use std::collections::BTreeMap;

/// Most host names, namespaces or image patterns of one cluster.
const MAX_ENTRIES: usize = 1_000;
/// Longest of them, in bytes.
const MAX_ENTRY_BYTES: usize = 255;

/// A registered cluster.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Host names, with ports, under which it knows this registry.
    pub host_names: Vec<String>,
    /// What it asks of images, per namespace; `*` stands for every other one.
    pub namespaces: BTreeMap<String, NamespaceRule>,
    /// Globs over images from elsewhere that it may run.
    pub other_images: Vec<String>,
    /// Gets no answer.
    pub disabled: bool,
    /// Who registered it.
    pub created_by: String,
    /// When.
    pub created_at: jiff::Timestamp,
}

/// What a cluster asks of the images in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceRule {
    /// The lowest tier that images may come from.
    pub minimum_tier: Tier,
    /// Refuse; otherwise only warn.
    #[serde(default = "yes")]
    pub enforce: bool,
}

const fn yes() -> bool {
    true
}

/// A cluster to be registered.
#[derive(Debug, Clone, Default)]
pub struct NewCluster {
    /// Its name.
    pub name: String,
    /// Host names, with ports, under which it knows this registry.
    pub host_names: Vec<String>,
    /// What it asks of images, per namespace.
    pub namespaces: BTreeMap<String, NamespaceRule>,
    /// Globs over images from elsewhere that it may run.
    pub other_images: Vec<String>,
}

impl From<ClusterRow> for Cluster {
    fn from(row: ClusterRow) -> Self {
        let rule = |(name, rule): (String, NamespacePolicy)| {
            (name, NamespaceRule { minimum_tier: rule.minimum_tier, enforce: rule.enforce })
        };
        Self {
            name: row.name,
            host_names: row.hosts,
            namespaces: row.namespaces.into_iter().map(rule).collect(),
            other_images: row.unlisted_images,
            disabled: row.disabled,
            created_by: row.created_by,
            created_at: row.created_at,
        }
    }
}

impl Registry {
    /// Registers a cluster. Its token is told now and never again. For system administrators.
    pub async fn register_cluster(
        &self,
        caller: &Caller,
        new: &NewCluster,
    ) -> Result<(Cluster, SecretString)> {
        self.require_admin(caller)?;
        check(new)?;
        let token = fresh_secret();
        let hash = Digest::sha256(token.expose().as_bytes());
        let hosts: Vec<_> = new.host_names.iter().map(|host| host.to_ascii_lowercase()).collect();
        let namespaces = new.namespaces.iter().map(|(name, rule)| {
            let NamespaceRule { minimum_tier, enforce } = *rule;
            (name.clone(), NamespacePolicy { minimum_tier, enforce })
        });
        let settings = ClusterSettings {
            hosts: &hosts,
            namespaces: &namespaces.collect(),
            unlisted_images: &new.other_images,
            disabled: false,
        };
        let mut tx = self.database().write().await?;
        let who = caller.principal.to_string();
        let row = metadata::clusters::create(&mut tx, &new.name, hash.as_bytes(), &settings, &who)
            .await?;
        let row = row
            .ok_or_else(|| Error::conflict(format!("there is a cluster {:?} already", new.name)))?;
        Event::new(caller, "register-cluster")
            .detail("cluster", row.name.clone())
            .detail("hosts", row.hosts.clone())
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok((row.into(), token))
    }

    /// Clusters by name. For system administrators and the security role.
    pub async fn clusters(&self, caller: &Caller, page: &PageRequest) -> Result<Page<Cluster>> {
        if self.require_security(caller).is_err() {
            self.require_admin(caller)?;
        }
        let mut tx = self.database().read().await?;
        let (after, limit) = (page.after.clone().unwrap_or_default(), page.limit());
        let rows = metadata::clusters::list(&mut tx, &after, limit + 1).await?;
        let rows = rows.into_iter().map(Cluster::from).collect();
        Ok(Page::cut(rows, limit, |cluster: &Cluster| cluster.name.clone()))
    }

    /// A cluster. For system administrators and the security role.
    pub async fn cluster(&self, caller: &Caller, name: &str) -> Result<Cluster> {
        if self.require_security(caller).is_err() {
            self.require_admin(caller)?;
        }
        let mut tx = self.database().read().await?;
        let row = metadata::clusters::find(&mut tx, name).await?.ok_or_else(|| unknown(name))?;
        Ok(row.into())
    }

    /// Forgets a cluster: its token stops working at once. For system administrators.
    pub async fn remove_cluster(&self, caller: &Caller, name: &str) -> Result<()> {
        self.require_admin(caller)?;
        let mut tx = self.database().write().await?;
        if !metadata::clusters::delete(&mut tx, name).await? {
            return Err(unknown(name));
        }
        Event::new(caller, "remove-cluster").detail("cluster", name).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

fn unknown(name: &str) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no cluster {name:?}"))
}

fn check(new: &NewCluster) -> Result<()> {
    let bad = |message: String| Err(Error::invalid(ErrorCode::Unsupported, message));
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if new.name.is_empty() || new.name.len() > 63 || !new.name.bytes().all(plain) {
        return bad("a cluster's name has 1 to 63 lower-case letters, digits, '.', '_', '-'".into());
    }
    let sizes = [new.host_names.len(), new.namespaces.len(), new.other_images.len()];
    if sizes.iter().any(|size| *size > MAX_ENTRIES) {
        return bad(format!("a cluster has at most {MAX_ENTRIES} entries of each kind"));
    }
    if new.host_names.is_empty() {
        return bad("name at least one host under which the cluster knows this registry".into());
    }
    let host_byte = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    for host in &new.host_names {
        if host.is_empty() || host.len() > MAX_ENTRY_BYTES || !host.bytes().all(host_byte) {
            return bad(format!(
                "{host:?} is not a host name; write it as registry.example.org:5000"
            ));
        }
    }
    for name in new.namespaces.keys() {
        if name.is_empty() || name.len() > MAX_ENTRY_BYTES {
            return bad("a namespace has a name; * stands for every other one".into());
        }
    }
    for pattern in &new.other_images {
        if let Err(message) = Pattern::new(pattern) {
            return bad(message);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_checked() {
        let good = NewCluster {
            name: "prod".into(),
            host_names: vec!["Registry.example.org:5000".into()],
            other_images: vec!["registry.k8s.io/**".into()],
            ..NewCluster::default()
        };
        assert!(check(&good).is_ok());
        for bad in [
            NewCluster { name: "a/b".into(), ..good.clone() },
            NewCluster { host_names: vec![], ..good.clone() },
            NewCluster { host_names: vec!["https://x".into()], ..good.clone() },
            NewCluster { other_images: vec!["[".into()], ..good.clone() },
            NewCluster { other_images: vec!["a".into(); 1_001], ..good.clone() },
        ] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }
}
