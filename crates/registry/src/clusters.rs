//! Clusters that ask for admission (decision D11).

use crate::{Error, Page, PageRequest, Registry, Result, audit::Event, policies::namespace_target};
use sealock_auth::{Caller, SecretString};
use sealock_facts::Tier;
use sealock_metadata::{
    self as metadata, Tx,
    clusters::{Cluster as ClusterRow, ClusterSettings, NamespacePolicy},
    policies::PolicyScope,
};
use sealock_oci::{Digest, ErrorCode};
use sealock_policy::Pattern;
use std::collections::BTreeMap;

/// Most host names, namespaces or image patterns of one cluster.
const MAX_ENTRIES: usize = 1_000;
/// Longest of them, in bytes.
const MAX_ENTRY_BYTES: usize = 255;
/// Longest client certificate, in bytes of PEM.
const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

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
    /// The client certificate with which it may ask instead of the token: SHA-256 of its DER, in
    /// hex.
    pub client_certificate: Option<String>,
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
    /// PEM of the client certificate with which it asks. The certificate itself is the credential,
    /// whoever signed it and whatever its dates: it works until it is replaced here.
    pub client_certificate: Option<String>,
}

/// What changes about a cluster; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct ClusterChange {
    /// Host names, with ports, under which it knows this registry.
    pub host_names: Option<Vec<String>>,
    /// What it asks of images, per namespace. With an entry that is left out goes its policy.
    pub namespaces: Option<BTreeMap<String, NamespaceRule>>,
    /// Globs over images from elsewhere that it may run.
    pub other_images: Option<Vec<String>>,
    /// Gets no answer.
    pub disabled: Option<bool>,
    /// PEM of the client certificate with which it asks; empty for none.
    pub client_certificate: Option<String>,
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
            client_certificate: row.certificate,
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
        let hosts = lower_case(&new.host_names);
        let certificate = new.client_certificate.as_deref().map(fingerprint).transpose()?;
        let settings = ClusterSettings {
            hosts: &hosts,
            namespaces: &stored(&new.namespaces),
            unlisted_images: &new.other_images,
            disabled: false,
            certificate: certificate.as_deref(),
        };
        let mut tx = self.database().write().await?;
        let who = caller.principal.to_string();
        let row = metadata::clusters::create(&mut tx, &new.name, hash.as_bytes(), &settings, &who)
            .await?;
        let row = row.ok_or_else(|| {
            Error::conflict(format!(
                "there is a cluster {:?} already, or one with this certificate",
                new.name
            ))
        })?;
        Event::new(caller, "register-cluster")
            .detail("cluster", row.name.clone())
            .detail("hosts", row.hosts.clone())
            .detail("certificate", row.certificate.clone())
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok((row.into(), token))
    }

    /// Changes a cluster. For system administrators.
    pub async fn update_cluster(
        &self,
        caller: &Caller,
        name: &str,
        change: &ClusterChange,
    ) -> Result<Cluster> {
        self.require_admin(caller)?;
        let mut tx = self.database().write().await?;
        let before = metadata::clusters::find(&mut tx, name).await?.ok_or_else(|| unknown(name))?;
        let now: Cluster = before.clone().into();
        let new = NewCluster {
            name: now.name,
            host_names: change.host_names.clone().unwrap_or(now.host_names),
            namespaces: change.namespaces.clone().unwrap_or(now.namespaces),
            other_images: change.other_images.clone().unwrap_or(now.other_images),
            client_certificate: None,
        };
        check(&new)?;
        let certificate = match change.client_certificate.as_deref() {
            None => now.client_certificate,
            Some("") => None,
            Some(pem) => Some(fingerprint(pem)?),
        };
        let settings = ClusterSettings {
            hosts: &lower_case(&new.host_names),
            namespaces: &stored(&new.namespaces),
            unlisted_images: &new.other_images,
            disabled: change.disabled.unwrap_or(before.disabled),
            certificate: certificate.as_deref(),
        };
        let row = metadata::clusters::update(&mut tx, name, &settings).await;
        let row = row.map_err(|error| match error {
            metadata::Error::Conflict { .. } => {
                Error::conflict("another cluster asks with this certificate")
            }
            error => error.into(),
        })?;
        let row = row.ok_or_else(|| unknown(name))?;
        let gone: Vec<&String> =
            before.namespaces.keys().filter(|n| !row.namespaces.contains_key(*n)).collect();
        remove_policies(&mut tx, caller, before.id, &gone).await?;
        Event::new(caller, "update-cluster")
            .detail("cluster", name)
            .detail("hosts", row.hosts.clone())
            .detail("namespaces", serde_json::to_value(&row.namespaces).unwrap_or_default())
            .detail("disabled", row.disabled)
            .detail("certificate", row.certificate.clone())
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(row.into())
    }

    /// Gives a cluster a new token, told now and never again; the former one stops at once. For
    /// system administrators.
    pub async fn renew_cluster_token(&self, caller: &Caller, name: &str) -> Result<SecretString> {
        self.require_admin(caller)?;
        let token = fresh_secret();
        let hash = Digest::sha256(token.expose().as_bytes());
        let mut tx = self.database().write().await?;
        if !metadata::clusters::set_token(&mut tx, name, hash.as_bytes()).await? {
            return Err(unknown(name));
        }
        Event::new(caller, "renew-cluster-token").detail("cluster", name).record(&mut tx).await?;
        tx.commit().await?;
        Ok(token)
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
        let row = metadata::clusters::find(&mut tx, name).await?.ok_or_else(|| unknown(name))?;
        let entries: Vec<&String> = row.namespaces.keys().collect();
        remove_policies(&mut tx, caller, row.id, &entries).await?;
        if !metadata::clusters::delete(&mut tx, name).await? {
            return Err(unknown(name));
        }
        Event::new(caller, "remove-cluster").detail("cluster", name).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

/// Removes the policies of namespaces that a cluster no longer lists.
async fn remove_policies(
    tx: &mut Tx,
    caller: &Caller,
    cluster_id: i64,
    entries: &[&String],
) -> Result<()> {
    let who = caller.principal.to_string();
    for entry in entries {
        let target = namespace_target(cluster_id, entry);
        let scope = PolicyScope::Cluster;
        if metadata::policies::current(tx, scope, &target).await?.is_some() {
            metadata::policies::put(tx, scope, &target, None, &who).await?;
        }
    }
    Ok(())
}

/// A new random secret: two random UUIDs without their fixed bits hold 244.
fn fresh_secret() -> SecretString {
    let (one, two) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    SecretString::new(format!("{}{}", one.simple(), two.simple()))
}

fn lower_case(hosts: &[String]) -> Vec<String> {
    hosts.iter().map(|host| host.to_ascii_lowercase()).collect()
}

fn stored(namespaces: &BTreeMap<String, NamespaceRule>) -> BTreeMap<String, NamespacePolicy> {
    let rule = |(name, rule): (&String, &NamespaceRule)| {
        let NamespaceRule { minimum_tier, enforce } = *rule;
        (name.clone(), NamespacePolicy { minimum_tier, enforce })
    };
    namespaces.iter().map(rule).collect()
}

/// The name of a client certificate: SHA-256 of its DER, in hex. The text holds one certificate,
/// and no private key.
fn fingerprint(text: &str) -> Result<String> {
    let bad = |message: &str| Err(Error::invalid(ErrorCode::Unsupported, message.to_owned()));
    if text.len() > MAX_CERTIFICATE_BYTES {
        return bad("the client certificate is too long");
    }
    let blocks = pem::parse_many(text).unwrap_or_default();
    match blocks.as_slice() {
        // A second one that was cut off is no block, and yet a sign of a damaged text.
        [block] if block.tag() == "CERTIFICATE" && text.matches("-----BEGIN").count() == 1 => {
            Ok(Digest::sha256(block.contents()).hex())
        }
        _ => bad("the client certificate must be one PEM block CERTIFICATE, without its key"),
    }
}

/// Reads an input as the PEM of a client certificate: a name is given to one block, whatever
/// stands around it.
#[doc(hidden)]
pub fn fuzz_certificate(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(name) = fingerprint(&text) {
        assert_eq!(name.len(), 64);
        assert_eq!(text.matches("-----BEGIN CERTIFICATE-----").count(), 1, "{text}");
    }
}

pub(crate) fn unknown(name: &str) -> Error {
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
        if name != "*" && !is_namespace(name) {
            return bad(format!(
                "{name:?} is not a namespace: 1 to 63 lower-case letters, digits and '-'; * stands \
                 for every other one"
            ));
        }
    }
    for pattern in &new.other_images {
        if let Err(message) = Pattern::new(pattern) {
            return bad(message);
        }
    }
    Ok(())
}

/// A name that Kubernetes gives a namespace (RFC 1123 label).
fn is_namespace(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_named_by_their_bytes() {
        let one = pem::encode(&pem::Pem::new("CERTIFICATE", [0x30, 1, 2]));
        let key = pem::encode(&pem::Pem::new("PRIVATE KEY", [0x30, 1, 2]));
        assert_eq!(fingerprint(&one).unwrap(), Digest::sha256(&[0x30, 1, 2]).hex());
        for bad in [String::new(), key.clone(), format!("{one}{one}"), format!("{one}{key}")] {
            assert!(fingerprint(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn clusters_are_checked() {
        const RULE: NamespaceRule = NamespaceRule { minimum_tier: Tier::Release, enforce: true };
        let good = NewCluster {
            name: "prod".into(),
            namespaces: [("*".into(), RULE), ("kube-system".into(), RULE)].into(),
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
            NewCluster { namespaces: [("Prod".into(), RULE)].into(), ..good.clone() },
            NewCluster { namespaces: [("a/b".into(), RULE)].into(), ..good.clone() },
            NewCluster { namespaces: [(String::new(), RULE)].into(), ..good.clone() },
        ] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_corpus_of_certificates_holds() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/certificate");
        let mut replayed = 0;
        for file in std::fs::read_dir(corpus).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            fuzz_certificate(&bytes);
            for end in 0..bytes.len() {
                fuzz_certificate(&bytes[..end]);
            }
            replayed += 1;
        }
        assert!(replayed >= 5, "{replayed}");
    }
}
