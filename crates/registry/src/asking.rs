//! Who asks at the admit door, and under which names a cluster knows this registry.

use crate::{Error, Kind, Registry, Result};
use sealock_metadata::{
    self as metadata,
    clusters::{Cluster as Row, NamespacePolicy},
};
use sealock_oci::{Digest, ErrorCode};
use sha2::{Digest as _, Sha256};
use std::{borrow::Cow, sync::Arc};

/// The entry for every namespace that has none of its own.
const EVERY_OTHER: &str = "*";

/// A cluster that has shown its credential.
#[derive(Debug, Clone)]
pub struct AskingCluster(pub(crate) Arc<Row>);

impl AskingCluster {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The rule of a namespace, with the name of the entry that holds it.
    pub(crate) fn rule(&self, namespace: &str) -> Option<(&str, &NamespacePolicy)> {
        let entries = &self.0.namespaces;
        entries
            .get_key_value(namespace)
            .or_else(|| entries.get_key_value(EVERY_OTHER))
            .map(|(name, rule)| (name.as_str(), rule))
    }

    /// Whether the cluster knows this registry under `host`.
    pub(crate) fn knows(&self, host: &str) -> bool {
        self.0.hosts.iter().any(|known| normal_host(known) == host)
    }
}

impl Registry {
    /// The cluster that shows this token; with a name, only when it is this cluster's. What does
    /// not exist and what is wrong are the same answer.
    pub async fn asking_cluster(&self, name: Option<&str>, token: &str) -> Result<AskingCluster> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let row = match self.standing().clusters.get(&hash) {
            Some(row) => Some(row),
            None => {
                let mut tx = self.database().read().await?;
                let row = metadata::clusters::by_token_hash(&mut tx, &hash).await?.map(Arc::new);
                if let Some(row) = &row {
                    self.standing().clusters.keep(hash, row.clone(), tx.basis(), None);
                }
                row
            }
        };
        match row {
            Some(row) if name.is_none_or(|name| name == row.name) => Ok(AskingCluster(row)),
            _ => Err(Error::new(
                Kind::Forbidden,
                ErrorCode::Denied,
                "no cluster is registered with this token",
            )),
        }
    }
}

impl Registry {
    /// The cluster that asks with this client certificate, named by the SHA-256 of its DER. Call it
    /// only for a certificate whose key the connection has proved.
    pub async fn cluster_by_certificate(&self, certificate: &Digest) -> Result<AskingCluster> {
        let mut tx = self.database().read().await?;
        let row = metadata::clusters::by_certificate(&mut tx, &certificate.hex()).await?;
        row.map(|row| AskingCluster(Arc::new(row))).ok_or_else(|| {
            Error::new(
                Kind::Forbidden,
                ErrorCode::Denied,
                "no cluster is registered with this certificate",
            )
        })
    }
}

/// A host as clients mean it: lower case, without the port that https has anyway, and Docker's hub
/// by one name, which is also meant where no host is given.
pub(crate) fn normal_host(host: &str) -> Cow<'static, str> {
    let host = host.trim().to_ascii_lowercase();
    let host = host.strip_suffix(":443").unwrap_or(&host);
    match host {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => "docker.io".into(),
        other => other.to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_what_clients_mean() {
        assert_eq!(normal_host("Registry.Example:443"), "registry.example");
        assert_eq!(normal_host("registry.example:5000"), "registry.example:5000");
        assert_eq!(normal_host("index.docker.io"), "docker.io");
        assert_eq!(normal_host(""), "docker.io");
    }
}
